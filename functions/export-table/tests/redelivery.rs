//! `export-table` on memory ports: one copy, however often it is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use millstream_events::{
    Command, Envelope, Event, Fingerprint, StepRef,
    fact::{Outcome, TableExported},
    names::ObjectPath,
    work::{ExportTable as Export, LoadTable, TableLayout, Work, WriteMode},
};
use millstream_export_table::ExportTable;
use millstream_ports::{
    ObjectStore, ObjectStoreExt, Precondition, SystemClock, Warehouse,
    memory::{MemoryBus, MemoryObjectStore, MemoryWarehouse},
};
use millstream_runtime::{Ack, Function, Handler, Progress, StepHandler};

const BATCH: &str = "gs://lake/batch.jsonl";
const COPY: &str = "gs://lake/exports/orders.parquet";

struct World {
    store: Arc<MemoryObjectStore>,
    warehouse: Arc<MemoryWarehouse>,
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(MemoryObjectStore::new());
        let batch: ObjectPath = BATCH.parse().unwrap();
        store.put(&batch, "{\"id\":1}\n{\"id\":2}\n", Precondition::None).await.unwrap();
        Self { warehouse: Arc::new(MemoryWarehouse::new(store.clone())), store }
    }

    async fn load(&self, job: &str) {
        let load = LoadTable {
            batches: vec![BATCH.parse().unwrap()],
            table: "source.orders".parse().unwrap(),
            columns: Vec::new(),
            write: WriteMode::Append,
            layout: TableLayout::default(),
            sequence: 1,
            uploaded: None,
            deletes: false,
        };
        self.warehouse.ensure_load(job, &load).await.unwrap();
    }
}

fn command() -> Command<Export> {
    let work = Export { table: "source.orders".parse().unwrap(), to: COPY.parse().unwrap() };
    let step = StepRef {
        run: "shop".parse().unwrap(),
        step: "export/orders".parse().unwrap(),
        fingerprint: Fingerprint::of("export", []),
        attempt: 1,
    };
    Command { step, work }
}

fn exported(progress: Progress) -> TableExported {
    match progress {
        Progress::Done(Outcome::TableExported(exported)) => exported,
        other => panic!("not done: {other:?}"),
    }
}

#[tokio::test]
async fn an_export_asked_for_again_after_the_table_changed_stays_as_it_was() {
    let world = World::new().await;
    world.load("first").await;
    let function = ExportTable::new(world.warehouse.clone());
    let first = exported(function.ensure(&command()).await.unwrap());
    assert_eq!((first.rows, first.files.clone()), (2, vec![COPY.parse().unwrap()]));
    let written = world.store.stat(&first.files[0]).await.unwrap();

    world.load("second").await;
    assert_eq!(exported(function.ensure(&command()).await.unwrap()), first);
    assert_eq!(world.store.stat(&first.files[0]).await.unwrap(), written);
}

#[tokio::test]
async fn a_table_that_is_not_there_yet_is_waited_for() {
    let world = World::new().await;
    let function = ExportTable::new(world.warehouse.clone());
    match function.ensure(&command()).await.unwrap() {
        Progress::Pending { reason, .. } => assert_eq!(reason, "waits for source.orders"),
        done @ Progress::Done(_) => panic!("{done:?} without its table"),
    }
    world.load("first").await;
    assert_eq!(exported(function.ensure(&command()).await.unwrap()).rows, 2);
}

#[tokio::test]
async fn redelivered_commands_publish_one_and_the_same_fact() {
    let world = World::new().await;
    world.load("first").await;
    let bus = Arc::new(MemoryBus::new());
    let handler = StepHandler::new(ExportTable::new(world.warehouse.clone()), bus.clone(), Arc::new(SystemClock));
    let Command { step, work } = command();
    let event = Event::Command(Command { step, work: Work::ExportTable(work) });
    let delivery = Envelope { event, time: "2026-01-01T00:00:00Z".parse().unwrap(), traceparent: None };
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    let facts = bus.events();
    assert_eq!(facts.len(), 2);
    assert_eq!(facts[0], facts[1]);
}
