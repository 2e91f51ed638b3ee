//! The port's contracts on fake-gcs-server.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use millstream_gcp_client::{Connection, Emulators, Service};
use millstream_gcp_storage::GcsObjectStore;
use millstream_peers::fake_gcs::FakeGcs;
use millstream_ports::{
    ErrorKind, Ledger, ObjectLedger, ObjectStore, ObjectStoreExt, Precondition, SystemClock, contracts,
};

async fn store(server: &FakeGcs, bucket: &str) -> GcsObjectStore {
    server.create_bucket(bucket);
    let emulators = Emulators::default().with(Service::Storage, &server.url());
    GcsObjectStore::connect(&Connection::new("p1", emulators).unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_object_store_contract_holds() {
    let server = FakeGcs::shared();
    contracts::object_store(&store(&server, "contract").await, "contract").await;
}

#[tokio::test]
async fn the_ledger_contract_holds() {
    let server = FakeGcs::shared();
    let store: Arc<dyn ObjectStore> = Arc::new(store(&server, "ledger").await);
    contracts::ledger(&|| -> Arc<dyn Ledger> {
        Arc::new(ObjectLedger::new(store.clone(), "ledger", Arc::new(SystemClock)))
    })
    .await;
}

#[tokio::test]
async fn what_others_upload_is_read_and_what_we_write_is_a_file_that_others_read() {
    let server = FakeGcs::shared();
    let store = store(&server, "shared-files").await;
    let theirs = server.upload("shared-files", "in/día 1.csv", "id\n1\n");
    let path = "gs://shared-files/in/día 1.csv".parse().unwrap();
    assert_eq!(store.stat(&path).await.unwrap().generation.to_string(), theirs["generation"]);
    assert_eq!(store.read(&path, 100).await.unwrap(), "id\n1\n");
    let path = "gs://shared-files/out/a=1/part.parquet".parse().unwrap();
    store.put(&path, "PAR1", Precondition::Absent).await.unwrap();
    assert_eq!(server.download("shared-files", path.name()), b"PAR1");
    assert_eq!(std::fs::read(server.root().join("shared-files/out/a=1/part.parquet")).unwrap(), b"PAR1");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_not_found() {
    let server = FakeGcs::shared();
    let store = store(&server, "another-bucket").await;
    let path = "gs://no-such-bucket/a".parse().unwrap();
    let error = store.put(&path, "x", Precondition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("gs://no-such-bucket/a"), "{error}");
    assert_eq!(store.names("no-such-bucket", "").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn objects_and_their_generations_outlive_the_server() {
    let mut server = FakeGcs::start(None);
    let store = store(&server, "restarted").await;
    let path = "gs://restarted/a".parse().unwrap();
    let written = store.put(&path, "kept", Precondition::Absent).await.unwrap();
    server.restart();
    assert_eq!(store.stat(&path).await.unwrap(), written);
    assert_eq!(store.put(&path, "again", Precondition::Absent).await.unwrap_err().kind(), ErrorKind::Conflict);
}
