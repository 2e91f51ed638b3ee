//! Tables of a database in memory, which can be told to fail.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use millstream_events::extract::{Connection, Selection, SourceKind};

pub use super::source_table::{MemoryCell, MemoryTable};
use super::source_table::{Table, batches};
use crate::{
    error::{ErrorKind, PortError, PortResult},
    source::{BatchSize, KeyRange, OpenSource, Read, ReadPlan, RowStream, Rows, Shape, Source, Sources, TableSummary},
};

/// A [`Source`] in memory. Clones are the same database.
///
/// Its query language has one sentence: `SELECT * FROM table`. A column that is a number or a time can be split by and be a
/// cursor. A reading is a snapshot of the moment it was opened in.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<String, Table>,
    refusal: Option<(ErrorKind, String)>,
    drops: Vec<usize>,
    held: bool,
    waiting: Vec<Waker>,
    plans: u64,
    opened: u64,
    ranges_read: Vec<KeyRange>,
    range_rows: Option<u64>,
    batch_rows: Option<usize>,
}

impl State {
    fn table(&self, select: &Selection) -> PortResult<&Table> {
        let name = match select {
            Selection::Table(name) => name,
            Selection::Query(query) => query
                .strip_prefix("SELECT * FROM ")
                .ok_or_else(|| PortError::invalid(format!("the query `{query}` is not `SELECT * FROM table`")))?,
            Selection::Sheet(sheet) => {
                return Err(PortError::invalid(format!("{} is a workbook, not a table", sheet.object)));
            }
        };
        self.tables.get(name).ok_or_else(|| PortError::not_found(format!("the table {name} does not exist")))
    }

    fn check(&self) -> PortResult<()> {
        match &self.refusal {
            Some((kind, message)) => Err(PortError::new(*kind, message.clone())),
            None => Ok(()),
        }
    }
}

impl MemorySource {
    /// A database without tables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a table, in the place of one of that name.
    pub fn put_table(&self, name: &str, table: MemoryTable) {
        self.state().tables.insert(name.to_owned(), Table::new(table));
    }

    /// Removes a table.
    pub fn remove_table(&self, name: &str) {
        self.state().tables.remove(name);
    }

    /// Changes a table: its columns, its rows. Nothing happens where there is none of that name.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut MemoryTable)) {
        if let Some(table) = self.state().tables.get_mut(name) {
            change(&mut table.definition);
        }
    }

    /// Puts a row in the place of the one with its key, or adds it.
    pub fn upsert(&self, name: &str, row: Vec<MemoryCell>) {
        self.change(name, |table| {
            let key = table.key_of(&row);
            match table.rows.iter().position(|there| !key.is_empty() && table.key_of(there) == key) {
                Some(place) => table.rows[place] = row,
                None => table.rows.push(row),
            }
        });
    }

    /// From now on every connection and statement fails so; `None` ends that.
    pub fn refuse(&self, refusal: Option<(ErrorKind, &str)>) {
        self.state().refusal = refusal.map(|(kind, message)| (kind, message.to_owned()));
    }

    /// Of the next ranges that are read, one after the other, the connection is lost after so many batches: after all of them,
    /// but before the end is told, where it has as many, and not at all where it has fewer.
    pub fn drop_connections_after(&self, batches: impl IntoIterator<Item = usize>) {
        let mut drops: Vec<usize> = batches.into_iter().collect();
        drops.reverse();
        self.state().drops = drops;
    }

    /// Makes ranges and batches of so many rows, whatever is asked for.
    pub fn cut_into(&self, range_rows: u64, batch_rows: usize) {
        let mut state = self.state();
        (state.range_rows, state.batch_rows) = (Some(range_rows), Some(batch_rows));
    }

    /// Keeps the streams from going on.
    pub fn hold(&self) {
        self.state().held = true;
    }

    /// Lets the streams go on.
    pub fn release(&self) {
        let mut state = self.state();
        state.held = false;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    /// How many readings were planned, and how many were opened.
    #[must_use]
    pub fn plans_and_openings(&self) -> (u64, u64) {
        let state = self.state();
        (state.plans, state.opened)
    }

    /// The ranges that were read, also those that failed, in order.
    #[must_use]
    pub fn ranges_read(&self) -> Vec<KeyRange> {
        self.state().ranges_read.clone()
    }

    /// The batches as a stream that waits while the source is held, fails while it refuses, and loses its connection as told.
    fn stream(&self, batches: Vec<Rows>, lost_after: Option<usize>) -> BoxStream<'static, PortResult<Rows>> {
        let source = self.clone();
        let lost =
            || PortError::unavailable("the connection was lost while the rows were read; it will be tried again");
        let rows = batches.into_iter().map(Ok);
        let rows: Vec<PortResult<Rows>> = match lost_after {
            Some(count) if count <= rows.len() => rows.take(count).chain([Err(lost())]).collect(),
            _ => rows.collect(),
        };
        // Waits before the end too, so that a held reading has not ended.
        let turn = move |rows: &mut std::vec::IntoIter<PortResult<Rows>>, waker: &Waker| {
            let mut state = source.state();
            if state.held {
                state.waiting.push(waker.clone());
                return Poll::Pending;
            }
            Poll::Ready(state.check().err().map(Err).or_else(|| rows.next()))
        };
        let mut rows = rows.into_iter();
        stream::poll_fn(move |context| turn(&mut rows, context.waker())).boxed()
    }
}

#[async_trait]
impl Source for MemorySource {
    async fn tables(&self) -> PortResult<Vec<TableSummary>> {
        let state = self.state();
        state.check()?;
        let summary = |(name, table): (&String, &Table)| TableSummary {
            name: name.clone(),
            rows: Some(table.definition.rows.len() as u64),
            bytes: None,
            is_view: false,
        };
        Ok(state.tables.iter().map(summary).collect())
    }

    async fn describe(&self, select: &Selection) -> PortResult<Shape> {
        let state = self.state();
        state.check()?;
        Ok(state.table(select)?.shape(select))
    }

    async fn plan(&self, read: &Read) -> PortResult<ReadPlan> {
        let mut state = self.state();
        state.check()?;
        state.plans += 1;
        let range_rows = state.range_rows.unwrap_or(read.range_rows);
        state.table(&read.select)?.plan(&Read { range_rows, ..read.clone() })
    }

    async fn open(&self, read: &Read, plan: &ReadPlan) -> PortResult<Arc<dyn OpenSource>> {
        let mut state = self.state();
        state.check()?;
        state.opened += 1;
        let table = state.table(&read.select)?.clone();
        Ok(Arc::new(Snapshot { source: self.clone(), table, read: read.clone(), plan: plan.clone() }))
    }
}

/// A table as it was when it was opened.
#[derive(Debug)]
struct Snapshot {
    source: MemorySource,
    table: Table,
    read: Read,
    plan: ReadPlan,
}

#[async_trait]
impl OpenSource for Snapshot {
    async fn read(&self, range: &KeyRange) -> PortResult<RowStream> {
        let rows = self.table.rows(&self.read, &self.plan, range)?;
        let asked = self.read.batch;
        let size = BatchSize { rows: self.source.state().batch_rows.unwrap_or(asked.rows), ..asked };
        let batches = batches(&self.plan.columns, &rows, size)?;
        let lost_after = {
            let mut state = self.source.state();
            state.check()?;
            state.ranges_read.push(range.clone());
            state.drops.pop()
        };
        Ok(self.source.stream(batches, lost_after))
    }
}

/// The [`Sources`] of a test: databases in memory by their connections.
#[derive(Debug, Default)]
pub struct MemorySources {
    sources: Mutex<BTreeMap<Connection, MemorySource>>,
}

impl MemorySources {
    /// No source is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a database reachable.
    pub fn put(&self, connection: Connection, source: MemorySource) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).insert(connection, source);
    }
}

#[async_trait]
impl Sources for MemorySources {
    async fn connect(&self, connection: &Connection) -> PortResult<Arc<dyn Source>> {
        let source = self.sources.lock().unwrap_or_else(PoisonError::into_inner).get(connection).cloned();
        let source = source.ok_or_else(|| {
            PortError::not_found(format!("there is no {} source of this connection", connection.from))
        })?;
        source.state().check()?;
        Ok(Arc::new(source))
    }

    fn kinds(&self) -> Vec<SourceKind> {
        SourceKind::ALL.to_vec()
    }
}
