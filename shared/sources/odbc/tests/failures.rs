//! What goes wrong is told: of what kind it is, what to do, and never the password.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use futures::TryStreamExt;
use millstream_events::extract::Selection;
use millstream_peers::{Postgres, PostgresSettings, free_port};
use millstream_ports::{BatchSize, ErrorKind, KeyRange, PortError, Read, Secret, Source};
use millstream_source_odbc::OdbcSource;
use support::{Database, PASSWORD, extract, read_of};

/// The only range there is.
const WHOLE: KeyRange = KeyRange { from: None, until: None };

fn assert_says(error: &PortError, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error:?}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part:?} in {error}");
    }
}

fn a_lot(database: &Database) {
    database.execute("CREATE TABLE many AS SELECT i AS id, repeat('x', 100)::varchar(100) AS name FROM generate_series(1, 200000) AS i");
}

fn in_small_batches(table: &str) -> Read {
    Read { batch: BatchSize { rows: 100, bytes: 1 << 20 }, ..read_of(table) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_denied_and_not_shown() {
    let database = Database::create();
    let ca = Secret::new(database.server.ca());
    let source = OdbcSource::connect(&database.text("hunter2", ""), Some(&ca)).await.unwrap();
    let error = source.tables().await.unwrap_err();
    assert_says(&error, ErrorKind::Denied, &["reader", "localhost", "secret"]);
    assert!(!format!("{error:?} {source:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (database, other) =
        (Database::create(), Postgres::start(PostgresSettings { tls: true, ..PostgresSettings::default() }));
    let ca = Secret::new(other.ca());
    let source = OdbcSource::connect(&database.text(PASSWORD, ""), Some(&ca)).await.unwrap();
    let error = source.tables().await.unwrap_err();
    assert_says(&error, ErrorKind::Unavailable, &["certificate"]);
    assert!(!format!("{error:?} {source:?}").contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable() {
    let port = free_port();
    let text =
        format!("Driver={{PostgreSQL Unicode}};Servername=127.0.0.1;Port={port};Database=x;Uid=reader;Pwd=hunter2");
    let source = OdbcSource::connect(&Secret::new(text), None).await.unwrap();
    let error = source.tables().await.unwrap_err();
    assert_says(&error, ErrorKind::Unavailable, &["connecting", &format!("127.0.0.1:{port}")]);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_is_not_installed_is_named() {
    let text = "Driver={IBM DB2 ODBC DRIVER of no machine};Hostname=127.0.0.1;Database=x;Uid=reader;Pwd=hunter2";
    let source = OdbcSource::connect(&Secret::new(text), None).await.unwrap();
    let error = source.tables().await.unwrap_err();
    assert_says(&error, ErrorKind::Invalid, &["driver is not there", "Install it"]);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_may_not_be_read_is_denied() {
    let database = Database::create();
    database.execute("CREATE TABLE payroll (id integer); REVOKE ALL ON payroll FROM reader");
    let error = extract(&*database.source().await, &read_of("public.payroll")).await.unwrap_err();
    assert_says(&error, ErrorKind::Denied, &["payroll", "GRANT SELECT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_is_no_end() {
    let database = Database::create();
    a_lot(&database);
    let source = database.source().await;
    let read = in_small_batches("public.many");
    let plan = source.plan(&read).await.unwrap();
    let open = source.open(&read, &plan).await.unwrap();
    let mut rows = open.read(&WHOLE).await.unwrap();
    assert_eq!(rows.try_next().await.unwrap().unwrap().batch.num_rows(), 100);
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader' AND datname = current_database()");
    let error = rows.try_collect::<Vec<_>>().await.unwrap_err();
    assert_says(&error, ErrorKind::Unavailable, &["reading rows"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_dropped_ends_the_statement() {
    let database = Database::create();
    a_lot(&database);
    let source = database.source().await;
    let read = in_small_batches("public.many");
    let plan = source.plan(&read).await.unwrap();
    let open = source.open(&read, &plan).await.unwrap();
    let mut rows = open.read(&WHOLE).await.unwrap();
    assert!(rows.try_next().await.unwrap().is_some());
    let here = || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND datname = current_database()";
        database.server.query(&database.name, sql)
    };
    // Those that planned and opened have signed out; the server may take a moment to see it.
    let until = async |count: &str| {
        while here() != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until("1").await;
    drop(rows);
    until("0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_ended() {
    let database = Database::create();
    let source = database.source().await;
    let select = Selection::Query("SELECT i, pg_sleep(1) IS NULL AS slept FROM generate_series(1, 60) AS i".into());
    let read = Read { select, statement_timeout: Duration::from_secs(1), ..read_of("") };
    let error = extract(&*source, &read).await.unwrap_err();
    assert_says(&error, ErrorKind::Unavailable, &["reading rows"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_changed_since_the_plan_is_told() {
    let database = Database::create();
    database.execute("CREATE TABLE items (id integer)");
    let source = database.source().await;
    let read = read_of("public.items");
    let plan = source.plan(&read).await.unwrap();
    database.execute("ALTER TABLE items ALTER id TYPE varchar(20)");
    assert_says(
        &source.open(&read, &plan).await.unwrap_err(),
        ErrorKind::Invalid,
        &["id", "int4", "varchar(20)", "plan it again"],
    );
    database.execute("ALTER TABLE items RENAME id TO number");
    assert_says(&source.open(&read, &plan).await.unwrap_err(), ErrorKind::Invalid, &["id is not there", "number"]);
}

/// The driver is told so where the string does not say otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_do_not_write() {
    let database = Database::create();
    database.execute("CREATE SEQUENCE numbers; GRANT ALL ON SEQUENCE numbers TO reader");
    let read = Read { select: Selection::Query("SELECT nextval('numbers') AS next".into()), ..read_of("") };
    let error = extract(&*database.source().await, &read).await.unwrap_err();
    assert_says(&error, ErrorKind::Invalid, &["read-only"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_two_schemas_wants_its_schemas_name() {
    let database = Database::create();
    database.execute("CREATE TABLE items (id integer); CREATE SCHEMA other; CREATE TABLE other.items (id integer)");
    let source = database.source().await;
    let error = source.describe(&Selection::Table("items".into())).await.unwrap_err();
    assert_says(&error, ErrorKind::Invalid, &["other", "public"]);
    assert!(source.describe(&Selection::Table("other.items".into())).await.is_ok());
}
