//! What goes wrong, and what is said of it.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use millstream_events::extract::{ChangeLog, Changes, Selection};
use millstream_peers::{free_port, mariadb::MariaDb};
use millstream_ports::{BatchSize, ErrorKind, PortError, PortResult, Read, Secret, Source};
use millstream_source_mysql::MysqlSource;
use mysql_async::{Conn, prelude::Queryable};

use crate::support::{Database, batch, extract, query, shown, table};

async fn connect(url: &str, ca: Option<Vec<u8>>) -> PortResult<MysqlSource> {
    MysqlSource::connect(&Secret::new(url), ca.map(Secret::new).as_ref()).await
}

/// The error of a source whose first use fails; no part of it shows a password.
async fn refusal(url: &str, ca: Option<Vec<u8>>) -> PortError {
    let source = connect(url, ca).await.unwrap();
    let error = source.tables().await.expect_err(url);
    let mut said = format!("{error} {error:?} {source:?}");
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        said += &format!(" {inner} {inner:?}");
        cause = inner.source();
    }
    for secret in ["hunter2", "s@cret", "s%40cret"] {
        assert!(!said.contains(secret), "{said}");
    }
    error
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_grant_are_denied_without_showing_the_password() {
    let mut database = Database::new("failures_denied").await;
    let (port, ca) = (database.server.port(), database.server.ca());
    for user in ["reader", "nobody"] {
        let error =
            refusal(&format!("mysql://{user}:hunter2@127.0.0.1:{port}/failures_denied"), Some(ca.clone())).await;
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(
            error.to_string().contains(&format!("password for user {user} was refused by 127.0.0.1:{port}")),
            "{error}"
        );
    }
    let error = refusal(&database.server.reader("mysql"), Some(ca)).await;
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    // A column that may be described (by way of another right) and not read.
    database.run(&["CREATE TABLE t (n int)", "REVOKE SELECT ON failures_denied.* FROM 'reader'@'127.0.0.1'"]).await;
    database.run(&["GRANT INSERT ON failures_denied.t TO 'reader'@'127.0.0.1'"]).await;
    let error = extract(&database.source().await, &table("t")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("GRANT SELECT"), "{error}");
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_unavailable_and_an_unknown_database_not_found() {
    let port = free_port();
    let error = refusal(&format!("mysql://reader:hunter2@127.0.0.1:{port}/shop"), None).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port} cannot be reached")), "{error}");
    let error = refusal("mysql://reader:hunter2@no-such-host.invalid/shop", None).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let server = MariaDb::shared();
    let error = refusal(&format!("{}?tls=off", server.admin("no_such_database")), None).await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_trusted_or_has_no_tls_is_refused() {
    let server = MariaDb::shared();
    let error = refusal(&server.reader("shop"), None).await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("not trusted") && error.to_string().contains("`ca`"), "{error}");
    let error = refusal(&format!("{}?tls_host=db.example.com", server.reader("shop")), Some(server.ca())).await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("not trusted"), "{error}");
    // The certificate is of 127.0.0.1, not of the name of that address.
    let by_name = server.reader("shop").replace("127.0.0.1", "localhost");
    let error = refusal(&by_name, Some(server.ca())).await;
    assert!(error.to_string().contains("not trusted"), "{error}");
    let source = connect(&format!("{by_name}?tls_host=127.0.0.1"), Some(server.ca())).await.unwrap();
    source.tables().await.unwrap();
    let sql = "SELECT variable_value AS v FROM information_schema.session_status WHERE variable_name = 'ssl_version'";
    let version = batch(&source, &query(sql)).await;
    assert!(shown(&version.batch, "v")[0].starts_with("TLSv1."), "{version:?}");
    connect(&format!("{}?tls=off", server.reader("shop")), None).await.unwrap().tables().await.unwrap();
}

#[tokio::test]
async fn a_table_or_column_that_changed_since_the_plan_is_told() {
    let mut database = Database::new("failures_changed").await;
    database.run(&["CREATE TABLE t (n int PRIMARY KEY, a int, b text)", "INSERT INTO t VALUES (1, 2, 'x')"]).await;
    let source = database.source().await;
    let read = table("t");
    let plan = source.plan(&read).await.unwrap();
    // A wider integer is the same in the warehouse; another column is not read.
    database.run(&["ALTER TABLE t MODIFY a bigint, ADD c int"]).await;
    let open = source.open(&read, &plan).await.unwrap();
    let rows: Vec<_> = open.read(&plan.ranges[0]).await.unwrap().try_collect().await.unwrap();
    assert_eq!(rows[0].batch.num_columns(), 3);
    // A reading that is open keeps the tables it has read from being altered.
    drop(open);
    database.run(&["ALTER TABLE t MODIFY a varchar(20)"]).await;
    let error = source.open(&read, &plan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("column a of failures_changed.t was int"), "{error}");
    database.run(&["ALTER TABLE t DROP a"]).await;
    let error = source.open(&read, &plan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("no column a"), "{error}");
    // Altered after it was opened: the snapshot cannot be read any more.
    let plan = source.plan(&read).await.unwrap();
    let open = source.open(&read, &plan).await.unwrap();
    database.run(&["ALTER TABLE t ADD d int NOT NULL DEFAULT 7, FORCE"]).await;
    let error = async { open.read(&plan.ranges[0]).await?.try_collect::<Vec<_>>().await }.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("altered meanwhile"), "{error}");
    drop(open);
    let open = source.open(&read, &plan).await.unwrap();
    database.run(&["DROP TABLE t"]).await;
    let error = open.read(&plan.ranges[0]).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_when_it_is_planned() {
    let mut database = Database::new("failures_refused").await;
    database.run(&["CREATE TABLE t (n int PRIMARY KEY, flag tinyint(1), word enum('a'), doc json)"]).await;
    let source = database.source().await;
    let log = Changes::Log(ChangeLog { publication: "p".into(), slot: "s".into() });
    let error = source.plan(&Read { changes: log, ..table("t") }).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("cursor"), "{error}");
    for column in ["flag", "word", "doc"] {
        let cursor = millstream_events::extract::Cursor { column: column.into(), lookback: None, deleted: None };
        let error = source.plan(&Read { changes: Changes::Cursor(cursor), ..table("t") }).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains(column), "{error}");
    }
    let sheet = millstream_events::extract::Sheet {
        object: millstream_events::names::ObjectPath::new("bucket", "a.xlsx").unwrap(),
        cells: Default::default(),
    };
    assert_eq!(source.describe(&Selection::Sheet(sheet)).await.unwrap_err().kind(), ErrorKind::Invalid);
}

/// Statements of the reader that the server works on and that have this in them.
async fn working_on(admin: &mut Conn, text: &str) -> Vec<u64> {
    let sql =
        "SELECT id FROM information_schema.processlist WHERE user = 'reader' AND info LIKE ? AND command <> 'Sleep'";
    admin.exec(sql, (format!("%{text}%"),)).await.unwrap()
}

/// Waits until the server works on it, or does not any more.
async fn wait_until_working(admin: &mut Conn, text: &str, working: bool) -> Vec<u64> {
    for _ in 0..3_000 {
        let ids = working_on(admin, text).await;
        if ids.is_empty() != working {
            return ids;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{text:?} is {} worked on", if working { "not" } else { "still" })
}

/// Rows without an end, in small batches.
fn endless(mark: &str) -> Read {
    let sql = format!("SELECT a.seq, '{mark}' AS mark FROM seq_1_to_1000000000 a, seq_1_to_1000000000 b");
    Read { batch: BatchSize { rows: 100, bytes: 1 << 20 }, ..query(&sql) }
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_its_query_at_the_server() {
    let mut database = Database::new("failures_dropped").await;
    let source = database.source().await;
    let read = endless("dropped in the middle");
    let plan = source.plan(&read).await.unwrap();
    let open = source.open(&read, &plan).await.unwrap();
    let mut rows = open.read(&plan.ranges[0]).await.unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap().batch.num_rows(), 100);
    wait_until_working(&mut database.admin, "dropped in the middle", true).await;
    drop(rows);
    wait_until_working(&mut database.admin, "dropped in the middle", false).await;
    // Before there is a row, when the server has nothing to write by which it would notice.
    let sql = "SELECT count(*) AS n FROM seq_1_to_1000000000 a, seq_1_to_1000000 b WHERE 'dropped before' <> a.seq";
    let read = query(sql);
    let plan = source.plan(&read).await.unwrap();
    let open = source.open(&read, &plan).await.unwrap();
    let rows = open.read(&plan.ranges[0]).await.unwrap();
    wait_until_working(&mut database.admin, "dropped before", true).await;
    drop(rows);
    wait_until_working(&mut database.admin, "dropped before", false).await;
    // Planning, too: counting what changed.
    let cursor = millstream_events::extract::Cursor { column: "n".into(), lookback: None, deleted: None };
    let read = Read {
        changes: Changes::Cursor(cursor),
        ..query("SELECT a.seq + b.seq AS n FROM seq_1_to_1000000000 a, seq_1_to_1000000 b WHERE a.seq <> 'planned'")
    };
    let planning = tokio::spawn(async move { source.plan(&read).await });
    wait_until_working(&mut database.admin, "planned", true).await;
    planning.abort();
    wait_until_working(&mut database.admin, "planned", false).await;
}

#[tokio::test]
async fn a_connection_that_is_lost_in_the_middle_is_an_error_that_may_pass() {
    let mut database = Database::new("failures_lost").await;
    let source = database.source().await;
    let read = endless("lost in the middle");
    let plan = source.plan(&read).await.unwrap();
    let open = source.open(&read, &plan).await.unwrap();
    for how in ["KILL CONNECTION", "KILL QUERY"] {
        let mut rows = open.read(&plan.ranges[0]).await.unwrap();
        assert!(rows.next().await.unwrap().is_ok());
        for id in wait_until_working(&mut database.admin, "lost in the middle", true).await {
            database.run(&[&format!("{how} {id}")]).await;
        }
        let error = rows.try_for_each(|_| async { Ok(()) }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{how}: {error}");
        assert!(error.to_string().contains("reading the query"), "{how}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_an_error_that_may_pass() {
    let server = MariaDb::start();
    let url = format!("{}?tls=off", server.reader("shop"));
    let source = connect(&url, None).await.unwrap();
    let read = endless("gone");
    let plan = source.plan(&read).await.unwrap();
    let open = source.open(&read, &plan).await.unwrap();
    let mut rows = open.read(&plan.ranges[0]).await.unwrap();
    assert!(rows.next().await.unwrap().is_ok());
    drop(server);
    let error = rows.try_for_each(|_| async { Ok(()) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = open.read(&plan.ranges[0]).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_statement_ends_when_its_time_is_over() {
    let database = Database::new("failures_slow").await;
    let source = database.source().await;
    let read = Read {
        statement_timeout: Duration::from_millis(1_500),
        ..query("SELECT count(*) AS n FROM seq_1_to_1000000000 a, seq_1_to_1000000 b WHERE a.seq <> b.seq + 0.5")
    };
    let error = extract(&source, &read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("statement_seconds"), "{error}");
}
