//! Connections: who is let in, what is protected, how one is lost and how one ends.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use millstream_peers::{Postgres, PostgresSettings, free_port};
use millstream_ports::{ErrorKind, PortError, Read, Rows, Secret, Source};
use millstream_source_postgres::PostgresSource;
use tokio::time::{sleep, timeout};

use crate::support::{Database, read_query, read_table, source};

/// More than goes into the buffers between the two sides.
const LONG: &str = "SELECT generate_series(1, 100000000) AS i, repeat('x', 1000) AS filler";

async fn refused(url: &str, ca: Option<&str>) -> PortError {
    let ca = ca.map(Secret::new);
    let source = PostgresSource::connect(&Secret::new(url), ca.as_ref()).await.unwrap();
    let error = source.tables().await.unwrap_err();
    for shown in [error.to_string(), format!("{error:?}"), format!("{source:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    error
}

/// Whether any of this crate's statements runs in the database, asked until there is none.
async fn ends(database: &Database) {
    let sql = "SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'millstream' AND state <> 'idle'";
    let deadline = Instant::now() + Duration::from_secs(30);
    while database.count(sql).await > 0 {
        assert!(Instant::now() < deadline, "the statement goes on");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why_without_the_password() {
    let server = Postgres::shared();
    let ca = server.ca();
    let wrong = refused(&server.url_of("postgres", "hunter2", "postgres"), Some(&ca)).await;
    assert_eq!(wrong.kind(), ErrorKind::Denied);
    assert!(wrong.to_string().contains("the password for user postgres was refused by localhost:"), "{wrong}");
    let unknown = refused(&server.url_of("nobody_here", "hunter2", "postgres"), Some(&ca)).await;
    assert_eq!(unknown.kind(), ErrorKind::Denied);
    let nowhere = refused(&server.url("no_such_database"), Some(&ca)).await;
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    server.execute("postgres", "CREATE USER closed PASSWORD 'hunter2' NOLOGIN");
    let closed = refused(&server.url_of("closed", "hunter2", "postgres"), Some(&ca)).await;
    assert_eq!(closed.kind(), ErrorKind::Denied);
    let without = server.url("postgres").replace(":the%20superuser%27s%20own", "");
    let without = refused(&without, Some(&ca)).await;
    assert!(without.kind() == ErrorKind::Invalid && without.to_string().contains("password"), "{without}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let error = refused(&format!("postgres://u:hunter2@127.0.0.1:{}/d", free_port()), None).await;
    assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("cannot be reached"), "{error}");
    let error = refused("postgres://u:hunter2@no-such-host.invalid/d", None).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://u:hunter2@127.0.0.1:{port}/d");
    let source = PostgresSource::connect(&Secret::new(url), None).await.unwrap();
    let waiting = tokio::spawn(async move { source.tables().await });
    let (_kept, _) = silent.accept().await.unwrap();
    tokio::time::pause();
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("15 s"), "{error}");
}

#[tokio::test]
async fn the_servers_certificate_is_verified_by_its_chain_and_its_name() {
    let database = Database::new().await;
    let (server, url) = (&database.server, database.server.url(&database.name));
    let uses_tls = read_query("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    let extracted = database.extract(&uses_tls).await;
    assert_eq!(format!("{:?}", extracted.rows.column(0)), "BooleanArray\n[\n  true,\n]");
    let by_address = url.replace("localhost", "127.0.0.1");
    source(server, &by_address).await.tables().await.unwrap();
    let of_the_web = refused(&url, None).await;
    assert!(of_the_web.kind() == ErrorKind::Invalid && of_the_web.to_string().contains("`ca`"), "{of_the_web}");
    let other_name = url.replace("localhost", "127.0.0.2").replace("?", "&");
    let hostaddr = format!("{}?hostaddr=127.0.0.1", other_name.replace("127.0.0.2", "db.example.com"));
    let other_name = refused(&hostaddr, Some(&server.ca())).await;
    assert!(other_name.kind() == ErrorKind::Invalid && other_name.to_string().contains("certificate"), "{other_name}");
    source(server, &format!("{url}?channel_binding=require")).await.tables().await.unwrap();
    source(server, &format!("{url}?sslmode=disable")).await.tables().await.unwrap();
}

#[tokio::test]
async fn a_server_without_tls_is_not_read_in_plain_text() {
    let server = Postgres::start(PostgresSettings::default());
    let error = refused(&server.url("postgres"), None).await;
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("TLS"), "{error}");
    let url = format!("{}?sslmode=disable", server.url("postgres"));
    PostgresSource::connect(&Secret::new(url), None).await.unwrap().tables().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_lost_in_the_middle_is_unavailable() {
    let database = Database::new().await;
    let read = read_query(LONG);
    let plan = database.source.plan(&read).await.unwrap();
    let open = database.source.open(&read, &plan).await.unwrap();
    let mut stream = open.read(&plan.ranges[0]).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'millstream'";
    assert_eq!(database.count(ended).await, 1);
    let error = stream.try_collect::<Vec<Rows>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().starts_with("reading the query:"), "{error}");
}

#[tokio::test]
async fn a_server_that_went_away_with_the_snapshot_is_unavailable() {
    let mut server = Postgres::start(PostgresSettings { tls: true, ..PostgresSettings::default() });
    server.execute(
        "postgres",
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100); ANALYZE t",
    );
    let source = source(&server, &server.url("postgres")).await;
    let read = Read { range_rows: 10, ..read_table("t") };
    let plan = source.plan(&read).await.unwrap();
    let open = source.open(&read, &plan).await.unwrap();
    let first: Vec<Rows> = open.read(&plan.ranges[0]).await.unwrap().try_collect().await.unwrap();
    assert_eq!(first.len(), 1);
    server.restart();
    let error = open.read(&plan.ranges[1]).await.map(drop).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    // The plan is kept, and goes on with another snapshot.
    let open = source.open(&read, &plan).await.unwrap();
    let second: Vec<Rows> = open.read(&plan.ranges[1]).await.unwrap().try_collect().await.unwrap();
    assert_eq!(second[0].batch.num_rows(), 10);
}

#[tokio::test]
async fn dropping_the_stream_ends_the_statement() {
    let database = Database::new().await;
    let read = read_query(LONG);
    let plan = database.source.plan(&read).await.unwrap();
    let open = database.source.open(&read, &plan).await.unwrap();
    let mut stream = open.read(&plan.ranges[0]).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    ends(&database).await;
}

#[tokio::test]
async fn dropping_a_plan_that_takes_long_ends_the_statement() {
    let database = Database::new().await;
    let read = Read {
        split_by: Some("i".into()),
        range_rows: 1,
        ..read_query("SELECT i FROM generate_series(1, 1000000000000) i")
    };
    let planning = timeout(Duration::from_millis(500), database.source.plan(&read)).await;
    assert!(planning.is_err(), "it would take hours");
    ends(&database).await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_says_so() {
    let database = Database::new().await;
    let read = Read { statement_timeout: Duration::from_millis(300), ..read_query("SELECT pg_sleep(60)::text AS s") };
    let plan = database.source.plan(&read).await.unwrap();
    let error = database.read(&read, &plan).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("statement_seconds"), "{error}");
}

#[tokio::test]
async fn sessions_are_read_only_and_named() {
    let database = Database::new().await;
    let query = "SELECT current_setting('transaction_read_only') AS a, current_setting('application_name') AS b,
                 current_setting('statement_timeout') AS c, current_setting('TimeZone') AS d";
    let extracted = database.extract(&read_query(query)).await;
    let values = extracted.rows.columns().iter().map(|column| {
        use arrow::array::AsArray;
        column.as_string::<i32>().value(0).to_owned()
    });
    assert_eq!(values.collect::<Vec<_>>(), ["on", "millstream", "1min", "UTC"]);
}
