//! Tables as lists of rows, with an algebra in place of SQL.
//!
//! A load takes its rows from its batches: one a line where a batch is JSON Lines, otherwise one row that
//! stands for its bytes.
//! A transform's result is one row made of a hash of its SQL and of what its inputs hold. So two warehouses hold the same
//! exactly when the same batches and the same transforms went in, which is what a simulation compares.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use millstream_events::{
    Fingerprint,
    contract::Column,
    extract::DELETED_COLUMN,
    names::{ObjectPath, TableName},
    work::{LoadTable, TransformTable, WriteMode},
};
use serde_json::{Value, json};

use crate::{
    error::{PortError, PortResult},
    object_store::{ObjectStore, ObjectStoreExt, Precondition},
    warehouse::{ExportJob, ExportWrite, JobState, QueryAnswer, TableFacts, TableWrite, Warehouse},
};

/// A batch larger than this is no test's.
const BATCH_LIMIT: u64 = 64 << 20;

/// A [`Warehouse`] in memory. Batches are read from, and exports written to, the object store it is given.
#[derive(Debug)]
pub struct MemoryWarehouse {
    store: Arc<dyn ObjectStore>,
    running_answers: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<TableName, Table>,
    writes: BTreeMap<String, TableWrite>,
    exports: BTreeMap<String, ExportWrite>,
    asked: BTreeMap<String, u32>,
    commits: Vec<(String, TableName)>,
    last_version: u64,
}

#[derive(Debug, Clone, Default)]
struct Table {
    columns: Vec<Column>,
    rows: Vec<Value>,
    version: u64,
    /// The sequence of the last replace.
    sequence: Option<u64>,
}

/// A row on its way into a table.
#[derive(Debug)]
struct Incoming {
    row: Value,
    /// Whether its source has it no more.
    deleted: bool,
}

impl Incoming {
    fn there(row: Value) -> Self {
        Self { row, deleted: false }
    }

    /// A row of a batch with the column [`DELETED_COLUMN`], which no table has.
    fn marked(mut row: Value) -> Self {
        let mark = row.as_object_mut().and_then(|fields| fields.remove(DELETED_COLUMN));
        Self { row, deleted: mark == Some(Value::Bool(true)) }
    }
}

impl Table {
    fn add_columns(&mut self, columns: &[Column]) {
        for column in columns {
            if !self.columns.iter().any(|known| known.name == column.name) {
                self.columns.push(column.clone());
            }
        }
    }

    fn apply(&mut self, write: &WriteMode, rows: Vec<Incoming>) {
        if let WriteMode::Merge { key } = write {
            return self.merge(key, rows);
        }
        if *write == WriteMode::Replace {
            self.rows.clear();
        }
        self.rows.extend(rows.into_iter().filter(|incoming| !incoming.deleted).map(|incoming| incoming.row));
    }

    /// One row after the other: of a key's rows the last one counts.
    fn merge(&mut self, key: &[String], rows: Vec<Incoming>) {
        let mut at: HashMap<String, usize> =
            self.rows.iter().enumerate().map(|(at, row)| (key_of(row, key), at)).collect();
        let mut gone = BTreeSet::new();
        for Incoming { row, deleted } in rows {
            let place = match at.entry(key_of(&row, key)) {
                Entry::Occupied(known) => {
                    let place = *known.get();
                    self.rows[place] = row;
                    place
                }
                Entry::Vacant(new) => {
                    self.rows.push(row);
                    *new.insert(self.rows.len() - 1)
                }
            };
            if deleted {
                gone.insert(place)
            } else {
                gone.remove(&place)
            };
        }
        let mut place = 0..;
        self.rows.retain(|_| !place.next().is_some_and(|place| gone.contains(&place)));
    }

    /// The rows as text, sorted: a table has no order.
    fn content(&self) -> Vec<String> {
        let mut rows: Vec<String> = self.rows.iter().map(Value::to_string).collect();
        rows.sort();
        rows
    }
}

/// The values of the key columns; the whole row for one that stands for a batch and has no such columns.
fn key_of(row: &Value, key: &[String]) -> String {
    let values: Option<Vec<&Value>> = key.iter().map(|column| row.get(column)).collect();
    values.map_or_else(|| row.to_string(), |values| json!(values).to_string())
}

impl State {
    fn table(&self, name: &TableName) -> PortResult<&Table> {
        self.tables.get(name).ok_or_else(|| PortError::not_found(format!("there is no table {name}")))
    }

    /// Whether this ask of a job that is not done is to be answered with "running".
    fn keeps_running(&mut self, job: &str, answers: u32) -> bool {
        let asked = self.asked.entry(job.to_owned()).or_default();
        *asked += 1;
        *asked <= answers
    }

    fn commit(&mut self, job: &str, name: &TableName, mut table: Table, rows: u64) -> TableWrite {
        self.last_version += 1;
        table.version = self.last_version;
        let total_rows = table.rows.len() as u64;
        let write = TableWrite { rows, total_rows, version: table.version, superseded: false };
        self.tables.insert(name.clone(), table);
        self.commits.push((job.to_owned(), name.clone()));
        self.writes.insert(job.to_owned(), write);
        write
    }
}

impl MemoryWarehouse {
    /// A warehouse without tables.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, running_answers: 0, state: Mutex::default() }
    }

    /// Every job answers `Running` to its first `asks` asks.
    #[must_use]
    pub fn slow(mut self, asks: u32) -> Self {
        self.running_answers = asks;
        self
    }

    /// The writes that changed a table, in order: the job and the table.
    #[must_use]
    pub fn commits(&self) -> Vec<(String, TableName)> {
        self.state().commits.clone()
    }

    /// A table's rows as JSON text in sorted order; empty for an unknown table.
    #[must_use]
    pub fn content(&self, table: &TableName) -> Vec<String> {
        self.state().tables.get(table).map(Table::content).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job that is done already, or may not be done yet.
    fn known(&self, job: &str) -> PortResult<Option<JobState<TableWrite>>> {
        check_job_id(job)?;
        Ok(self.state().writes.get(job).copied().map(JobState::Done))
    }

    async fn rows_of(&self, load: &LoadTable) -> PortResult<Vec<Incoming>> {
        if load.uploaded.is_some() {
            return Err(PortError::invalid(format!(
                "{} is to be loaded as it was uploaded, and the in-memory warehouse loads ingested batches only",
                load.table
            )));
        }
        let mut rows = Vec::new();
        for batch in &load.batches {
            rows.extend(self.batch_rows(load, batch).await?);
        }
        Ok(rows)
    }

    async fn batch_rows(&self, load: &LoadTable, batch: &ObjectPath) -> PortResult<Vec<Incoming>> {
        let bytes = self.store.read(batch, BATCH_LIMIT).await?;
        let text = str::from_utf8(&bytes).unwrap_or_default();
        let rows: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        let rows = match rows {
            Ok(rows) if !text.is_empty() && rows.iter().all(Value::is_object) => rows,
            _ => return Ok(vec![Incoming::there(json!({ "batch": Fingerprint::of("batch", [&bytes[..]]) }))]),
        };
        let rows: Vec<Incoming> =
            rows.into_iter().map(if load.deletes { Incoming::marked } else { Incoming::there }).collect();
        let required = load.columns.iter().filter(|column| column.required);
        for column in required {
            let lacks = |row: &Value| row.get(&column.name).is_none_or(Value::is_null);
            // Of a row that is gone only the key is known.
            if rows.iter().any(|incoming| !incoming.deleted && lacks(&incoming.row)) {
                return Err(PortError::invalid(format!(
                    "a row of {batch} has no value in {}, which {} requires",
                    column.name, load.table
                )));
            }
        }
        Ok(rows)
    }
}

/// How many rows a write puts in, changes or takes out.
fn written(write: &WriteMode, rows: &[Incoming]) -> u64 {
    let merges = matches!(write, WriteMode::Merge { .. });
    rows.iter().filter(|incoming| merges || !incoming.deleted).count() as u64
}

fn check_job_id(job: &str) -> PortResult<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=1024).contains(&job.len()) && job.chars().all(is_plain) {
        return Ok(());
    }
    Err(PortError::invalid(format!("{job:?} is not a job id: use 1 to 1,024 of letters, digits, _ and -")))
}

#[async_trait]
impl Warehouse for MemoryWarehouse {
    async fn ensure_load(&self, job: &str, load: &LoadTable) -> PortResult<JobState<TableWrite>> {
        if let Some(done) = self.known(job)? {
            return Ok(done);
        }
        let rows = self.rows_of(load).await?;
        let mut state = self.state();
        // Asked again: another caller may have done it while the batch was read.
        if let Some(done) = state.writes.get(job) {
            return Ok(JobState::Done(*done));
        }
        if state.keeps_running(job, self.running_answers) {
            return Ok(JobState::Running);
        }
        let mut table = state.tables.get(&load.table).cloned().unwrap_or_default();
        if load.write == WriteMode::Replace {
            if table.sequence.is_some_and(|held| held > load.sequence) {
                let total_rows = table.rows.len() as u64;
                let write = TableWrite { rows: 0, total_rows, version: table.version, superseded: true };
                state.writes.insert(job.to_owned(), write);
                return Ok(JobState::Done(write));
            }
            table.sequence = Some(load.sequence);
            table.columns.clear();
        }
        table.add_columns(&load.columns);
        let count = written(&load.write, &rows);
        table.apply(&load.write, rows);
        Ok(JobState::Done(state.commit(job, &load.table, table, count)))
    }

    async fn ensure_transform(&self, job: &str, transform: &TransformTable) -> PortResult<JobState<TableWrite>> {
        if let Some(done) = self.known(job)? {
            return Ok(done);
        }
        let mut state = self.state();
        let inputs: Vec<String> = transform
            .inputs
            .iter()
            .map(|input| state.table(input).map(|table| table.content().join("\n")))
            .collect::<PortResult<_>>()?;
        if state.keeps_running(job, self.running_answers) {
            return Ok(JobState::Running);
        }
        let row = json!({
            "sql": Fingerprint::of("sql", [transform.sql.as_bytes()]),
            "inputs": Fingerprint::of("inputs", inputs.iter().map(String::as_bytes)),
        });
        let mut table = state.tables.get(&transform.table).cloned().unwrap_or_default();
        table.apply(&transform.write, vec![Incoming::there(row)]);
        Ok(JobState::Done(state.commit(job, &transform.table, table, 1)))
    }

    async fn ensure_export(&self, job: &str, export: &ExportJob) -> PortResult<JobState<ExportWrite>> {
        check_job_id(job)?;
        let rows = {
            let mut state = self.state();
            if let Some(done) = state.exports.get(job) {
                return Ok(JobState::Done(done.clone()));
            }
            let rows = state.table(&export.table)?.content();
            if state.keeps_running(job, self.running_answers) {
                return Ok(JobState::Running);
            }
            rows
        };
        let text: String = rows.iter().flat_map(|row| [row.as_str(), "\n"]).collect();
        let meta = self.store.put(&export.to, text, Precondition::None).await?;
        let write = ExportWrite { files: vec![export.to.clone()], rows: rows.len() as u64, bytes: meta.size };
        Ok(JobState::Done(self.state().exports.entry(job.to_owned()).or_insert(write).clone()))
    }

    async fn table(&self, table: &TableName) -> PortResult<TableFacts> {
        self.state().table(table).map(|found| facts(table, found))
    }

    async fn tables(&self) -> PortResult<Vec<TableFacts>> {
        Ok(self.state().tables.iter().map(|(name, table)| facts(name, table)).collect())
    }

    async fn query(&self, _sql: &str, _limit: usize) -> PortResult<QueryAnswer> {
        Err(PortError::invalid("the in-memory warehouse has no SQL engine: use the embedded warehouse to run queries"))
    }
}

fn facts(name: &TableName, table: &Table) -> TableFacts {
    TableFacts {
        table: name.clone(),
        columns: table.columns.clone(),
        rows: table.rows.len() as u64,
        version: table.version,
    }
}
