//! Model versions, and the endpoints that serve them.

use std::{collections::BTreeMap, fmt::Debug};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use millstream_events::{
    Fingerprint,
    compute::Cost,
    fact::{GateCheck, TrafficMoved},
    names::{ModelName, ObjectPath, RunId, TableName},
};
use serde::{Deserialize, Serialize};

use crate::error::PortResult;

/// A version to register.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewVersion {
    /// Of which model.
    pub model: ModelName,
    /// The training's fingerprint: one version each.
    pub fingerprint: Fingerprint,
    /// The run it came from.
    pub run: RunId,
    /// The table it learned from.
    pub data: TableName,
    /// The newest upload its run knew of, by generation: a version does not take the place of one with a larger sequence.
    #[serde(default)]
    pub sequence: u64,
    /// The folder with its files.
    pub artifact: ObjectPath,
    /// Its metrics on its own held-out rows.
    pub metrics: BTreeMap<String, f64>,
    /// What its training cost; absent where machines have no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// A registered version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelVersion {
    /// 1, 2, 3 in the order of registration.
    pub version: u64,
    /// What was registered.
    #[serde(flatten)]
    pub registered: NewVersion,
    /// When.
    pub at: DateTime<Utc>,
    /// How it was judged; absent until it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// What the gate said of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it may serve.
    pub promoted: bool,
    /// The checks.
    pub checks: Vec<GateCheck>,
    /// The version it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<u64>,
}

/// The versions of models, and names for some of them.
#[async_trait]
pub trait ModelRegistry: Debug + Send + Sync {
    /// Registers a version, or finds the one with its fingerprint.
    async fn ensure_version(&self, version: &NewVersion) -> PortResult<ModelVersion>;

    /// Keeps a version's verdict; the first one stays and is returned.
    async fn judge(&self, model: &ModelName, version: u64, verdict: &Verdict) -> PortResult<Verdict>;

    /// Every model's name.
    async fn models(&self) -> PortResult<Vec<ModelName>>;

    /// A model's versions, oldest first; empty for an unknown model.
    async fn versions(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>>;

    /// Names for versions: `production` is the one that serves. Empty for an unknown model.
    async fn aliases(&self, model: &ModelName) -> PortResult<BTreeMap<String, u64>>;

    /// Gives a name to a version, taking it from another that has it.
    async fn set_alias(&self, model: &ModelName, alias: &str, version: u64) -> PortResult<()>;
}

/// A version at an endpoint and its share of traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: u64,
    /// Percent; all of an endpoint's add up to 100.
    pub traffic: u8,
}

/// An endpoint as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointState {
    /// Its name.
    pub endpoint: ModelName,
    /// What it serves, the oldest deployment first.
    pub deployed: Vec<Deployed>,
    /// When the traffic last changed: a canary's bake is counted from here.
    pub since: DateTime<Utc>,
    /// The step that asked for this, so that asking again is recognised: a training's fingerprint, `rollback`.
    pub by: String,
    /// The versions that had all the traffic before, the latest last, for rollback.
    #[serde(default)]
    pub previous: Vec<Deployed>,
    /// The latest moves of its traffic, the last one that made it what it is: facts that are kept until long after they are
    /// published. Whoever sets the endpoint decides how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<TrafficMoved>,
    /// Changes with every change; guards against two writers.
    #[serde(default)]
    pub revision: u64,
}

/// How a version has done at an endpoint since the traffic last changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ServingStats {
    /// Requests answered or failed.
    pub requests: u64,
    /// Of which failed on the model's side.
    pub errors: u64,
    /// The 95th percentile of the time to answer, in milliseconds; absent where nothing measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p95_ms: Option<f64>,
    /// The mean of what it answered: a number as it is, of two classes the second's probability, of more the likeliest's.
    /// Absent where nothing measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_score: Option<f64>,
}

/// A prediction request failed.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The request does not fit the model; the message names the instance and the field.
    #[error("{0}")]
    BadRequest(String),
    /// The endpoint or its model cannot answer.
    #[error(transparent)]
    Port(#[from] crate::error::PortError),
}

/// Endpoints that answer predictions.
#[async_trait]
pub trait Endpoints: Debug + Send + Sync {
    /// An endpoint as it stands; `NotFound` before its first deployment.
    async fn endpoint(&self, endpoint: &ModelName) -> PortResult<EndpointState>;

    /// Every endpoint.
    async fn endpoints(&self) -> PortResult<Vec<EndpointState>>;

    /// Makes the endpoint so. `expected` is the revision it was decided on (`None`: the endpoint is not there yet);
    /// another one there is a `Conflict`. Every version deployed must be registered.
    async fn set(&self, state: &EndpointState, expected: Option<u64>) -> PortResult<EndpointState>;

    /// How a version has done since the traffic last changed.
    async fn stats(&self, endpoint: &ModelName, version: u64) -> PortResult<ServingStats>;

    /// Answers `{"instances": [..], "parameters": ..}` with `{"predictions": [..], "model": .., "version": ..}`.
    async fn predict(
        &self,
        endpoint: &ModelName,
        request: serde_json::Value,
    ) -> Result<serde_json::Value, PredictError>;
}

/// Scores a model's files, for the gate: the champion on the challenger's held-out rows.
#[async_trait]
pub trait Scorer: Debug + Send + Sync {
    /// The metrics of the model in `artifact` on the held-out rows kept with `holdout_of`; `None` when the files of either do
    /// not allow it (a program that keeps no `holdout.parquet` or no `model.onnx`).
    async fn score(&self, artifact: &ObjectPath, holdout_of: &ObjectPath) -> PortResult<Option<BTreeMap<String, f64>>>;
}
