//! Jobs by name: one id, one effect.
//!
//! A job id is unique in its project and location, and BigQuery keeps a job for six months, so the job is the memory of
//! its own effect. An id whose job failed for a passing reason is burnt: the work is tried again under `<id>-r1`,
//! `<id>-r2` and on, looked through in this order. A job that failed for good ends the search.

use std::time::Duration;

use millstream_events::names::TableName;
use millstream_ports::{JobState, PortError, PortResult};
use serde_json::{Value, json};

use crate::{
    BigQueryWarehouse,
    model::{Job, Labels, Outcome, Table},
};

/// How often a job is tried again before a person should look.
const ATTEMPTS: u32 = 50;

/// A job is watched this long after it was started: most loads and queries are done by then.
const PATIENCE: Duration = Duration::from_secs(2);

/// The first pause between two looks; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What is known of the work under an id.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a call, and it is taken apart at once")]
pub(crate) enum Known {
    /// It runs or is done.
    Settled(JobState<Job>),
    /// It is to be started under this id.
    Owed(String),
}

/// A job to start.
#[derive(Debug)]
pub(crate) struct NewJob<'a> {
    /// What it does, completing "cannot ..".
    pub(crate) doing: &'a str,
    /// The table it writes in a way that counts towards the table's day.
    pub(crate) modifies: Option<&'a TableName>,
    /// Its configuration.
    pub(crate) configuration: Value,
}

impl BigQueryWarehouse {
    /// What is known of the work under an id; a failure that is final is the error.
    pub(crate) async fn known(&self, doing: &str, id: &str) -> PortResult<Known> {
        for attempt in 0..ATTEMPTS {
            let name = if attempt == 0 { id.to_owned() } else { format!("{id}-r{attempt}") };
            let Some(job) = self.api.job(&name).await? else { return Ok(Known::Owed(name)) };
            match job.outcome() {
                Outcome::Running => return Ok(Known::Settled(JobState::Running)),
                Outcome::Done => return Ok(Known::Settled(JobState::Done(job))),
                Outcome::Failed(problem) if problem.is_final() => return Err(problem.into_error(doing)),
                Outcome::Failed(problem) => tracing::info!(job = name, ?problem, "a job is tried again"),
            }
        }
        Err(PortError::unavailable(format!("cannot {doing}: it failed {ATTEMPTS} times, see the jobs {id}-r1 and on")))
    }

    /// Starts a job under exactly this id, or finds the one that has it, and watches it for a moment.
    pub(crate) async fn start(&self, id: &str, new: NewJob<'_>) -> PortResult<JobState<Job>> {
        if let Some(table) = new.modifies {
            self.modifications.admit(&self.api, self.clock.now(), table).await?;
        }
        let started = self.api.insert(new.doing, Some(id), &new.configuration).await?;
        if let (Some(table), Some(_)) = (new.modifies, &started) {
            self.modifications.note(self.clock.now(), table, id);
        }
        self.watch(new.doing, id, started).await
    }

    /// Ensures a table that a job fills for a while. One that has expired, although its job is known, is made again.
    pub(crate) async fn ensure_stage(
        &self,
        doing: &str,
        id: &str,
        stage: &TableName,
        configuration: impl Future<Output = PortResult<Value>> + Send,
    ) -> PortResult<JobState<Table>> {
        let mut configuration = Some(configuration);
        for round in 0..ATTEMPTS {
            let step = format!("{id}-stage{round}");
            let state = match self.known(doing, &step).await? {
                Known::Settled(state) => state,
                Known::Owed(name) => {
                    // What was made a moment ago and is gone already is for the next ask.
                    let Some(configuration) = configuration.take() else { break };
                    let new = NewJob { doing, modifies: None, configuration: configuration.await? };
                    self.start(&name, new).await?
                }
            };
            match state {
                JobState::Running => return Ok(JobState::Running),
                JobState::Done(_) => {
                    if let Some(table) = self.api.table(stage).await? {
                        return Ok(JobState::Done(table));
                    }
                }
            }
        }
        Err(PortError::unavailable(format!("cannot {doing}: its staged rows are gone; ask again")))
    }

    /// Runs a statement whose repetition is harmless, under an id of BigQuery's own, which it gives.
    pub(crate) async fn run(&self, doing: &str, sql: &str) -> PortResult<(String, JobState<Job>)> {
        let started = self.api.insert(doing, None, &self.statement(sql, Labels::new())).await?;
        let id = started.as_ref().and_then(|job| job.job_reference.job_id.clone());
        let id = id.ok_or_else(|| PortError::internal(format!("cannot {doing}: BigQuery named no job")))?;
        let state = self.watch(doing, &id, started).await?;
        Ok((id, state))
    }

    async fn watch(&self, doing: &str, id: &str, mut job: Option<Job>) -> PortResult<JobState<Job>> {
        let (mut waited, mut pause) = (Duration::ZERO, FIRST_PAUSE);
        loop {
            match job.as_ref().map(Job::outcome) {
                Some(Outcome::Failed(problem)) => return Err(problem.into_error(doing)),
                Some(Outcome::Done) => return Ok(job.map_or(JobState::Running, JobState::Done)),
                Some(Outcome::Running) if waited >= PATIENCE => return Ok(JobState::Running),
                Some(Outcome::Running) => {
                    tokio::time::sleep(pause).await;
                    waited += pause;
                    pause *= 2;
                }
                // The id exists already: its job is the answer.
                None => {}
            }
            job = Some(self.api.job(id).await?.ok_or_else(|| {
                PortError::unavailable(format!("cannot {doing}: the job {id} exists and is not found; ask again"))
            })?);
        }
    }

    /// The configuration of one statement of GoogleSQL.
    pub(crate) fn statement(&self, sql: &str, labels: Labels) -> Value {
        json!({
            "labels": managed(labels),
            "query": {
                "query": sql,
                "useLegacySql": false,
                "maximumBytesBilled": self.settings.maximum_bytes_billed.to_string(),
            }
        })
    }
}

/// Labels with the one that says who made it.
pub(crate) fn managed(mut labels: Labels) -> Labels {
    labels.insert("managed_by".into(), "millstream".into());
    labels
}
