//! A table, a bucket and the function between them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use arrow::{array::RecordBatch, compute::concat_batches, util::display::array_value_to_string};
use async_trait::async_trait;
use futures::stream::BoxStream;
use millstream_events::{
    Command, Fingerprint, StepRef,
    contract::{Column, ColumnType, Contract, MaxBad},
    extract::{Bookmark, Changes, Connection, Cursor, ExtractLimits, ExtractSource as Extract, Selection, SourceKind},
    fact::{Outcome, Reason, SourceExtracted},
    names::ObjectPath,
};
use millstream_extract_source::ExtractSource;
use millstream_ports::{
    ByteStream, ObjectMeta, ObjectRead, ObjectStore, ObjectStoreExt, PortError, PortResult, Precondition, Sources,
    memory::{MemoryCell, MemoryObjectStore, MemorySource, MemorySources, MemoryTable},
};
use millstream_runtime::{Failure, Function, Progress};
use millstream_tabular::Limits;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

/// The folder of the extractions of the source; each has one of its own in it.
pub(crate) const BATCHES: &str = "gs://lake/batches/shop/items";
pub(crate) const QUARANTINE: &str = "gs://lake/quarantine/shop/items";

pub(crate) fn path(text: &str) -> ObjectPath {
    text.parse().unwrap()
}

pub(crate) fn connection() -> Connection {
    Connection { from: SourceKind::Postgres, secret: Some("crm".parse().unwrap()), ca: None }
}

/// Columns as a contract writes them: `id INT64 required, name STRING`.
pub(crate) fn columns(text: &str) -> Vec<Column> {
    let column = |text: &str| {
        let (required, text) = text.strip_suffix(" required").map_or((false, text), |text| (true, text));
        let (name, kind) = text.split_once(' ').unwrap();
        Column { name: name.into(), kind: kind.parse().unwrap(), required, description: None }
    };
    text.split(", ").map(column).collect()
}

/// `items(id, name, changed)` with ids from 1.
pub(crate) fn items(count: i64) -> MemoryTable {
    let definition = [("id", ColumnType::Int64), ("name", ColumnType::String), ("changed", ColumnType::Int64)];
    let mut table = MemoryTable::new(&definition, &["id"]);
    table.rows = (1..=count).map(|id| item(id, &format!("item {id}"), id)).collect();
    table
}

pub(crate) fn item(id: i64, name: &str, changed: i64) -> Vec<MemoryCell> {
    vec![id.into(), name.into(), changed.into()]
}

/// What `items(count)` is in the batches.
pub(crate) fn item_rows(ids: impl IntoIterator<Item = i64>) -> Vec<Vec<String>> {
    ids.into_iter().map(|id| vec![id.to_string(), format!("item {id}"), id.to_string()]).collect()
}

pub(crate) struct World {
    pub(crate) source: MemorySource,
    pub(crate) sources: Arc<MemorySources>,
    pub(crate) store: Arc<MemoryObjectStore>,
    scratch: TempDir,
}

impl World {
    pub(crate) fn with(table: MemoryTable) -> Self {
        let (source, sources) = (MemorySource::new(), MemorySources::new());
        source.put_table("items", table);
        sources.put(connection(), source.clone());
        let store = Arc::new(MemoryObjectStore::new());
        Self { source, sources: Arc::new(sources), store, scratch: TempDir::new().unwrap() }
    }

    /// Another process.
    pub(crate) fn function(&self) -> ExtractSource {
        self.function_on(self.store.clone())
    }

    pub(crate) fn function_on(&self, store: Arc<dyn ObjectStore>) -> ExtractSource {
        self.function_with(self.sources.clone(), store)
    }

    pub(crate) fn function_with(&self, sources: Arc<dyn Sources>, store: Arc<dyn ObjectStore>) -> ExtractSource {
        let limits = Limits { threads: 2, ..Limits::default() };
        ExtractSource::new(sources, store, limits, self.scratch.path().join("scratch"))
    }

    /// Asks a process of its own.
    pub(crate) async fn extract(&self, work: &Extract) -> SourceExtracted {
        extracted(self.function().ensure(&command(work)).await.unwrap())
    }

    pub(crate) async fn refusal(&self, work: &Extract) -> Reason {
        permanent(self.function().ensure(&command(work)).await.unwrap_err())
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        self.store.names("lake", "").await.unwrap().iter().map(ToString::to_string).collect()
    }

    pub(crate) async fn text(&self, at: &ObjectPath) -> String {
        String::from_utf8(self.store.read(at, 1 << 20).await.unwrap().to_vec()).unwrap()
    }

    /// A batch as it was written.
    pub(crate) async fn batch(&self, at: &ObjectPath) -> RecordBatch {
        let bytes = self.store.read(at, 1 << 30).await.unwrap();
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let schema = builder.schema().clone();
        let batches: Vec<_> = builder.build().unwrap().collect::<Result<_, _>>().unwrap();
        concat_batches(&schema, &batches).unwrap()
    }

    /// The rows of a fact's batches in their order, as texts.
    pub(crate) async fn rows(&self, extracted: &SourceExtracted) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for path in &extracted.batches {
            let batch = self.batch(path).await;
            let value = |column: usize, row: usize| match batch.column(column).is_null(row) {
                true => "NULL".to_owned(),
                false => array_value_to_string(batch.column(column), row).unwrap(),
            };
            rows.extend(
                (0..batch.num_rows())
                    .map(|row| (0..batch.num_columns()).map(|column| value(column, row)).collect::<Vec<_>>()),
            );
        }
        assert_eq!(rows.len() as u64, extracted.rows);
        rows
    }

    pub(crate) fn scratch_is_empty(&self) -> bool {
        std::fs::read_dir(self.scratch.path().join("scratch")).is_ok_and(|mut files| files.next().is_none())
    }
}

/// Everything of the table, as the source maps it.
pub(crate) fn everything(step: &str) -> Extract {
    Extract {
        connection: connection(),
        select: Selection::Table("items".into()),
        only: Vec::new(),
        split_by: None,
        contract: Contract { max_bad: MaxBad::Share(1.0), ..Contract::default() },
        keys: vec!["id".into()],
        changes: Changes::Everything,
        since: None,
        appends: false,
        limits: ExtractLimits::default(),
        batches: path(&format!("{BATCHES}/{step}")),
        quarantine: path(&format!("{QUARANTINE}/{step}")),
    }
}

/// What changed since a bookmark, by the column `changed`.
pub(crate) fn changes(step: &str, since: Option<&Bookmark>) -> Extract {
    let cursor = Cursor { column: "changed".into(), lookback: None, deleted: None };
    Extract { changes: Changes::Cursor(cursor), since: since.cloned(), ..everything(step) }
}

pub(crate) fn command(work: &Extract) -> Command<Extract> {
    let step = StepRef {
        run: "shop".parse().unwrap(),
        step: "extract/items/turn-1".parse().unwrap(),
        fingerprint: Fingerprint::of("extract", []),
        attempt: 1,
    };
    Command { step, work: work.clone() }
}

pub(crate) fn extracted(progress: Progress) -> SourceExtracted {
    match progress {
        Progress::Done(Outcome::SourceExtracted(extracted)) => extracted,
        other => panic!("not done: {other:?}"),
    }
}

pub(crate) fn permanent(failure: Failure) -> Reason {
    match failure {
        Failure::Permanent(reason) => reason,
        Failure::Retry(error) => panic!("would be retried: {error}"),
    }
}

pub(crate) fn sorted<T: Ord>(mut rows: Vec<T>) -> Vec<T> {
    rows.sort();
    rows
}

/// Waits until something holds that another task brings about.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came about");
}

/// The store in memory, whose nth write is cut off: before it happens or before its answer comes.
#[derive(Debug)]
pub(crate) struct Rigged {
    inner: Arc<MemoryObjectStore>,
    writes_left: AtomicI32,
    happens: bool,
}

impl Rigged {
    pub(crate) fn cut_off_at(inner: Arc<MemoryObjectStore>, nth: i32, happens: bool) -> Self {
        Self { inner, writes_left: AtomicI32::new(nth), happens }
    }

    /// Whether it had as many writes.
    pub(crate) fn has_cut(&self) -> bool {
        self.writes_left.load(Ordering::Relaxed) <= 0
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
}
