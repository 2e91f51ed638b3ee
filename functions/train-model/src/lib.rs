//! Ensures a training job has finished and its model is kept.
//!
//! Consumes `dev.millstream.training.requested.v1`; emits `dev.millstream.model.trained.v1`.

mod decide;
mod metrics;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::{
    Command,
    fact::{ModelTrained, Outcome, Reason},
    names::ObjectPath,
    work::{self, WorkKind},
};
use millstream_ports::{ErrorKind, JobState, ObjectStore, ObjectStoreExt, Trainer, TrainingState, Warehouse, optional};
use millstream_runtime::{
    Failure, Function, Progress,
    declaration::{Bucket, Dataset, Declaration, Size, Touch},
};

/// A small model on this machine trains in a second; a cloud's sweep asks in its own, slower time.
const CHECK_TRAINING_AFTER: Duration = Duration::from_millis(500);

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
    ],
    size: Size { cpu: "2", memory: "2Gi", concurrency: 4, timeout_seconds: 60, max_instances: 4 },
};

/// `train-model`: the export's and the trainer's jobs, named by the step, are all its state.
#[derive(Debug)]
pub struct TrainModel {
    warehouse: Arc<dyn Warehouse>,
    trainer: Arc<dyn Trainer>,
    store: Arc<dyn ObjectStore>,
}

/// The training's rows, or why they are not there yet.
enum Data {
    Exported(Vec<ObjectPath>),
    NotYet { reason: String, check_after: Duration },
}

impl TrainModel {
    /// Exports from `warehouse`, trains with `trainer`, reads what it made from `store`.
    pub fn new(warehouse: Arc<dyn Warehouse>, trainer: Arc<dyn Trainer>, store: Arc<dyn ObjectStore>) -> Self {
        Self { warehouse, trainer, store }
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
        let data = match self.data(command).await? {
            Data::Exported(files) => files,
            Data::NotYet { reason, check_after } => return Ok(Progress::pending(reason, check_after)),
        };
        match self.trainer.ensure(&command.step.job_id(), &decide::training_job(training, data)).await? {
            TrainingState::Running => {
                Ok(Progress::pending(format!("{} is being trained", training.model), CHECK_TRAINING_AFTER))
            }
            // Asking is what starts it again.
            TrainingState::Lost => Ok(Progress::pending(
                format!("the training of {} was lost and is started again", training.model),
                CHECK_TRAINING_AFTER,
            )),
            TrainingState::Succeeded { seconds, log } => {
                let metrics = self.metrics(&training.output).await?;
                Ok(Progress::Done(Outcome::ModelTrained(ModelTrained {
                    model: training.model.clone(),
                    artifact: training.output.clone(),
                    metrics,
                    log,
                    seconds,
                })))
            }
            TrainingState::Failed { reason, log_tail, log } => Err(Failure::Permanent(Reason {
                message: format!("the training of {} failed: {reason}", training.model),
                detail: Some(log_tail).filter(|tail| !tail.is_empty()),
                kept: log.into_iter().collect(),
            })),
        }
    }
}
