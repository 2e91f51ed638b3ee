//! `load-table` on memory ports: one effect, however often and however brokenly it is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use millstream_events::{
    Command, Envelope, Event, Fingerprint, StepRef,
    fact::Outcome,
    names::{ObjectPath, TableName},
    work::{LoadTable as Load, TableLayout, TransformTable, Work, WriteMode},
};
use millstream_load_table::LoadTable;
use millstream_ports::{
    ExportJob, ExportWrite, JobState, ObjectStoreExt, PortError, PortResult, Precondition, QueryAnswer, SystemClock,
    TableFacts, TableWrite, Warehouse,
    memory::{MemoryBus, MemoryObjectStore, MemoryWarehouse},
};
use millstream_runtime::{Ack, Failure, Function, Handler, Progress, StepHandler};

const BATCH: &str = "gs://lake/batches/orders/1.jsonl";

async fn warehouse() -> MemoryWarehouse {
    let store = Arc::new(MemoryObjectStore::new());
    let batch: ObjectPath = BATCH.parse().unwrap();
    store.put(&batch, "{\"id\":1}\n{\"id\":2}\n", Precondition::None).await.unwrap();
    MemoryWarehouse::new(store)
}

fn table() -> TableName {
    "source.orders".parse().unwrap()
}

fn command(write: WriteMode, sequence: u64) -> Command<Load> {
    let work = Load {
        batches: vec![BATCH.parse().unwrap()],
        table: table(),
        columns: Vec::new(),
        write,
        layout: TableLayout::default(),
        sequence,
        uploaded: None,
        deletes: false,
    };
    let step = StepRef {
        run: "shop".parse().unwrap(),
        step: "load/orders".parse().unwrap(),
        fingerprint: Fingerprint::of("load", [sequence.to_le_bytes().as_slice()]),
        attempt: 1,
    };
    Command { step, work }
}

fn updated(progress: Progress) -> millstream_events::fact::TableUpdated {
    match progress {
        Progress::Done(Outcome::TableUpdated(updated)) => updated,
        other => panic!("not done: {other:?}"),
    }
}

#[tokio::test]
async fn an_append_asked_for_twice_is_in_the_table_once() {
    let warehouse = Arc::new(warehouse().await);
    let function = LoadTable::new(warehouse.clone());
    let command = command(WriteMode::Append, 1);
    let first = updated(function.ensure(&command).await.unwrap());
    let second = updated(function.ensure(&command).await.unwrap());
    assert_eq!((first.rows, first.total_rows, first.superseded), (2, 2, false));
    assert_eq!(first, second);
    assert_eq!(warehouse.content(&table()).len(), 2);
}

#[tokio::test]
async fn a_running_load_is_pending_until_it_is_done() {
    let function = LoadTable::new(Arc::new(warehouse().await.slow(1)));
    let command = command(WriteMode::Append, 1);
    assert!(matches!(function.ensure(&command).await.unwrap(), Progress::Pending { .. }));
    assert_eq!(updated(function.ensure(&command).await.unwrap()).rows, 2);
}

#[tokio::test]
async fn a_replace_older_than_what_the_table_holds_says_that_it_changed_nothing() {
    let function = LoadTable::new(Arc::new(warehouse().await));
    updated(function.ensure(&command(WriteMode::Replace, 2)).await.unwrap());
    let late = updated(function.ensure(&command(WriteMode::Replace, 1)).await.unwrap());
    assert!(late.superseded);
}

#[tokio::test]
async fn another_attempt_is_another_job() {
    let warehouse = Arc::new(warehouse().await);
    let function = LoadTable::new(warehouse.clone());
    let mut command = command(WriteMode::Replace, 1);
    updated(function.ensure(&command).await.unwrap());
    command.step.attempt = 2;
    updated(function.ensure(&command).await.unwrap());
    assert_eq!(warehouse.commits().len(), 2);
}

#[tokio::test]
async fn a_batch_that_breaks_the_table_is_a_permanent_failure_that_names_the_column() {
    let function = LoadTable::new(Arc::new(warehouse().await));
    let mut command = command(WriteMode::Append, 1);
    let column = serde_json::json!({ "name": "amount", "type": "INT64", "required": true });
    command.work.columns = vec![serde_json::from_value(column).unwrap()];
    match function.ensure(&command).await.unwrap_err() {
        Failure::Permanent(reason) => assert!(reason.message.contains("amount"), "{}", reason.message),
        Failure::Retry(error) => panic!("would be retried: {error}"),
    }
}

/// Loads, then fails as if the answer had been lost, once.
#[derive(Debug)]
struct LosesTheFirstAnswer {
    inner: Arc<MemoryWarehouse>,
    has_lost: AtomicBool,
}

#[async_trait]
impl Warehouse for LosesTheFirstAnswer {
    async fn ensure_load(&self, job: &str, load: &Load) -> PortResult<JobState<TableWrite>> {
        let answer = self.inner.ensure_load(job, load).await;
        if self.has_lost.swap(true, Ordering::Relaxed) {
            return answer;
        }
        Err(PortError::unavailable("the connection was reset"))
    }

    async fn ensure_transform(&self, job: &str, transform: &TransformTable) -> PortResult<JobState<TableWrite>> {
        self.inner.ensure_transform(job, transform).await
    }

    async fn ensure_export(&self, job: &str, export: &ExportJob) -> PortResult<JobState<ExportWrite>> {
        self.inner.ensure_export(job, export).await
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

#[tokio::test]
async fn a_load_whose_answer_was_lost_is_delivered_again_and_loads_once() {
    let warehouse = Arc::new(warehouse().await);
    let flaky = Arc::new(LosesTheFirstAnswer { inner: warehouse.clone(), has_lost: AtomicBool::new(false) });
    let bus = Arc::new(MemoryBus::new());
    let handler = StepHandler::new(LoadTable::new(flaky), bus.clone(), Arc::new(SystemClock));
    let delivery = delivery(command(WriteMode::Append, 1));
    assert!(matches!(handler.handle(&delivery).await, Ack::Retry { .. }));
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    assert_eq!(warehouse.commits().len(), 1);
    let ids: Vec<String> =
        bus.events().iter().filter(|event| matches!(event, Event::StepDone(_))).map(Event::id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1], "the same fact has the same id, so that its taker sees a duplicate");
}

fn delivery(command: Command<Load>) -> Envelope {
    let event = Event::Command(Command { step: command.step, work: Work::LoadTable(command.work) });
    Envelope { event, time: "2026-01-01T00:00:00Z".parse().unwrap(), traceparent: None }
}
