//! A table of the warehouse as extractions leave it: the last row of a key counts, a deleted one is taken away.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::DataType,
    util::display::{ArrayFormatter, FormatOptions},
};
use futures::TryStreamExt;
use millstream_events::extract::{ChangeLog, Changes, DELETED_COLUMN, Selection};
use millstream_ports::{BatchSize, PortResult, Read, ReadPlan, Source, Ties};
use millstream_source_postgres::PostgresSource;

/// Rows by their key, all of their values as text.
pub(crate) type Rows = BTreeMap<Vec<String>, Vec<String>>;

/// A table, and up to where it was loaded.
#[derive(Debug)]
pub(crate) struct Warehouse<'a> {
    pub(crate) source: &'a PostgresSource,
    pub(crate) read: Read,
    pub(crate) key: &'static [&'static str],
    pub(crate) rows: Rows,
}

impl<'a> Warehouse<'a> {
    /// An empty table, to be filled from `table` by the publication `changes` and a slot of this name.
    pub(crate) fn new(source: &'a PostgresSource, table: &str, slot: &str) -> Self {
        let log = ChangeLog { publication: "changes".into(), slot: slot.into() };
        Self { source, read: reading(table, Changes::Log(log)), key: &["id"], rows: Rows::new() }
    }

    /// Extracts and loads. Returns whether everything was read.
    pub(crate) async fn extract(&mut self) -> PortResult<bool> {
        let plan = self.source.plan(&self.read).await?;
        self.load(&plan).await?;
        self.read.since = plan.position;
        Ok(plan.everything)
    }

    /// Loads what a plan reads; the position stays.
    pub(crate) async fn load(&mut self, plan: &ReadPlan) -> PortResult<()> {
        let batches = batches(self.source, &self.read, plan).await?;
        if plan.everything {
            self.rows.clear();
        }
        for batch in batches {
            apply(&mut self.rows, &batch, self.key);
        }
        Ok(())
    }

    /// What the source has now.
    pub(crate) async fn expected(&self) -> Rows {
        let read = Read { changes: Changes::Everything, since: None, ..self.read.clone() };
        let plan = self.source.plan(&read).await.unwrap();
        let mut rows = Rows::new();
        for batch in batches(self.source, &read, &plan).await.unwrap() {
            apply(&mut rows, &batch, self.key);
        }
        rows
    }

    /// Extracts, loads, and compares with the source. Returns whether everything was read.
    pub(crate) async fn follow(&mut self) -> bool {
        let everything = self.extract().await.unwrap();
        assert_eq!(self.rows, self.expected().await);
        everything
    }
}

/// A reading of a table in small batches and ranges.
pub(crate) fn reading(table: &str, changes: Changes) -> Read {
    Read {
        select: Selection::Table(table.into()),
        only: vec![],
        changes,
        since: None,
        ties: Ties::Again,
        split_by: None,
        range_rows: 1_000,
        statement_timeout: Duration::from_secs(60),
        batch: BatchSize { rows: 7, bytes: 1 << 16 },
    }
}

async fn batches(source: &PostgresSource, read: &Read, plan: &ReadPlan) -> PortResult<Vec<RecordBatch>> {
    let open = source.open(read, plan).await?;
    let mut batches = Vec::new();
    for range in &plan.ranges {
        let rows: Vec<_> = open.read(range).await?.try_collect().await?;
        for rows in rows {
            assert_eq!(rows.faults, [], "every value of these tests fits");
            batches.push(rows.batch);
        }
    }
    Ok(batches)
}

fn apply(table: &mut Rows, batch: &RecordBatch, key: &[&str]) {
    let schema = batch.schema();
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch.columns().iter().map(plain).collect();
    let formatters: Vec<_> = columns.iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let deleted = batch.column_by_name(DELETED_COLUMN).map(|column| column.as_boolean());
    if deleted.is_some() {
        assert_eq!(schema.fields().last().unwrap().name(), DELETED_COLUMN);
    }
    let values = formatters.len() - usize::from(deleted.is_some());
    for row in 0..batch.num_rows() {
        let text = |column: usize| formatters[column].value(row).to_string();
        let key: Vec<_> = key.iter().map(|name| text(schema.index_of(name).unwrap())).collect();
        assert!(!key.contains(&"NULL".to_owned()), "a row without its key");
        if deleted.is_some_and(|deleted| deleted.value(row)) {
            table.remove(&key);
        } else {
            table.insert(key, (0..values).map(text).collect());
        }
    }
}

/// A point in time as a number: the formatter knows no zones.
fn plain(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Timestamp(_, Some(_)) => cast(column, &DataType::Int64).unwrap(),
        _ => Arc::clone(column),
    }
}
