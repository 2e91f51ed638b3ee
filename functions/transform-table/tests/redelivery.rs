//! `transform-table` on memory ports: one effect, however often it is asked for, and patience with its inputs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use millstream_events::{
    Command, Envelope, Event, Fingerprint, StepRef,
    fact::{Outcome, TableUpdated},
    names::{ObjectPath, TableName},
    work::{LoadTable, TableLayout, TransformTable as Transform, Work, WriteMode},
};
use millstream_ports::{
    ObjectStoreExt, Precondition, SystemClock, Warehouse,
    memory::{MemoryBus, MemoryObjectStore, MemoryWarehouse},
};
use millstream_runtime::{Ack, Function, Handler, Progress, StepHandler};
use millstream_transform_table::TransformTable;

fn table(name: &str) -> TableName {
    name.parse().unwrap()
}

/// A warehouse with the named tables.
async fn warehouse(tables: &[&str]) -> Arc<MemoryWarehouse> {
    let store = Arc::new(MemoryObjectStore::new());
    let batch: ObjectPath = "gs://lake/batch.jsonl".parse().unwrap();
    store.put(&batch, "{\"id\":1}\n", Precondition::None).await.unwrap();
    let warehouse = Arc::new(MemoryWarehouse::new(store));
    for name in tables {
        add_table(&warehouse, name).await;
    }
    warehouse
}

async fn add_table(warehouse: &MemoryWarehouse, name: &str) {
    let load = LoadTable {
        batches: vec!["gs://lake/batch.jsonl".parse().unwrap()],
        table: table(name),
        columns: Vec::new(),
        write: WriteMode::Replace,
        layout: TableLayout::default(),
        sequence: 1,
        uploaded: None,
        deletes: false,
    };
    warehouse.ensure_load(&name.replace('.', "-"), &load).await.unwrap();
}

fn command(write: WriteMode) -> Command<Transform> {
    let work = Transform {
        table: table("production.orders"),
        sql: "SELECT * FROM source.orders JOIN source.customers USING (customer_id)".into(),
        inputs: vec![table("source.orders"), table("source.customers")],
        write,
        layout: TableLayout::default(),
        expect: Vec::new(),
    };
    let step = StepRef {
        run: "shop".parse().unwrap(),
        step: "model/production.orders".parse().unwrap(),
        fingerprint: Fingerprint::of("model", []),
        attempt: 1,
    };
    Command { step, work }
}

fn updated(progress: Progress) -> TableUpdated {
    match progress {
        Progress::Done(Outcome::TableUpdated(updated)) => updated,
        other => panic!("not done: {other:?}"),
    }
}

#[tokio::test]
async fn a_transform_asked_for_twice_writes_once() {
    let warehouse = warehouse(&["source.orders", "source.customers"]).await;
    let before = warehouse.commits().len();
    let function = TransformTable::new(warehouse.clone());
    let command = command(WriteMode::Append);
    let first = updated(function.ensure(&command).await.unwrap());
    assert_eq!(first, updated(function.ensure(&command).await.unwrap()));
    assert_eq!(warehouse.commits().len(), before + 1);
}

#[tokio::test]
async fn a_missing_input_is_waited_for_by_name() {
    let warehouse = warehouse(&["source.orders"]).await;
    let function = TransformTable::new(warehouse.clone());
    let command = command(WriteMode::Replace);
    match function.ensure(&command).await.unwrap() {
        Progress::Pending { reason, .. } => assert_eq!(reason, "waits for source.customers"),
        done @ Progress::Done(_) => panic!("{done:?} without its input"),
    }
    add_table(&warehouse, "source.customers").await;
    assert_eq!(updated(function.ensure(&command).await.unwrap()).table, table("production.orders"));
}

#[tokio::test]
async fn redelivered_commands_publish_one_and_the_same_fact() {
    let warehouse = warehouse(&["source.orders", "source.customers"]).await;
    let before = warehouse.commits().len();
    let bus = Arc::new(MemoryBus::new());
    let handler = StepHandler::new(TransformTable::new(warehouse.clone()), bus.clone(), Arc::new(SystemClock));
    let Command { step, work } = command(WriteMode::Replace);
    let event = Event::Command(Command { step, work: Work::TransformTable(work) });
    let delivery = Envelope { event, time: "2026-01-01T00:00:00Z".parse().unwrap(), traceparent: None };
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    let facts = bus.events();
    assert_eq!(facts.len(), 2);
    assert_eq!(facts[0], facts[1]);
    assert_eq!(warehouse.commits().len(), before + 1);
}

#[tokio::test]
async fn a_running_query_is_pending_until_it_is_done() {
    let store = Arc::new(MemoryObjectStore::new());
    let function = TransformTable::new(Arc::new(MemoryWarehouse::new(store).slow(1)));
    let mut command = command(WriteMode::Replace);
    command.work.inputs.clear();
    assert!(matches!(function.ensure(&command).await.unwrap(), Progress::Pending { .. }));
    updated(function.ensure(&command).await.unwrap());
}
