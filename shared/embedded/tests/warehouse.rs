//! The warehouse on DuckDB: the port's contract, types, and what a kill or a concurrent reader must not see.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use async_trait::async_trait;
use duckdb::Connection;
use millstream_embedded::{
    objects::{LocalObjectStore, StoreOptions},
    warehouse::{DuckDbWarehouse, WarehouseSettings},
};
use millstream_events::{
    contract::{Column, ColumnType},
    names::{ObjectPath, TableName},
    work::{DataFormat, LoadTable, TableLayout, TransformTable, WriteMode},
};
use millstream_ports::{
    ErrorKind, ExportJob, JobState, ObjectStore, ObjectStoreExt, PortResult, Precondition, TableWrite, Warehouse,
    contracts::{self, warehouse::WarehousePeer},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const BUCKET: &str = "lake";

/// A warehouse, its store and the folder both are in.
struct Machine {
    root: TempDir,
    store: Arc<LocalObjectStore>,
    warehouse: DuckDbWarehouse,
}

fn settings(root: &Path) -> WarehouseSettings {
    WarehouseSettings { memory_limit: Some("1GB".into()), threads: Some(2), scratch: root.join("scratch") }
}

impl Machine {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let store = Arc::new(LocalObjectStore::open(root.path().join("objects"), StoreOptions::default()).unwrap());
        let warehouse = open(root.path(), &store).unwrap();
        Self { root, store, warehouse }
    }

    /// Closes the file and opens it again, as a new process does.
    fn restarted(self) -> Self {
        let Self { root, store, warehouse } = self;
        drop(warehouse);
        let warehouse = open(root.path(), &store).unwrap();
        Self { root, store, warehouse }
    }

    async fn load(
        &self,
        job: &str,
        table: &str,
        select: &str,
        columns: &[(&str, &str)],
        write: WriteMode,
    ) -> PortResult<TableWrite> {
        let batch = ObjectPath::new(BUCKET, format!("{job}.parquet")).unwrap();
        self.store.put(&batch, parquet(self.root.path(), select), Precondition::None).await.unwrap();
        let load = LoadTable {
            batches: vec![batch],
            table: table.parse().unwrap(),
            columns: columns.iter().map(|(name, kind)| column(name, kind)).collect(),
            write,
            layout: TableLayout::default(),
            sequence: 1,
            uploaded: None,
            deletes: false,
        };
        done(self.warehouse.ensure_load(job, &load).await)
    }

    async fn transform(&self, job: &str, table: &str, sql: &str) -> PortResult<TableWrite> {
        let transform = TransformTable {
            table: table.parse().unwrap(),
            sql: sql.into(),
            inputs: Vec::new(),
            write: WriteMode::Replace,
            layout: TableLayout::default(),
            expect: Vec::new(),
        };
        done(self.warehouse.ensure_transform(job, &transform).await)
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        self.warehouse.query(sql, 1_000).await.unwrap().rows
    }
}

fn open(root: &Path, store: &Arc<LocalObjectStore>) -> PortResult<DuckDbWarehouse> {
    DuckDbWarehouse::open(&root.join("warehouse.duckdb"), Arc::clone(store) as Arc<dyn ObjectStore>, &settings(root))
}

fn done<T>(state: PortResult<JobState<T>>) -> PortResult<T> {
    state.map(|state| match state {
        JobState::Done(done) => done,
        JobState::Running => panic!("an embedded job is done when it is answered"),
    })
}

fn column(name: &str, kind: &str) -> Column {
    Column { name: name.into(), kind: kind.parse().unwrap(), required: false, description: None }
}

/// A Parquet file with what a DuckDB SELECT gives.
fn parquet(folder: &Path, select: &str) -> Vec<u8> {
    let file = folder.join("batch.parquet");
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(&format!("SET TimeZone = 'UTC'; COPY ({select}) TO '{}' (FORMAT parquet)", file.display()))
        .unwrap();
    std::fs::read(file).unwrap()
}

fn sql_literal(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "NULL".into(),
        Some(Value::String(text)) => format!("'{}'", text.replace('\'', "''")),
        Some(other) => other.to_string(),
    }
}

#[async_trait]
impl WarehousePeer for Machine {
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
            ColumnType::Int64 => "BIGINT",
            ColumnType::Float64 => "DOUBLE",
            ColumnType::String => "VARCHAR",
            ColumnType::Bool => "BOOLEAN",
            other => panic!("the suite has no {other}"),
        };
        let select: Vec<String> = rows
            .iter()
            .map(|row| {
                let values: Vec<String> = columns
                    .iter()
                    .map(|column| {
                        let value = sql_literal(row.get(&column.name));
                        format!("CAST({value} AS {}) AS \"{}\"", kind(&column.kind), column.name)
                    })
                    .collect();
                format!("SELECT {}", values.join(", "))
            })
            .collect();
        let bytes = parquet(self.root.path(), &select.join(" UNION ALL "));
        self.store.put(to, bytes, Precondition::None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_warehouse_contract() {
    contracts::warehouse(&Machine::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_sql_part_of_the_warehouse_contract() {
    contracts::warehouse_sql(&Machine::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_answer_was_lost_is_known_after_a_restart() {
    let machine = Machine::new();
    let columns = [("id", "INT64")];
    let first = machine.load("job", "source.t", "SELECT 1::BIGINT AS id", &columns, WriteMode::Append).await.unwrap();
    let machine = machine.restarted();
    // The batch is gone by now: the job's result is all there is.
    let batch = ObjectPath::new(BUCKET, "job.parquet").unwrap();
    machine.store.delete(&batch, Precondition::None).await.unwrap();
    let load = LoadTable {
        batches: vec![batch],
        table: "source.t".parse().unwrap(),
        columns: vec![column("id", "INT64")],
        write: WriteMode::Append,
        layout: TableLayout::default(),
        sequence: 1,
        uploaded: None,
        deletes: false,
    };
    assert_eq!(done(machine.warehouse.ensure_load("job", &load).await).unwrap(), first);
    assert_eq!(machine.rows("SELECT COUNT(*) AS n FROM source.t").await, [[json!(1)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_there_after_a_kill() {
    let machine = Machine::new();
    machine.load("job", "source.t", "SELECT 7::BIGINT AS id", &[("id", "INT64")], WriteMode::Append).await.unwrap();
    // What a kill leaves: the file and its log as they are, copied while the first process still has them open.
    let copy = TempDir::new().unwrap();
    for name in ["warehouse.duckdb", "warehouse.duckdb.wal"] {
        std::fs::copy(machine.root.path().join(name), copy.path().join(name)).unwrap();
    }
    let store: Arc<dyn ObjectStore> = Arc::<LocalObjectStore>::clone(&machine.store);
    let after = DuckDbWarehouse::open(&copy.path().join("warehouse.duckdb"), store, &settings(copy.path())).unwrap();
    assert_eq!(after.query("SELECT id FROM source.t", 10).await.unwrap().rows, [[json!(7)]]);
    assert_eq!(after.table(&"source.t".parse().unwrap()).await.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_one_version_of_a_table_that_is_replaced() {
    let machine = Machine::new();
    machine.transform("v0", "production.t", "SELECT 0 AS version FROM UNNEST(GENERATE_ARRAY(1, 1000))").await.unwrap();
    let reader = machine.warehouse.clone();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let reading = tokio::spawn(async move {
        let mut answers = 0;
        while stopped.try_recv().is_err() {
            let answer =
                reader.query("SELECT COUNT(*) AS n, COUNT(DISTINCT version) AS versions FROM production.t", 1).await;
            assert_eq!(answer.unwrap().rows, [[json!(1000), json!(1)]]);
            answers += 1;
        }
        answers
    });
    for version in 1..20 {
        let sql = format!("SELECT {version} AS version FROM UNNEST(GENERATE_ARRAY(1, 1000))");
        machine.transform(&format!("v{version}"), "production.t", &sql).await.unwrap();
    }
    stop.send(()).unwrap();
    assert!(reading.await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transform_may_read_the_table_it_replaces() {
    let machine = Machine::new();
    machine.transform("a", "production.t", "SELECT 1 AS n").await.unwrap();
    machine.transform("b", "production.t", "SELECT n + 1 AS n FROM production.t").await.unwrap();
    assert_eq!(machine.rows("SELECT n FROM production.t").await, [[json!(2)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_back_as_it_went_in() {
    let machine = Machine::new();
    let columns = [
        ("s", "STRING"),
        ("y", "BYTES"),
        ("i", "INT64"),
        ("f", "FLOAT64"),
        ("n", "NUMERIC(10, 2)"),
        ("g", "BIGNUMERIC(38, 18)"),
        ("b", "BOOL"),
        ("d", "DATE"),
        ("dt", "DATETIME"),
        ("t", "TIME"),
        ("ts", "TIMESTAMP"),
        ("j", "JSON"),
        ("a", "ARRAY<STRING>"),
        ("st", "STRUCT<x INT64, y ARRAY<STRUCT<z NUMERIC>>>"),
    ];
    let select = "SELECT 'é' AS s, 'abc'::BLOB AS y, 9007199254740993 AS i, 0.1::DOUBLE AS f, 12.30::DECIMAL(10, 2) AS n,
        1.000000000000000001::DECIMAL(38, 18) AS g, true AS b, DATE '2024-02-29' AS d, TIMESTAMP '2024-02-29 01:02:03.000004' AS dt,
        TIME '23:59:59.5' AS t, TIMESTAMPTZ '2024-02-29 01:02:03.5+00' AS ts, '{\"k\": [1, null]}' AS j, ['p', 'q'] AS a,
        {'x': 1, 'y': [{'z': 2.5::DECIMAL(38, 9)}]} AS st";
    machine.load("job", "source.types", select, &columns, WriteMode::Replace).await.unwrap();
    let facts = machine.warehouse.table(&"source.types".parse().unwrap()).await.unwrap();
    assert_eq!(facts.columns, columns.map(|(name, kind)| column(name, kind)));
    machine.transform("copy", "production.types", "SELECT * FROM source.types").await.unwrap();
    let copied = machine.warehouse.table(&"production.types".parse().unwrap()).await.unwrap();
    assert_eq!(copied.columns, facts.columns, "a SELECT keeps the types");
    let expected = json!([
        "é", "YWJj", 9_007_199_254_740_993_i64, 0.1, "12.30", "1.000000000000000001", true, "2024-02-29",
        "2024-02-29T01:02:03.000004", "23:59:59.5", "2024-02-29T01:02:03.5Z", {"k": [1, null]}, ["p", "q"],
        {"x": 1, "y": [{"z": "2.500000000"}]}
    ]);
    assert_eq!(machine.rows("SELECT * FROM production.types").await, [expected.as_array().unwrap().clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_have_types_that_bigquery_has() {
    let machine = Machine::new();
    machine.transform("a", "production.t", "SELECT SUM(x) AS s, COUNT(*) AS c, 1 AS i, NULL AS u, RANK() OVER (ORDER BY SUM(x)) AS r, ARRAY_AGG(x) AS l FROM UNNEST([1, 2]) AS x").await.unwrap();
    let facts = machine.warehouse.table(&"production.t".parse().unwrap()).await.unwrap();
    let kinds: Vec<String> = facts.columns.iter().map(|column| column.kind.to_string()).collect();
    assert_eq!(kinds, ["INT64", "INT64", "INT64", "INT64", "INT64", "ARRAY<INT64>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_another_type_is_refused_by_name() {
    let machine = Machine::new();
    machine
        .load("a", "source.t", "SELECT 1::BIGINT AS amount", &[("amount", "INT64")], WriteMode::Append)
        .await
        .unwrap();
    let error = machine
        .load("b", "source.t", "SELECT 'x' AS amount", &[("amount", "STRING")], WriteMode::Append)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("amount") && error.to_string().contains("STRING"), "{error}");
    let error = machine
        .load("c", "source.t", "SELECT 'x' AS amount", &[("amount", "INT64")], WriteMode::Append)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(
        machine
            .load("d", "source.big", "SELECT 1 AS b", &[("b", "BIGNUMERIC")], WriteMode::Append)
            .await
            .unwrap_err()
            .to_string()
            .contains("38 digits")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_reaches_only_the_warehouses_own_tables() {
    let machine = Machine::new();
    let file = machine.root.path().join("secret.csv");
    std::fs::write(&file, "secret\n1\n").unwrap();
    for (sql, kind) in [
        (format!("SELECT * FROM read_csv('{}')", file.display()), ErrorKind::Invalid),
        (format!("SELECT * FROM `{}`", file.display()), ErrorKind::Invalid),
        (format!("SELECT * FROM '{}'", file.display()), ErrorKind::Invalid),
        ("SELECT * FROM _millstream.jobs".into(), ErrorKind::NotFound),
        ("SELECT * FROM pg_catalog.pg_tables".into(), ErrorKind::NotFound),
        ("SELECT getenv('HOME')".into(), ErrorKind::Invalid),
        ("COPY source.t TO 'x'".into(), ErrorKind::Invalid),
        ("ATTACH 'x.duckdb'".into(), ErrorKind::Invalid),
        ("INSTALL httpfs".into(), ErrorKind::Invalid),
    ] {
        assert_eq!(machine.warehouse.query(&sql, 1).await.unwrap_err().kind(), kind, "{sql}");
    }
    let error = machine.transform("a", "_millstream.jobs", "SELECT 1 AS x").await.unwrap_err();
    assert!(error.to_string().contains("own"), "{error}");
}

/// The other process of the next test.
#[test]
#[ignore = "holds a file until its input ends: another test runs it"]
fn holds_a_file() {
    let _held = Connection::open(std::env::var_os("HELD_FILE").unwrap()).unwrap();
    writeln!(std::io::stdout(), "held").unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_another_process_holds_is_a_clear_error() {
    let machine = Machine::new();
    let held = machine.root.path().join("held.duckdb");
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_file", "--ignored", "--nocapture"])
        .env("HELD_FILE", &held)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said =
        BufReader::new(other.stdout.take().unwrap()).lines().map(Result::unwrap).find(|line| line.contains("held"));
    assert!(said.is_some(), "the other process did not open the file");
    let store: Arc<dyn ObjectStore> = Arc::<LocalObjectStore>::clone(&machine.store);
    let error = DuckDbWarehouse::open(&held, store, &settings(&machine.root.path().join("other"))).unwrap_err();
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("open in another process (process"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_leaves_nothing_behind_and_writes_bytes_as_text() {
    let machine = Machine::new();
    machine
        .load(
            "a",
            "source.t",
            "SELECT 'abc'::BLOB AS y, NULL::BIGINT AS i",
            &[("y", "BYTES"), ("i", "INT64")],
            WriteMode::Append,
        )
        .await
        .unwrap();
    let to = ObjectPath::new(BUCKET, "out.csv").unwrap();
    let table: TableName = "source.t".parse().unwrap();
    let written =
        done(machine.warehouse.ensure_export("e", &ExportJob { table, to: to.clone(), format: DataFormat::Csv }).await)
            .unwrap();
    let bytes = machine.store.read(&to, 1_000).await.unwrap();
    assert_eq!(bytes, "y,i\nYWJj,\n");
    assert_eq!((written.rows, written.bytes), (1, bytes.len() as u64));
    assert_eq!(std::fs::read_dir(machine.root.path().join("scratch")).unwrap().count(), 0);
}
