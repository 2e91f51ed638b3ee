//! Training jobs.

use std::{collections::BTreeMap, fmt::Debug};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use millstream_events::{
    StepRef,
    compute::Compute,
    names::{ModelName, ObjectPath},
    work::{DataFormat, Program},
};

use crate::error::{PortError, PortResult};

/// A training program to run under Vertex AI's contract (the `AIP_*` environment variables).
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingJob {
    /// The step it is for, for labels and messages.
    pub step: StepRef,
    /// The model it makes, for labels and messages.
    pub model: ModelName,
    /// What runs.
    pub program: Program,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment variables besides the `AIP_*` ones. A value `secret:NAME` stands for that secret's.
    pub env: BTreeMap<String, String>,
    /// The rows to learn from (`AIP_TRAINING_DATA_URI`).
    pub data: Vec<ObjectPath>,
    /// Their form (`AIP_DATA_FORMAT`).
    pub data_format: DataFormat,
    /// The folder the model goes to (`AIP_MODEL_DIR`).
    pub output: ObjectPath,
    /// The folder of its checkpoints (`AIP_CHECKPOINT_DIR`), the same for every attempt.
    pub checkpoints: ObjectPath,
    /// Where it runs and on what.
    pub compute: Compute,
    /// Ended when it runs longer than this many seconds.
    pub wall_seconds: u64,
}

impl TrainingJob {
    /// What names all the rows (`AIP_TRAINING_DATA_URI`): the one object, or everything in the folder that they share; `None`
    /// without rows.
    ///
    /// # Errors
    /// `Invalid` for files of several folders, which nothing names.
    pub fn rows(&self) -> PortResult<Option<ObjectPath>> {
        let folder = |path: &ObjectPath| path.name().rsplit_once('/').map(|(folder, _)| folder.to_owned());
        match self.data.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [first, others @ ..] => {
                let shared = others.iter().all(|path| path.bucket() == first.bucket() && folder(path) == folder(first));
                let pattern =
                    folder(first).filter(|_| shared).map(|folder| format!("{folder}/*")).ok_or_else(|| {
                        PortError::invalid(
                            "data: files of several folders have no common URI; export them into one folder",
                        )
                    })?;
                path(first.bucket(), pattern).map(Some)
            }
        }
    }

    /// The folder for TensorBoard's files (`AIP_TENSORBOARD_LOG_DIR`): beside the model's, because what serves the model copies
    /// that one.
    ///
    /// # Errors
    /// `Invalid` for a model's folder whose name leaves no room.
    pub fn logs(&self) -> PortResult<ObjectPath> {
        path(self.output.bucket(), format!("{}-logs", self.output.name().trim_end_matches('/')))
    }
}

fn path(bucket: &str, name: String) -> PortResult<ObjectPath> {
    ObjectPath::new(bucket, name).map_err(|error| PortError::invalid(error.to_string()))
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainingState {
    /// It waits or runs.
    Running {
        /// When it began to run; absent while it waits for a machine, which costs nothing.
        since: Option<DateTime<Utc>>,
    },
    /// It ended well; its files are in `output`.
    Succeeded {
        /// How long it ran.
        seconds: f64,
        /// Its log, kept.
        log: Option<ObjectPath>,
    },
    /// It ended badly; running it again unchanged would too.
    Failed {
        /// What happened: an exit code, the wall limit.
        reason: String,
        /// The end of its log.
        log_tail: String,
        /// Its whole log, kept.
        log: Option<ObjectPath>,
    },
    /// Nobody knows how it ended (the machine or the object went away). Never success.
    Lost,
}

impl TrainingState {
    /// Whether it has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }
}

/// Runs training programs.
#[async_trait]
pub trait Trainer: Debug + Send + Sync {
    /// Starts the job under this id, or reads the one that exists. `Invalid` names the field that the back-end does not take,
    /// before anything is started; `NotFound` where the rows are not there. The call that finds a job lost may answer
    /// [`TrainingState::Lost`] or start it again at once; the next call starts it in any case.
    async fn ensure(&self, job: &str, training: &TrainingJob) -> PortResult<TrainingState>;

    /// Ends a job; one that has ended or does not exist is left as it is.
    async fn cancel(&self, job: &str) -> PortResult<()>;

    /// The job's log so far, at most its last `limit` bytes. `NotFound` for an unknown job.
    async fn log(&self, job: &str, limit: usize) -> PortResult<String>;
}
