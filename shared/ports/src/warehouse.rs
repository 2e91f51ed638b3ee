//! Tables and SQL.

use std::fmt::Debug;

use async_trait::async_trait;
use millstream_events::{
    contract::Column,
    names::{ObjectPath, TableName},
    work::{DataFormat, LoadTable, TransformTable},
};

use crate::error::PortResult;

/// A job named by its caller: asked for again under the same id it is the same job.
#[derive(Debug, Clone, PartialEq)]
pub enum JobState<T> {
    /// It runs; ask again later.
    Running,
    /// It is done, now or earlier.
    Done(T),
}

/// What a load or a query did to its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TableWrite {
    /// Rows written, those that a merge took out among them.
    pub rows: u64,
    /// Rows in the table afterwards.
    pub total_rows: u64,
    /// Commit number: of two writes to one table the larger is the later.
    pub version: u64,
    /// A newer replace was already in; nothing changed.
    pub superseded: bool,
}

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExportWrite {
    /// The files.
    pub files: Vec<ObjectPath>,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A copy of a table to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportJob {
    /// The table.
    pub table: TableName,
    /// The object to write.
    pub to: ObjectPath,
    /// Its form.
    pub format: DataFormat,
}

/// What is known of a table.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TableFacts {
    /// The table.
    pub table: TableName,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: u64,
    /// The commit number of its last write.
    pub version: u64,
}

/// A query's answer, bounded by the caller.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct QueryAnswer {
    /// The result's columns.
    pub columns: Vec<Column>,
    /// Rows of JSON values in column order: INT64 as numbers, NUMERIC, dates and times as text, NULL as null.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Whether there were more rows than asked for.
    pub truncated: bool,
}

/// Tables and SQL. SQL is BigQuery's on every adapter.
///
/// `job` is the caller's id (`[A-Za-z0-9_-]`, at most 1,024): the same id has one effect however often it is asked for,
/// and the effect and the memory of the job become visible together.
#[async_trait]
pub trait Warehouse: Debug + Send + Sync {
    /// Ensures the rows of a load's files are in their table, all of them together. Of a merge's rows with one key the last
    /// one counts, by the order of the files, then of their rows. A load of an `uploaded` file is `Invalid` where the
    /// warehouse reads Parquet batches only.
    async fn ensure_load(&self, job: &str, load: &LoadTable) -> PortResult<JobState<TableWrite>>;

    /// Ensures a table holds what a SELECT gives. An input table that does not exist (yet) is `NotFound`.
    async fn ensure_transform(&self, job: &str, transform: &TransformTable) -> PortResult<JobState<TableWrite>>;

    /// Ensures a copy of a table is in a bucket.
    async fn ensure_export(&self, job: &str, export: &ExportJob) -> PortResult<JobState<ExportWrite>>;

    /// What is known of a table; `NotFound` when there is none.
    async fn table(&self, table: &TableName) -> PortResult<TableFacts>;

    /// Every table.
    async fn tables(&self) -> PortResult<Vec<TableFacts>>;

    /// Answers a read-only query with at most `limit` rows.
    async fn query(&self, sql: &str, limit: usize) -> PortResult<QueryAnswer>;
}
