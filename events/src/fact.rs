//! Facts: what is now true.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    compute::Cost,
    contract::Column,
    event::StepRef,
    extract::Bookmark,
    names::{ModelName, ObjectPath, RunId, TableName},
};

/// A file's good rows are a batch, its bad rows are in quarantine (`dev.millstream.batch.ingested.v1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchIngested {
    /// The uploaded object it came from.
    pub object: ObjectPath,
    /// The Parquet batch.
    pub batch: ObjectPath,
    /// Good rows.
    pub rows: u64,
    /// Rows in quarantine.
    pub bad_rows: u64,
    /// Where those are; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<ObjectPath>,
    /// How many rows broke the contract in which way: reason to count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, u64>,
    /// The batch's columns, added ones included.
    pub columns: Vec<Column>,
    /// What a person should know though nothing failed: columns ignored, added or missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A source's rows, or those that changed, are in batches (`dev.millstream.source.extracted.v1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceExtracted {
    /// The Parquet batches, in the order they are to be loaded in; none when there was no row.
    pub batches: Vec<ObjectPath>,
    /// Good rows.
    pub rows: u64,
    /// Rows in quarantine.
    pub bad_rows: u64,
    /// Where those are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantine: Vec<ObjectPath>,
    /// How many rows broke the contract in which way: reason to count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, u64>,
    /// The batches' columns, the one that marks deleted rows left out.
    pub columns: Vec<Column>,
    /// Where the next extraction starts, once these rows are in the table.
    pub bookmark: Bookmark,
    /// Whether everything was read: nothing but these rows is in the table then.
    pub everything: bool,
    /// Whether the batches say which rows were deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletes: bool,
    /// What a person should know though nothing failed: a changed source, columns left out, a reading in two goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A table holds what it should (`dev.millstream.table.updated.v1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TableUpdated {
    /// The table.
    pub table: TableName,
    /// Rows written by this step.
    pub rows: u64,
    /// Rows in the table afterwards.
    pub total_rows: u64,
    /// The warehouse's commit number of this write: of two writes to one table the larger is the later.
    pub version: u64,
    /// Whether a newer replace had already gone in, so that this one changed nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
}

/// A copy of a table is in the lake (`dev.millstream.table.exported.v1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TableExported {
    /// The table.
    pub table: TableName,
    /// The files.
    pub files: Vec<ObjectPath>,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A training has finished and its model is kept (`dev.millstream.model.trained.v1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelTrained {
    /// The model.
    pub model: ModelName,
    /// The folder with the model's files.
    pub artifact: ObjectPath,
    /// The numbers of its `metrics.json`.
    pub metrics: BTreeMap<String, f64>,
    /// Where its log is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<ObjectPath>,
    /// How long it ran, in seconds.
    pub seconds: f64,
    /// What that cost; absent where machines have no price, as at home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// One gate expression and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateCheck {
    /// The expression as written.
    pub expression: String,
    /// Whether it holds.
    pub passed: bool,
    /// The numbers that went in, for a person: `auc_pr 0.81, champion.auc_pr 0.79`.
    pub because: String,
}

/// A model version has been judged (`dev.millstream.model.promoted.v1`, `dev.millstream.model.rejected.v1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelJudged {
    /// The model.
    pub model: ModelName,
    /// Its version in the registry.
    pub version: u64,
    /// The endpoint it serves at; absent when it is only registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<ModelName>,
    /// The gate's checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<GateCheck>,
    /// The version it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<u64>,
    /// Why it was rolled back, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<String>,
}

/// A share of an endpoint's traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficShare {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: u64,
    /// Percent of the requests; all of an endpoint's add up to 100.
    pub percent: u8,
}

/// Why an endpoint's traffic moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrafficMove {
    /// The version gets its first share: its canary begins.
    Started,
    /// The canary's next step.
    Stepped,
    /// The version has all the traffic.
    Finished,
    /// The canary failed: the version beside it has all the traffic again.
    RolledBack,
    /// A person gave all the traffic to the version.
    PromotedByHand,
    /// A person took the traffic from the version.
    RolledBackByHand,
}

/// An endpoint's traffic was moved (`dev.millstream.model.traffic_moved.v1`). It ends no step: a canary makes several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficMoved {
    /// The run that it is part of: the step's, or the one whose version a person moved.
    pub run: RunId,
    /// The step that moved it; absent when a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepRef>,
    /// The endpoint.
    pub endpoint: ModelName,
    /// 1, 2, 3 in the order of the endpoint's moves.
    pub number: u64,
    /// The model whose rollout or rollback it is.
    pub model: ModelName,
    /// Its version.
    pub version: u64,
    /// Why it moved.
    pub kind: TrafficMove,
    /// Who gets how much of the traffic from now on.
    pub traffic: Vec<TrafficShare>,
    /// The numbers that decided it, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was moved.
    pub at: DateTime<Utc>,
}

/// What a finished step has made true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// `ingest-file` is done.
    BatchIngested(BatchIngested),
    /// `extract-source` is done.
    SourceExtracted(SourceExtracted),
    /// `load-table` or `transform-table` is done.
    TableUpdated(TableUpdated),
    /// `export-table` is done.
    TableExported(TableExported),
    /// `train-model` is done.
    ModelTrained(ModelTrained),
    /// `promote-model` is done: the version serves, or is registered where nothing serves it.
    ModelPromoted(ModelJudged),
    /// `promote-model` is done: the gate or the canary said no.
    ModelRejected(ModelJudged),
}

macro_rules! outcomes {
    ($($name:ident($inner:ty) => $type:literal),* $(,)?) => {
        impl Outcome {
            /// The fact's event type.
            #[must_use]
            pub fn event_type(&self) -> &'static str {
                match self { $(Self::$name(_) => $type,)* }
            }

            /// Whether it is one of the step facts' event types.
            pub(crate) fn is_type(event_type: &str) -> bool {
                matches!(event_type, $($type)|*)
            }

            pub(crate) fn from_json(event_type: &str, json: serde_json::Value) -> Option<Result<Self, serde_json::Error>> {
                Some(match event_type { $($type => serde_json::from_value(json).map(Self::$name),)* _ => return None })
            }

            pub(crate) fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self { $(Self::$name(inner) => serde_json::to_value(inner),)* }
            }
        }

        /// Every step fact's event type and JSON Schema.
        pub(crate) fn schemas() -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($type, schemars::schema_for!(crate::event::StepFact<$inner>)),)*]
        }
    };
}

outcomes! {
    BatchIngested(BatchIngested) => "dev.millstream.batch.ingested.v1",
    SourceExtracted(SourceExtracted) => "dev.millstream.source.extracted.v1",
    TableUpdated(TableUpdated) => "dev.millstream.table.updated.v1",
    TableExported(TableExported) => "dev.millstream.table.exported.v1",
    ModelTrained(ModelTrained) => "dev.millstream.model.trained.v1",
    ModelPromoted(ModelJudged) => "dev.millstream.model.promoted.v1",
    ModelRejected(ModelJudged) => "dev.millstream.model.rejected.v1",
}

/// Why a step did not get done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// What is wrong and what to do about it, for a person.
    pub message: String,
    /// More lines, such as the end of a training log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Objects kept for a closer look, such as a rejected file's quarantine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<ObjectPath>,
}

impl Reason {
    /// A reason without detail.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None, kept: Vec::new() }
    }
}
