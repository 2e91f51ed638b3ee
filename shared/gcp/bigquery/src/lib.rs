//! BigQuery as a [`Warehouse`].
//!
//! In: loads, transforms and exports under their callers' ids, over objects in Cloud Storage. Out: tables in BigQuery.
//! Nothing is kept beside BigQuery itself: a job is the memory of its own effect, a table's labels hold its commit number,
//! and what happens after a crash at any point is in the README beside this crate.

mod api;
mod copies;
mod errors;
mod expectations;
mod exports;
mod jobs;
mod loads;
mod merges;
mod model;
mod modifications;
mod queries;
mod replaces;
mod schema;
mod sources;
mod statements;
mod tables;
mod transforms;
mod turns;
mod values;

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use millstream_events::{
    names::TableName,
    work::{LoadTable, TransformTable, WriteMode},
};
use millstream_gcp_client::Connection;
use millstream_ports::{
    Clock, ExportJob, ExportWrite, JobState, ObjectStore, PortError, PortResult, QueryAnswer, TableFacts, TableWrite,
    Warehouse,
};

use crate::{api::Api, modifications::Modifications, turns::Turns};

/// Tables looked up at the same time.
const LOOKUPS: usize = 8;

/// How BigQuery is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where datasets are created and jobs run, such as `US` or `europe-west1`: the location of the buckets.
    pub location: String,
    /// The most bytes one statement may be billed for; one that would read more fails before it costs anything.
    pub maximum_bytes_billed: u64,
    /// Modifications of one table in 24 hours after which its loads wait. BigQuery's own limit is 1,500.
    pub daily_modifications: u32,
}

impl Default for Settings {
    /// The US, 1 TiB a statement, 1,400 modifications.
    fn default() -> Self {
        Self { location: "US".into(), maximum_bytes_billed: 1 << 40, daily_modifications: 1_400 }
    }
}

/// Tables and SQL in BigQuery, over batches and exports in an object store.
#[derive(Debug)]
pub struct BigQueryWarehouse {
    api: Api,
    settings: Settings,
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    modifications: Modifications,
    turns: Turns,
}

impl BigQueryWarehouse {
    /// For the connection's project. `store` must be the buckets that BigQuery reads and writes.
    ///
    /// # Errors
    /// When the client cannot be set up. Whether BigQuery answers is known at the first call.
    pub async fn connect(
        connection: &Connection,
        settings: Settings,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
    ) -> PortResult<Self> {
        let api = Api::connect(connection, &settings.location).await?;
        let modifications = Modifications::new(settings.daily_modifications);
        Ok(Self { api, settings, store, clock, modifications, turns: Turns::default() })
    }
}

#[async_trait]
impl Warehouse for BigQueryWarehouse {
    async fn ensure_load(&self, job: &str, load: &LoadTable) -> PortResult<JobState<TableWrite>> {
        check_job_id(job)?;
        let _turn = self.turns.take(job).await;
        match &load.write {
            WriteMode::Replace => self.replace(job, load).await,
            WriteMode::Merge { key } if !key.is_empty() => self.merge_batches(job, load, key).await,
            WriteMode::Append | WriteMode::Merge { .. } => self.append(job, load).await,
        }
    }

    async fn ensure_transform(&self, job: &str, transform: &TransformTable) -> PortResult<JobState<TableWrite>> {
        check_job_id(job)?;
        let _turn = self.turns.take(job).await;
        self.transform(job, transform).await
    }

    async fn ensure_export(&self, job: &str, export: &ExportJob) -> PortResult<JobState<ExportWrite>> {
        check_job_id(job)?;
        let _turn = self.turns.take(job).await;
        self.export(job, export).await
    }

    async fn table(&self, table: &TableName) -> PortResult<TableFacts> {
        match self.api.table(table).await? {
            Some(found) => tables::facts(table, &found),
            None => Err(PortError::not_found(format!("there is no table {table}"))),
        }
    }

    async fn tables(&self) -> PortResult<Vec<TableFacts>> {
        let mut names = Vec::new();
        for dataset in self.api.datasets().await? {
            names.extend(self.api.tables(&dataset).await?);
        }
        names.retain(|name| !tables::is_stage(name));
        names.sort();
        let lookups: Vec<_> = names.iter().map(|name| self.api.table(name)).collect();
        let found: Vec<_> = futures::stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;
        let found = names.iter().zip(found);
        // A table that was dropped meanwhile is none; one whose columns have no use here belongs to somebody else.
        Ok(found.filter_map(|(name, found)| tables::facts(name, &found?).ok()).collect())
    }

    async fn query(&self, sql: &str, limit: usize) -> PortResult<QueryAnswer> {
        self.answer(sql, limit).await
    }
}

/// Suffixes of steps and attempts must fit too.
const LONGEST_ID: usize = 1_000;

fn check_job_id(job: &str) -> PortResult<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=LONGEST_ID).contains(&job.len()) && job.chars().all(is_plain) {
        return Ok(());
    }
    Err(PortError::invalid(format!("{job:?} is not a job id: use 1 to {LONGEST_ID} of letters, digits, _ and -")))
}
