//! What goes wrong is told: of what kind it is, what to do, and never the password.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use millstream_events::extract::{Changes, Cursor, Selection};
use millstream_peers::{free_port, sqlserver::SqlServer};
use millstream_ports::{BatchSize, ErrorKind, OpenSource, PortError, Read, Rows, Secret, Source, Ties};
use millstream_source_sqlserver::SqlServerSource;
use serde_json::json;
use support::{
    extract, read_of, source_of,
    tds::{End, Wire, WireColumn, nvarchar, sized},
    url,
};

fn table() -> Selection {
    Selection::Table("t".into())
}

fn id() -> WireColumn {
    WireColumn { name: "id", type_name: "int", numbers: (4, 10, 0), wire: vec![0x26, 4] }
}

/// A table of one column and a thousand rows.
async fn wire() -> (Wire, SqlServerSource) {
    let wire = Wire::start(vec![id()], (0..1_000_i32).map(|id| vec![sized(&id.to_le_bytes())]).collect()).await;
    let source = SqlServerSource::connect(&url("reader", "secret", wire.port, "encrypt=off"), None).await.unwrap();
    (wire, source)
}

async fn open(source: &SqlServerSource, read: &Read) -> std::sync::Arc<dyn OpenSource> {
    let plan = source.plan(read).await.unwrap();
    source.open(read, &plan).await.unwrap()
}

fn assert_says(error: &PortError, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error:?}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part:?} in {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_denied_and_not_shown() {
    let server = SqlServer::start();
    let ca = Secret::new(server.certificate());
    let source =
        SqlServerSource::connect(&url(SqlServer::USER, "hunter2", server.port(), ""), Some(&ca)).await.unwrap();
    let error = source.tables().await.unwrap_err();
    assert_says(&error, ErrorKind::Denied, &["reader", &format!("127.0.0.1:{}", server.port()), "secret"]);
    assert!(!format!("{error:?} {source:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let server = SqlServer::start();
    let password = SqlServer::PASSWORD;
    let source = SqlServerSource::connect(&url(SqlServer::USER, password, server.port(), ""), None).await.unwrap();
    let error = source.tables().await.unwrap_err();
    assert_says(&error, ErrorKind::Invalid, &["TLS", "`ca`"]);
    assert!(!format!("{error:?} {source:?}").contains(password));
    let ca = Secret::new(server.certificate());
    let other = url(SqlServer::USER, password, server.port(), "host_name_in_certificate=db.example");
    let error = SqlServerSource::connect(&other, Some(&ca)).await.unwrap().tables().await.unwrap_err();
    assert_says(&error, ErrorKind::Invalid, &["TLS", "host_name_in_certificate"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let port = free_port();
    let source = SqlServerSource::connect(&url("reader", "hunter2", port, ""), None).await.unwrap();
    let error = source.tables().await.unwrap_err();
    assert_says(&error, ErrorKind::Unavailable, &["connecting", &format!("127.0.0.1:{port}")]);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_connection_that_is_lost_is_no_end() {
    let (wire, source) = wire().await;
    wire.content.lock().unwrap().end = End::Lost;
    let read = Read { batch: BatchSize { rows: 100, bytes: 1 << 20 }, ..read_of(table()) };
    let open = open(&source, &read).await;
    let whole = millstream_ports::KeyRange { from: None, until: None };
    let rows: Vec<_> = open.read(&whole).await.unwrap().collect().await;
    let error = rows.last().unwrap().as_ref().unwrap_err();
    assert_says(error, ErrorKind::Unavailable, &["lost", "reading rows"]);
    let got: usize = rows.iter().flatten().map(|Rows { batch, .. }| batch.num_rows()).sum();
    assert!(got <= 1_000);
}

#[tokio::test]
async fn an_error_after_rows_is_told() {
    let (wire, source) = wire().await;
    for (number, text, kind) in [
        (1_205, "You were the deadlock victim.", ErrorKind::Unavailable),
        (229, "The SELECT permission was denied.", ErrorKind::Denied),
        (208, "Invalid object name 't'.", ErrorKind::NotFound),
        (207, "Invalid column name 'id'.", ErrorKind::Invalid),
        (8_134, "Divide by zero error encountered.", ErrorKind::Invalid),
        (1_222, "Lock request time out period exceeded.", ErrorKind::Unavailable),
    ] {
        wire.content.lock().unwrap().end = End::Error(number, text);
        let error = extract(&source, &read_of(table())).await.unwrap_err();
        assert_says(&error, kind, &[text]);
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_the_statement() {
    let (mut wire, source) = wire().await;
    wire.content.lock().unwrap().end = End::Never;
    let read = Read { batch: BatchSize { rows: 10, bytes: 1 << 20 }, ..read_of(table()) };
    let open = open(&source, &read).await;
    let mut rows = open.read(&millstream_ports::KeyRange { from: None, until: None }).await.unwrap();
    assert_eq!(rows.try_next().await.unwrap().unwrap().batch.num_rows(), 10);
    assert!(wire.ended.try_recv().is_err(), "it goes on as long as someone listens");
    drop(rows);
    let how = wire.ended.recv().await.unwrap();
    assert!(["attention", "closed"].contains(&how), "{how}");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended() {
    let (mut wire, source) = wire().await;
    wire.content.lock().unwrap().end = End::Silence;
    let read = Read { statement_timeout: Duration::from_secs(1), ..read_of(table()) };
    let error = extract(&source, &read).await.unwrap_err();
    assert_says(&error, ErrorKind::Unavailable, &["longer than 1 seconds"]);
    assert_eq!(wire.ended.recv().await.unwrap(), "attention");
}

#[tokio::test]
async fn a_column_that_changed_since_the_plan_is_told() {
    let (wire, source) = wire().await;
    let read = read_of(table());
    let plan = source.plan(&read).await.unwrap();
    wire.content.lock().unwrap().columns[0] =
        WireColumn { type_name: "nvarchar", numbers: (100, 0, 0), wire: nvarchar(), ..id() };
    let error = source.open(&read, &plan).await.unwrap_err();
    assert_says(&error, ErrorKind::Invalid, &["id", "int", "nvarchar(50)", "plan it again"]);
    wire.content.lock().unwrap().columns[0] = WireColumn { name: "number", ..id() };
    let error = source.open(&read, &plan).await.unwrap_err();
    assert_says(&error, ErrorKind::Invalid, &["id is not there", "number"]);
}

#[tokio::test]
async fn a_session_reads_one_moment_and_waits_for_locks_only_so_long() {
    let (wire, source) = wire().await;
    extract(&source, &read_of(table())).await.unwrap();
    assert!(!wire.statements("SET TRANSACTION ISOLATION LEVEL SNAPSHOT").is_empty());
    assert!(!wire.statements("SET LOCK_TIMEOUT 60000").is_empty());
    assert!(!wire.statements("SET TEXTSIZE 2147483647").is_empty());
}

/// Rows of transactions that are still open have lower versions than some that are committed.
#[tokio::test]
async fn a_rowversion_is_read_up_to_the_oldest_open_transaction() {
    let (wire, source) = wire().await;
    {
        let mut content = wire.content.lock().unwrap();
        let wire = vec![0xad, 8, 0];
        content.columns.push(WireColumn { name: "version", type_name: "timestamp", numbers: (8, 0, 0), wire });
        content.newest = Some("0x00000000000007D1");
        content.rows.clear();
    }
    let changes = Changes::Cursor(Cursor { column: "version".into(), lookback: None, deleted: None });
    let read = Read { changes, ties: Ties::Once, since: Some("0x0000000000000001".into()), ..read_of(table()) };
    let plan = source.plan(&read).await.unwrap();
    assert_eq!(plan.position.as_deref(), Some("0x00000000000007D1"));
    assert_eq!(wire.statements("[version] < MIN_ACTIVE_ROWVERSION()").len(), 1);
    extract(&source, &read).await.unwrap();
    let last = wire.statements("FROM [t]").pop().unwrap();
    assert!(
        last.ends_with("WHERE [version] <= CONVERT(binary(8), @P1, 1) AND [version] > CONVERT(binary(8), @P2, 1)"),
        "{last}"
    );
}

#[tokio::test]
async fn a_query_is_described_by_the_server() {
    let (wire, source) = wire().await;
    let query = Selection::Query("SELECT SUM(price) AS total, MAX(at) AS at FROM sales".into());
    let shape = source.describe(&query).await.unwrap();
    let columns: Vec<_> =
        shape.columns.iter().map(|column| (&*column.name, &*column.source_type, column.required)).collect();
    assert_eq!(columns, [("total", "money", true), ("at", "datetime2(3)", true)]);
    assert_eq!(wire.statements("sp_describe_first_result_set").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_peers_types_arrive() {
    let server = SqlServer::start();
    let columns = [
        ("truth", "bit"),
        ("tiny", "tinyint"),
        ("small", "smallint"),
        ("whole", "int"),
        ("large", "bigint"),
        ("half", "real"),
        ("double", "float"),
        ("at", "datetime"),
        ("guid", "uniqueidentifier"),
        ("text", "nvarchar(4000)"),
        ("photo", "varbinary(100)"),
    ];
    let values = vec![
        json!(true),
        json!(255),
        json!(-32_768),
        json!(2_147_483_647),
        json!(i64::MIN),
        json!(0.5),
        json!(0.1),
        json!("2024-02-29T23:59:59.997"),
        json!("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        json!("x".repeat(3_000)),
        json!("00ff10"),
    ];
    server.put("samples", &columns, &[], &[values, vec![json!(null); columns.len()]]);
    let source = source_of(&server).await;
    let read = read_of(Selection::Table("samples".into()));
    let rows = extract(&*source, &read).await.unwrap();
    let [Rows { batch, faults }] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((batch.num_rows(), faults.len()), (2, 0));
    let shown: Vec<String> =
        batch.columns().iter().map(|column| arrow::util::display::array_value_to_string(column, 0).unwrap()).collect();
    let text = "x".repeat(3_000);
    assert_eq!(
        shown,
        [
            "true",
            "255",
            "-32768",
            "2147483647",
            "-9223372036854775808",
            "0.5",
            "0.1",
            "2024-02-29T23:59:59.997",
            "6F9619FF-8B86-D011-B42D-00C04FC964FF",
            &text,
            "00ff10"
        ]
    );
    assert!(batch.columns().iter().all(|column| column.is_null(1)));
}
