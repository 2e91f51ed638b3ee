//! What goes wrong is told: what was being done, and what to do.

use std::time::Duration;

use bytes::BufMut;
use futures::{StreamExt, TryStreamExt};
use millstream_ports::{BatchSize, ErrorKind, PortError, Read, Secret, Source};
use millstream_source_cassandra::CassandraSource;
use scylla::value::CqlValue;

use crate::{
    server::{Kind, Refusal, Server, State, Table, Trouble, Wrong},
    support::{INT, TEXT, read_of, source, table, url},
};

const PASSWORD: &str = "s3cr3t&/\u{e4}";
const ENCODED: &str = "s3cr3t%26%2F%C3%A4";

fn said(error: &PortError) -> String {
    let text = format!("{error} {error:?}");
    assert!(!text.contains(PASSWORD) && !text.contains(ENCODED), "{text}");
    text
}

fn items() -> Table {
    let mut items = Table::new("shop.items", &[("id", Kind::PartitionKey, INT), ("name", Kind::Regular, TEXT)]);
    items.rows = (0..1_000).map(|id| vec![Some(CqlValue::Int(id)), Some(CqlValue::Text("x".into()))]).collect();
    items
}

async fn server() -> Server {
    let estimates = vec![("shop".into(), "items".into(), 10, 1_000)];
    Server::start(State { tables: vec![items()], estimates, ..State::default() }, None).await
}

fn read_many() -> Read {
    Read { batch: BatchSize { rows: 50, bytes: 1 << 20 }, ..read_of(table("items")) }
}

#[tokio::test]
async fn a_user_needs_the_right_password() {
    let user = Some(("reader".to_owned(), PASSWORD.to_owned()));
    let server = Server::start(State { tables: vec![items()], user, ..State::default() }, None).await;
    let connect = async |password: &str| {
        let url = format!("cassandra://reader:{password}@127.0.0.1:{}/shop?tls=off", server.port());
        CassandraSource::connect(&Secret::new(url), None).await.unwrap()
    };
    let right = connect(ENCODED).await;
    assert_eq!(right.tables().await.unwrap().len(), 1);
    assert!(!format!("{right:?}").contains("s3cr3t"));
    let wrong = connect("wr0ng").await;
    let error = wrong.tables().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    let text = said(&error);
    assert!(text.contains("reader") && text.contains("secret") && !text.contains("wr0ng"), "{text}");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_unavailable() {
    let port = millstream_peers::free_port();
    let url = format!("cassandra://reader:{ENCODED}@127.0.0.1:{port}/shop?tls=off");
    let source = CassandraSource::connect(&Secret::new(url), None).await.unwrap();
    let error = source.tables().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(said(&error).contains(&format!("127.0.0.1:{port}")), "{error}");
}

/// A certificate for these names, and its key.
fn certificate(names: &str) -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"])
        .args(["-subj", "/CN=node", "-addext", &format!("subjectAltName={names}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap_or_else(|error| panic!("openssl cannot be started: {error}; install Debian's package openssl"));
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    (std::fs::read(certificate).unwrap(), std::fs::read(key).unwrap())
}

#[tokio::test]
async fn certificates_are_verified_by_address_or_name() {
    for (names, host, parameters, is_trusted) in [
        ("IP:127.0.0.1", "127.0.0.1", "", true),
        ("DNS:localhost", "localhost", "", true),
        ("DNS:node.example", "127.0.0.1", "", false),
        ("DNS:node.example", "127.0.0.1", "?tls_host=node.example", true),
        ("IP:127.0.0.1", "127.0.0.1", "?tls_host=node.example", false),
    ] {
        let (certificate, key) = certificate(names);
        let server =
            Server::start(State { tables: vec![items()], ..State::default() }, Some((&certificate, &key))).await;
        let url = Secret::new(format!("cassandra://{host}:{}/shop{parameters}", server.port()));
        let trusted = CassandraSource::connect(&url, Some(&Secret::new(certificate))).await.unwrap();
        let tables = trusted.tables().await;
        assert_eq!(tables.is_ok(), is_trusted, "{names} {host} {parameters}: {tables:?}");
        let untrusted = CassandraSource::connect(&url, None).await.unwrap();
        let error = untrusted.tables().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_in_the_middle_is_told() {
    let server = server().await;
    let source = source(&server, "page_rows=100").await;
    let plan = source.plan(&read_many()).await.unwrap();
    let open = source.open(&read_many(), &plan).await.unwrap();
    let mut rows = open.read(&plan.ranges[0]).await.unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap().batch.num_rows(), 50);
    server.kill();
    let error = rows.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("shop.items"), "{error}");
}

#[tokio::test]
async fn what_the_cluster_answers_in_the_middle_decides_what_can_be_done() {
    let counts = |numbers: &[i32], last: &[u8]| {
        let mut extra = vec![0, 6];
        numbers.iter().for_each(|number| extra.put_i32(*number));
        extra.extend(last);
        extra
    };
    let refusal = |code, extra| Refusal { code, text: "said the cluster".into(), extra };
    for (refusal, kind, says) in [
        (refusal(0x1200, counts(&[0, 2], &[0])), ErrorKind::Unavailable, "page_rows"),
        (refusal(0x1000, counts(&[2, 1], &[])), ErrorKind::Unavailable, "replicas"),
        (refusal(0x1001, Vec::new()), ErrorKind::Unavailable, "said the cluster"),
        (refusal(0x2100, Vec::new()), ErrorKind::Denied, "grant SELECT"),
        (refusal(0x2200, Vec::new()), ErrorKind::Invalid, "said the cluster"),
    ] {
        let server = server().await;
        let source = source(&server, "page_rows=100").await;
        let plan = source.plan(&read_many()).await.unwrap();
        server.with(|state| state.trouble = Some(Trouble { after: 2, what: Wrong::Answer(refusal.clone()) }));
        let open = source.open(&read_many(), &plan).await.unwrap();
        let error = open.read(&plan.ranges[0]).await.unwrap().try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_page_that_does_not_come_is_not_waited_for() {
    let server = server().await;
    let read = Read { statement_timeout: Duration::from_millis(300), ..read_many() };
    let source = source(&server, "page_rows=100").await;
    let plan = source.plan(&read).await.unwrap();
    server.with(|state| state.trouble = Some(Trouble { after: 1, what: Wrong::Stall }));
    let open = source.open(&read, &plan).await.unwrap();
    let error = open.read(&plan.ranges[0]).await.unwrap().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("timeout"), "{error}");
}

#[tokio::test]
async fn a_connection_that_the_cluster_closes_is_told() {
    let server = server().await;
    let source = source(&server, "page_rows=100").await;
    let plan = source.plan(&read_many()).await.unwrap();
    server.with(|state| state.trouble = Some(Trouble { after: 0, what: Wrong::Close }));
    let open = source.open(&read_many(), &plan).await.unwrap();
    let error = open.read(&plan.ranges[0]).await.unwrap().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn a_column_that_changed_or_is_gone_is_told() {
    let server = server().await;
    let source = source(&server, "").await;
    let plan = source.plan(&read_many()).await.unwrap();
    let read = async || {
        let open = source.open(&read_many(), &plan).await?;
        open.read(&plan.ranges[0]).await?.try_collect::<Vec<_>>().await
    };
    assert_eq!(read().await.unwrap().len(), 20);
    server.with(|state| {
        state.tables[0].columns[1].cql = INT;
        state.tables[0].rows.clear();
    });
    let error = read().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert!(error.to_string().contains("column name is not what it was"), "{error}");

    server.with(|state| state.tables[0].columns[1].name = "renamed".into());
    let error = read().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    server.with(|state| state.tables.clear());
    assert_eq!(read().await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_stream_that_is_dropped_asks_for_no_more_pages() {
    let server = server().await;
    let source = source(&server, "page_rows=10").await;
    let plan = source.plan(&read_many()).await.unwrap();
    let open = source.open(&read_many(), &plan).await.unwrap();
    let mut rows = open.read(&plan.ranges[0]).await.unwrap();
    rows.next().await.unwrap().unwrap();
    drop(rows);
    let asked = server.with(|state| state.executed.len());
    assert_eq!(asked, 5, "pages of 10 for a batch of 50");
    // Something else that the server answers: whatever it was still asked came before.
    source.tables().await.unwrap();
    assert_eq!(server.with(|state| state.executed.len()), asked);
}

#[tokio::test]
async fn a_malformed_url_is_told_without_its_password() {
    let wrong = Secret::new(format!("cassandra://reader:{ENCODED}@127.0.0.1:port/shop"));
    said(&CassandraSource::connect(&wrong, None).await.unwrap_err());
    let server = server().await;
    let unknown = CassandraSource::connect(&url(&server, "page_rows=0"), None).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Invalid);
}
