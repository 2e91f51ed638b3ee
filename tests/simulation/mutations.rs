//! Mistakes planted on purpose: a simulation that lets them pass is worth nothing.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use millstream_events::{
    history::Record,
    names::{RunId, TableName},
    work::{LoadTable, TransformTable},
};
use millstream_ports::{
    ExportJob, ExportWrite, JobState, Ledger, OpenMark, PortResult, QueryAnswer, Recorded, Snapshot, TableFacts,
    TableWrite, TurnHolder, TurnMark, Warehouse,
};

/// A planted mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// A job's id is new with each delivery, as if it were made of the message's id.
    JobsNamedByDelivery,
    /// A delivery is acknowledged when it is taken, and nothing asks again.
    EarlyAcknowledgement,
    /// Nothing is ever asked for again.
    NoSweep,
    /// A canary's failures are not seen.
    CanaryUnwatched,
    /// The ledger answers that it has a fact before it has it.
    RecordsForgotten,
}

/// A warehouse that takes every ask for a job of its own.
#[derive(Debug)]
pub(crate) struct NamedByDelivery {
    pub(crate) inner: Arc<dyn Warehouse>,
    pub(crate) asks: AtomicU64,
}

impl NamedByDelivery {
    fn job(&self, job: &str) -> String {
        format!("{job}-{}", self.asks.fetch_add(1, Ordering::SeqCst))
    }
}

#[async_trait]
impl Warehouse for NamedByDelivery {
    async fn ensure_load(&self, job: &str, load: &LoadTable) -> PortResult<JobState<TableWrite>> {
        self.inner.ensure_load(&self.job(job), load).await
    }

    async fn ensure_transform(&self, job: &str, transform: &TransformTable) -> PortResult<JobState<TableWrite>> {
        self.inner.ensure_transform(&self.job(job), transform).await
    }

    async fn ensure_export(&self, job: &str, export: &ExportJob) -> PortResult<JobState<ExportWrite>> {
        self.inner.ensure_export(&self.job(job), export).await
    }

    async fn table(&self, table: &TableName) -> PortResult<TableFacts> {
        self.inner.table(table).await
    }

    async fn tables(&self) -> PortResult<Vec<TableFacts>> {
        self.inner.tables().await
    }

    async fn query(&self, sql: &str, limit: usize) -> PortResult<QueryAnswer> {
        self.inner.query(sql, limit).await
    }
}

/// A ledger that loses every third fact it says it has, for good.
#[derive(Debug)]
pub(crate) struct Forgetful {
    pub(crate) inner: Arc<dyn Ledger>,
}

#[async_trait]
impl Ledger for Forgetful {
    async fn open(&self, run: &RunId) -> PortResult<()> {
        self.inner.open(run).await
    }

    async fn record(&self, run: &RunId, record: Record) -> PortResult<Recorded> {
        let is_fact = matches!(record, Record::Done(_));
        if is_fact && record.id().bytes().map(u64::from).sum::<u64>() % 3 == 0 {
            return Ok(Recorded::New);
        }
        self.inner.record(run, record).await
    }

    async fn snapshot(&self, run: &RunId) -> PortResult<Snapshot> {
        self.inner.snapshot(run).await
    }

    async fn close(&self, run: &RunId, seen: OpenMark) -> PortResult<bool> {
        self.inner.close(run, seen).await
    }

    async fn open_runs(&self) -> PortResult<Vec<RunId>> {
        self.inner.open_runs().await
    }

    async fn turn(&self, table: &TableName) -> PortResult<Option<(TurnHolder, TurnMark)>> {
        self.inner.turn(table).await
    }

    async fn take_turn(&self, table: &TableName, holder: TurnHolder, seen: Option<TurnMark>) -> PortResult<bool> {
        self.inner.take_turn(table, holder, seen).await
    }

    async fn runs(&self) -> PortResult<Vec<RunId>> {
        self.inner.runs().await
    }
}
