//! What a person can ask of a platform, as one trait with two ways to it: in this process ([`local`]) or over HTTP from a
//! running `millstream up` ([`client`], answered by [`http`]).

pub(crate) mod client;
pub(crate) mod events;
mod history;
pub(crate) mod http;
pub(crate) mod local;
pub(crate) mod models;
mod quarantine;
mod training_log;
pub(crate) mod views;

use async_trait::async_trait;
use futures::stream::BoxStream;
use millstream_events::names::{ModelName, ObjectPath, PipelineName, RunId, StepName};
use millstream_ports::{ErrorKind, PortError, PredictError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::views::{
    EventView, ModelDetails, ModelSummary, QuarantinedFile, QuarantinedRows, Replayed, Rows, RunDetails, RunSummary,
    Shifted, TableView, Taken, TrainingLog,
};

/// Why a request was not answered, as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    /// What to make of it.
    pub(crate) code: Code,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    /// What was asked for is not there.
    NotFound,
    /// The request is wrong in itself.
    Invalid,
    /// It was changed by somebody else meanwhile.
    Conflict,
    /// The caller may not.
    Denied,
    /// It may work in a moment.
    Unavailable,
    /// A mistake inside.
    Internal,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message)
    }
}

impl From<PortError> for Refusal {
    fn from(error: PortError) -> Self {
        let code = match error.kind() {
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::Conflict => Code::Conflict,
            ErrorKind::Invalid => Code::Invalid,
            ErrorKind::Denied => Code::Denied,
            ErrorKind::Quota { .. } | ErrorKind::Unavailable => Code::Unavailable,
            ErrorKind::Internal => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<PredictError> for Refusal {
    fn from(error: PredictError) -> Self {
        match error {
            PredictError::BadRequest(message) => Self::invalid(message),
            PredictError::Port(error) => error.into(),
        }
    }
}

/// An operation's answer.
pub(crate) type Answer<T> = Result<T, Refusal>;

/// What a person can ask of a platform.
#[async_trait]
pub(crate) trait Operations: Send + Sync {
    /// Every run, the latest activity first.
    async fn runs(&self) -> Answer<Vec<RunSummary>>;

    /// A run in full.
    async fn show(&self, run: &RunId) -> Answer<RunDetails>;

    /// Tries failed steps again.
    async fn retry(&self, run: &RunId, step: Option<&StepName>) -> Answer<()>;

    /// What a training of a run has said: the only one, or the one that `step` names.
    async fn training_log(&self, run: &RunId, step: Option<&StepName>) -> Answer<TrainingLog>;

    /// Starts a run over the tables as they stand; its sources are extracted, in full where `full_refresh` says so.
    async fn start_run(&self, pipeline: &PipelineName, full_refresh: bool) -> Answer<Taken>;

    /// Takes an object of the landing bucket, which is there already.
    async fn take(&self, object: &ObjectPath) -> Answer<Taken>;

    /// Publishes a message.
    async fn publish(&self, topic: &str, data: &str) -> Answer<Taken>;

    /// Looks at everything that is open, and for uploads that nobody told of; returns when all of it is asked for.
    async fn sweep(&self) -> Answer<()>;

    /// Every table.
    async fn tables(&self) -> Answer<Vec<TableView>>;

    /// Answers a SELECT.
    async fn query(&self, sql: &str, limit: usize) -> Answer<Rows>;

    /// Uploads with rows in quarantine, the latest first.
    async fn quarantine(&self) -> Answer<Vec<QuarantinedFile>>;

    /// The rows in quarantine of an upload, named by its object's name or its quarantine's.
    async fn quarantined_rows(&self, name: &str, limit: usize) -> Answer<QuarantinedRows>;

    /// Uploads an upload's quarantined rows again.
    async fn replay(&self, name: &str) -> Answer<Replayed>;

    /// Every model.
    async fn models(&self) -> Answer<Vec<ModelSummary>>;

    /// A model with its versions.
    async fn model(&self, model: &ModelName) -> Answer<ModelDetails>;

    /// Gives the traffic back to the version before.
    async fn roll_back(&self, model: &ModelName) -> Answer<Vec<Shifted>>;

    /// Gives all the traffic to a version.
    async fn promote(&self, model: &ModelName, version: u64) -> Answer<Vec<Shifted>>;

    /// Asks an endpoint.
    async fn predict(&self, endpoint: &ModelName, request: Value) -> Answer<Value>;

    /// Events from now on, as they happen. Some may be missed by a slow reader.
    async fn events(&self) -> Answer<BoxStream<'static, EventView>>;
}
