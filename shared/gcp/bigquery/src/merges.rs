//! Merges: rows are staged in a table of their own, then one statement puts them in.

use millstream_events::{
    contract::{Column, ColumnType},
    extract::DELETED_COLUMN,
    names::TableName,
    work::{LoadTable, TableLayout},
};
use millstream_ports::{JobState, PortError, PortResult, TableWrite};

use crate::{
    BigQueryWarehouse,
    copies::Copies,
    jobs::{Known, NewJob},
    loads::{Load, rows_before},
    model::{Job, Table, number},
    schema,
    statements::{self, Marks, ROW},
    tables::{self, Commit},
};

/// How long staged rows are kept when nobody comes back for them, in milliseconds.
const STAGE_LIFE: i64 = 24 * 3600 * 1000;

/// Staged rows on their way into a table.
#[derive(Debug)]
pub(crate) struct Merge<'a> {
    pub(crate) table: &'a TableName,
    pub(crate) layout: &'a TableLayout,
    pub(crate) key: &'a [String],
    pub(crate) columns: &'a [Column],
    pub(crate) stage: &'a TableName,
    /// Whether the rows are numbered, so that the last of several with one key can be taken.
    pub(crate) is_numbered: bool,
    /// Whether rows are marked that are to be taken out of the table.
    pub(crate) deletes: bool,
}

/// Rows to put beside a table's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Added<'a> {
    pub(crate) table: &'a TableName,
    pub(crate) layout: &'a TableLayout,
    pub(crate) columns: &'a [Column],
    /// The query that gives them.
    pub(crate) query: &'a str,
}

impl BigQueryWarehouse {
    /// See `Warehouse::ensure_load`.
    pub(crate) async fn merge_batches(
        &self,
        job: &str,
        load: &LoadTable,
        key: &[String],
    ) -> PortResult<JobState<TableWrite>> {
        let doing = format!("merge into {}", load.table);
        let stage = tables::stage(&load.table, job)?;
        let state = match self.known(&doing, job).await? {
            Known::Settled(state) => state,
            Known::Owed(id) => {
                check_key(&load.table, key, &load.columns)?;
                self.check_files(load).await?;
                self.api.create_dataset(load.table.dataset()).await?;
                let staged = self.ensure_stage(&doing, &id, &stage, self.stage_batches(load, key, job, &stage));
                if matches!(staged.await?, JobState::Running) {
                    return Ok(JobState::Running);
                }
                self.check_read(load).await?;
                let is_numbered = load.uploaded.is_none();
                if !is_numbered {
                    self.check_expectations(&load.table, &stage, &[], Some(key)).await?;
                }
                let merge = Merge {
                    table: &load.table,
                    layout: &load.layout,
                    key,
                    columns: &load.columns,
                    stage: &stage,
                    is_numbered,
                    deletes: load.deletes,
                };
                self.merge_stage(&doing, &id, &merge).await?
            }
        };
        let JobState::Done(done) = state else { return Ok(JobState::Running) };
        let written = self.written(&load.table, &load.layout, &done).await?;
        if load.uploaded.is_none() {
            self.drop_copies(load, job, Copies::Numbered).await;
        }
        self.drop_stage(&stage).await;
        Ok(JobState::Done(written))
    }

    /// The load of a merge's rows into a table of their own. An uploaded file's rows have no numbers: it is loaded as it is.
    async fn stage_batches(
        &self,
        load: &LoadTable,
        key: &[String],
        job: &str,
        stage: &TableName,
    ) -> PortResult<serde_json::Value> {
        let mut columns = load.columns.clone();
        if load.deletes {
            // Of a row that is gone only the key is known.
            for column in &mut columns {
                column.required &= key.iter().any(|name| name.eq_ignore_ascii_case(&column.name));
            }
            let name = DELETED_COLUMN.into();
            columns.push(Column { name, kind: ColumnType::Bool, required: false, description: None });
        }
        let files = if load.uploaded.is_some() {
            load.batches.clone()
        } else {
            columns.push(Column { name: ROW.into(), kind: ColumnType::Int64, required: true, description: None });
            self.copy_batches(load, job, Copies::Numbered).await?
        };
        let schema = schema::schema(&columns);
        let expires = self.clock.now().timestamp_millis() + STAGE_LIFE;
        let empty = Table {
            table_reference: self.reference(stage),
            schema: Some(schema.clone()),
            expiration_time: Some(expires.to_string()),
            ..Table::default()
        };
        self.api.create_table(&empty).await?;
        self.load_configuration(Load {
            table: stage,
            files: &files,
            uploaded: load.uploaded.as_ref(),
            schema: &schema,
            layout: None,
            disposition: "WRITE_TRUNCATE",
            updates: &[],
            labels: std::collections::HashMap::new(),
        })
    }

    /// Starts the statement that puts staged rows into their table: the first rows make it.
    pub(crate) async fn merge_stage(&self, doing: &str, id: &str, merge: &Merge<'_>) -> PortResult<JobState<Job>> {
        let last_of = merge.is_numbered.then_some(merge.key);
        let rows = |marks| {
            let marks = if merge.deletes { marks } else { Marks::None };
            statements::staged(merge.stage, merge.columns, last_of, marks)
        };
        let first = rows(Marks::LeaveOut);
        let added = Added { table: merge.table, layout: merge.layout, columns: merge.columns, query: &first };
        let statement = statements::merge(merge.table, merge.key, merge.columns, merge.deletes, &rows(Marks::Keep));
        self.add(doing, id, &added, &statement).await
    }

    /// Starts a statement that adds a query's rows to a table, whose columns it has by then; makes a table that is not there.
    pub(crate) async fn add(
        &self,
        doing: &str,
        id: &str,
        added: &Added<'_>,
        statement: &str,
    ) -> PortResult<JobState<Job>> {
        let Added { table, layout, columns, query } = *added;
        let found = self.api.table(table).await?;
        let (sql, modifies) = match &found {
            // Two first merges at once: the second fails, is tried again and finds the table.
            None => (statements::create(table, layout, columns, query), Some(table)),
            Some(found) => {
                schema::grown(&table.to_string(), found.fields(), columns)?;
                let is_new =
                    |column: &&Column| !found.fields().iter().any(|old| old.name.eq_ignore_ascii_case(&column.name));
                let new: Vec<&Column> = columns.iter().filter(is_new).collect();
                if !new.is_empty()
                    && let (_, JobState::Running) = self.run(doing, &statements::add_columns(table, &new)).await?
                {
                    return Ok(JobState::Running);
                }
                (statement.to_owned(), None)
            }
        };
        let configuration = self.statement(&sql, rows_before(found.as_ref()));
        self.start(id, NewJob { doing, modifies, configuration }).await
    }

    /// What a statement that is done did to its table, which it notes there.
    pub(crate) async fn written(&self, table: &TableName, layout: &TableLayout, done: &Job) -> PortResult<TableWrite> {
        let commit = Commit { version: done.version(), replace: None };
        let found = self.note(table, layout, commit).await?;
        let now = found.as_ref().map_or(0, Table::rows);
        let query = &done.statistics.query;
        let made = query.made();
        let changed = number(query.num_dml_affected_rows.as_deref());
        let before = done.label(crate::loads::ROWS_BEFORE).unwrap_or_default();
        let counts = query.dml_stats.as_ref().map(|dml| {
            let count = |text: &Option<String>| number(text.as_deref()).unwrap_or_default();
            (count(&dml.inserted_row_count), count(&dml.deleted_row_count))
        });
        let (rows, total_rows) = match (query.statement_type.as_deref(), counts) {
            (Some("MERGE" | "INSERT"), Some((inserted, deleted))) => {
                (changed.unwrap_or(inserted + deleted), (before + inserted).saturating_sub(deleted))
            }
            (Some("MERGE" | "INSERT"), None) => (changed.unwrap_or_default(), now),
            _ => (made.unwrap_or(now), made.unwrap_or(now)),
        };
        Ok(TableWrite { rows, total_rows, version: done.version(), superseded: false })
    }

    /// Drops a stage; one that cannot be dropped expires.
    pub(crate) async fn drop_stage(&self, stage: &TableName) {
        if let Err(error) = self.api.delete_table(stage).await {
            tracing::warn!(%stage, error = &error as &dyn std::error::Error, "a staging table is left to expire");
        }
    }
}

fn check_key(table: &TableName, key: &[String], columns: &[Column]) -> PortResult<()> {
    match key.iter().find(|name| !columns.iter().any(|column| column.name.eq_ignore_ascii_case(name))) {
        Some(name) => Err(PortError::invalid(format!("the merge key {name} of {table} is no column of the new rows"))),
        None => Ok(()),
    }
}
