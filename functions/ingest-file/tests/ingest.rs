//! `ingest-file` on memory ports: one batch, however often it is asked for and wherever it is cut off.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    io::Write,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use millstream_events::{
    Command, Envelope, Event, Fingerprint, StepRef,
    contract::{Column, Contract, FileOptions, MaxBad},
    fact::{BatchIngested, Outcome, Reason},
    names::ObjectPath,
    work::{IngestFile as Ingest, Work},
};
use millstream_ingest_file::IngestFile;
use millstream_ports::{
    ByteStream, ObjectMeta, ObjectRead, ObjectStore, ObjectStoreExt, PortError, PortResult, Precondition, SystemClock,
    memory::{MemoryBus, MemoryObjectStore},
};
use millstream_runtime::{Ack, Failure, Function, Handler, Progress, StepHandler};
use millstream_tabular::Limits;
use tempfile::TempDir;

const UPLOAD: &str = "gs://landing/orders/day.csv";
const BATCH: &str = "gs://lake/batches/orders/1.parquet";
const QUARANTINE: &str = "gs://lake/quarantine/orders/1.jsonl";
const REPORT: &str = "gs://lake/batches/orders/1.parquet.report.json";

const ORDERS: &str = "id,amount,colour\n1,10,red\n2,ten,red\n3,30,blue\n";

fn path(text: &str) -> ObjectPath {
    text.parse().unwrap()
}

fn column(name: &str, kind: &str) -> Column {
    Column { name: name.into(), kind: kind.parse().unwrap(), required: false, description: None }
}

struct World {
    store: Arc<MemoryObjectStore>,
    scratch: TempDir,
}

impl World {
    fn new() -> Self {
        Self { store: Arc::new(MemoryObjectStore::new()), scratch: TempDir::new().unwrap() }
    }

    /// Uploads a file, and the command that is owed for it.
    async fn upload(&self, text: &str) -> Command<Ingest> {
        let meta = self.store.put(&path(UPLOAD), text.to_owned(), Precondition::None).await.unwrap();
        command_for(&meta)
    }

    fn function(&self) -> IngestFile {
        self.function_on(self.store.clone())
    }

    fn function_on(&self, store: Arc<dyn ObjectStore>) -> IngestFile {
        IngestFile::new(store, Limits::default(), self.scratch.path().join("scratch"))
    }

    async fn names(&self) -> Vec<String> {
        self.store.names("lake", "").await.unwrap().iter().map(ToString::to_string).collect()
    }

    async fn text(&self, at: &str) -> String {
        String::from_utf8(self.store.read(&path(at), 1 << 20).await.unwrap().to_vec()).unwrap()
    }

    fn scratch_is_empty(&self) -> bool {
        std::fs::read_dir(self.scratch.path().join("scratch")).is_ok_and(|mut files| files.next().is_none())
    }
}

fn command_for(meta: &ObjectMeta) -> Command<Ingest> {
    let work = Ingest {
        object: path(UPLOAD),
        generation: meta.generation,
        size: meta.size,
        crc32c: meta.crc32c,
        contract: Contract {
            columns: vec![column("id", "INT64"), column("amount", "INT64"), column("note", "STRING")],
            max_bad: MaxBad::Share(0.5),
            ..Contract::default()
        },
        options: FileOptions::default(),
        keys: Vec::new(),
        batch: path(BATCH),
        quarantine: path(QUARANTINE),
    };
    let step = StepRef {
        run: "shop".parse().unwrap(),
        step: "ingest/orders".parse().unwrap(),
        fingerprint: Fingerprint::of("ingest", []),
        attempt: 1,
    };
    Command { step, work }
}

fn ingested(progress: Progress) -> BatchIngested {
    match progress {
        Progress::Done(Outcome::BatchIngested(batch)) => batch,
        other => panic!("not done: {other:?}"),
    }
}

fn permanent(failure: Failure) -> Reason {
    match failure {
        Failure::Permanent(reason) => reason,
        Failure::Retry(error) => panic!("would be retried: {error}"),
    }
}

#[tokio::test]
async fn good_rows_become_a_batch_and_bad_ones_go_to_quarantine() {
    let world = World::new();
    let command = world.upload(ORDERS).await;
    let batch = ingested(world.function().ensure(&command).await.unwrap());
    assert_eq!((batch.rows, batch.bad_rows), (2, 1));
    assert_eq!((batch.batch, batch.quarantine), (path(BATCH), Some(path(QUARANTINE))));
    assert_eq!(batch.reasons.into_iter().collect::<Vec<_>>(), [("amount: not_int64".to_owned(), 1)]);
    assert_eq!(
        batch.notes,
        [
            "the file's columns that the contract has not were left out: colour",
            "the contract's columns that the file has not are NULL: note",
        ]
    );
    let quarantined = world.text(QUARANTINE).await;
    assert!(quarantined.contains("2,ten,red") && quarantined.lines().count() == 1, "{quarantined}");
    assert!(world.store.read(&path(BATCH), 1 << 20).await.unwrap().starts_with(b"PAR1"));
    assert!(world.scratch_is_empty());
}

#[tokio::test]
async fn a_file_without_bad_rows_leaves_no_quarantine() {
    let world = World::new();
    let command = world.upload("id,amount,note\n1,10,x\n").await;
    let batch = ingested(world.function().ensure(&command).await.unwrap());
    assert_eq!((batch.bad_rows, batch.quarantine), (0, None));
    assert_eq!(world.names().await, [BATCH, REPORT]);
}

#[tokio::test]
async fn asked_for_again_it_answers_the_same_even_when_the_upload_is_gone() {
    let world = World::new();
    let command = world.upload(ORDERS).await;
    let first = ingested(world.function().ensure(&command).await.unwrap());
    let written = world.store.stat(&path(BATCH)).await.unwrap();
    world.store.delete(&path(UPLOAD), Precondition::None).await.unwrap();
    assert_eq!(ingested(world.function().ensure(&command).await.unwrap()), first);
    assert_eq!(world.store.stat(&path(BATCH)).await.unwrap(), written);
}

#[tokio::test]
async fn a_rejected_file_says_where_and_why_keeps_its_bad_rows_and_stays_rejected() {
    let world = World::new();
    let mut command = world.upload("id,amount,note\n1,x,\n2,y,\n3,3,\n").await;
    command.work.contract.max_bad = MaxBad::Rows(1);
    let reason = permanent(world.function().ensure(&command).await.unwrap_err());
    assert!(reason.message.starts_with(&format!("{UPLOAD} was rejected")), "{}", reason.message);
    assert_eq!(reason.kept, [path(QUARANTINE)]);
    assert!(!world.store.exists(&path(BATCH)).await.unwrap(), "nothing of a rejected file is to load");
    assert_eq!(permanent(world.function().ensure(&command).await.unwrap_err()), reason);
}

#[tokio::test]
async fn a_rejection_names_the_line() {
    let world = World::new();
    let command = world.upload("id,id\n1,2\n").await;
    let reason = permanent(world.function().ensure(&command).await.unwrap_err());
    assert!(reason.message.contains("line 1"), "{}", reason.message);
    assert!(reason.kept.is_empty());
}

#[tokio::test]
async fn a_replaced_upload_is_left_to_the_newer_ones_step() {
    let world = World::new();
    let old = world.upload(ORDERS).await;
    world.upload("id,amount,note\n9,9,\n").await;
    let reason = permanent(world.function().ensure(&old).await.unwrap_err());
    assert!(reason.message.contains("was replaced"), "{}", reason.message);
    assert!(world.names().await.is_empty(), "no account is kept: it says nothing about the bytes");
}

#[tokio::test]
async fn the_same_bytes_uploaded_again_are_as_good() {
    let world = World::new();
    let old = world.upload(ORDERS).await;
    world.upload(ORDERS).await;
    assert_eq!(ingested(world.function().ensure(&old).await.unwrap()).rows, 2);
}

#[tokio::test]
async fn a_deleted_upload_is_a_permanent_failure_that_says_what_to_do() {
    let world = World::new();
    let command = world.upload(ORDERS).await;
    world.store.delete(&path(UPLOAD), Precondition::None).await.unwrap();
    let reason = permanent(world.function().ensure(&command).await.unwrap_err());
    assert!(reason.message.ends_with("upload it again"), "{}", reason.message);
}

#[tokio::test]
async fn redelivered_commands_publish_one_and_the_same_fact() {
    let world = World::new();
    let Command { step, work } = world.upload(ORDERS).await;
    let bus = Arc::new(MemoryBus::new());
    let handler = StepHandler::new(world.function(), bus.clone(), Arc::new(SystemClock));
    let event = Event::Command(Command { step, work: Work::IngestFile(work) });
    let delivery = Envelope { event, time: "2026-01-01T00:00:00Z".parse().unwrap(), traceparent: None };
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    let facts = bus.events();
    assert_eq!(facts.len(), 2);
    assert_eq!(facts[0], facts[1]);
}

/// The store in memory, whose nth write is cut off (before it happens or before its answer comes), and whose uploads may
/// be files.
#[derive(Debug)]
struct Rigged {
    inner: Arc<MemoryObjectStore>,
    writes_left: AtomicI32,
    happens: bool,
    file: Option<PathBuf>,
}

impl Rigged {
    fn cut_off_at(inner: Arc<MemoryObjectStore>, nth: i32, happens: bool) -> Self {
        Self { inner, writes_left: AtomicI32::new(nth), happens, file: None }
    }
}

#[async_trait]
impl ObjectStore for Rigged {
    async fn get(&self, path: &ObjectPath, generation: Option<u64>) -> PortResult<ObjectRead> {
        self.inner.get(path, generation).await
    }

    async fn put_stream(&self, path: &ObjectPath, body: ByteStream, when: Precondition) -> PortResult<ObjectMeta> {
        if self.writes_left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return self.inner.put_stream(path, body, when).await;
        }
        if self.happens {
            self.inner.put_stream(path, body, when).await?;
        }
        Err(PortError::unavailable("cut off"))
    }

    async fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta> {
        self.inner.stat(path).await
    }

    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, PortResult<ObjectMeta>> {
        self.inner.list(bucket, prefix)
    }

    async fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        self.inner.delete(path, when).await
    }

    fn local_path(&self, path: &ObjectPath) -> Option<PathBuf> {
        self.file.clone().filter(|_| path.bucket() == "landing")
    }
}

#[tokio::test]
async fn an_ingest_cut_off_at_any_write_is_the_same_when_asked_for_again() {
    let whole = World::new();
    let command = whole.upload(ORDERS).await;
    let expected = ingested(whole.function().ensure(&command).await.unwrap());
    let batch = whole.store.read(&path(BATCH), 1 << 20).await.unwrap();

    for happens in [false, true] {
        // The quarantine, the batch, the account.
        for nth in 1..=3 {
            let world = World::new();
            let command = world.upload(ORDERS).await;
            let function = world.function_on(Arc::new(Rigged::cut_off_at(world.store.clone(), nth, happens)));
            let error = function.ensure(&command).await.unwrap_err();
            assert!(matches!(error, Failure::Retry(_)), "write {nth}: {error}");
            assert!(world.scratch_is_empty());

            assert_eq!(ingested(function.ensure(&command).await.unwrap()), expected, "write {nth}");
            assert_eq!(world.store.read(&path(BATCH), 1 << 20).await.unwrap(), batch);
            assert_eq!(world.names().await, [BATCH, REPORT, QUARANTINE]);
        }
    }
}

#[tokio::test]
async fn a_store_with_files_is_read_as_files() {
    let world = World::new();
    let command = world.upload("the stream of this object is not to be read").await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(ORDERS.as_bytes()).unwrap();
    let rigged = Rigged { file: Some(file.path().to_owned()), ..Rigged::cut_off_at(world.store.clone(), 0, false) };
    let batch = ingested(world.function_on(Arc::new(rigged)).ensure(&command).await.unwrap());
    assert_eq!((batch.rows, batch.bad_rows), (2, 1));
}

#[tokio::test]
async fn a_large_upload_arrives_whole_through_a_stream_in_chunks() {
    let world = World::new();
    let rows = 20_000;
    let mut text = String::from("id,amount,note\n");
    for id in 0..rows {
        text.push_str(&format!("{id},{id},some words to make it longer than one chunk\n"));
    }
    let command = world.upload(&text).await;
    assert_eq!(ingested(world.function().ensure(&command).await.unwrap()).rows, rows);
}
