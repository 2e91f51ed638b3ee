//! Databases and workbooks that rows are extracted from.
//!
//! An extraction is planned first: which columns, in which ranges of the key, up to which position. The plan is a value that
//! is kept, so that an extraction which was interrupted goes on with the ranges it had not read. Then the source is opened,
//! one consistent snapshot where it offers one, and each range is a stream of Arrow batches.

use std::{fmt::Debug, sync::Arc, time::Duration};

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::stream::BoxStream;
use millstream_events::{
    contract::ColumnType,
    extract::{Changes, Connection, Selection, SourceKind},
};
use serde::{Deserialize, Serialize};

use crate::error::PortResult;

/// A table, view or collection that a source has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableSummary {
    /// Its name, as [`Selection::Table`] takes it.
    pub name: String,
    /// Its rows, as the source estimates them.
    pub rows: Option<u64>,
    /// Its bytes, as the source estimates them.
    pub bytes: Option<u64>,
    /// Whether it is a view.
    pub is_view: bool,
}

/// A column of a source and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceColumn {
    /// Its name at the source.
    pub name: String,
    /// Its type as the source writes it, such as `numeric(10,2)`.
    pub source_type: String,
    /// What it is mapped to, or why it cannot be, for a person.
    pub kind: Result<ColumnType, String>,
    /// Whether the source refuses rows without a value.
    pub required: bool,
    /// The source's comment on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What a table or query looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// The columns, in order.
    pub columns: Vec<SourceColumn>,
    /// The columns of the primary key, in order; none for a query.
    pub key: Vec<String>,
    /// Columns that could be a cursor: those the source itself raises or that a name such as `updated_at` suggests, best first.
    pub cursors: Vec<String>,
    /// Its rows, as the source estimates them.
    pub rows: Option<u64>,
    /// Its bytes, as the source estimates them.
    pub bytes: Option<u64>,
}

/// How large a batch may be: it ends when it has reached either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSize {
    /// Rows.
    pub rows: usize,
    /// Bytes in memory.
    pub bytes: usize,
}

impl Default for BatchSize {
    fn default() -> Self {
        Self { rows: 16 * 1024, bytes: 4 << 20 }
    }
}

/// What to read of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The table, query or sheet.
    pub select: Selection,
    /// The columns, by the source's names, in the order they are read in; all of them where it is empty.
    pub only: Vec<String>,
    /// How what changed is found. A row that a [`Changes::Log`] tells of has the column
    /// [`DELETED_COLUMN`](millstream_events::extract::DELETED_COLUMN) last, a BOOL and never NULL, also in the first, full
    /// reading. A row that is deleted has values in the key's columns alone, also where others are required. Rows of a log
    /// come in the order they were committed in, in one range: of rows with one key the last one counts.
    pub changes: Changes,
    /// The position to start after, as an earlier plan gave it; everything is read where it is absent.
    pub since: Option<String>,
    /// What a row at the position `since` itself does, and one at the newest value there is. Values repeat, and another row
    /// may get the newest one after it was read.
    pub ties: Ties,
    /// The column to split by; the key's only column where it is absent.
    pub split_by: Option<String>,
    /// About how many rows a range is to have; a source may make other ranges, or one.
    pub range_rows: u64,
    /// The longest a statement may take.
    pub statement_timeout: Duration,
    /// How large a batch may be.
    pub batch: BatchSize,
}

/// How rows with equal values of the cursor are kept from being missed or doubled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ties {
    /// Rows at `since` are read again, with the lookback: whoever takes them knows them by their key.
    Again,
    /// Rows at the newest value are left for the next time, unless the cursor's values are unique: no row is read twice.
    /// Rows at `since` are read. There is no lookback. Of a unique cursor, rows after `since` are read, the newest too.
    Once,
}

/// A part of a table: rows whose split column is at or after `from` and before `until`, each as the source writes values of
/// that column. Rows without a value are in the first range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// The first value; absent for the first range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The value it ends before; absent for the last range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl KeyRange {
    /// The one range of a table that is read in one piece.
    #[must_use]
    pub fn whole() -> Self {
        Self { from: None, until: None }
    }

    /// The ranges between bounds, which are in order and may repeat; the first and the last are open.
    #[must_use]
    pub fn between(mut bounds: Vec<String>) -> Vec<Self> {
        bounds.dedup();
        let from = std::iter::once(None).chain(bounds.iter().cloned().map(Some));
        let until = bounds.iter().cloned().map(Some).chain(std::iter::once(None));
        from.zip(until).map(|(from, until)| Self { from, until }).collect()
    }

    /// The bounds that cut the whole numbers from `least` to `most` into parts of one width, as near as may be.
    #[must_use]
    pub fn even_bounds(least: i128, most: i128, parts: u64) -> Vec<i128> {
        let Some(places) = most.checked_sub(least).and_then(|places| places.checked_add(1)) else { return Vec::new() };
        let parts = i128::from(parts.max(1)).min(places.max(1));
        // A part's width is rounded up, so that no product overflows.
        let width = places / parts + i128::from(places % parts > 0);
        (1..parts).map(|part| least + width * part).take_while(|place| *place <= most).collect()
    }
}

/// What one extraction reads. Kept as JSON, so that a later process goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadPlan {
    /// The columns, in the order of the batches.
    pub columns: Vec<SourceColumn>,
    /// Whether it reads everything there is, so that a row of the table that it does not read is gone at the source: always
    /// where the reading has no `since`, and also where it has one that cannot be gone on from (a log that lost its place, a
    /// table that was truncated). `false` where it reads what changed.
    pub everything: bool,
    /// The column the ranges are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_by: Option<String>,
    /// The ranges, in order; one that is open at both ends where the table is read in one piece. Never empty.
    pub ranges: Vec<KeyRange>,
    /// Where the next extraction starts: nothing after this position is read, so that what the plan covers does not depend on
    /// when it is read. Absent where everything is read each time or there is no row. Never before `since`, also when the
    /// newest rows were deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// About how many rows it reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// Why a value does not fit its column in the warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellFaultKind {
    /// A date or time before the year 1 or after 9999, infinity, or a zero date.
    DateRange,
    /// A number that the column's decimals do not hold, by size or by digits after the point.
    DecimalRange,
    /// An integer outside of 64 bits.
    Int64Range,
    /// A decimal that is no number.
    NotFinite,
    /// A text that is no UTF-8, or has a NUL.
    Text,
    /// No JSON, or nested too deep.
    Json,
    /// An array with a NULL item, or of several dimensions.
    Array,
    /// A value of another type than the column's (MongoDB's documents, a workbook's cells).
    Type,
    /// A time that is finer than microseconds.
    SubMicrosecond,
}

/// A value that does not fit. Its slot in the batch is NULL, and its row goes to quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellFault {
    /// The row in the batch.
    pub row: usize,
    /// The column in the batch.
    pub column: usize,
    /// Why.
    pub kind: CellFaultKind,
    /// The value as the source writes it, cut to a length for people.
    pub value: String,
}

/// Some rows.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The rows, in the plan's columns, each of the Arrow type of what it is mapped to (see `millstream_source_columns`).
    pub batch: RecordBatch,
    /// The values that do not fit, by row, then column.
    pub faults: Vec<CellFault>,
}

/// Rows as they come. Dropping it ends the reading.
pub type RowStream = BoxStream<'static, PortResult<Rows>>;

/// A source that is open for reading.
#[async_trait]
pub trait OpenSource: Debug + Send + Sync {
    /// The rows of one of the plan's ranges. Several may be read at once; each has a connection of its own, and all of them
    /// see the same snapshot where the source offers one. Errors in the middle are retryable where reading again may help.
    async fn read(&self, range: &KeyRange) -> PortResult<RowStream>;
}

/// A database or workbook. Sessions are read-only.
///
/// Errors: `Denied` for a wrong password or a missing grant, `NotFound` for what does not exist, `Invalid` for what will be
/// wrong again (bad SQL, a column that is gone, a URL that cannot be read), `Unavailable` for a host that cannot be reached
/// and a connection that was lost. Each says what was being done and what to do, without the password.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// The tables, views and collections that this user may read, by name; system tables are left out.
    async fn tables(&self) -> PortResult<Vec<TableSummary>>;

    /// What a table, query or sheet looks like.
    async fn describe(&self, select: &Selection) -> PortResult<Shape>;

    /// Plans a reading: every time anew, over what is there now.
    async fn plan(&self, read: &Read) -> PortResult<ReadPlan>;

    /// Opens the source to read what a plan says, also one made by an earlier process.
    async fn open(&self, read: &Read, plan: &ReadPlan) -> PortResult<Arc<dyn OpenSource>>;
}

/// Finds sources by their connections.
#[async_trait]
pub trait Sources: Debug + Send + Sync {
    /// The source. Secrets are read now, so that a replaced one is in force with the next extraction. `Invalid` for a kind
    /// that this build cannot read.
    async fn connect(&self, connection: &Connection) -> PortResult<Arc<dyn Source>>;

    /// The kinds that this build can read.
    fn kinds(&self) -> Vec<SourceKind>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_cut_evenly() {
        assert_eq!(KeyRange::even_bounds(1, 100, 4), [26, 51, 76]);
        assert_eq!(KeyRange::even_bounds(5, 6, 10), [6]);
        assert_eq!(KeyRange::even_bounds(7, 7, 10), []);
        assert_eq!(KeyRange::even_bounds(1, 4, 3), [3]);
        assert_eq!(KeyRange::even_bounds(i64::MIN.into(), i64::MAX.into(), 2), [0]);
        assert_eq!(KeyRange::even_bounds(i128::MIN, i128::MAX, 2), [], "wider than can be counted");
    }

    #[test]
    fn ranges_leave_nothing_out() {
        let range = |from: Option<&str>, until: Option<&str>| KeyRange {
            from: from.map(Into::into),
            until: until.map(Into::into),
        };
        assert_eq!(KeyRange::between(vec![]), [KeyRange::whole()]);
        assert_eq!(
            KeyRange::between(vec!["a".into(), "a".into(), "b".into()]),
            [range(None, Some("a")), range(Some("a"), Some("b")), range(Some("b"), None)]
        );
    }
}
