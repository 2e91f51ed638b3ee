//! The warehouse's contract on bqemulator, as far as it follows BigQuery. The rules it gets wrong are in
//! `as_documented.rs`, and listed in the crate's README.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema},
    json::ReaderBuilder,
};
use async_trait::async_trait;
use millstream_embedded::objects::{LocalObjectStore, StoreOptions};
use millstream_events::{
    contract::{Column, ColumnType},
    extract::DELETED_COLUMN,
    names::{ObjectPath, TableName},
    work::{LoadTable, TableLayout, TransformTable, WriteMode},
};
use millstream_gcp_bigquery::{BigQueryWarehouse, Settings};
use millstream_gcp_client::{Connection, Emulators, Service, install_tls};
use millstream_peers::{bigquery::BigQueryEmulator, pubsub::PROJECT};
use millstream_ports::{
    ErrorKind, JobState, ObjectStore, ObjectStoreExt, Precondition, SystemClock, Warehouse,
    contracts::{WarehousePeer, warehouse, warehouse_sql},
};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use tempfile::TempDir;

const BUCKET: &str = "lake";

/// The emulator, and the store that it reads and writes as files.
struct Cloud {
    _emulator: BigQueryEmulator,
    _root: TempDir,
    store: Arc<LocalObjectStore>,
    warehouse: BigQueryWarehouse,
}

impl Cloud {
    async fn start() -> Self {
        install_tls();
        let root = TempDir::new().unwrap();
        let store = Arc::new(LocalObjectStore::open(root.path(), StoreOptions::default()).unwrap());
        let bucket = store.bucket_folder(BUCKET).await.unwrap();
        let emulator = BigQueryEmulator::start(bucket.parent().unwrap());
        let emulators = Emulators::default().with(Service::BigQuery, &emulator.url());
        let connection = Connection::new(PROJECT, emulators).unwrap();
        let shared: Arc<dyn ObjectStore> = Arc::<LocalObjectStore>::clone(&store);
        let warehouse =
            BigQueryWarehouse::connect(&connection, Settings::default(), shared, Arc::new(SystemClock)).await.unwrap();
        Self { _emulator: emulator, _root: root, store, warehouse }
    }
}

#[async_trait]
impl WarehousePeer for Cloud {
    fn warehouse(&self) -> &dyn Warehouse {
        &self.warehouse
    }

    fn store(&self) -> (&dyn ObjectStore, &str) {
        (self.store.as_ref(), BUCKET)
    }

    fn dataset(&self) -> &str {
        "contract"
    }

    async fn write_batch(&self, to: &ObjectPath, columns: &[Column], rows: &[Value]) {
        let kind = |kind: &ColumnType| match kind {
            ColumnType::Int64 => DataType::Int64,
            ColumnType::Float64 => DataType::Float64,
            ColumnType::String => DataType::Utf8,
            ColumnType::Bool => DataType::Boolean,
            other => panic!("the suite has no {other}"),
        };
        let fields: Vec<Field> =
            columns.iter().map(|column| Field::new(&column.name, kind(&column.kind), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let mut decoder = ReaderBuilder::new(Arc::clone(&schema)).build_decoder().unwrap();
        decoder.serialize(rows).unwrap();
        let batch = decoder.flush().unwrap().unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&schema)));
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
        writer.write(&batch).unwrap();
        self.store.put(to, writer.into_inner().unwrap(), Precondition::None).await.unwrap();
        // The emulator writes an export only into a folder that is there.
        let beside = self.store.local_path(to).unwrap().with_file_name("export");
        std::fs::create_dir_all(beside).unwrap();
    }
}

/// Runs rules of a suite on one peer and says which of them is running.
macro_rules! rules {
    ($peer:expr, $suite:ident: $($rule:ident),* $(,)?) => {
        $(
            eprintln!("{}", stringify!($rule));
            $suite::$rule($peer).await;
        )*
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract_that_the_emulator_keeps() {
    let cloud = Cloud::start().await;
    rules!(&cloud, warehouse:
        a_job_asked_for_again_has_one_effect,
        a_job_asked_for_by_many_at_once_has_one_effect,
        an_older_replace_is_superseded,
        a_load_that_fails_leaves_the_old_rows,
        versions_grow_with_every_commit,
        what_is_not_there_is_not_found,
        tables_are_listed_with_what_they_hold,
        an_export_can_be_loaded_again,
        an_export_asked_for_again_is_the_same,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_sql_contract_that_the_emulator_keeps() {
    let cloud = Cloud::start().await;
    rules!(&cloud, warehouse_sql:
        a_transform_fills_its_table_from_bigquery_sql,
        a_transform_asked_for_again_has_one_effect,
        a_transform_that_breaks_an_expectation_changes_nothing,
        wrong_sql_is_invalid_and_changes_nothing,
        a_query_answers_at_most_its_limit,
        values_are_answered_as_json_by_type,
        a_query_cannot_write,
        an_export_has_the_form_it_was_asked_for,
    );
}

/// The emulator counts a table's rows only after loads, so that the contract's own rules on merges cannot pass.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_overwrites_by_key_and_of_rows_with_one_key_the_last_wins() {
    let cloud = Cloud::start().await;
    let columns = [column("id", ColumnType::Int64, true), column("name", ColumnType::String, false)];
    let row = |id: i64, name: &str| json!({ "id": id, "name": name });
    let table: TableName = "merged.t".parse().unwrap();
    let write = async |job: &str, files: &[(&str, Vec<Value>)]| {
        let mut batches = Vec::new();
        for (file, rows) in files {
            let batch = ObjectPath::new(BUCKET, format!("merged/{file}.parquet")).unwrap();
            cloud.write_batch(&batch, &columns, rows).await;
            batches.push(batch);
        }
        let load = LoadTable {
            batches,
            table: table.clone(),
            columns: columns.to_vec(),
            write: WriteMode::Merge { key: vec!["id".into()] },
            layout: TableLayout::default(),
            sequence: 1,
            uploaded: None,
            deletes: false,
        };
        let state = cloud.warehouse.ensure_load(job, &load).await.unwrap();
        assert!(matches!(state, JobState::Done(_)));
        assert_eq!(cloud.warehouse.ensure_load(job, &load).await.unwrap(), state);
        let mut rows: Vec<String> = cloud.rows(&table).await.iter().map(Value::to_string).collect();
        rows.sort();
        rows
    };
    let text = |rows: &[Value]| rows.iter().map(Value::to_string).collect::<Vec<_>>();
    let first = write("a", &[("a", vec![row(1, "one"), row(2, "old"), row(1, "uno")])]).await;
    assert_eq!(first, text(&[row(1, "uno"), row(2, "old")]));
    // The order of the files counts, not that of their names.
    let files = [("z", vec![row(2, "new"), row(3, "three"), row(2, "newer")]), ("b", vec![row(2, "newest")])];
    assert_eq!(write("b", &files).await, text(&[row(1, "uno"), row(2, "newest"), row(3, "three")]));
    let left = cloud.warehouse.tables().await.unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    let objects = cloud.store.names(BUCKET, "merged/").await.unwrap();
    assert_eq!(objects.len(), 3, "the numbered copies are removed: {objects:?}");
}

/// The contract's own rules on marked rows compare counts, which the emulator gets wrong after merges and appends.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_marked_as_deleted_are_taken_out_by_a_merge_and_left_out_otherwise() {
    let cloud = Cloud::start().await;
    let columns = [column("id", ColumnType::Int64, true), column("name", ColumnType::String, false)];
    let marked = [columns.as_slice(), &[column(DELETED_COLUMN, ColumnType::Bool, false)]].concat();
    let row = |id: i64, name: &str| json!({ "id": id, "name": name });
    let there = |id: i64, name: &str| json!({ "id": id, "name": name, DELETED_COLUMN: false });
    let gone = |id: i64| json!({ "id": id, DELETED_COLUMN: true });
    let write = async |table: &str, job: &str, write: WriteMode, sequence: u64, files: &[&[Value]]| {
        let mut batches = Vec::new();
        for (at, rows) in files.iter().enumerate() {
            let batch = ObjectPath::new(BUCKET, format!("deletes/{table}-{job}-{at}.parquet")).unwrap();
            cloud.write_batch(&batch, &marked, rows).await;
            batches.push(batch);
        }
        let table: TableName = format!("deletes.{table}").parse().unwrap();
        let load = LoadTable {
            batches,
            table: table.clone(),
            columns: columns.to_vec(),
            write,
            layout: TableLayout::default(),
            sequence,
            uploaded: None,
            deletes: true,
        };
        let job = format!("{}-{job}", table.table());
        assert!(matches!(cloud.warehouse.ensure_load(&job, &load).await.unwrap(), JobState::Done(_)));
        let mut rows: Vec<String> = cloud.rows(&table).await.iter().map(Value::to_string).collect();
        rows.sort();
        rows
    };
    let text = |rows: &[Value]| rows.iter().map(Value::to_string).collect::<Vec<_>>();
    let merge = || WriteMode::Merge { key: vec!["id".into()] };
    let first = [there(1, "one"), gone(2), there(3, "three"), gone(3), row(4, "four")];
    assert_eq!(write("merged", "a", merge(), 1, &[&first]).await, text(&[row(1, "one"), row(4, "four")]));
    let (early, late) = ([gone(1), there(2, "two"), there(5, "five")], [there(1, "uno"), gone(4), gone(5), gone(9)]);
    assert_eq!(write("merged", "b", merge(), 1, &[&early, &late]).await, text(&[row(1, "uno"), row(2, "two")]));
    for (table, mode) in [("appended", WriteMode::Append), ("replaced", WriteMode::Replace)] {
        let rows = [there(1, "one"), gone(2)];
        assert_eq!(write(table, "a", mode.clone(), 1, &[&rows]).await, text(&[row(1, "one")]));
        let rows = write(table, "b", mode.clone(), 2, &[&[gone(1), row(2, "two")], &[gone(3), there(4, "four")]]).await;
        let kept = usize::from(mode == WriteMode::Replace);
        assert_eq!(rows, text(&[row(1, "one"), row(2, "two"), row(4, "four")][kept..]));
    }
    let left = cloud.warehouse.tables().await.unwrap();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.iter().all(|facts| facts.columns.len() == 2), "{left:?}");
    let objects = cloud.store.names(BUCKET, "deletes/").await.unwrap();
    assert_eq!(objects.len(), 9, "the copies are removed: {objects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transform_merges_what_is_staged_and_doubled_keys_are_refused() {
    let cloud = Cloud::start().await;
    let transform = |sql: &str| TransformTable {
        table: "staging.t".parse().unwrap(),
        sql: sql.into(),
        inputs: Vec::new(),
        write: WriteMode::Merge { key: vec!["id".into()] },
        layout: TableLayout::default(),
        expect: Vec::new(),
    };
    for (job, sql) in [("a", "SELECT 1 AS id, 'one' AS name"), ("b", "SELECT 1 AS id, 'uno' AS name, TRUE AS seen")] {
        let state = cloud.warehouse.ensure_transform(job, &transform(sql)).await.unwrap();
        assert!(matches!(state, JobState::Done(_)));
    }
    let doubled = transform("SELECT id, 'x' AS name FROM UNNEST([2, 2]) AS id");
    let error = cloud.warehouse.ensure_transform("c", &doubled).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("same key (id)"), "{error}");
    let rows = cloud.rows(&"staging.t".parse().unwrap()).await;
    assert_eq!(rows, [json!({ "id": 1, "name": "uno", "seen": true })]);
}

fn column(name: &str, kind: ColumnType, required: bool) -> Column {
    Column { name: name.to_owned(), kind, required, description: None }
}
