//! [`RayTrainer`]: the port on the Jobs API.

use std::{
    collections::HashMap,
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use millstream_ports::{Clock, PortError, PortResult, Trainer, TrainingJob, TrainingState};

use crate::{
    api::{Api, Submitted},
    info::{JobInfo, Stage},
    settings::{Paths, RaySettings},
    submission::{Submission, check_id},
};

/// The end of a log that a failure comes with, in bytes.
const LOG_TAIL: usize = 4 << 10;

/// How long a job that is stopped is waited for. Ray gives a program three seconds before it kills it.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// The pause between two looks at a job that is stopped.
const PAUSE: Duration = Duration::from_millis(200);

/// How long Ray lets a job wait for room before it fails it, in seconds, unless the cluster is set up otherwise.
const LONGEST_WAIT: i64 = 900;

/// Starts that are remembered; past it they are read from the logs afresh.
const REMEMBERED: usize = 4_096;

/// Trains on a Ray cluster that is there already.
#[derive(Debug)]
pub struct RayTrainer {
    api: Api,
    settings: RaySettings,
    clock: Arc<dyn Clock>,
    /// When jobs began to run: a log is read for it once.
    starts: Mutex<HashMap<String, DateTime<Utc>>>,
}

impl RayTrainer {
    /// A trainer on a cluster, which is first called when a job is asked for. `clock` measures wall limits.
    ///
    /// # Errors
    /// `Invalid` for an address or a token that cannot be one.
    pub fn new(settings: RaySettings, clock: Arc<dyn Clock>) -> PortResult<Self> {
        Ok(Self { api: Api::new(&settings)?, settings, clock, starts: Mutex::default() })
    }

    /// Programs on this machine find their folders made, as those in a container with mounted buckets do.
    fn make_folders(&self, training: &TrainingJob) -> PortResult<()> {
        if self.settings.paths == Paths::Uri {
            return Ok(());
        }
        for folder in [&training.output, &training.checkpoints, &training.logs()?] {
            let folder = self.settings.paths.name_of(folder)?;
            fs::create_dir_all(&folder).map_err(|error| {
                PortError::unavailable(format!("{folder} cannot be made: {error}")).caused_by(error)
            })?;
        }
        Ok(())
    }

    /// The job as it is now, submitted where the cluster does not know it. `None` where it was submitted just now.
    async fn submitted(
        &self,
        job: &str,
        training: &TrainingJob,
        submission: &Submission,
    ) -> PortResult<Option<JobInfo>> {
        if let Some(info) = self.api.job(job).await? {
            return Ok(Some(info));
        }
        self.make_folders(training)?;
        match self.api.submit(submission).await? {
            Submitted::New => {
                tracing::info!(job, model = %training.model, cluster = self.api.address(), "a Ray job is submitted");
                self.forget(job);
                Ok(None)
            }
            // Somebody else was faster.
            Submitted::Exists => match self.api.job(job).await? {
                Some(info) => Ok(Some(info)),
                None => Err(PortError::unavailable(format!("the Ray job {job} was there and is gone; ask again"))),
            },
        }
    }

    /// Adopts a job that was submitted for this deployment, and no other: the same content is the same job's name everywhere.
    fn adopt(&self, job: &str, info: &JobInfo, submission: &Submission) -> PortResult<()> {
        if let Some(output) = info.output().filter(|output| *output != submission.output()) {
            return Err(PortError::conflict(format!(
                "the Ray cluster {} has this job {job} of another deployment, which writes to {output}; give each deployment a \
                 cluster of its own, or delete that job with `ray job delete {job}`",
                self.api.address()
            )));
        }
        match info.manifest() {
            Some(manifest) if manifest == submission.manifest() => Ok(()),
            Some(_) => {
                tracing::warn!(
                    job,
                    "the Ray job was submitted for another program or other resources; it is taken as it is"
                );
                Ok(())
            }
            None => Err(self.foreign(job)),
        }
    }

    fn foreign(&self, job: &str) -> PortError {
        PortError::conflict(format!(
            "the Ray cluster {} has a job {job} that Millstream did not submit; delete it with `ray job delete {job}`",
            self.api.address()
        ))
    }

    async fn state(&self, job: &str, training: &TrainingJob, info: JobInfo) -> PortResult<TrainingState> {
        match info.stage() {
            Stage::Waits => Ok(TrainingState::Running { since: None }),
            Stage::Runs => self.running(job, training, info).await,
            Stage::Succeeded => {
                let began = self.began(job).await.or(info.submitted());
                Ok(TrainingState::Succeeded { seconds: seconds_between(began, info.ended()), log: None })
            }
            Stage::Stopped => {
                let ran = seconds_between(self.began(job).await.or(info.submitted()), info.ended());
                let reason = if ran > training.wall_seconds as f64 {
                    format!("it ran longer than its wall limit of {} s", training.wall_seconds)
                } else {
                    "it was stopped".to_owned()
                };
                Ok(self.failed(job, &info, reason).await)
            }
            Stage::Failed => Ok(self.failed(job, &info, info.reason()).await),
            Stage::Lost => {
                tracing::warn!(
                    job,
                    reason = info.reason(),
                    "a Ray job is lost; it is deleted, so that it can start again"
                );
                self.api.delete(job).await?;
                self.forget(job);
                Ok(TrainingState::Lost)
            }
        }
    }

    /// A job that runs, ended where it has run too long.
    async fn running(&self, job: &str, training: &TrainingJob, info: JobInfo) -> PortResult<TrainingState> {
        let since = self.began(job).await;
        // Where the log does not tell when it began: not later than this.
        let latest = || info.submitted().map(|at| at + TimeDelta::seconds(LONGEST_WAIT));
        let ran = seconds_between(since.or_else(latest), Some(self.clock.now()));
        if ran <= training.wall_seconds as f64 {
            return Ok(TrainingState::Running { since });
        }
        self.api.stop(job).await?;
        match self.until_ended(job).await? {
            Some(info) if info.has_ended() => Box::pin(self.state(job, training, info)).await,
            _ => Ok(TrainingState::Running { since }),
        }
    }

    async fn failed(&self, job: &str, info: &JobInfo, reason: String) -> TrainingState {
        // A node that went away took the log with it.
        let log = self.api.log_tail(job, LOG_TAIL).await.unwrap_or_default();
        let log_tail = if log.is_empty() { info.message().unwrap_or_default() } else { log };
        TrainingState::Failed { reason, log_tail, log: None }
    }

    /// Looks at a job that is being stopped until it has ended, for a while; `None` when it is gone.
    async fn until_ended(&self, job: &str) -> PortResult<Option<JobInfo>> {
        let mut looks = STOP_PATIENCE.as_millis() / PAUSE.as_millis();
        loop {
            let info = self.api.job(job).await?;
            looks = looks.saturating_sub(1);
            if looks == 0 || info.as_ref().is_none_or(JobInfo::has_ended) {
                return Ok(info);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// When the job's program began to run. Unknown until its first line is in the log, and where the log is gone.
    async fn began(&self, job: &str) -> Option<DateTime<Utc>> {
        if let Some(start) = self.starts().get(job) {
            return Some(*start);
        }
        match self.api.start(job).await {
            Ok(start) => {
                let start = start?;
                let mut starts = self.starts();
                if starts.len() >= REMEMBERED {
                    starts.clear();
                }
                starts.insert(job.to_owned(), start);
                Some(start)
            }
            Err(error) => {
                tracing::debug!(job, %error, "the log does not tell when the job began to run");
                None
            }
        }
    }

    fn forget(&self, job: &str) {
        self.starts().remove(job);
    }

    fn starts(&self) -> std::sync::MutexGuard<'_, HashMap<String, DateTime<Utc>>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Zero where one of them is not known, and where two clocks disagree.
fn seconds_between(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> f64 {
    from.zip(to).map_or(0.0, |(from, to)| (to - from).as_seconds_f64().max(0.0))
}

#[async_trait]
impl Trainer for RayTrainer {
    async fn ensure(&self, job: &str, training: &TrainingJob) -> PortResult<TrainingState> {
        let submission = Submission::new(job, training, &self.settings)?;
        match self.submitted(job, training, &submission).await? {
            Some(info) => {
                self.adopt(job, &info, &submission)?;
                self.state(job, training, info).await
            }
            None => Ok(TrainingState::Running { since: None }),
        }
    }

    async fn cancel(&self, job: &str) -> PortResult<()> {
        check_id(job)?;
        match self.api.job(job).await? {
            None => Ok(()),
            Some(info) if info.manifest().is_none() => Err(self.foreign(job)),
            Some(info) if info.has_ended() => Ok(()),
            Some(_) => {
                self.api.stop(job).await?;
                if self.until_ended(job).await?.is_some_and(|info| !info.has_ended()) {
                    // Ray itself keeps the request: a job that waits for room ends as soon as it begins.
                    tracing::warn!(job, "the Ray job is told to stop and has not ended yet");
                }
                Ok(())
            }
        }
    }

    async fn log(&self, job: &str, limit: usize) -> PortResult<String> {
        check_id(job)?;
        self.api.log_tail(job, limit).await
    }
}
