//! Training jobs that end as a script says.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    clock::Clock,
    error::{PortError, PortResult},
    object_store::{ObjectStore, ObjectStoreExt, Precondition},
    trainer::{Trainer, TrainingJob, TrainingState},
};

/// How a start of a job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrainingEnd {
    /// It writes these files, by name, into its output folder.
    Succeeds(Vec<(String, Bytes)>),
    /// It ends badly, for this reason, with these last words in its log.
    Fails {
        /// Such as `exit code 1`.
        reason: String,
        /// The end of its log.
        log_tail: String,
    },
    /// It goes away without a trace; the ask after the one that finds out starts it again.
    IsLost,
    /// It runs until it is cancelled or its wall limit is over.
    Hangs,
}

impl TrainingEnd {
    /// It writes a `metrics.json` with these numbers.
    #[must_use]
    pub fn with_metrics(metrics: &BTreeMap<String, f64>) -> Self {
        let json = serde_json::json!(metrics).to_string();
        Self::Succeeds(vec![("metrics.json".to_owned(), json.into())])
    }
}

/// Decides from the job's id, the training and the number of the start (from 1) how that start ends.
type Script = dyn Fn(&str, &TrainingJob, u32) -> TrainingEnd + Send + Sync;

/// A [`Trainer`] in memory: a start answers `Running` to some asks, then ends as the script says.
pub struct MemoryTrainer {
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    running_answers: u32,
    script: Box<Script>,
    jobs: Mutex<HashMap<String, Job>>,
}

#[derive(Debug, Clone)]
struct Job {
    started: DateTime<Utc>,
    starts: u32,
    asks: u32,
    end: TrainingEnd,
    ended: Option<TrainingState>,
    log: String,
}

/// What an ask of a job comes to.
enum Step {
    Answer(TrainingState),
    WriteFiles(Vec<(String, Bytes)>, f64),
}

impl fmt::Debug for MemoryTrainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTrainer").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

impl MemoryTrainer {
    /// A trainer whose jobs write an empty `metrics.json` and succeed at the first ask.
    pub fn new(store: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            running_answers: 0,
            script: Box::new(|_, _, _| TrainingEnd::with_metrics(&BTreeMap::new())),
            jobs: Mutex::default(),
        }
    }

    /// Every start answers `Running` to its first `asks` asks.
    #[must_use]
    pub fn slow(mut self, asks: u32) -> Self {
        self.running_answers = asks;
        self
    }

    /// Ends each start as `script` says; it is given the job's id, the training and the number of the start, from 1.
    #[must_use]
    pub fn scripted(mut self, script: impl Fn(&str, &TrainingJob, u32) -> TrainingEnd + Send + Sync + 'static) -> Self {
        self.script = Box::new(script);
        self
    }

    /// How often a job was started.
    #[must_use]
    pub fn starts(&self, job: &str) -> u32 {
        self.jobs().get(job).map_or(0, |job| job.starts)
    }

    /// Every job and how often it was started.
    #[must_use]
    pub fn all_starts(&self) -> BTreeMap<String, u32> {
        self.jobs().iter().map(|(id, job)| (id.clone(), job.starts)).collect()
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<String, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started(&self, id: &str, training: &TrainingJob, starts: u32, mut log: String) -> Job {
        log.push_str("started\n");
        let end = (self.script)(id, training, starts);
        Job { started: self.clock.now(), starts, asks: 0, end, ended: None, log }
    }

    /// Starts the job or looks at it, without an await: two callers cannot both start it.
    fn look(&self, id: &str, training: &TrainingJob) -> Step {
        let now = self.clock.now();
        let wall = TimeDelta::from_std(Duration::from_secs(training.wall_seconds)).unwrap_or(TimeDelta::MAX);
        let mut jobs = self.jobs();
        let known = jobs.get(id).cloned();
        let mut job = match known {
            None => self.started(id, training, 1, String::new()),
            Some(Job { ended: Some(TrainingState::Lost), starts, log, .. }) => {
                self.started(id, training, starts + 1, log)
            }
            Some(job) => job,
        };
        job.asks += 1;
        let step = job.step(self.running_answers, now, wall);
        if let Step::Answer(state) = &step
            && !state.is_running()
        {
            job.ended = Some(state.clone());
        }
        jobs.insert(id.to_owned(), job);
        step
    }
}

impl Job {
    fn step(&mut self, running_answers: u32, now: DateTime<Utc>, wall: TimeDelta) -> Step {
        if let Some(ended) = &self.ended {
            return Step::Answer(ended.clone());
        }
        let ran = (now - self.started).as_seconds_f64();
        if self.asks <= running_answers {
            return Step::Answer(TrainingState::Running { since: Some(self.started) });
        }
        match self.end.clone() {
            TrainingEnd::Succeeds(files) => Step::WriteFiles(files, ran),
            TrainingEnd::Fails { reason, log_tail } => {
                self.log.push_str(&log_tail);
                Step::Answer(self.failed(&reason))
            }
            TrainingEnd::IsLost => Step::Answer(TrainingState::Lost),
            TrainingEnd::Hangs if now - self.started > wall => {
                Step::Answer(self.failed(&format!("it ran longer than its wall limit of {} s", wall.num_seconds())))
            }
            TrainingEnd::Hangs => Step::Answer(TrainingState::Running { since: Some(self.started) }),
        }
    }

    fn failed(&self, reason: &str) -> TrainingState {
        TrainingState::Failed { reason: reason.to_owned(), log_tail: self.log.clone(), log: None }
    }
}

#[async_trait]
impl Trainer for MemoryTrainer {
    async fn ensure(&self, job: &str, training: &TrainingJob) -> PortResult<TrainingState> {
        let (files, seconds) = match self.look(job, training) {
            Step::Answer(state) => return Ok(state),
            Step::WriteFiles(files, seconds) => (files, seconds),
        };
        for (name, bytes) in files {
            let path = training.output.join(&name).map_err(|error| PortError::invalid(error.to_string()))?;
            self.store.put(&path, bytes, Precondition::None).await?;
        }
        // Only now: a caller that goes away while the files are written finds the job running and writes them again.
        let state = TrainingState::Succeeded { seconds, log: None };
        let mut jobs = self.jobs();
        Ok(match jobs.get_mut(job) {
            Some(job) => job.ended.get_or_insert(state).clone(),
            None => state,
        })
    }

    async fn cancel(&self, job: &str) -> PortResult<()> {
        if let Some(job) = self.jobs().get_mut(job)
            && job.ended.is_none()
        {
            job.ended = Some(job.failed("it was cancelled"));
        }
        Ok(())
    }

    async fn log(&self, job: &str, limit: usize) -> PortResult<String> {
        let jobs = self.jobs();
        let log = &jobs.get(job).ok_or_else(|| PortError::not_found(format!("there is no training job {job}")))?.log;
        let from = (log.len().saturating_sub(limit)..log.len()).find(|at| log.is_char_boundary(*at));
        Ok(from.map(|from| log[from..].to_owned()).unwrap_or_default())
    }
}
