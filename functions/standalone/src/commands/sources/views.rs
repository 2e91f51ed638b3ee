//! The answers of `millstream sources`, as their JSON is.

use std::path::PathBuf;

use millstream_events::{
    contract::ColumnType,
    extract::{Bookmark, Changes, Connection, Selection, SourceKind},
    names::TableName,
};
use millstream_ports::source::{Shape, SourceColumn, TableSummary};
use serde::{Serialize, Serializer};

use super::tables::Looked;

/// A source of the project that is extracted.
#[derive(Debug, Serialize)]
pub(crate) struct Extracted {
    /// `PIPELINE.SOURCE`.
    pub(crate) source: String,
    pub(crate) connection: Connection,
    pub(crate) select: Selection,
    /// Its own cron expression, else its pipeline's.
    pub(crate) schedule: Option<String>,
    pub(crate) changes: Changes,
    pub(crate) table: TableName,
    /// How far it has been loaded.
    pub(crate) bookmark: Option<Bookmark>,
}

/// The tables of a database.
#[derive(Debug, Serialize)]
pub(crate) struct Tables {
    pub(crate) kind: SourceKind,
    pub(crate) tables: Vec<TableSummary>,
}

/// The columns of some tables.
#[derive(Debug, Serialize)]
pub(crate) struct Columns {
    pub(crate) kind: SourceKind,
    pub(crate) tables: Vec<TableColumns>,
}

/// The columns of a table, query or sheet.
#[derive(Debug, Serialize)]
pub(crate) struct TableColumns {
    pub(crate) name: String,
    pub(crate) rows: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) key: Vec<String>,
    pub(crate) cursors: Vec<String>,
    pub(crate) columns: Vec<ColumnView>,
}

/// A column and what it becomes.
#[derive(Debug, Serialize)]
pub(crate) struct ColumnView {
    pub(crate) name: String,
    pub(crate) source_type: String,
    /// What it is mapped to, unless it cannot be.
    #[serde(rename = "type", serialize_with = "as_text")]
    pub(crate) kind: Option<ColumnType>,
    /// Why it cannot be mapped.
    pub(crate) problem: Option<String>,
    pub(crate) required: bool,
    pub(crate) description: Option<String>,
}

/// A pipeline that was made.
#[derive(Debug, Serialize)]
pub(crate) struct Planned {
    pub(crate) pipeline: String,
    /// Where it was written; absent where it stands in `yaml` alone.
    pub(crate) file: Option<PathBuf>,
    pub(crate) sources: Vec<PlannedSource>,
    /// What could not be taken over, in sentences.
    pub(crate) left_out: Vec<String>,
    pub(crate) yaml: String,
}

/// A source of a pipeline that was made.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PlannedSource {
    pub(crate) source: String,
    /// What it is called where it is.
    pub(crate) reads: String,
    pub(crate) table: String,
    /// The key of a merge; empty where the table is replaced.
    pub(crate) key: Vec<String>,
    pub(crate) cursor: Option<String>,
}

impl From<Looked> for TableColumns {
    fn from(looked: Looked) -> Self {
        let Shape { columns, key, cursors, rows, bytes } = looked.shape;
        Self {
            name: looked.name,
            rows,
            bytes,
            key,
            cursors,
            columns: columns.into_iter().map(ColumnView::from).collect(),
        }
    }
}

impl From<SourceColumn> for ColumnView {
    fn from(column: SourceColumn) -> Self {
        let SourceColumn { name, source_type, kind, required, description } = column;
        let (kind, problem) = match kind {
            Ok(kind) => (Some(kind), None),
            Err(problem) => (None, Some(problem)),
        };
        Self { name, source_type, kind, problem, required, description }
    }
}

fn as_text<S: Serializer>(kind: &Option<ColumnType>, to: S) -> Result<S::Ok, S::Error> {
    match kind {
        Some(kind) => to.collect_str(kind),
        None => to.serialize_none(),
    }
}
