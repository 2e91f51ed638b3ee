//! What commands ask for: one type a function, each complete, so that no function reads a pipeline file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use crate::extract::ExtractSource;
use crate::{
    compute::Compute,
    contract::{Column, Contract, FileFormat, FileOptions},
    fact::ModelTrained,
    names::{ModelName, ObjectPath, TableName},
};

/// For `ingest-file`: turn an uploaded object into a validated Parquet batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IngestFile {
    /// The uploaded object.
    pub object: ObjectPath,
    /// Its generation when the command was made.
    pub generation: u64,
    /// Its bytes' length. With the checksum it says which content is meant: the same bytes uploaded again are as good, other
    /// bytes under the name have a command of their own.
    pub size: u64,
    /// Its bytes' CRC32C.
    pub crc32c: u32,
    /// What its rows must be.
    pub contract: Contract,
    /// How to read it.
    #[serde(default)]
    pub options: FileOptions,
    /// Columns that identify a row (a merge's key): implicitly required, never NaN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Where the good rows go, as Parquet.
    pub batch: ObjectPath,
    /// Where the bad rows go, as JSON Lines.
    pub quarantine: ObjectPath,
}

/// How rows get into a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "mode")]
pub enum WriteMode {
    /// The table becomes the new rows, in one atomic switch.
    #[default]
    Replace,
    /// The new rows are added.
    Append,
    /// Rows with a known key are overwritten, others added; of several rows with one key the last in the file wins.
    Merge {
        /// The columns that identify a row.
        key: Vec<String>,
    },
}

/// How a table is laid out in the warehouse.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct TableLayout {
    /// A DATE, DATETIME or TIMESTAMP column; BigQuery partitions by its day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_by: Option<String>,
    /// Up to four columns to cluster by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_by: Vec<String>,
    /// The table's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// For `load-table`: make sure the rows of one or more files are in their table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = accepts_one_batch)]
pub struct LoadTable {
    /// The files, together one load: validated Parquet batches, or the one file of `uploaded`.
    #[serde(alias = "batch", deserialize_with = "one_or_many")]
    pub batches: Vec<ObjectPath>,
    /// The table.
    pub table: TableName,
    /// The columns of the batches; one that a batch lacks is NULL in its rows.
    pub columns: Vec<Column>,
    /// How the rows get in.
    pub write: WriteMode,
    /// The table's layout, used when it is created.
    #[serde(default)]
    pub layout: TableLayout,
    /// Orders replaces of one table: the upload's generation. A replace older than what the table holds changes nothing.
    pub sequence: u64,
    /// Set when the file is loaded as it was uploaded, by a warehouse that reads such files itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploaded: Option<UploadedFile>,
    /// Whether the batches have the column [`DELETED_COLUMN`](crate::extract::DELETED_COLUMN) (BOOL, not among `columns`): a
    /// merge takes the rows where it is true out of the table, the other ways leave them out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletes: bool,
}

/// Which content of an uploaded object is meant, and how to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadedFile {
    /// The object's generation when the command was made.
    pub generation: u64,
    /// Its bytes' length.
    pub size: u64,
    /// Its bytes' CRC32C. With the length it says which content is meant, as in [`IngestFile`].
    pub crc32c: u32,
    /// The kind of file.
    pub format: FileFormat,
    /// How to read it.
    #[serde(default)]
    pub options: FileOptions,
}

/// Commands of earlier producers named one batch, as `batch`.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ObjectPath>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(ObjectPath),
        Many(Vec<ObjectPath>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(path) => vec![path],
        OneOrMany::Many(paths) => paths,
    })
}

/// Says in the schema what [`one_or_many`] takes.
fn accepts_one_batch(schema: &mut schemars::Schema) {
    let batch = serde_json::json!({
        "type": "string",
        "deprecated": true,
        "description": "The one file, as earlier producers wrote it."
    });
    if let Some(properties) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
        properties.insert("batch".to_owned(), batch);
    }
    if let Some(required) = schema.get_mut("required").and_then(serde_json::Value::as_array_mut) {
        required.retain(|field| field != "batches");
    }
    schema.insert("anyOf".to_owned(), serde_json::json!([{"required": ["batches"]}, {"required": ["batch"]}]));
}

/// For `transform-table`: make sure a table holds what its SELECT gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TransformTable {
    /// The table the SELECT fills.
    pub table: TableName,
    /// A BigQuery SELECT.
    pub sql: String,
    /// The tables it reads, from its own text.
    pub inputs: Vec<TableName>,
    /// How the result gets in.
    pub write: WriteMode,
    /// The table's layout.
    #[serde(default)]
    pub layout: TableLayout,
    /// Conditions every result row must meet, as SQL expressions, `unique(..)` and `not_null(..)`; a breach fails the step
    /// before the table changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<String>,
}

/// For `export-table`: make sure a copy of a table is in the lake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExportTable {
    /// The table.
    pub table: TableName,
    /// The Parquet object to write; large tables become `NAME-000000000000.parquet` and on, beside it.
    pub to: ObjectPath,
}

/// The program that trains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// Gradient-boosted trees on a table, built in.
    Tabular,
    /// A program of the user's: its name and first arguments, run without a shell in the project's folder.
    Command(Vec<String>),
    /// A container of the user's.
    Image {
        /// The image, by digest.
        image: String,
        /// The program in it and its first arguments; the image's own where it is empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        command: Vec<String>,
    },
    /// A compiled Kubeflow pipeline.
    KubeflowPipeline {
        /// What the compiler wrote, as JSON.
        spec: serde_json::Value,
        /// Its parameters, besides those the platform sets.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        parameters: BTreeMap<String, serde_json::Value>,
    },
}

/// The form in which a training program gets its rows (`AIP_DATA_FORMAT`). Vertex AI itself knows `csv` and `jsonl`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataFormat {
    /// Comma-separated with a header line.
    #[default]
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet, types kept; the built-in recipe's choice.
    Parquet,
}

impl DataFormat {
    /// As `AIP_DATA_FORMAT` says it; the ending of such files too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// For `train-model`: make sure a training job has finished and its model is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainModel {
    /// The model's name.
    pub model: ModelName,
    /// The table to learn from.
    pub data: TableName,
    /// The form the program gets it in.
    #[serde(default)]
    pub data_format: DataFormat,
    /// The column to predict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What runs.
    pub program: Program,
    /// Its arguments, after those of the program itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment variables besides the `AIP_*` ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The longest it may run, in seconds.
    pub wall_seconds: u64,
    /// Where it runs and on what.
    #[serde(default, skip_serializing_if = "Compute::is_default")]
    pub compute: Compute,
    /// The folder its model goes to (`AIP_MODEL_DIR`).
    pub output: ObjectPath,
    /// The folder of its checkpoints (`AIP_CHECKPOINT_DIR`), the same for every attempt; beside `output` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoints: Option<ObjectPath>,
}

/// How traffic moves to a new version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Canary {
    /// Percentages the new version gets in turn, ascending, the last 100.
    pub steps: Vec<u8>,
    /// Seconds each step is watched before the next.
    pub bake_seconds: u64,
    /// The share of failed predictions (0.0 to 1.0) above which the version is rolled back.
    pub max_error_rate: f64,
    /// The 95th percentile of its answers' time, in milliseconds, above which the version is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<f64>,
    /// How far its mean score may be from that of the version beside it, before it is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_score_shift: Option<f64>,
}

/// Where and when a model is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Serving {
    /// The endpoint.
    pub endpoint: ModelName,
    /// The gate: every expression must hold, such as `auc_pr >= champion.auc_pr - 0.002`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promote_when: Vec<String>,
    /// How traffic moves; at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

/// For `promote-model`: make sure a trained model is registered and, if its gate lets it, serving.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PromoteModel {
    /// The finished training.
    pub trained: ModelTrained,
    /// The table it learned from, kept with the version.
    pub data: TableName,
    /// Orders promotions of one model: the newest upload known to the run, by generation. A version does not take the place
    /// of one with a larger sequence. 0 where there is no upload to go by.
    #[serde(default)]
    pub sequence: u64,
    /// Where it is to serve; only registered when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<Serving>,
}

/// Any function's work: what `decide` returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// For `ingest-file`.
    IngestFile(IngestFile),
    /// For `extract-source`.
    ExtractSource(ExtractSource),
    /// For `load-table`.
    LoadTable(LoadTable),
    /// For `transform-table`.
    TransformTable(TransformTable),
    /// For `export-table`.
    ExportTable(ExportTable),
    /// For `train-model`.
    TrainModel(TrainModel),
    /// For `promote-model`.
    PromoteModel(PromoteModel),
}

/// One function's work: its event type, and its way out of [`Work`].
pub trait WorkKind: Clone + std::fmt::Debug + Send + Sync + Sized + 'static {
    /// The command's event type, `dev.millstream.<step>.requested.v1`.
    const TYPE: &'static str;

    /// This kind of work, if `work` is it.
    fn from_work(work: &Work) -> Option<&Self>;
}

macro_rules! work_kinds {
    ($($name:ident => $type:literal),* $(,)?) => {
        $(impl WorkKind for $name {
            const TYPE: &'static str = $type;

            fn from_work(work: &Work) -> Option<&Self> {
                match work { Work::$name(inner) => Some(inner), _ => None }
            }
        })*

        impl Work {
            /// The command's event type.
            #[must_use]
            pub fn event_type(&self) -> &'static str {
                match self { $(Self::$name(_) => $type,)* }
            }

            /// Whether it is one of the commands' event types.
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

        /// Every command's event type and JSON Schema.
        pub(crate) fn schemas() -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($type, schemars::schema_for!(crate::event::Command<$name>)),)*]
        }
    };
}

work_kinds! {
    IngestFile => "dev.millstream.ingest.requested.v1",
    ExtractSource => "dev.millstream.extraction.requested.v1",
    LoadTable => "dev.millstream.load.requested.v1",
    TransformTable => "dev.millstream.transform.requested.v1",
    ExportTable => "dev.millstream.export.requested.v1",
    TrainModel => "dev.millstream.training.requested.v1",
    PromoteModel => "dev.millstream.promotion.requested.v1",
}
