//! [`PipelinesTrainer`]: the port on runs of pipelines.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_ports::{Clock, PortError, PortResult, Trainer, TrainingJob, TrainingState};
use tokio::sync::Mutex;

use crate::{
    api::Api,
    experiment,
    request::{NewRun, check_name},
    run::{Run, Stage},
    settings::PipelinesSettings,
};

/// How long a run that is ended is waited for.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two looks at a run that is ended.
const PAUSE: Duration = Duration::from_millis(500);

/// The end of what is known that a failure comes with, in bytes.
const LOG_TAIL: usize = 4 << 10;

/// Trains as runs of compiled pipelines.
#[derive(Debug)]
pub struct PipelinesTrainer {
    api: Api,
    clock: Arc<dyn Clock>,
    /// Held from a look for a run to its making, so that this process makes no two of one name.
    making: Mutex<()>,
}

impl PipelinesTrainer {
    /// A trainer on a service, which is first called when a job is asked for. `clock` measures wall limits.
    ///
    /// # Errors
    /// `Invalid` for a URL that cannot be one.
    pub fn new(settings: PipelinesSettings, clock: Arc<dyn Clock>) -> PortResult<Self> {
        Ok(Self { api: Api::new(settings)?, clock, making: Mutex::default() })
    }

    /// The runs of this job, the one that counts first. Runs of the same name that were not made here are not ours.
    async fn ours(&self, experiment: &str, job: &str) -> PortResult<Vec<Run>> {
        let mut runs = self.api.runs(experiment, job).await?;
        runs.retain(|run| run.manifest().is_some());
        runs.sort_by(|one, other| one.age().cmp(&other.age()));
        Ok(runs)
    }

    /// The run that counts, made where there is none. Of several, which processes that raced have made, the others are ended.
    async fn one_run(&self, wanted: NewRun, training: &TrainingJob) -> PortResult<Run> {
        let experiment = experiment::find_or_make(&self.api).await?;
        let job = wanted.display_name.clone();
        let mut runs = self.ours(&experiment, &job).await?;
        if runs.is_empty() {
            let _one_at_a_time = self.making.lock().await;
            runs = self.ours(&experiment, &job).await?;
            if runs.is_empty() {
                let made = self.api.create_run(&wanted.in_experiment(&experiment)).await?;
                tracing::info!(job, run = made.run_id, model = %training.model, "a pipeline run is made");
                runs = self.ours(&experiment, &job).await?;
                if runs.is_empty() {
                    runs.push(made);
                }
            }
        }
        let mut runs = runs.into_iter();
        let first =
            runs.next().ok_or_else(|| PortError::internal(format!("the run {job} was made and is not there")))?;
        for other in runs.filter(|run| !run.has_ended() && !run.is_being_cancelled()) {
            tracing::warn!(job, run = other.run_id, counts = first.run_id, "a second run of one training is ended");
            self.end(&other.run_id).await?;
        }
        Ok(first)
    }

    async fn state(&self, training: &TrainingJob, run: Run) -> PortResult<TrainingState> {
        let wall = training.wall_seconds;
        match run.stage() {
            Stage::Waits => Ok(TrainingState::Running { since: None }),
            Stage::Runs => {
                let since = run.began();
                let ran = since.map_or(0.0, |since| (self.clock.now() - since).as_seconds_f64());
                if ran <= wall as f64 || run.is_being_cancelled() {
                    return Ok(TrainingState::Running { since });
                }
                self.end(&run.run_id).await?;
                match self.until_ended(&run.run_id).await? {
                    Some(run) if run.has_ended() => Box::pin(self.state(training, run)).await,
                    _ => Ok(TrainingState::Running { since }),
                }
            }
            Stage::Succeeded => Ok(TrainingState::Succeeded { seconds: seconds(&run), log: None }),
            Stage::Skipped => self.failed(run, "the pipeline skipped everything: nothing was trained".to_owned()).await,
            Stage::Cancelled if seconds(&run) > wall as f64 => {
                self.failed(run, format!("it ran longer than its wall limit of {wall} s")).await
            }
            Stage::Cancelled => self.failed(run, "it was cancelled".to_owned()).await,
            Stage::Failed => {
                let run = self.with_tasks(run).await?;
                let reason = run.reason();
                self.failed(run, reason).await
            }
        }
    }

    async fn failed(&self, run: Run, reason: String) -> PortResult<TrainingState> {
        let log_tail = last_bytes(&self.with_tasks(run).await?.report(), LOG_TAIL).to_owned();
        Ok(TrainingState::Failed { reason, log_tail, log: None })
    }

    /// The run with what is known of its tasks, which a list may leave out.
    async fn with_tasks(&self, run: Run) -> PortResult<Run> {
        Ok(self.api.run(&run.run_id).await?.unwrap_or(run))
    }

    /// Asks for a run's end. The service refuses it for a run that has ended in the meantime.
    async fn end(&self, run_id: &str) -> PortResult<()> {
        match self.api.terminate(run_id).await {
            Err(error) if self.api.run(run_id).await?.is_some_and(|run| !run.has_ended()) => Err(error),
            _ => Ok(()),
        }
    }

    /// Looks at a run that is being ended until it is, for a while; `None` when it is gone.
    async fn until_ended(&self, run_id: &str) -> PortResult<Option<Run>> {
        let mut looks = END_PATIENCE.as_millis() / PAUSE.as_millis();
        loop {
            let run = self.api.run(run_id).await?;
            looks = looks.saturating_sub(1);
            if looks == 0 || run.as_ref().is_none_or(Run::has_ended) {
                return Ok(run);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The runs of a job, where its experiment is there.
    async fn known(&self, job: &str) -> PortResult<Vec<Run>> {
        check_name(job)?;
        match experiment::find(&self.api).await? {
            Some(experiment) => self.ours(&experiment, job).await,
            None => Ok(Vec::new()),
        }
    }
}

fn seconds(run: &Run) -> f64 {
    run.began().zip(run.ended()).map_or(0.0, |(began, ended)| (ended - began).as_seconds_f64().max(0.0))
}

/// The end of a text, at most `limit` bytes.
fn last_bytes(text: &str, limit: usize) -> &str {
    let from = (text.len().saturating_sub(limit)..=text.len()).find(|at| text.is_char_boundary(*at));
    from.map_or("", |from| &text[from..])
}

#[async_trait]
impl Trainer for PipelinesTrainer {
    async fn ensure(&self, job: &str, training: &TrainingJob) -> PortResult<TrainingState> {
        let wanted = NewRun::new(job, training, self.api.settings().service_account.as_deref())?;
        let (manifest, root) = (wanted.manifest().map(str::to_owned), wanted.root().to_owned());
        let run = self.one_run(wanted, training).await?;
        // The same content is the same run's name in every deployment.
        if let Some(other) = run.root().filter(|other| *other != root) {
            return Err(PortError::conflict(format!(
                "the run {} of the name {job} is another deployment's, which works in {other}; give each deployment an \
                 experiment of its own (kubeflow_pipelines.experiment)",
                run.run_id
            )));
        }
        if run.manifest() != manifest.as_deref() {
            tracing::warn!(
                job,
                run = run.run_id,
                "the run was made for another pipeline or other parameters; it counts"
            );
        }
        self.state(training, run).await
    }

    async fn cancel(&self, job: &str) -> PortResult<()> {
        for run in self.known(job).await?.iter().filter(|run| !run.has_ended()) {
            if !run.is_being_cancelled() {
                self.end(&run.run_id).await?;
            }
            if self.until_ended(&run.run_id).await?.is_some_and(|run| !run.has_ended()) {
                tracing::warn!(job, run = run.run_id, "the run is told to end and has not ended yet");
            }
        }
        Ok(())
    }

    async fn log(&self, job: &str, limit: usize) -> PortResult<String> {
        let runs = self.known(job).await?;
        let run = runs.into_iter().next().ok_or_else(|| {
            PortError::not_found(format!(
                "there is no training job {job} in Kubeflow Pipelines at {}",
                self.api.address()
            ))
        })?;
        let run = self.with_tasks(run).await?;
        let text = format!(
            "The logs are those of the pods: see the run {} of the experiment {} in Kubeflow Pipelines.\n{}",
            run.run_id,
            self.api.settings().experiment,
            run.report()
        );
        Ok(last_bytes(&text, limit).to_owned())
    }
}
