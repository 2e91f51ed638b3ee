//! Secret Manager's adapter against a stub that answers as the API's documentation says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::DateTime;
use millstream_gcp_client::{Connection, Emulators, Service};
use millstream_gcp_secrets::SecretManager;
use millstream_ports::{
    ErrorKind, SecretName, Secrets,
    contracts::{self, SecretsPeer},
    memory::ManualClock,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What the stub answers for each secret, and how often it was asked.
#[derive(Clone, Default)]
struct Stub {
    answers: Arc<Mutex<HashMap<String, (StatusCode, Value)>>>,
    asked: Arc<AtomicUsize>,
}

async fn access(
    State(stub): State<Stub>,
    Path((project, secret, version)): Path<(String, String, String)>,
) -> Response {
    stub.asked.fetch_add(1, Ordering::SeqCst);
    assert_eq!((project.as_str(), version.as_str()), ("shop", "latest:access"));
    let missing = || {
        let message = format!("Secret [projects/1/secrets/{secret}] not found or has no versions.");
        (StatusCode::NOT_FOUND, problem(&message))
    };
    let (status, body) = stub.answers.lock().unwrap().get(&secret).cloned().unwrap_or_else(missing);
    (status, Json(body)).into_response()
}

fn problem(message: &str) -> Value {
    json!({"error": {"code": 0, "message": message, "status": "WORD"}})
}

struct Peer {
    stub: Stub,
    clock: Arc<ManualClock>,
    secrets: SecretManager,
}

impl Peer {
    async fn start() -> Self {
        let stub = Stub::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new()
            .route("/v1/projects/{project}/secrets/{secret}/versions/{version}", get(access))
            .with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let connection = Connection::new("shop", Emulators::default().with(Service::SecretManager, &address)).unwrap();
        let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_790_000_000, 0).unwrap()));
        let secrets = SecretManager::new(connection, clock.clone()).unwrap();
        Self { stub, clock, secrets }
    }

    fn answer(&self, name: &str, status: u16, body: Value) {
        self.stub.answers.lock().unwrap().insert(name.to_owned(), (StatusCode::from_u16(status).unwrap(), body));
    }

    fn asked(&self) -> usize {
        self.stub.asked.load(Ordering::SeqCst)
    }

    async fn text(&self, secret: &str) -> String {
        self.secrets.get(&name(secret)).await.unwrap().expose_text().unwrap().to_owned()
    }
}

#[async_trait]
impl SecretsPeer for Peer {
    fn secrets(&self) -> &dyn Secrets {
        &self.secrets
    }

    async fn put(&self, name: &SecretName, value: &[u8]) {
        self.answer(name.as_str(), 200, version(name.as_str(), value, crc32c::crc32c(value)));
    }
}

fn version(name: &str, value: &[u8], checksum: u32) -> Value {
    let name = format!("projects/1/secrets/{name}/versions/3");
    json!({"name": name, "payload": {"data": STANDARD.encode(value), "dataCrc32c": checksum.to_string()}})
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

#[tokio::test]
async fn secret_manager_keeps_the_contract() {
    contracts::secrets(&Peer::start().await).await;
}

#[tokio::test]
async fn a_value_is_kept_for_five_minutes_and_then_asked_for_again() {
    let peer = Peer::start().await;
    peer.put(&name("crm"), b"old").await;
    assert_eq!(peer.text("crm").await, "old");
    peer.put(&name("crm"), b"new").await;
    peer.clock.advance(Duration::from_secs(299));
    assert_eq!((peer.text("crm").await.as_str(), peer.asked()), ("old", 1));
    peer.clock.advance(Duration::from_secs(1));
    assert_eq!((peer.text("crm").await.as_str(), peer.asked()), ("new", 2));
}

#[tokio::test]
async fn an_error_is_of_the_kind_that_says_what_to_do() {
    let peer = Peer::start().await;
    for (status, kind, part) in [
        (403, ErrorKind::Denied, "roles/secretmanager.secretAccessor"),
        (404, ErrorKind::NotFound, "there is no secret crm in the project shop"),
        (400, ErrorKind::Invalid, "is in DISABLED state"),
        (503, ErrorKind::Unavailable, "crm"),
    ] {
        peer.answer("crm", status, problem("Secret Version is in DISABLED state."));
        let error = peer.secrets.get(&name("crm")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_value_is_asked_for_again_and_never_repeated_in_an_error() {
    let peer = Peer::start().await;
    let damaged = version("crm", b"correct-horse", 7);
    let mut unreadable = version("crm", b"", 7);
    unreadable["payload"]["data"] = json!("correct-horse?");
    let without_checksum = json!({"payload": {"data": STANDARD.encode("correct-horse")}});
    let not_an_object = json!("correct-horse");
    for (body, kind) in [
        (damaged, ErrorKind::Unavailable),
        (unreadable, ErrorKind::Internal),
        (without_checksum, ErrorKind::Internal),
        (not_an_object, ErrorKind::Internal),
    ] {
        peer.answer("crm", 200, body);
        let error = peer.secrets.get(&name("crm")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error} {error:?}").contains("correct-horse"), "{error:?}");
    }
}
