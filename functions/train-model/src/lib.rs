//! Ensures a training job has finished and its model is kept.
//!
//! Consumes `dev.millstream.training.requested.v1`; emits `dev.millstream.model.trained.v1`.

mod back_ends;
mod decide;
mod limits;
mod metrics;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::{
    Command,
    compute::{Compute, RunOn},
    fact::{ModelTrained, Outcome, Reason},
    names::ObjectPath,
    work::{self, WorkKind},
};
use millstream_ports::{
    Clock, ErrorKind, JobState, ObjectStore, ObjectStoreExt, Precondition, Trainer, TrainingJob, TrainingState,
    Warehouse, optional,
};
use millstream_prices::Book;
use millstream_runtime::{
    Failure, Function, Progress,
    declaration::{Bucket, Dataset, Declaration, Size, Touch},
};

pub use self::back_ends::BackEnds;
use self::limits::Limits;

/// A small model on this machine trains in a second, a job on a cluster that is there already may too; machines that are
/// started for a job take minutes.
const fn check_training_after(run_on: RunOn) -> Duration {
    match run_on {
        RunOn::Local => Duration::from_millis(500),
        RunOn::RayCluster => Duration::from_secs(2),
        RunOn::Kubeflow | RunOn::KubeflowV1 | RunOn::KubeflowPipeline | RunOn::Ray | RunOn::Vertex => {
            Duration::from_secs(15)
        }
    }
}

/// What is kept of the log of a job whose back-end keeps none in the store: its end.
const LOG_LIMIT: usize = 4 << 20;

/// A warehouse's export takes seconds; one on this machine is done at the first ask.
const CHECK_EXPORT_AFTER: Duration = Duration::from_secs(2);

/// The table comes when its own step is done, whose fact asks for this one again: this only catches a lost fact.
const CHECK_FOR_TABLE_AFTER: Duration = Duration::from_secs(5);

/// Metrics are a few dozen numbers and perhaps a confusion matrix.
const METRICS_LIMIT: u64 = 4 << 20;

/// What a deployment derives from.
pub const DECLARATION: Declaration = Declaration {
    name: <TrainModel as Function>::NAME,
    consumes: &[<work::TrainModel as WorkKind>::TYPE],
    emits: &["dev.millstream.model.trained.v1", "dev.millstream.step.failed.v1", "dev.millstream.step.deferred.v1"],
    touches: &[
        Touch::Queries(Dataset::Source),
        Touch::Queries(Dataset::Staging),
        Touch::Queries(Dataset::Production),
        Touch::Writes(Bucket::Models),
        Touch::RunsJobs,
        Touch::Publishes,
        Touch::LaunchesTraining,
        Touch::ActsAsTraining,
    ],
    size: Size {
        cpu: "2",
        memory: "2Gi",
        concurrency: 4,
        timeout_seconds: 60,
        max_instances: 4,
        between_requests: false,
    },
};

/// `train-model`: the export's and the trainer's jobs, named by the step, are all its state.
#[derive(Debug)]
pub struct TrainModel {
    warehouse: Arc<dyn Warehouse>,
    back_ends: BackEnds,
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    prices: Arc<Book>,
}

/// The training's rows, or why they are not there yet.
enum Data {
    Exported(Vec<ObjectPath>),
    NotYet { reason: String, check_after: Duration },
}

impl TrainModel {
    /// Exports from `warehouse`, trains on `back_ends`, reads what they made from `store`; what that costs is by `prices`.
    pub fn new(
        warehouse: Arc<dyn Warehouse>,
        back_ends: BackEnds,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
        prices: Arc<Book>,
    ) -> Self {
        Self { warehouse, back_ends, store, clock, prices }
    }

    /// The rows as they stood at the first ask: the table may change while the program runs.
    async fn data(&self, command: &Command<work::TrainModel>) -> Result<Data, Failure> {
        let table = &command.work.data;
        let (job, export) = decide::data_export(command)?;
        match self.warehouse.ensure_export(&job, &export).await {
            Ok(JobState::Running) => Ok(Data::NotYet {
                reason: format!("{table} is being exported for it"),
                check_after: CHECK_EXPORT_AFTER,
            }),
            Ok(JobState::Done(write)) => Ok(Data::Exported(write.files)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Data::NotYet { reason: format!("waits for {table}"), check_after: CHECK_FOR_TABLE_AFTER })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn metrics(&self, output: &ObjectPath) -> Result<BTreeMap<String, f64>, Failure> {
        let path = output.join("metrics.json").map_err(|error| Failure::permanent(error.to_string()))?;
        match optional(self.store.read(&path, METRICS_LIMIT).await)? {
            Some(json) => metrics::parse(&json).map_err(|error| {
                Failure::Permanent(Reason { kept: vec![path.clone()], ..Reason::new(format!("{path} {error}")) })
            }),
            None => {
                tracing::warn!(%path, "the training wrote no metrics.json: a gate over its metrics will not let it pass");
                Ok(BTreeMap::new())
            }
        }
    }
}

#[async_trait]
impl Function for TrainModel {
    const NAME: &'static str = "train-model";

    type Work = work::TrainModel;

    async fn ensure(&self, command: &Command<Self::Work>) -> Result<Progress, Failure> {
        let training = &command.work;
        let (run_on, trainer) = self.back_ends.get(training.compute.run_on)?;
        let compute = Compute { run_on, ..training.compute.clone() };
        let limits = Limits::of(&compute, training.wall_seconds, &self.prices)?;
        let data = match self.data(command).await? {
            Data::Exported(files) => files,
            Data::NotYet { reason, check_after } => return Ok(Progress::pending(reason, check_after)),
        };
        let job = TrainingJob { compute: compute.clone(), ..decide::training_job(&command.step, training, data)? };
        self.train(trainer, &command.step.job_id(), &job, &limits).await
    }
}

impl TrainModel {
    async fn train(
        &self,
        trainer: &dyn Trainer,
        id: &str,
        job: &TrainingJob,
        limits: &Limits<'_>,
    ) -> Result<Progress, Failure> {
        let (model, run_on) = (&job.model, job.compute.run_on);
        let pending = |reason: String| Ok(Progress::pending(reason, check_training_after(run_on)));
        match trainer.ensure(id, job).await? {
            TrainingState::Running { since: None } => pending(format!("{model} waits for a machine on {run_on}")),
            TrainingState::Running { since: Some(since) } => match limits.exceeded(since, self.clock.now()) {
                None => pending(format!("{model} is being trained on {run_on}")),
                Some(reason) => {
                    trainer.cancel(id).await?;
                    let log = self.kept_log(None, trainer, id, &job.output).await?;
                    Err(failed(job, reason, String::new(), log))
                }
            },
            // Asking is what starts it again.
            TrainingState::Lost => pending(format!("the training of {model} was lost and is started again")),
            TrainingState::Succeeded { seconds, log } => {
                let metrics = self.metrics(&job.output).await?;
                let log = self.kept_log(log, trainer, id, &job.output).await?;
                Ok(Progress::Done(Outcome::ModelTrained(ModelTrained {
                    model: model.clone(),
                    artifact: job.output.clone(),
                    metrics,
                    log,
                    seconds,
                    cost: limits.cost(seconds),
                })))
            }
            TrainingState::Failed { reason, log_tail, log } => {
                let log = self.kept_log(log, trainer, id, &job.output).await?;
                Err(failed(job, reason, log_tail, log))
            }
        }
    }

    /// Where a job's log is kept: where its trainer keeps it, else a copy beside its model, since where it ran forgets it. A log
    /// that cannot be had fails no training.
    async fn kept_log(
        &self,
        by_trainer: Option<ObjectPath>,
        trainer: &dyn Trainer,
        id: &str,
        output: &ObjectPath,
    ) -> Result<Option<ObjectPath>, Failure> {
        if by_trainer.is_some() {
            return Ok(by_trainer);
        }
        let log = match trainer.log(id, LOG_LIMIT).await {
            Ok(log) if log.is_empty() => return Ok(None),
            Ok(log) => log,
            Err(error) => {
                tracing::warn!(id, %error, "the log of a training could not be read");
                return Ok(None);
            }
        };
        let path = output.join("log.txt").map_err(|error| Failure::permanent(error.to_string()))?;
        self.store.put(&path, log, Precondition::None).await?;
        Ok(Some(path))
    }
}

fn failed(job: &TrainingJob, reason: String, log_tail: String, log: Option<ObjectPath>) -> Failure {
    Failure::Permanent(Reason {
        message: format!("the training of {} failed: {reason}", job.model),
        detail: Some(log_tail).filter(|tail| !tail.is_empty()),
        kept: log.into_iter().collect(),
    })
}
