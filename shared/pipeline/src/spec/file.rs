//! A pipeline file as it is written: its records, each field with its documentation and its place.
//!
//! The JSON Schema that editors use is made of these declarations.

use std::time::Duration;

use millstream_events::{
    compute::{DataAccess, GpuType, RunOn},
    contract::{ColumnType, FileFormat, MaxBad, OnNewColumn},
    extract::{Lookback, SourceKind},
    names::{ModelName, ObjectPath, PipelineName, TableName},
    secret_name::SecretName,
    work::DataFormat,
};
use schemars::JsonSchema;

use super::{
    decode::{At, Decode, Decoder, Given, List, Named, record},
    scalars::{
        AccountName, ApiVersion, Count, Cron, Delimiter, GateText, ImageRef, Latency, MachineType, MemorySize, Mode,
        Percent, RangeText, Recipe, ResourceName, Retries, RowCount, ScoreShift, Share, SheetRow, Topic, Usd,
    },
    yaml::{Node, Value},
};
use crate::pattern::UploadPattern;

record! {
    /// A pipeline: where rows come from, the tables made of them, and the models learned from those.
    ///
    /// Nothing is wired by hand: a SQL model's inputs are read from its own text.
    PipelineFile ("pipeline") {
        /// The version of this format.
        #[expect(dead_code, reason = "only its being readable matters")]
        "apiVersion" => api_version: At<ApiVersion>,
        /// The pipeline's name.
        "name" => name: At<PipelineName>,
        /// What the pipeline is for.
        "description" => description: Option<At<String>>,
        /// A cron expression of five fields, in UTC: each tick is a run over the tables as they stand.
        "schedule" => schedule: Option<At<Cron>>,
        /// A topic: each message is a run over the tables as they stand.
        "message" => message: Option<At<Topic>>,
        /// Where rows come from, by name.
        #[schemars(default)]
        "sources" => sources: Named<SourceSpec>,
        /// SQL models: SELECTs in BigQuery's SQL, in any order.
        #[schemars(default)]
        "models" => models: List<ModelSpec>,
        /// Tables that models read and no pipeline fills.
        #[schemars(default)]
        "external_tables" => external_tables: List<At<TableName>>,
        /// Copies of tables in the lake, as Parquet, by name.
        #[schemars(default)]
        "exports" => exports: Named<ExportSpec>,
        /// Models to learn, by name.
        #[schemars(default)]
        "training" => training: Named<TrainingSpec>,
        /// Where trained models are served, by the model's name.
        #[schemars(default)]
        "serving" => serving: Named<ServingSpec>,
    }
}

record! {
    /// Where rows come from: uploads to the landing bucket, messages on a topic, or a database that they are extracted from.
    SourceSpec ("source") {
        /// Which objects of the landing bucket: `*` is anything within one path segment, `{name}` captures a part, and the
        /// captured parts tell one run from another.
        #[schemars(with = "Option<At<UploadPattern>>")]
        "upload" => upload: Given<At<UploadPattern>>,
        /// A topic whose messages are this source's rows, as JSON.
        #[schemars(with = "Option<At<Topic>>")]
        "message" => message: Given<At<Topic>>,
        /// A database's table or query, or a workbook, whose rows are extracted.
        #[schemars(with = "Option<ExtractSpec>")]
        "extract" => extract: Given<Box<ExtractSpec>>,
        /// For `extract`: a cron expression of five fields, in UTC, of its own. Without one the pipeline's runs extract it.
        "schedule" => schedule: Option<At<Cron>>,
        /// What the source holds; the table's description too.
        "description" => description: Option<At<String>>,
        /// The columns, in the table's order. Only `extract` may leave them out: they are then those of the source.
        #[schemars(default)]
        "columns" => columns: Named<ColumnSpec>,
        /// Conditions on every row; a row that breaks one is quarantined. `unique(column)` and `not_null(column)` too.
        #[schemars(default)]
        "expect" => expect: List<At<String>>,
        /// What a column that is not in `columns` does; by default it is ignored.
        "on_new_column" => on_new_column: Option<At<OnNewColumn>>,
        /// How many bad rows reject the whole file: a share such as `10%` (the default) or a number of rows.
        "max_bad" => max_bad: Option<At<MaxBad>>,
        /// How its files are read.
        "file" => file: Option<FileSpec>,
        /// The table the rows go to.
        "table" => table: At<TableName>,
        /// How they get in; by default they replace the table.
        "write" => write: Option<WriteSpec>,
        /// A DATE, DATETIME or TIMESTAMP column to partition the table by.
        "partition_by" => partition_by: Option<At<String>>,
        /// Up to four columns to cluster the table by.
        #[schemars(default)]
        "cluster_by" => cluster_by: List<At<String>>,
    }
}

record! {
    /// What is extracted, and from where.
    ExtractSpec ("extraction") {
        /// The kind of source.
        "from" => from: At<SourceKind>,
        /// The secret that holds the database's URL with user and password, `secret:NAME`; for `db2` an ODBC connection string.
        #[schemars(with = "Option<At<SecretName>>")]
        "connection" => connection: Given<At<SecretName>>,
        /// The secret that holds the certificates (PEM) which the server's must be signed by.
        "ca" => ca: Option<At<SecretName>>,
        /// A table, view or collection, `schema.table` where there are schemas.
        "table" => table: Option<At<String>>,
        /// A query in the source's own language, in place of a table.
        "query" => query: Option<At<String>>,
        /// For `excel`: the workbook.
        "object" => object: Option<At<ObjectPath>>,
        /// For `excel`: the sheet; by default the first.
        "sheet" => sheet: Option<At<String>>,
        /// For `excel`: the cells, such as `B3:F200` or `B:F`; by default all that are used.
        "range" => range: Option<At<RangeText>>,
        /// For `excel`: the header's row within the range; 0 where there is none.
        "header_row" => header_row: Option<At<SheetRow>>,
        /// The columns to read; by default all.
        #[schemars(default)]
        "columns" => columns: List<At<String>>,
        /// The column whose ranges are read at once; by default the table's key, where that is one column.
        "split_by" => split_by: Option<At<String>>,
        /// A column that grows with every change of a row: only rows at or after its last value are read.
        "cursor" => cursor: Option<At<String>>,
        /// How far back to read again for rows that were committed late: `2h` for a time, or a number.
        "lookback" => lookback: Option<At<Lookback>>,
        /// A column that marks deleted rows: they are taken from the table where it is neither NULL nor false nor 0.
        "deleted" => deleted: Option<At<String>>,
        /// For `postgres`: changes from its log, deleted rows too.
        "log" => log: Option<LogSpec>,
        /// What one extraction may take.
        "limits" => limits: Option<ExtractLimitsSpec>,
    }
}

record! {
    /// The log of a database's changes.
    LogSpec ("log") {
        /// The publication that the table is in.
        "publication" => publication: At<String>,
        /// The replication slot; made when it is not there.
        "slot" => slot: At<String>,
    }
}

record! {
    /// What one extraction may take.
    ExtractLimitsSpec ("set of limits") {
        /// Rows at most.
        "rows" => rows: Option<At<RowCount>>,
        /// The rows' size at most, such as `10Gi`.
        "bytes" => bytes: Option<At<MemorySize>>,
        /// The longest one statement may take; by default `1h`.
        "statement" => statement: Option<At<Duration>>,
        /// Ranges that are read at once; by default 4.
        "parallel" => parallel: Option<At<Count>>,
    }
}

/// A column: its type, as in `INT64` or `STRING required`, or a map that also describes it.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum ColumnSpec {
    /// A BigQuery type, followed by `required` where a row without a value is refused.
    Short(#[schemars(with = "At<ColumnType>")] ColumnFields),
    /// With a description.
    Long(ColumnFields),
}

record! {
    /// A column in full.
    ColumnFields ("column") {
        /// A BigQuery type.
        "type" => kind: At<ColumnType>,
        /// Whether a row without a value is refused.
        "required" => required: Option<At<bool>>,
        /// The column's description in the warehouse.
        "description" => description: Option<At<String>>,
    }
}

impl ColumnSpec {
    pub(crate) fn fields(&self) -> &ColumnFields {
        let (Self::Short(fields) | Self::Long(fields)) = self;
        fields
    }
}

impl Decode for ColumnSpec {
    fn decode(node: &Node, to: &mut Decoder<'_>) -> Option<Self> {
        let Value::Scalar(text) = &node.value else {
            return ColumnFields::decode(node, to).map(Self::Long);
        };
        let (kind, required) = match text.trim_end().rsplit_once(char::is_whitespace) {
            Some((kind, "required")) => (kind.trim_end(), true),
            _ => (text.as_str(), false),
        };
        let kind = At::read(kind, &node.span, to)?;
        let required = Some(At { value: required, span: node.span.clone() });
        Some(Self::Short(ColumnFields { kind, required, description: None }))
    }
}

record! {
    /// How a source's files are read.
    FileSpec ("file") {
        /// The kind of file; by default from the object's name.
        "format" => format: Option<At<FileFormat>>,
        /// CSV's field separator; by default a comma, a tab for `.tsv`.
        "delimiter" => delimiter: Option<At<Delimiter>>,
        /// Texts that mean NULL in a CSV field, besides the empty unquoted field, or in a workbook's cell.
        #[schemars(default)]
        "null_values" => null_values: List<At<String>>,
        /// Whether CSV files have no header line: the columns are then in the order of `columns`.
        "no_header" => no_header: Option<At<bool>>,
        /// A workbook's sheet; by default the first one that is not hidden.
        "sheet" => sheet: Option<At<String>>,
        /// The cells of a workbook that are the table, such as `B3:F200`, or columns alone, `B:F`; by default all of the sheet.
        "range" => range: Option<At<RangeText>>,
        /// The row of a workbook's header, from 1 within the range; 0 where there is none, so that the columns are in the order
        /// of `columns`. By default the first row with a value.
        "header_row" => header_row: Option<At<SheetRow>>,
    }
}

/// How rows get into a table: `replace`, `append`, or a map with a merge's key.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum WriteSpec {
    /// The way alone.
    Short(At<Mode>),
    /// With its details.
    Long(WriteFields),
}

record! {
    /// How rows get into a table, in full.
    WriteFields ("way to write") {
        /// `replace` (the default), `append` or `merge`.
        "mode" => mode: Option<At<Mode>>,
        /// For `merge`: the columns that identify a row.
        #[schemars(default)]
        "key" => key: List<At<String>>,
        /// For a source's `append`: how long a file may wait for others, such as `5m`, so that many small files are few loads.
        "window" => window: Option<At<Duration>>,
        /// A DATE, DATETIME or TIMESTAMP column to partition the table by.
        "partition_by" => partition_by: Option<At<String>>,
        /// Up to four columns to cluster the table by.
        #[schemars(default)]
        "cluster_by" => cluster_by: List<At<String>>,
    }
}

impl Decode for WriteSpec {
    fn decode(node: &Node, to: &mut Decoder<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(_) => At::decode(node, to).map(Self::Short),
            _ => WriteFields::decode(node, to).map(Self::Long),
        }
    }
}

/// A SQL model: a file's path, or a map that also says how its table is written.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum ModelSpec {
    /// A `.sql` file, relative to the folder of this file; it fills the table `folder.file`.
    Short(#[schemars(with = "At<String>")] Box<ModelFields>),
    /// With its details.
    Long(Box<ModelFields>),
}

record! {
    /// A SQL model in full.
    ModelFields ("model") {
        /// A `.sql` file with one SELECT, relative to the folder of this file.
        "sql" => sql: At<String>,
        /// The table it fills; by default `folder.file` from the path's last two parts.
        "table" => table: Option<At<TableName>>,
        /// The table's description.
        "description" => description: Option<At<String>>,
        /// How the result gets in; by default it replaces the table.
        "write" => write: Option<WriteSpec>,
        /// A DATE, DATETIME or TIMESTAMP column to partition the table by.
        "partition_by" => partition_by: Option<At<String>>,
        /// Up to four columns to cluster the table by.
        #[schemars(default)]
        "cluster_by" => cluster_by: List<At<String>>,
        /// SQL conditions on every row of the result; a breach stops the run before the table changes.
        #[schemars(default)]
        "expect" => expect: List<At<String>>,
    }
}

impl ModelSpec {
    pub(crate) fn fields(&self) -> &ModelFields {
        let (Self::Short(fields) | Self::Long(fields)) = self;
        fields
    }
}

impl Decode for ModelSpec {
    fn decode(node: &Node, to: &mut Decoder<'_>) -> Option<Self> {
        let Value::Scalar(text) = &node.value else {
            return ModelFields::decode(node, to).map(|fields| Self::Long(Box::new(fields)));
        };
        Some(Self::Short(Box::new(ModelFields {
            sql: At { value: text.clone(), span: node.span.clone() },
            table: None,
            description: None,
            write: None,
            partition_by: None,
            cluster_by: List::default(),
            expect: List::default(),
        })))
    }
}

record! {
    /// A copy of a table in the lake.
    ExportSpec ("export") {
        /// The table.
        "table" => table: At<TableName>,
        /// A folder of the lake bucket, `gs://lake/folder/`; `{run}` and the names that uploads capture stand for the run's.
        "to" => to: At<String>,
    }
}

record! {
    /// A model to learn.
    TrainingSpec ("training") {
        /// The table to learn from.
        "data" => data: At<TableName>,
        /// The column to predict.
        "target" => target: Option<At<String>>,
        /// A built-in recipe; `tabular` is gradient-boosted trees.
        #[schemars(with = "Option<At<Recipe>>")]
        "recipe" => recipe: Given<At<Recipe>>,
        /// A program and its first arguments, run without a shell: in the project's folder, or in the `image` where there is
        /// one.
        #[schemars(with = "Option<List<At<String>>>")]
        "command" => command: Given<List<At<String>>>,
        /// A container image by digest, `HOST/NAME@sha256:..`; it runs its own program where there is no `command`.
        #[schemars(with = "Option<At<ImageRef>>")]
        "image" => image: Given<At<ImageRef>>,
        /// A compiled Kubeflow pipeline of the project, for `run_on: kubeflow-pipeline`; `args` are its parameters.
        #[schemars(with = "Option<At<String>>")]
        "pipeline" => pipeline: Given<At<String>>,
        /// More arguments: a list, or a map in which `trees: 200` is `--trees 200`, `quiet: true` is `--quiet`, and `false`
        /// leaves the option out.
        "args" => args: Option<Args>,
        /// Environment variables besides the `AIP_*` ones.
        #[schemars(default)]
        "env" => env: Named<At<String>>,
        /// The form in which the program gets its rows: by default `csv`, for the recipe `parquet`.
        "data_format" => data_format: Option<At<DataFormat>>,
        /// Where it is trained; by default `local`.
        "run_on" => run_on: Option<At<RunOn>>,
        /// Machines; the first is the chief. 1 when left out.
        "nodes" => nodes: Option<At<Count>>,
        /// Processes on each machine; 1 when left out.
        "processes_per_node" => processes_per_node: Option<At<Count>>,
        /// A Google machine type, such as `g2-standard-4`; by default the smallest that has what is asked for.
        "machine" => machine: Option<At<MachineType>>,
        /// vCPUs of each machine; 1 when left out.
        "cpu" => cpu: Option<At<Count>>,
        /// Memory of each machine; `2Gi` when left out.
        "memory" => memory: Option<At<MemorySize>>,
        /// GPUs of each machine.
        "accelerator" => accelerator: Option<AcceleratorSpec>,
        /// Whether cheaper machines will do that are taken back at any moment.
        "spot" => spot: Option<At<bool>>,
        /// Whether to wait until all machines are there at once (flex-start).
        "flex_start" => flex_start: Option<At<bool>>,
        /// The Kueue queue that admits it.
        "queue" => queue: Option<At<ResourceName>>,
        /// The account it runs as: of Kubernetes there, an email address on Vertex AI.
        "service_account" => service_account: Option<At<AccountName>>,
        /// How its containers reach objects: as folders `/gcs/BUCKET` (`mount`, the default), or the rows copied first.
        "data_access" => data_access: Option<At<DataAccess>>,
        /// The size of `/dev/shm`, such as `8Gi`.
        "shared_memory" => shared_memory: Option<At<MemorySize>>,
        /// Whether the program goes on from what it finds in `AIP_CHECKPOINT_DIR`.
        "checkpoints" => checkpoints: Option<At<bool>>,
        /// How often the back-end starts it again by itself when it fails; 0 when left out.
        "retries" => retries: Option<At<Retries>>,
        /// What ends it.
        "limits" => limits: Option<LimitsSpec>,
    }
}

/// A program's arguments.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Args {
    /// As they are.
    List(List<At<String>>),
    /// As options.
    Options(Named<At<String>>),
}

impl Decode for Args {
    fn decode(node: &Node, to: &mut Decoder<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => Named::decode(node, to).map(Self::Options),
            _ => List::decode(node, to).map(Self::List),
        }
    }
}

impl Args {
    /// The arguments as a program gets them.
    pub(crate) fn argv(&self) -> Vec<String> {
        match self {
            Self::List(list) => list.items.iter().map(|item| item.value.clone()).collect(),
            Self::Options(options) => options
                .entries
                .iter()
                .flat_map(|(key, value)| match value.value.as_str() {
                    "true" => vec![format!("--{}", key.text)],
                    "false" => Vec::new(),
                    text => vec![format!("--{}", key.text), text.to_owned()],
                })
                .collect(),
        }
    }
}

record! {
    /// What ends a training.
    LimitsSpec ("set of limits") {
        /// The longest it may run; by default `1h`.
        "wall" => wall: Option<At<Duration>>,
        /// How long it is expected to run, for the estimate of its cost; by default the wall limit.
        "expected" => expected: Option<At<Duration>>,
        /// What it may cost in US dollars: not started when the estimate is above, ended when what it ran costs more.
        "cost_usd" => cost_usd: Option<At<Usd>>,
        /// The most `nodes` there may be.
        "nodes" => nodes: Option<At<Count>>,
    }
}

record! {
    /// GPUs of each machine.
    AcceleratorSpec ("accelerator") {
        /// The kind, by GKE's name.
        "type" => gpu: At<GpuType>,
        /// How many; 1 when left out.
        "count" => count: Option<At<Count>>,
    }
}

record! {
    /// Where and when a trained model is served.
    ServingSpec ("serving") {
        /// The endpoint.
        "endpoint" => endpoint: At<ModelName>,
        /// The gate: every condition on the new version's metrics must hold; `champion.NAME` is the serving version's.
        #[schemars(default)]
        "promote_when" => promote_when: List<At<GateText>>,
        /// How traffic moves to a new version; at once when left out.
        "canary" => canary: Option<CanarySpec>,
    }
}

record! {
    /// How traffic moves to a new version.
    CanarySpec ("canary") {
        /// Percentages that the new version gets in turn, ascending, the last 100.
        "steps" => steps: List<At<Percent>>,
        /// How long each step is watched before the next; by default `15m`.
        "bake" => bake: Option<At<Duration>>,
        /// The share of failed predictions above which the version is rolled back; by default 0.05.
        "max_error_rate" => max_error_rate: Option<At<Share>>,
        /// The 95th percentile of its answers' time above which the version is rolled back.
        "max_latency" => max_latency: Option<At<Latency>>,
        /// How far its mean score may be from that of the version beside it; further off, it is rolled back.
        "max_score_shift" => max_score_shift: Option<At<ScoreShift>>,
    }
}
