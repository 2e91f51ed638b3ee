//! The HTTP edge: what is answered to what.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Body};
use http::{Request, Response, StatusCode};
use millstream_events::Envelope;
use millstream_runtime::{
    Ack, Handler, Metrics,
    cloudevent::{BATCH, STRUCTURED, to_batch, to_structured},
    host::{Drained, Host, Readiness, RequestLimits, router, serve},
};
use serde_json::Value;
use support::{Scripted, clock, export, retry, run_requested, sweep};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tower::ServiceExt;

const EXPORT: &str = "dev.millstream.export.requested.v1";
/// Longer than any test: a drain that ends by its limit would show.
const DRAIN: Duration = Duration::from_secs(600);
const SWEEP: &str = "dev.millstream.sweep.due.v1";

fn host(handlers: Vec<Arc<dyn Handler>>) -> Host {
    Host {
        handlers: handlers.into(),
        metrics: Metrics::new().unwrap(),
        clock: clock(),
        readiness: Readiness::default(),
        callers: None,
    }
}

fn app(handlers: Vec<Arc<dyn Handler>>) -> Router {
    router(host(handlers), RequestLimits::default())
}

async fn post(app: &Router, path: &str, content_type: &str, body: impl Into<Body>) -> Response<Body> {
    let request = Request::post(path).header("content-type", content_type).body(body.into()).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

async fn get(app: &Router, path: &str) -> (StatusCode, String) {
    let response = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    (status, String::from_utf8(bytes(response).await).unwrap())
}

async fn bytes(response: Response<Body>) -> Vec<u8> {
    axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()
}

async fn json(response: Response<Body>) -> Value {
    serde_json::from_slice(&bytes(response).await).unwrap()
}

#[tokio::test]
async fn done_and_pending_are_204_and_retry_is_503_with_a_pause() {
    let pending = Ack::Pending { check_after: Duration::from_secs(9) };
    let (handler, mut deliveries) = Scripted::new(EXPORT, [Ack::Done, pending, retry()]);
    let app = app(vec![handler]);
    for (path, expected) in [("/", 204), ("/events", 204), ("/", 503)] {
        let response = post(&app, path, STRUCTURED, to_structured(&export(1)).unwrap()).await;
        assert_eq!(response.status(), expected);
        assert_eq!(response.headers().contains_key("retry-after"), expected == 503);
        assert_eq!(deliveries.recv().await.unwrap().event, export(1).event);
    }
}

#[tokio::test]
async fn a_batch_is_delivered_in_order_and_answers_for_its_worst_event() {
    let (exports, mut exported) = Scripted::new(EXPORT, [Ack::Done, retry(), Ack::Done]);
    let (sweeps, mut swept) = Scripted::new(SWEEP, []);
    let app = app(vec![exports, sweeps]);
    let batch = to_batch(&[export(1), export(2), sweep(), export(3)]).unwrap();
    let response = post(&app, "/", BATCH, batch).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json(response).await["error"], "the disk is full");
    for number in 1..=3 {
        assert_eq!(exported.try_recv().unwrap().event, export(number).event);
    }
    assert_eq!(swept.try_recv().unwrap().event, sweep().event);
}

#[tokio::test]
async fn an_event_that_nobody_here_takes_is_acknowledged() {
    let response = post(&app(Vec::new()), "/", STRUCTURED, to_structured(&run_requested("r")).unwrap()).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn an_undecodable_body_is_400_with_the_reason_and_a_hint() {
    let (handler, mut deliveries) = Scripted::new(EXPORT, []);
    let response = post(&app(vec![handler]), "/", "application/json", "{\"hello\": \"world\"}").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body = json(response).await;
    assert!(body["error"].as_str().unwrap().contains("neither a CloudEvent nor"), "{body}");
    assert!(body["hint"].as_str().unwrap().contains("/topics/TOPIC"), "{body}");
    assert!(deliveries.try_recv().is_err());
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_nothing_is_delivered() {
    let (handler, mut deliveries) = Scripted::new(EXPORT, []);
    let limits = RequestLimits { body_bytes: 1_000, ..RequestLimits::default() };
    let app = router(host(vec![handler]), limits);
    let event = to_structured(&export(1)).unwrap();
    assert!(event.len() < 1_000);
    assert_eq!(post(&app, "/", STRUCTURED, event.clone()).await.status(), StatusCode::NO_CONTENT);
    deliveries.try_recv().unwrap();

    let padded = [event.as_ref(), &[b' '; 1_000]].concat();
    let whole = post(&app, "/", STRUCTURED, padded.clone()).await;
    // Without a length announced, the limit has to be found while reading.
    let chunks = futures::stream::iter(
        padded.chunks(100).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
    );
    let streamed = post(&app, "/topics/t", "text/plain", Body::from_stream(chunks)).await;
    for response in [whole, streamed] {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(json(response).await["hint"].as_str().unwrap().contains("http.max_body_mib"));
    }
    assert!(deliveries.try_recv().is_err());
}

#[tokio::test]
async fn a_plain_body_can_be_published_on_a_topic() {
    let (handler, mut deliveries) = Scripted::new("google.cloud.pubsub.topic.v1.messagePublished", []);
    let response = post(&app(vec![handler]), "/topics/orders", "text/plain", "{\"id\": 1}").await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let data = deliveries.recv().await.unwrap().event.data().unwrap();
    assert_eq!(data, serde_json::json!({"topic": "orders", "data": "{\"id\": 1}"}));
}

/// Never answers.
struct Stuck;

#[async_trait]
impl Handler for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn takes(&self, _: &str) -> bool {
        true
    }

    async fn handle(&self, _: &Envelope) -> Ack {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_to_be_sent_again() {
    let response = post(&app(vec![Arc::new(Stuck)]), "/", STRUCTURED, to_structured(&sweep()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn health_readiness_and_metrics_are_served() {
    let (handler, _deliveries) = Scripted::new(SWEEP, []);
    let host = host(vec![handler]);
    let readiness = host.readiness.clone();
    let app = router(host, RequestLimits::default());
    assert_eq!(get(&app, "/livez").await.0, StatusCode::OK);
    for probe in ["/startupz", "/readyz"] {
        assert_eq!(get(&app, probe).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
    readiness.set(true);
    for probe in ["/startupz", "/readyz"] {
        assert_eq!(get(&app, probe).await.0, StatusCode::OK);
    }
    readiness.set(false);
    assert_eq!(get(&app, "/startupz").await.0, StatusCode::OK);
    assert_eq!(get(&app, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    post(&app, "/", STRUCTURED, to_structured(&sweep()).unwrap()).await;
    let (status, text) = get(&app, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        r#"millstream_deliveries_total{function="scripted",result="done"} 1"#,
        r#"millstream_event_requests_total{status="204"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

/// Tells that it has begun, then waits for the test.
struct Waits(Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>);

#[async_trait]
impl Handler for Waits {
    fn name(&self) -> &'static str {
        "waits"
    }

    fn takes(&self, _: &str) -> bool {
        true
    }

    async fn handle(&self, _: &Envelope) -> Ack {
        let (begun, go_on) = self.0.lock().unwrap().take().expect("one delivery only");
        begun.send(()).unwrap();
        go_on.await.unwrap();
        Ack::Done
    }
}

/// A request on a connection of its own.
async fn send_sweep(address: SocketAddr) -> TcpStream {
    let body = to_structured(&sweep()).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: m\r\nconnection: close\r\ncontent-type: {STRUCTURED}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&body).await.unwrap();
    connection
}

#[tokio::test]
async fn a_request_in_hand_is_answered_before_the_server_stops() {
    let (begun, has_begun) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let handler = Arc::new(Waits(Mutex::new(Some((begun, may_go_on)))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, app(vec![handler]), async move { stopped.await.unwrap() }, DRAIN));

    let mut connection = send_sweep(address).await;
    has_begun.await.unwrap();
    stop.send(()).unwrap();
    go_on.send(()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert_eq!(server.await.unwrap().unwrap(), Drained { cut_off: 0 });
}

/// Tells that it has begun, then never ends.
struct Endless(Mutex<Option<oneshot::Sender<()>>>);

#[async_trait]
impl Handler for Endless {
    fn name(&self) -> &'static str {
        "endless"
    }

    fn takes(&self, _: &str) -> bool {
        true
    }

    async fn handle(&self, _: &Envelope) -> Ack {
        self.0.lock().unwrap().take().expect("one delivery only").send(()).unwrap();
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_sent_back_and_counted() {
    let (begun, has_begun) = oneshot::channel();
    let handler = Arc::new(Endless(Mutex::new(Some(begun))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = async move { stopped.await.unwrap() };
    let server = tokio::spawn(serve(listener, app(vec![handler]), stopping, Duration::ZERO));
    let mut connection = send_sweep(address).await;
    has_begun.await.unwrap();
    stop.send(()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after"), "{answer}");
    assert_eq!(server.await.unwrap().unwrap(), Drained { cut_off: 1 });
}

#[tokio::test]
async fn one_request_more_than_there_is_room_for_is_429_and_takes_no_place() {
    let (begun, has_begun) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let handler = Arc::new(Waits(Mutex::new(Some((begun, may_go_on)))));
    let app = router(host(vec![handler]), RequestLimits { at_once: 1, ..RequestLimits::default() });
    let event = to_structured(&sweep()).unwrap();
    let first = tokio::spawn({
        let (app, event) = (app.clone(), event.clone());
        async move { post(&app, "/", STRUCTURED, event).await.status() }
    });
    has_begun.await.unwrap();
    let second = post(&app, "/", STRUCTURED, event).await;
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(second.headers().contains_key("retry-after"));
    assert_eq!(get(&app, "/livez").await.0, StatusCode::OK);
    go_on.send(()).unwrap();
    assert_eq!(first.await.unwrap(), StatusCode::NO_CONTENT);
    // There is room again: this one is delivered, and the handler, which waits once only, panics.
    let third = post(&app, "/", STRUCTURED, to_structured(&sweep()).unwrap()).await;
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
}
