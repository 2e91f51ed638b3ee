//! What goes wrong is told: what was being done, and what to do.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use millstream_peers::mongodb::SecantusOptions;
use millstream_ports::{BatchSize, ErrorKind, PortError, Read, Secret, Source};
use millstream_source_mongodb::MongodbSource;
use mongodb::{Client, bson::doc};

use crate::support::{Server, read_of, table};

const PASSWORD: &str = "s3cr3t&/@";
const ENCODED: &str = "s3cr3t%26%2F%40";

fn said(error: &PortError) -> String {
    let text = format!("{error} {error:?}");
    assert!(!text.contains(PASSWORD) && !text.contains(ENCODED), "{text}");
    text
}

async fn many(server: &Server) {
    let documents = (0..20_000).map(|n| doc! { "_id": n, "text": "x".repeat(100) });
    server.collection("items").insert_many(documents).await.unwrap();
}

/// Many small batches, so that there is a middle.
fn read_many() -> Read {
    Read { batch: BatchSize { rows: 500, bytes: 1 << 20 }, ..read_of(table("items")) }
}

#[tokio::test]
async fn a_user_needs_the_right_password_and_a_grant() {
    let mut server = Server::start().await;
    server.collection("items").insert_one(doc! { "_id": 1 }).await.unwrap();
    for (user, role) in [("reader", "read"), ("nobody", "readAnyDatabase")] {
        let role = if user == "reader" {
            doc! { "role": role, "db": "shop" }
        } else {
            doc! { "role": "read", "db": "other" }
        };
        let create = doc! { "createUser": user, "pwd": PASSWORD, "roles": [role] };
        server.client.database("admin").run_command(create).await.unwrap();
    }
    server.peer.restart(SecantusOptions { auth: true, ..SecantusOptions::default() });
    let connect = async |user: &str, password: &str, parameters: &str| {
        let url = server
            .url(&format!("authSource=admin{parameters}"))
            .replace("mongodb://", &format!("mongodb://{user}:{password}@"));
        MongodbSource::connect(&Secret::new(url), None).await.unwrap()
    };
    let reader = connect("reader", ENCODED, "").await;
    assert!(!format!("{reader:?}").contains(ENCODED) && !format!("{reader:?}").contains(PASSWORD));
    assert_eq!(reader.tables().await.unwrap().len(), 1);

    // A driver that was refused once looks for another server until this is over.
    let wrong = connect("reader", "wr0ng%26", "&serverSelectionTimeoutMS=1500").await;
    for error in [wrong.tables().await.unwrap_err(), wrong.plan(&read_of(table("items"))).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        let text = said(&error);
        assert!(text.contains("reader") && text.contains("secret") && !text.contains("wr0ng"), "{text}");
    }
    let nobody = connect("nobody", ENCODED, "").await;
    let error = nobody.plan(&read_of(table("items"))).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound), "{error:?}");
    said(&error);
}

#[tokio::test]
async fn a_host_that_is_not_there_is_unavailable() {
    let port = millstream_peers::free_port();
    let url = format!("mongodb://reader:{ENCODED}@127.0.0.1:{port}/shop?tls=false&serverSelectionTimeoutMS=500");
    let source = MongodbSource::connect(&Secret::new(url), None).await.unwrap();
    let error = source.tables().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(said(&error).contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn certificates_are_verified() {
    let server = Server {
        peer: millstream_peers::mongodb::SecantusDb::start(SecantusOptions { tls: true, ..SecantusOptions::default() }),
        client: Client::with_uri_str("mongodb://127.0.0.1/").await.unwrap(),
    };
    let url = format!("mongodb://127.0.0.1:{}/shop", server.peer.port());
    let trusted =
        MongodbSource::connect(&Secret::new(url.clone()), Some(&Secret::new(server.peer.certificate()))).await.unwrap();
    assert_eq!(trusted.tables().await.unwrap(), []);
    // A server that is not trusted is looked for until the time is over.
    let briefly = "serverSelectionTimeoutMS=1500";
    let untrusted = MongodbSource::connect(&Secret::new(format!("{url}?{briefly}")), None).await.unwrap();
    let error = untrusted.tables().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("ertificate"), "{error}");
    let plain = Secret::new(format!("{url}?tls=false&{briefly}"));
    assert!(MongodbSource::connect(&plain, None).await.unwrap().tables().await.is_err());
}

#[tokio::test]
async fn a_server_that_is_lost_in_the_middle_is_told() {
    let mut server = Server::start().await;
    many(&server).await;
    let source = server.source("").await;
    let plan = source.plan(&read_many()).await.unwrap();
    let open = source.open(&read_many(), &plan).await.unwrap();
    let mut rows = open.read(&plan.ranges[0]).await.unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap().batch.num_rows(), 500);
    server.peer.kill();
    let error = rows.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("items"), "{error}");
}

#[tokio::test]
async fn what_the_server_answers_in_the_middle_decides_what_can_be_done() {
    let server = Server::start().await;
    many(&server).await;
    let source = server.source("").await;
    let plan = source.plan(&read_many()).await.unwrap();
    for (code, kind, advice) in [
        (239, ErrorKind::Unavailable, "snapshot=off"),
        (175, ErrorKind::Unavailable, "items"),
        (43, ErrorKind::Unavailable, "items"),
        (50, ErrorKind::Unavailable, "statement_seconds"),
        (13, ErrorKind::Denied, "role `read`"),
        (9, ErrorKind::Invalid, "items"),
    ] {
        let open = source.open(&read_many(), &plan).await.unwrap();
        let mut rows = open.read(&plan.ranges[0]).await.unwrap();
        rows.next().await.unwrap().unwrap();
        server.fail(doc! { "times": 1 }, doc! { "failCommands": ["getMore"], "errorCode": code }).await;
        let error = rows.try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}: {error:?}");
        assert!(error.to_string().contains(advice), "{code}: {error}");
    }
}

#[tokio::test]
async fn a_collection_that_is_dropped_is_not_an_empty_one() {
    let server = Server::start().await;
    many(&server).await;
    let source = server.source("").await;
    let plan = source.plan(&read_many()).await.unwrap();
    server.collection("items").drop().await.unwrap();
    let error = source.open(&read_many(), &plan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no collection items"), "{error}");
}

/// The types may have changed since the plan; its rows are bad ones then, not an error.
#[tokio::test]
async fn a_field_that_changed_its_type_after_the_plan_makes_bad_rows() {
    let server = Server::start().await;
    server.collection("items").insert_many((0..3).map(|n| doc! { "_id": n, "v": n })).await.unwrap();
    let source = server.source("").await;
    let read = read_of(table("items"));
    let plan = source.plan(&read).await.unwrap();
    server.collection("items").update_many(doc! {}, doc! { "$set": { "v": "text" } }).await.unwrap();
    let open = source.open(&read, &plan).await.unwrap();
    let rows: Vec<_> = open.read(&plan.ranges[0]).await.unwrap().try_collect().await.unwrap();
    assert_eq!(rows[0].faults.len(), 3);
}

#[tokio::test]
async fn a_stream_that_is_dropped_closes_the_cursor_of_the_server() {
    let server = Server::start().await;
    many(&server).await;
    let source = server.source("").await;
    let cursors = async || {
        let command = doc! { "currentOp": 1, "idleCursors": true };
        let current = server.client.database("admin").run_command(command).await.unwrap();
        let operations = current.get_array("inprog").unwrap().clone();
        operations
            .iter()
            .filter(|one| one.as_document().unwrap().get_str("type").is_ok_and(|kind| kind == "idleCursor"))
            .count()
    };
    let plan = source.plan(&read_many()).await.unwrap();
    let open = source.open(&read_many(), &plan).await.unwrap();
    let mut rows = open.read(&plan.ranges[0]).await.unwrap();
    rows.next().await.unwrap().unwrap();
    assert_eq!(cursors().await, 1);
    drop(rows);
    tokio::time::timeout(Duration::from_secs(20), async {
        while cursors().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the driver tells the server");
}

#[tokio::test]
async fn a_position_that_is_none_is_refused() {
    let server = Server::start().await;
    server.collection("items").insert_one(doc! { "_id": 1, "changed": 1 }).await.unwrap();
    let cursor = millstream_events::extract::Cursor { column: "changed".into(), lookback: None, deleted: None };
    let changes = millstream_events::extract::Changes::Cursor(cursor);
    let read = Read { changes, since: Some("not a position".into()), ..read_of(table("items")) };
    let error = server.source("").await.plan(&read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("read everything again"), "{error}");
}
