//! Replaces of a table, in the order of their sequence, whoever asks for them when.
//!
//! BigQuery overwrites a table atomically but unconditionally: two replaces that overtake each other would leave the
//! older one's rows. So the replaces of a table form a log, each under the job id `millstream-replace-<table>-<slot>`. An
//! id can be inserted once: of two writers that both saw slot 7 as the last, one gets slot 8 and the other looks again.
//! A replace is only inserted after the one before it is done and where that one's sequence is not larger, so the rows
//! of the last slot that did not fail are always the rows of the largest sequence. Each job's labels say whose it is and
//! its sequence; nothing else needs to be written, so there is no point at which a crash could leave it half done.
//!
//! The table's labels only say where in the log to begin to look: a stale one costs calls.

use millstream_events::{Fingerprint, names::ObjectPath, work::LoadTable};
use millstream_ports::{JobState, PortError, PortResult, TableWrite};

use crate::{
    BigQueryWarehouse,
    errors::Problem,
    jobs::NewJob,
    loads::Load,
    model::{Job, Labels, Outcome, Table, number},
    schema,
    tables::{self, SEQUENCE, SLOT},
};

/// A job's label: whose replace it is.
const OWNER: &str = "millstream_job";

/// How often another writer may take the slot before ours; the next ask goes on.
const TURNS: u32 = 10;

/// Where the log stands, for one replace.
#[derive(Debug)]
enum Standing {
    /// Done, in this slot.
    Done(u64, Box<Job>),
    /// It, or another one before it, runs.
    Running,
    /// It failed for good.
    Failed(Problem),
    /// A newer one is done.
    Superseded,
    /// It is to take this slot.
    Owed(u64),
}

/// The log of a table.
#[derive(Debug)]
struct Log {
    name: String,
    owner: String,
    sequence: u64,
}

impl Log {
    fn id(&self, slot: u64) -> String {
        format!("{}-{slot}", self.name)
    }

    fn owns(&self, job: &Job) -> bool {
        job.configuration.labels.get(OWNER) == Some(&self.owner)
    }
}

impl BigQueryWarehouse {
    /// See `Warehouse::ensure_load`.
    pub(crate) async fn replace(&self, job: &str, load: &LoadTable) -> PortResult<JobState<TableWrite>> {
        let doing = format!("replace {}", load.table);
        let log = Log {
            name: format!("millstream-replace-{}", Fingerprint::of("replace", [load.table.to_string().as_bytes()])),
            owner: Fingerprint::of("job", [job.as_bytes()]).as_str().to_owned(),
            sequence: load.sequence,
        };
        for _ in 0..TURNS {
            let table = self.api.table(&load.table).await?;
            match self.standing(&log, table.as_ref()).await? {
                Standing::Done(slot, done) => return self.replaced(job, load, slot, &done).await,
                Standing::Running => return Ok(JobState::Running),
                Standing::Failed(problem) => return Err(problem.into_error(&doing)),
                Standing::Superseded => {
                    let (total_rows, version) = table.map_or((0, 0), |table| (table.rows(), tables::version(&table)));
                    return Ok(JobState::Done(TableWrite { rows: 0, total_rows, version, superseded: true }));
                }
                Standing::Owed(slot) => {
                    self.check_files(load).await?;
                    self.api.create_dataset(load.table.dataset()).await?;
                    let files = self.unmarked(load, job).await?;
                    let new = NewJob {
                        doing: &doing,
                        modifies: Some(&load.table),
                        configuration: self.replace_configuration(load, &files, &log)?,
                    };
                    // The job in the slot may be another writer's, who was faster: then the log is looked at again.
                    match self.start(&log.id(slot), new).await {
                        Ok(JobState::Done(done)) if log.owns(&done) => {
                            return self.replaced(job, load, slot, &done).await;
                        }
                        Ok(JobState::Done(_)) => {}
                        Ok(JobState::Running) => return Ok(JobState::Running),
                        Err(error) => match self.api.job(&log.id(slot)).await? {
                            Some(job) if !log.owns(&job) => {}
                            _ => return Err(error),
                        },
                    }
                }
            }
        }
        Err(PortError::unavailable(format!("cannot {doing}: others replace it all the time; ask again")))
    }

    fn replace_configuration(
        &self,
        load: &LoadTable,
        files: &[ObjectPath],
        log: &Log,
    ) -> PortResult<serde_json::Value> {
        let sequence = (SEQUENCE.to_owned(), log.sequence.to_string());
        self.load_configuration(Load {
            table: &load.table,
            files,
            uploaded: load.uploaded.as_ref(),
            schema: &schema::schema(&load.columns),
            layout: Some(&load.layout),
            // Columns included; the layout is given again, so that it is kept.
            disposition: "WRITE_TRUNCATE",
            updates: &[],
            labels: Labels::from([sequence, (OWNER.to_owned(), log.owner.clone())]),
        })
    }

    async fn replaced(&self, job: &str, load: &LoadTable, slot: u64, done: &Job) -> PortResult<JobState<TableWrite>> {
        self.committed(load, done, Some((slot, load.sequence))).await?;
        self.drop_unmarked(load, job).await;
        let rows = number(done.statistics.load.output_rows.as_deref()).unwrap_or_default();
        Ok(JobState::Done(TableWrite { rows, total_rows: rows, version: done.version(), superseded: false }))
    }

    /// Looks at the log from its end, as far as ours can be.
    async fn standing(&self, log: &Log, table: Option<&Table>) -> PortResult<Standing> {
        let label = |name| table.and_then(|table| table.label(name)).unwrap_or_default();
        let hint = label(SLOT);
        let free = self.first_free(log, hint).await?;
        let mut superseded = false;
        for slot in (1..free).rev() {
            let Some(job) = self.api.job(&log.id(slot)).await? else {
                // BigQuery forgets a job after six months; the table's label remembers the last one.
                superseded |= slot == hint && label(SEQUENCE) > log.sequence;
                break;
            };
            let is_ours = log.owns(&job);
            match job.outcome() {
                Outcome::Running => return Ok(Standing::Running),
                Outcome::Done if is_ours => return Ok(Standing::Done(slot, Box::new(job))),
                Outcome::Failed(problem) if is_ours && problem.is_final() && !superseded => {
                    return Ok(Standing::Failed(problem));
                }
                Outcome::Failed(_) => {}
                Outcome::Done => match job.label(SEQUENCE).unwrap_or_default() {
                    held if held > log.sequence => superseded = true,
                    // Sequences grow along the log: ours cannot be before a smaller one.
                    held if held < log.sequence => break,
                    _ => {}
                },
            }
        }
        Ok(if superseded { Standing::Superseded } else { Standing::Owed(free) })
    }

    async fn is_taken(&self, log: &Log, slot: u64) -> PortResult<bool> {
        Ok(self.api.job(&log.id(slot)).await?.is_some())
    }

    /// The first slot without a job. Slots are taken without gaps, so it is found by doubling steps, then by halves.
    async fn first_free(&self, log: &Log, hint: u64) -> PortResult<u64> {
        let (mut taken, mut step) = (hint, 1);
        while self.is_taken(log, taken + step).await? {
            taken += step;
            step *= 2;
        }
        let mut free = taken + step;
        while free - taken > 1 {
            let middle = taken + (free - taken) / 2;
            if self.is_taken(log, middle).await? {
                taken = middle;
            } else {
                free = middle;
            }
        }
        Ok(free)
    }
}
