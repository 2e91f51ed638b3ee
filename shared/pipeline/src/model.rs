//! A pipeline as the rest of Millstream sees it: read, checked, and with its wiring inferred.

use std::{collections::BTreeMap, time::Duration};

use millstream_events::{
    Fingerprint,
    compute::Compute,
    contract::{Contract, FileOptions},
    extract::{Changes, Connection, ExtractLimits, Selection},
    names::{ModelName, PipelineName, TableName},
    work::{DataFormat, Program, Serving, TableLayout, WriteMode},
};
use millstream_sql::Select;

use crate::pattern::UploadPattern;

/// Every pipeline of a project, and the buckets they use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pipelines {
    /// The buckets.
    pub buckets: Buckets,
    /// Whether the warehouse reads uploaded objects itself: then a file whose contract its loader keeps is loaded as it is.
    pub direct_loads: bool,
    /// The pipelines by name.
    pub by_name: BTreeMap<PipelineName, Pipeline>,
}

/// Which bucket holds what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    /// Where people upload.
    pub landing: String,
    /// Batches, quarantine and exports.
    pub lake: String,
    /// Model files, the registry and the endpoints.
    pub models: String,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { landing: "landing".into(), lake: "lake".into(), models: "models".into() }
    }
}

/// One pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Its name.
    pub name: PipelineName,
    /// What it is for.
    pub description: Option<String>,
    /// A cron expression (UTC): each tick is a run over the tables as they stand.
    pub schedule: Option<String>,
    /// A topic: each message is a run over the tables as they stand.
    pub message: Option<String>,
    /// Where rows come from that are uploaded or published.
    pub sources: Vec<Source>,
    /// Where rows come from that are extracted.
    pub extracts: Vec<Extract>,
    /// SQL models, each after those it reads.
    pub models: Vec<SqlModel>,
    /// Copies in the lake.
    pub exports: Vec<Export>,
    /// What is learned.
    pub trainings: Vec<Training>,
}

/// A database's table or a workbook whose rows are extracted.
#[derive(Debug, Clone, PartialEq)]
pub struct Extract {
    /// Its name in the pipeline.
    pub name: String,
    /// A cron expression (UTC) of its own: each tick is a run that extracts it alone. Without one it is extracted by the
    /// pipeline's own runs over the tables as they stand.
    pub schedule: Option<String>,
    /// How the source is reached.
    pub connection: Connection,
    /// What is read.
    pub select: Selection,
    /// The columns to read; all of them where it is empty.
    pub only: Vec<String>,
    /// The column whose ranges are read at once.
    pub split_by: Option<String>,
    /// How what changed is found.
    pub changes: Changes,
    /// What one extraction may take.
    pub limits: ExtractLimits,
    /// What its rows must be; without columns, those of the source.
    pub contract: Contract,
    /// The table they go to.
    pub table: TableName,
    /// How. An extraction of everything replaces the table, where otherwise only what changed is read.
    pub write: WriteMode,
    /// The table's layout.
    pub layout: TableLayout,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name in the pipeline.
    pub name: String,
    /// Which uploads are its.
    pub upload: UploadPattern,
    /// The topic whose messages are its rows; they land as objects that `upload` matches.
    pub topic: Option<String>,
    /// What its rows must be.
    pub contract: Contract,
    /// How its files are read.
    pub options: FileOptions,
    /// The table they go to.
    pub table: TableName,
    /// How.
    pub write: WriteMode,
    /// How long a file may wait for others to be loaded with, where files are gathered. Only for appends.
    pub window: Option<Duration>,
    /// The table's layout.
    pub layout: TableLayout,
}

/// A SELECT and the table it fills.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlModel {
    /// The table.
    pub table: TableName,
    /// The SELECT.
    pub select: Select,
    /// How the result gets in.
    pub write: WriteMode,
    /// The table's layout.
    pub layout: TableLayout,
    /// Conditions on the result.
    pub expect: Vec<String>,
}

/// A copy of a table in the lake.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// Its name in the pipeline.
    pub name: String,
    /// The table.
    pub table: TableName,
    /// The folder, `gs://bucket/folder/`, in which `{run}` and the run's captures stand for themselves.
    pub to: String,
}

/// A model to learn.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// The model.
    pub model: ModelName,
    /// The table it learns from.
    pub data: TableName,
    /// The form it gets it in.
    pub data_format: DataFormat,
    /// The column to predict.
    pub target: Option<String>,
    /// What runs.
    pub program: Program,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// A hash of the project's files that the program's command names: changed code is another training.
    pub code: Option<Fingerprint>,
    /// The longest it may run.
    pub wall: Duration,
    /// Where it runs and on what.
    pub compute: Compute,
    /// Where and when it is served.
    pub serving: Option<Serving>,
}

impl Pipeline {
    /// Its own cron expression, and those of its sources with theirs.
    pub fn schedules(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let own = self.schedule.as_deref().map(|cron| (None, cron));
        let of_sources = self
            .extracts
            .iter()
            .filter_map(move |extract| Some((Some(extract.name.as_str()), extract.schedule.as_deref()?)));
        own.into_iter().chain(of_sources)
    }

    /// Whether one of this pipeline's steps fills the table.
    #[must_use]
    pub fn fills(&self, table: &TableName) -> bool {
        self.sources.iter().any(|source| source.table == *table)
            || self.extracts.iter().any(|extract| extract.table == *table)
            || self.models.iter().any(|model| model.table == *table)
    }
}
