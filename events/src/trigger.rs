//! Triggers: what comes from outside.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::ObjectPath;

/// An object is in a bucket (`google.cloud.storage.object.v1.finalized`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectFinalized {
    /// Where it is.
    pub object: ObjectPath,
    /// Cloud Storage's generation: grows with every write of the name; microseconds by convention.
    pub generation: u64,
    /// Its size in bytes.
    pub size: u64,
    /// CRC32C of the bytes, as the unsigned number.
    pub crc32c: u32,
}

/// A message was published on a topic (`google.cloud.pubsub.topic.v1.messagePublished`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessagePublished {
    /// The topic's short name.
    pub topic: String,
    /// The message's data as text. Binary messages are refused at the edge: rows travel as JSON.
    pub data: String,
}

/// A cron schedule came due (a Cloud Scheduler tick, or the laptop's own clock).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleFired {
    /// The pipeline whose schedule it is.
    pub pipeline: crate::names::PipelineName,
    /// The scheduled time, not the time of arrival: it is the tick's identity.
    pub scheduled_at: DateTime<Utc>,
    /// The source whose own schedule it is; absent for the pipeline's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// The sweep's tick: look at everything that is open and ask again for what is owed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SweepDue {}

/// A person asked for a run (`millstream run`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunRequested {
    /// The pipeline to run over its tables as they stand.
    pub pipeline: crate::names::PipelineName,
    /// Tells two requests apart; chosen once by the caller, so that a redelivered request is the same request.
    pub request: String,
    /// Whether sources are extracted in full, whatever changed since the last time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full_refresh: bool,
}

/// A person asked to try the failed steps of a run again (`millstream retry`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryRequested {
    /// The run.
    pub run: crate::names::RunId,
    /// Only this step; all failed ones when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<crate::names::StepName>,
}
