//! A SQL model into its table.
//!
//! A plain replace is one `CREATE OR REPLACE TABLE .. AS`, which BigQuery switches in atomically. Where rows must be looked
//! at first (expectations) or are put beside others (append, merge), the result is staged: it is computed once.

use millstream_events::work::{TransformTable, WriteMode};
use millstream_ports::{JobState, PortError, PortResult, TableWrite};
use millstream_sql::Select;

use crate::{
    BigQueryWarehouse,
    jobs::{Known, NewJob},
    merges::{Added, Merge},
    model::{Job, Labels},
    queries::invalid_sql,
    schema,
    statements::{self, Marks},
    tables,
};

impl BigQueryWarehouse {
    /// See `Warehouse::ensure_transform`.
    pub(crate) async fn transform(&self, job: &str, transform: &TransformTable) -> PortResult<JobState<TableWrite>> {
        let doing = format!("fill {}", transform.table);
        let state = match self.known(&doing, job).await? {
            Known::Settled(state) => state,
            Known::Owed(id) => self.start_transform(&doing, &id, job, transform).await?,
        };
        let JobState::Done(done) = state else { return Ok(JobState::Running) };
        let written = self.written(&transform.table, &transform.layout, &done).await?;
        if is_staged(transform) {
            self.drop_stage(&tables::stage(&transform.table, job)?).await;
        }
        Ok(JobState::Done(written))
    }

    async fn start_transform(
        &self,
        doing: &str,
        id: &str,
        job: &str,
        transform: &TransformTable,
    ) -> PortResult<JobState<Job>> {
        let select = Select::parse(&transform.sql).map_err(|error| invalid_sql(&error))?;
        for input in transform.inputs.iter().chain(&select.inputs) {
            if self.api.table(input).await?.is_none() {
                return Err(PortError::not_found(format!("there is no table {input} (yet)")));
            }
        }
        self.api.create_dataset(transform.table.dataset()).await?;
        // Wrong SQL is found before an id is used up for it.
        let preview = self.preview(doing, &transform.sql).await?;
        let table = &transform.table;
        if !is_staged(transform) {
            let columns = schema::columns(&preview)?;
            let sql = statements::replace(table, &transform.layout, &columns, &transform.sql);
            let configuration = self.statement(&sql, Labels::new());
            return self.start(id, NewJob { doing, modifies: Some(table), configuration }).await;
        }
        let stage = tables::stage(table, job)?;
        let make = statements::stage(&stage, &transform.sql);
        let staged = self.ensure_stage(doing, id, &stage, async { Ok(self.statement(&make, Labels::new())) }).await?;
        let JobState::Done(staged) = staged else { return Ok(JobState::Running) };
        let key = match &transform.write {
            WriteMode::Merge { key } if !key.is_empty() => Some(key.as_slice()),
            _ => None,
        };
        self.check_expectations(table, &stage, &transform.expect, key).await?;
        let columns = schema::columns(staged.fields())?;
        let rows = statements::staged(&stage, &columns, None, Marks::None);
        let layout = &transform.layout;
        match (&transform.write, key) {
            (WriteMode::Replace, _) => {
                let sql = statements::replace(table, layout, &columns, &rows);
                let configuration = self.statement(&sql, Labels::new());
                self.start(id, NewJob { doing, modifies: Some(table), configuration }).await
            }
            (_, Some(key)) => {
                let merge =
                    Merge { table, layout, key, columns: &columns, stage: &stage, is_numbered: false, deletes: false };
                self.merge_stage(doing, id, &merge).await
            }
            (_, None) => {
                let added = Added { table, layout, columns: &columns, query: &rows };
                self.add(doing, id, &added, &statements::append(table, &columns, &rows)).await
            }
        }
    }
}

fn is_staged(transform: &TransformTable) -> bool {
    transform.write != WriteMode::Replace || !transform.expect.is_empty()
}
