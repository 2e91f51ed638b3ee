//! What the operations answer: the forms that `--json` prints and that travel between a command and a running platform.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use millstream_events::{
    contract::Column,
    fact::{Outcome, TrafficMoved},
    names::{ModelName, ObjectPath, TableName},
};
use millstream_ports::{EndpointState, ModelVersion};
use millstream_promote_model::by_hand::Moved;
use millstream_tabular::BadRow;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunStatus {
    /// Steps run or are about to.
    Running,
    /// An upload has to come before it goes on.
    Waiting,
    /// A step failed.
    Failed,
    /// Every step is done.
    Succeeded,
}

impl RunStatus {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Succeeded => "succeeded",
        }
    }
}

/// A run in one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunSummary {
    /// `pipeline/key`.
    pub(crate) run: String,
    /// How it stands.
    pub(crate) state: RunStatus,
    /// Whether the platform still looks at it: a run that is not open has ended, until something new comes.
    pub(crate) open: bool,
    /// When it was first heard of.
    pub(crate) started_at: Option<DateTime<Utc>>,
    /// When something about it was last recorded.
    pub(crate) last_activity: Option<DateTime<Utc>>,
    /// Steps that are done.
    pub(crate) steps_done: usize,
    /// All steps that are known.
    pub(crate) steps_total: usize,
    /// Rows in quarantine.
    pub(crate) bad_rows: u64,
    /// Why it waits or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// A run with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunDetails {
    #[serde(flatten)]
    pub(crate) summary: RunSummary,
    /// What started it: the uploads' names, a schedule, a person.
    pub(crate) started_by: Vec<String>,
    /// Whether its pipeline has changed since it ended: it is then shown as it ended.
    pub(crate) definition_changed: bool,
    /// Its steps, each after those it needs.
    pub(crate) steps: Vec<StepView>,
    /// How the traffic of endpoints moved for its models, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) moves: Vec<TrafficMoved>,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepView {
    /// `kind/what`.
    pub(crate) step: String,
    /// `done`, `running`, `owed`, `failed`, `blocked` or `waiting`.
    pub(crate) state: String,
    /// What it is, hashed; absent while an input is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    /// Which try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<u32>,
    /// The steps it comes after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) needs: Vec<String>,
    /// When it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requested_at: Option<DateTime<Utc>>,
    /// When it was done or had failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<DateTime<Utc>>,
    /// From the one to the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
    /// What it made true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
    /// Why it waits, was put off, or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// More of the reason, such as the end of a training's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// Objects kept for a closer look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kept: Vec<ObjectPath>,
}

/// Runs that something started or moved on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// `pipeline/key`, each.
    pub(crate) runs: Vec<String>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableView {
    /// Its name.
    pub(crate) table: TableName,
    /// Its rows.
    pub(crate) rows: u64,
    /// Its columns.
    pub(crate) columns: Vec<Column>,
}

/// A query's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rows {
    /// The result's columns.
    pub(crate) columns: Vec<Column>,
    /// Values in column order.
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there were more rows than asked for.
    pub(crate) truncated: bool,
}

/// An upload with rows in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuarantinedFile {
    /// The run.
    pub(crate) run: String,
    /// The step that read it.
    pub(crate) step: String,
    /// The upload; a rejected one is named in `rejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<ObjectPath>,
    /// Where its bad rows are.
    pub(crate) quarantine: ObjectPath,
    /// Rows that were loaded; none of a rejected file.
    pub(crate) rows: u64,
    /// Rows in quarantine; absent for a rejected file, of which not all were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bad_rows: Option<u64>,
    /// Bad rows by reason.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Why the whole file was rejected, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rejected: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<DateTime<Utc>>,
}

/// Rows in quarantine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct QuarantinedRows {
    /// Whose they are.
    pub(crate) file: QuarantinedFile,
    /// The first rows.
    pub(crate) rows: Vec<BadRow>,
    /// Whether there are more.
    pub(crate) truncated: bool,
}

/// Rows of a quarantine that were uploaded again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replayed {
    /// The new upload.
    pub(crate) object: ObjectPath,
    /// Its rows.
    pub(crate) rows: u64,
    /// Rows whose whole text was not kept.
    pub(crate) left_out: u64,
    /// The runs that take it.
    pub(crate) runs: Vec<String>,
}

/// A model in one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelSummary {
    /// Its name.
    pub(crate) model: ModelName,
    /// The newest version.
    pub(crate) latest: u64,
    /// The version that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) production: Option<u64>,
    /// Where.
    pub(crate) endpoints: Vec<ModelName>,
}

/// A model with its versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelDetails {
    /// Its name.
    pub(crate) model: ModelName,
    /// Names for versions.
    pub(crate) aliases: BTreeMap<String, u64>,
    /// All versions, oldest first.
    pub(crate) versions: Vec<ModelVersion>,
    /// The endpoints that serve it.
    pub(crate) endpoints: Vec<EndpointState>,
}

/// What a training has said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrainingLog {
    /// The step.
    pub(crate) step: String,
    /// The step's state in a word.
    pub(crate) state: String,
    /// The end of its log; empty before it has said anything.
    pub(crate) text: String,
}

/// Traffic that a person moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shifted {
    /// The endpoint.
    pub(crate) endpoint: ModelName,
    /// The versions it served.
    pub(crate) from: Vec<u64>,
    /// The version it serves now.
    pub(crate) to: u64,
}

impl From<Moved> for Shifted {
    fn from(moved: Moved) -> Self {
        let from = moved.from.iter().map(|deployed| deployed.version).collect();
        Self { endpoint: moved.endpoint, from, to: moved.to.version }
    }
}

/// One event as it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventView {
    /// When it was made.
    pub(crate) time: DateTime<Utc>,
    /// The CloudEvents type.
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    /// `pipeline/key`, of a command or a fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
    /// Its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<String>,
    /// What it says, for a person.
    pub(crate) says: String,
}
