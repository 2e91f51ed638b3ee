//! Ports that fail, and that end the process, before or after any effect.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use millstream_events::{
    Envelope,
    history::Record,
    names::{ModelName, ObjectPath, RunId, TableName},
    work::{LoadTable, TransformTable},
};
use millstream_ports::{
    ByteStream, EndpointState, Endpoints, EventBus, ExportJob, ExportWrite, JobState, Ledger, ModelRegistry,
    ModelVersion, NewVersion, ObjectMeta, ObjectRead, ObjectStore, OpenMark, PortError, PortResult, Precondition,
    PredictError, QueryAnswer, Recorded, Scorer, ServingStats, Snapshot, TableFacts, TableWrite, Trainer, TrainingJob,
    TrainingState, TurnHolder, TurnMark, Verdict, Warehouse,
};

use crate::random::Random;

/// What goes wrong, and whether the process is still there.
#[derive(Debug)]
pub(crate) struct Faults {
    random: Mutex<Random>,
    enabled: AtomicBool,
    crashed: AtomicBool,
    yielded: AtomicBool,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            random: Mutex::new(Random::new(seed)),
            enabled: AtomicBool::new(true),
            crashed: AtomicBool::new(false),
            yielded: AtomicBool::new(false),
        })
    }

    pub(crate) fn switch_on(&self) {
        self.enabled.store(true, Ordering::SeqCst);
    }

    pub(crate) fn switch_off(&self) {
        self.enabled.store(false, Ordering::SeqCst);
    }

    /// Whether the process has crashed.
    pub(crate) fn crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }

    /// Whether the process has crashed since the last call.
    pub(crate) fn take_crash(&self) -> bool {
        self.crashed.swap(false, Ordering::SeqCst)
    }

    /// Whether a delivery stopped at a port call since the last call, rather than for something outside.
    pub(crate) fn take_yield(&self) -> bool {
        self.yielded.swap(false, Ordering::SeqCst)
    }

    fn happens(&self, per_mille: u64) -> bool {
        self.enabled.load(Ordering::SeqCst) && self.random.lock().unwrap().happens(per_mille)
    }

    /// Lets other deliveries go first.
    async fn pause(&self) {
        let mut waited = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            self.yielded.store(true, Ordering::SeqCst);
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// The process ends here: nothing after this line runs.
    async fn crash(&self) {
        self.crashed.store(true, Ordering::SeqCst);
        std::future::pending().await
    }

    async fn around<T>(&self, effect: impl Future<Output = PortResult<T>>) -> PortResult<T> {
        self.pause().await;
        if self.happens(4) {
            self.crash().await;
        }
        if self.happens(10) {
            return Err(PortError::unavailable("a fault before the effect"));
        }
        let result = effect.await;
        if self.happens(4) {
            self.crash().await;
        }
        if self.happens(10) {
            return Err(PortError::unavailable("a fault after the effect"));
        }
        result
    }
}

/// A port with faults around each call.
#[derive(Debug)]
pub(crate) struct Faulty<P: ?Sized> {
    pub(crate) inner: Arc<P>,
    pub(crate) faults: Arc<Faults>,
}

#[async_trait]
impl ObjectStore for Faulty<dyn ObjectStore> {
    async fn get(&self, path: &ObjectPath, generation: Option<u64>) -> PortResult<ObjectRead> {
        self.faults.around(self.inner.get(path, generation)).await
    }

    async fn put_stream(&self, path: &ObjectPath, body: ByteStream, when: Precondition) -> PortResult<ObjectMeta> {
        self.faults.around(self.inner.put_stream(path, body, when)).await
    }

    async fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta> {
        self.faults.around(self.inner.stat(path)).await
    }

    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, PortResult<ObjectMeta>> {
        self.inner.list(bucket, prefix)
    }

    async fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        self.faults.around(self.inner.delete(path, when)).await
    }
}

#[async_trait]
impl EventBus for Faulty<dyn EventBus> {
    async fn publish(&self, events: Vec<Envelope>) -> PortResult<()> {
        self.faults.around(self.inner.publish(events)).await
    }
}

#[async_trait]
impl Ledger for Faulty<dyn Ledger> {
    async fn open(&self, run: &RunId) -> PortResult<()> {
        self.faults.around(self.inner.open(run)).await
    }

    async fn record(&self, run: &RunId, record: Record) -> PortResult<Recorded> {
        self.faults.around(self.inner.record(run, record)).await
    }

    async fn snapshot(&self, run: &RunId) -> PortResult<Snapshot> {
        self.faults.around(self.inner.snapshot(run)).await
    }

    async fn close(&self, run: &RunId, seen: OpenMark) -> PortResult<bool> {
        self.faults.around(self.inner.close(run, seen)).await
    }

    async fn open_runs(&self) -> PortResult<Vec<RunId>> {
        self.faults.around(self.inner.open_runs()).await
    }

    async fn turn(&self, table: &TableName) -> PortResult<Option<(TurnHolder, TurnMark)>> {
        self.faults.around(self.inner.turn(table)).await
    }

    async fn take_turn(&self, table: &TableName, holder: TurnHolder, seen: Option<TurnMark>) -> PortResult<bool> {
        self.faults.around(self.inner.take_turn(table, holder, seen)).await
    }

    async fn runs(&self) -> PortResult<Vec<RunId>> {
        self.faults.around(self.inner.runs()).await
    }
}

#[async_trait]
impl Warehouse for Faulty<dyn Warehouse> {
    async fn ensure_load(&self, job: &str, load: &LoadTable) -> PortResult<JobState<TableWrite>> {
        self.faults.around(self.inner.ensure_load(job, load)).await
    }

    async fn ensure_transform(&self, job: &str, transform: &TransformTable) -> PortResult<JobState<TableWrite>> {
        self.faults.around(self.inner.ensure_transform(job, transform)).await
    }

    async fn ensure_export(&self, job: &str, export: &ExportJob) -> PortResult<JobState<ExportWrite>> {
        self.faults.around(self.inner.ensure_export(job, export)).await
    }

    async fn table(&self, table: &TableName) -> PortResult<TableFacts> {
        self.faults.around(self.inner.table(table)).await
    }

    async fn tables(&self) -> PortResult<Vec<TableFacts>> {
        self.faults.around(self.inner.tables()).await
    }

    async fn query(&self, sql: &str, limit: usize) -> PortResult<QueryAnswer> {
        self.faults.around(self.inner.query(sql, limit)).await
    }
}

#[async_trait]
impl Trainer for Faulty<dyn Trainer> {
    async fn ensure(&self, job: &str, training: &TrainingJob) -> PortResult<TrainingState> {
        self.faults.around(self.inner.ensure(job, training)).await
    }

    async fn cancel(&self, job: &str) -> PortResult<()> {
        self.faults.around(self.inner.cancel(job)).await
    }

    async fn log(&self, job: &str, limit: usize) -> PortResult<String> {
        self.faults.around(self.inner.log(job, limit)).await
    }
}

#[async_trait]
impl ModelRegistry for Faulty<dyn ModelRegistry> {
    async fn ensure_version(&self, version: &NewVersion) -> PortResult<ModelVersion> {
        self.faults.around(self.inner.ensure_version(version)).await
    }

    async fn judge(&self, model: &ModelName, version: u64, verdict: &Verdict) -> PortResult<Verdict> {
        self.faults.around(self.inner.judge(model, version, verdict)).await
    }

    async fn models(&self) -> PortResult<Vec<ModelName>> {
        self.faults.around(self.inner.models()).await
    }

    async fn versions(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>> {
        self.faults.around(self.inner.versions(model)).await
    }

    async fn aliases(&self, model: &ModelName) -> PortResult<BTreeMap<String, u64>> {
        self.faults.around(self.inner.aliases(model)).await
    }

    async fn set_alias(&self, model: &ModelName, alias: &str, version: u64) -> PortResult<()> {
        self.faults.around(self.inner.set_alias(model, alias, version)).await
    }
}

#[async_trait]
impl Endpoints for Faulty<dyn Endpoints> {
    async fn endpoint(&self, endpoint: &ModelName) -> PortResult<EndpointState> {
        self.faults.around(self.inner.endpoint(endpoint)).await
    }

    async fn endpoints(&self) -> PortResult<Vec<EndpointState>> {
        self.faults.around(self.inner.endpoints()).await
    }

    async fn set(&self, state: &EndpointState, expected: Option<u64>) -> PortResult<EndpointState> {
        self.faults.around(self.inner.set(state, expected)).await
    }

    async fn stats(&self, endpoint: &ModelName, version: u64) -> PortResult<ServingStats> {
        self.faults.around(self.inner.stats(endpoint, version)).await
    }

    async fn predict(
        &self,
        endpoint: &ModelName,
        request: serde_json::Value,
    ) -> Result<serde_json::Value, PredictError> {
        self.inner.predict(endpoint, request).await
    }
}

#[async_trait]
impl Scorer for Faulty<dyn Scorer> {
    async fn score(&self, artifact: &ObjectPath, holdout_of: &ObjectPath) -> PortResult<Option<BTreeMap<String, f64>>> {
        self.faults.around(self.inner.score(artifact, holdout_of)).await
    }
}
