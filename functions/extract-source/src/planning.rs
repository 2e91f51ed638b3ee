//! What one extraction reads: decided once, kept beside its batches, and gone on with by every later delivery.

use std::time::Duration;

use millstream_events::{
    contract::{Column, OnNewColumn},
    extract::{Changes, Cursor, DELETED_COLUMN, ExtractSource, Selection},
    fingerprint::Fingerprint,
};
use millstream_ports::{
    BatchSize, ErrorKind, KeyRange, PortError, PortResult, Read, ReadPlan, Shape, Source, SourceColumn, Ties,
};
use millstream_runtime::Failure;
use millstream_tabular::expect;
use serde::{Deserialize, Serialize};

use crate::shape;

/// A batch becomes one row group of the Parquet file.
const BATCH: BatchSize = BatchSize { rows: 64 * 1024, bytes: 8 << 20 };

/// About how many bytes of a table a range has: what is read again when a connection is lost, and what its scratch file holds.
const RANGE_BYTES: u64 = 256 << 20;

/// Rows of a range, at most and at least.
const RANGE_ROWS: (u64, u64) = (10_000, 1_000_000);

/// A plan with what has to be known to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// What is read.
    pub(crate) plan: ReadPlan,
    /// The columns that were asked for.
    pub(crate) only: Vec<String>,
    /// The position that is gone on from.
    pub(crate) since: Option<String>,
    /// The columns that were read, hashed.
    pub(crate) shape: Fingerprint,
    /// The source's columns that the contract has not.
    pub(crate) ignored: Vec<String>,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

impl Kept {
    /// The reading that the plan is of.
    pub(crate) fn read(&self, work: &ExtractSource) -> Read {
        read(work, self.only.clone(), self.since.clone(), RANGE_ROWS.1)
    }

    /// Where the next extraction starts. An empty table gives no position; what was read of it before stays read.
    pub(crate) fn position(&self) -> Option<String> {
        self.plan.position.clone().or_else(|| self.since.clone())
    }

    /// Whether rows come several times, and in their order.
    pub(crate) fn is_log(&self, work: &ExtractSource) -> bool {
        matches!(work.changes, Changes::Log(_)) && !self.plan.everything
    }

    /// The columns that were read of the source itself.
    pub(crate) fn source_columns(&self) -> Vec<SourceColumn> {
        own_columns(&self.plan).cloned().collect()
    }
}

/// Plans a reading. `earlier` gives the columns that a shape was of.
pub(crate) async fn plan(
    source: &dyn Source,
    work: &ExtractSource,
    earlier: impl AsyncFnOnce(&Fingerprint) -> PortResult<Option<Vec<SourceColumn>>>,
) -> Result<Kept, Failure> {
    let there = source.describe(&work.select).await.map_err(of_source)?;
    let (only, ignored) = columns_to_read(work, &there);
    let since = work.since.as_ref().and_then(|bookmark| bookmark.position.clone());
    let since = since.filter(|_| work.changes != Changes::Everything);
    let range_rows = range_rows(&there);
    let mut read = read(work, only, since, range_rows);
    let mut plan = source.plan(&read).await.map_err(of_source)?;
    let mut notes = Vec::new();
    if let Some(bookmark) = &work.since
        && bookmark.shape != shape::fingerprint(own_columns(&plan))
    {
        let now: Vec<SourceColumn> = own_columns(&plan).cloned().collect();
        let difference = shape::difference(earlier(&bookmark.shape).await?.as_deref(), &now);
        let mut note = format!("the source's columns changed ({difference})");
        if read.since.is_some() {
            note.push_str(", so that everything was read again");
            read.since = None;
            plan = source.plan(&read).await.map_err(of_source)?;
        }
        notes.push(note);
    }
    refuse_unmapped(&plan)?;
    refuse_unmarked(work, &plan)?;
    if needs_one_range(work, &plan) {
        plan.ranges = vec![KeyRange::whole()];
    }
    let shape = shape::fingerprint(own_columns(&plan));
    Ok(Kept { shape, only: read.only, since: read.since, plan, ignored, notes })
}

/// What a source's error means for the step: what is not there will not come by itself.
pub(crate) fn of_source(error: PortError) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::permanent(error.to_string()),
        _ => error.into(),
    }
}

fn read(work: &ExtractSource, only: Vec<String>, since: Option<String>, range_rows: u64) -> Read {
    Read {
        select: work.select.clone(),
        only,
        changes: work.changes.clone(),
        since,
        ties: if work.appends { Ties::Once } else { Ties::Again },
        split_by: work.split_by.clone(),
        range_rows,
        statement_timeout: Duration::from_secs(work.limits.statement_seconds),
        batch: BATCH,
    }
}

/// The columns of the source, without the mark of deleted rows.
fn own_columns(plan: &ReadPlan) -> impl Iterator<Item = &SourceColumn> {
    plan.columns.iter().filter(|column| column.name != DELETED_COLUMN)
}

/// Which columns are read, and which of the source's are left out because the contract has not got them: those need not
/// leave the source, and may be of types that are mapped to nothing.
fn columns_to_read(work: &ExtractSource, there: &Shape) -> (Vec<String>, Vec<String>) {
    let contract = &work.contract;
    let mut only = work.only.clone();
    let mut ignored = Vec::new();
    // Where a required one is not there, the others are asked for too, so that the refusal can say which is like it.
    let is_there = |name: &str| there.columns.iter().any(|column| is_same(&column.name, name));
    let prunes = contract.on_new_column == OnNewColumn::Ignore
        && !matches!(work.select, Selection::Sheet(_))
        && contract.columns.iter().all(|column| !column.required || is_there(&column.name));
    if only.is_empty() && !contract.columns.is_empty() && prunes {
        let in_contract = |column: &&SourceColumn| is_in(&contract.columns, &column.name);
        let (wanted, others): (Vec<_>, Vec<_>) = there.columns.iter().partition(in_contract);
        only = wanted.into_iter().map(|column| column.name.clone()).collect();
        if !only.is_empty() {
            ignored = others.into_iter().map(|column| column.name.clone()).collect();
        }
    }
    if let Changes::Cursor(cursor) = &work.changes
        && let Some(deleted) = &cursor.deleted
        && !only.is_empty()
        && !only.iter().any(|name| is_same(name, deleted))
    {
        let known = there.columns.iter().find(|column| is_same(&column.name, deleted));
        only.push(known.map_or_else(|| deleted.clone(), |column| column.name.clone()));
        ignored.retain(|name| !is_same(name, deleted));
    }
    (only, ignored)
}

/// Whether the table is to have a column that is read for the mark of deleted rows.
pub(crate) fn is_wanted(work: &ExtractSource, name: &str) -> bool {
    let is_chosen = work.only.is_empty() || work.only.iter().any(|wanted| is_same(wanted, name));
    let contract = &work.contract;
    let is_kept =
        contract.columns.is_empty() || is_in(&contract.columns, name) || contract.on_new_column == OnNewColumn::Add;
    is_chosen && is_kept
}

fn is_in(columns: &[Column], name: &str) -> bool {
    columns.iter().any(|column| is_same(&column.name, name))
}

/// Whether two names are one column's: as in contracts, case does not count.
pub(crate) fn is_same(name: &str, other: &str) -> bool {
    name.to_lowercase() == other.to_lowercase()
}

/// About how many rows a range is to have: fewer where they are long.
fn range_rows(there: &Shape) -> u64 {
    let (least, most) = RANGE_ROWS;
    match (there.rows, there.bytes) {
        (Some(rows), Some(bytes)) if rows > 0 && bytes > 0 => (RANGE_BYTES / (bytes / rows).max(1)).clamp(least, most),
        _ => most,
    }
}

fn refuse_unmapped(plan: &ReadPlan) -> Result<(), Failure> {
    let unmapped: Vec<String> = plan
        .columns
        .iter()
        .filter_map(|SourceColumn { name, source_type, kind, .. }| {
            kind.as_ref().err().map(|reason| format!("{name} ({source_type}): {reason}"))
        })
        .collect();
    if unmapped.is_empty() {
        return Ok(());
    }
    Err(Failure::permanent(format!(
        "columns that no table can hold: {}; leave them out by naming the others in `columns`, or cast them in a `query`",
        unmapped.join("; ")
    )))
}

/// Without its mark every deleted row would stay in the table, and nobody would know.
fn refuse_unmarked(work: &ExtractSource, plan: &ReadPlan) -> Result<(), Failure> {
    match &work.changes {
        Changes::Cursor(Cursor { deleted: Some(deleted), .. })
            if !plan.columns.iter().any(|column| is_same(&column.name, deleted)) =>
        {
            Err(Failure::permanent(format!(
                "the column {deleted}, which is to mark deleted rows, is not in the source"
            )))
        }
        _ => Ok(()),
    }
}

/// Whether a `unique(..)` can only be judged over all rows together. Rows of different ranges differ in the column that the
/// ranges are of, so that one that names it is judged range by range.
fn needs_one_range(work: &ExtractSource, plan: &ReadPlan) -> bool {
    let is_split = |name: &&str| plan.split_by.as_ref().is_some_and(|split| split.eq_ignore_ascii_case(name));
    plan.ranges.len() > 1
        && work.contract.expect.iter().any(|text| {
            let parsed = expect::parse(text).ok();
            let columns = parsed.as_ref().and_then(expect::Expectation::unique_columns);
            columns.is_some_and(|columns| !columns.iter().any(is_split))
        })
}

#[cfg(test)]
mod tests {
    use millstream_events::contract::ColumnType;

    use super::*;

    fn shape(rows: Option<u64>, bytes: Option<u64>) -> Shape {
        let column = |name: &str| SourceColumn {
            name: name.into(),
            source_type: "text".into(),
            kind: Ok(ColumnType::String),
            required: false,
            description: None,
        };
        let columns = ["Id", "name", "gone"].map(column).to_vec();
        Shape { columns, key: Vec::new(), cursors: Vec::new(), rows, bytes }
    }

    #[test]
    fn ranges_have_fewer_rows_where_they_are_long() {
        assert_eq!(range_rows(&shape(None, None)), 1_000_000);
        assert_eq!(range_rows(&shape(Some(5_000_000), Some(500_000_000))), 1_000_000);
        assert_eq!(range_rows(&shape(Some(100_000), Some(1 << 30))), RANGE_BYTES / 10_737);
        assert_eq!(range_rows(&shape(Some(10), Some(10 << 30))), 10_000);
        assert_eq!(range_rows(&shape(Some(0), Some(0))), 1_000_000);
    }

    #[test]
    fn a_table_that_has_no_position_any_more_leaves_the_one_that_was_reached() {
        let kept = |position: Option<&str>| Kept {
            plan: ReadPlan {
                columns: Vec::new(),
                everything: false,
                split_by: None,
                ranges: Vec::new(),
                position: position.map(str::to_owned),
                rows: None,
            },
            only: Vec::new(),
            since: Some("3".into()),
            shape: shape::fingerprint(&[]),
            ignored: Vec::new(),
            notes: Vec::new(),
        };
        assert_eq!(kept(None).position().as_deref(), Some("3"));
        assert_eq!(kept(Some("4")).position().as_deref(), Some("4"));
    }
}
