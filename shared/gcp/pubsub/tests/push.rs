//! What a push subscription really sends, and what the receiving end makes of it: the emulator pushes to a listener of
//! this process, wrapped and unwrapped.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, routing::post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use millstream_events::{
    Event,
    trigger::{MessagePublished, ObjectFinalized, ScheduleFired, SweepDue},
};
use millstream_peers::pubsub::{PubSubEmulator, Subscription};
use millstream_ports::EventBus;
use serde_json::{Value, json};
use support::{bus, decoded, export, only};
use tokio::{net::TcpListener, sync::mpsc};

/// A push that has not come by then will not come.
const DEADLINE: Duration = Duration::from_secs(60);

/// A topic whose pushes come to this process.
struct Pushed {
    emulator: Arc<PubSubEmulator>,
    topic: String,
    refuse_next: Arc<AtomicBool>,
    received: mpsc::UnboundedReceiver<Push>,
}

#[derive(Debug)]
struct Push {
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Clone)]
struct Listener {
    refuse_next: Arc<AtomicBool>,
    pushes: mpsc::UnboundedSender<Push>,
}

async fn receive(State(listener): State<Listener>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let refused = listener.refuse_next.swap(false, Ordering::SeqCst);
    let _ = listener.pushes.send(Push { headers, body });
    if refused { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
}

impl Pushed {
    async fn new(topic: &str, unwrapped: bool) -> Self {
        let (pushes, received) = mpsc::unbounded_channel();
        let refuse_next = Arc::new(AtomicBool::new(false));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let state = Listener { refuse_next: Arc::clone(&refuse_next), pushes };
        let routes = Router::new().route("/", post(receive)).with_state(state);
        tokio::spawn(async move { axum::serve(listener, routes).await });

        let emulator = PubSubEmulator::shared();
        emulator.create_topic(topic);
        emulator.subscribe(&Subscription::push(topic, topic, &endpoint, unwrapped));
        Self { emulator, topic: topic.to_owned(), refuse_next, received }
    }

    fn publish(&self, data: &[u8], attributes: &[(&str, &str)]) {
        self.emulator.publish(&self.topic, data, attributes);
    }

    async fn next(&mut self) -> Push {
        tokio::time::timeout(DEADLINE, self.received.recv()).await.expect("a push in time").unwrap()
    }

    async fn next_event(&mut self) -> Event {
        let push = self.next().await;
        only(decoded(&push.headers, push.body)).event
    }
}

impl Drop for Pushed {
    fn drop(&mut self) {
        // The emulator would go on pushing to a port that another test may get.
        if !std::thread::panicking() {
            self.emulator.unsubscribe(&self.topic);
        }
    }
}

fn notification(kind: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("eventType", kind),
        ("payloadFormat", "JSON_API_V1"),
        ("bucketId", "landing"),
        ("objectId", "fraud/transactions.csv"),
        ("objectGeneration", "1795500000000000"),
        ("eventTime", "2026-11-24T06:00:03.000Z"),
        ("notificationConfig", "projects/_/buckets/landing/notificationConfigs/1"),
    ]
}

fn object() -> Value {
    json!({"kind": "storage#object", "name": "fraud/transactions.csv", "bucket": "landing",
        "generation": "1795500000000000", "size": "12", "crc32c": "4waSgw=="})
}

fn uploaded() -> Event {
    Event::ObjectFinalized(ObjectFinalized {
        object: "gs://landing/fraud/transactions.csv".parse().unwrap(),
        generation: 1_795_500_000_000_000,
        size: 12,
        crc32c: 3_808_858_755,
    })
}

/// Every kind of message one after the other: each is what it was, however it is pushed.
async fn understands_every_message(topic: &str, unwrapped: bool) {
    let mut pushed = Pushed::new(topic, unwrapped).await;

    let command = export("fraud/date=2026-11-24", 1);
    bus(&pushed.emulator.address(), topic).await.publish(vec![command.clone()]).await.unwrap();
    let push = pushed.next().await;
    assert_eq!(only(decoded(&push.headers, push.body)), command);

    pushed.publish(object().to_string().as_bytes(), &notification("OBJECT_FINALIZE"));
    assert_eq!(pushed.next_event().await, uploaded());

    pushed.publish(object().to_string().as_bytes(), &notification("OBJECT_DELETE"));
    let push = pushed.next().await;
    let deletion = decoded(&push.headers, push.body);
    assert!(deletion.events.is_empty());
    assert!(deletion.ignored[0].contains("OBJECT_DELETE of fraud/transactions.csv"), "{:?}", deletion.ignored);

    pushed.publish("{\"größe\": 7}".as_bytes(), &[("origin", "till")]);
    let message = MessagePublished { topic: topic.to_owned(), data: "{\"größe\": 7}".to_owned() };
    assert_eq!(pushed.next_event().await, Event::MessagePublished(message));

    let sweep =
        json!({"specversion": "1.0", "id": "1", "source": "//example.com/cron", "type": "dev.millstream.sweep.due.v1"});
    pushed.publish(sweep.to_string().as_bytes(), &[("content-type", "application/cloudevents+json")]);
    assert_eq!(pushed.next_event().await, Event::SweepDue(SweepDue {}));

    pushed.publish(b"", &[("sweep", "due")]);
    assert_eq!(pushed.next_event().await, Event::SweepDue(SweepDue {}));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_understood_as_it_is_pushed_wrapped() {
    understands_every_message("wrapped", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_understood_as_it_is_pushed_unwrapped() {
    understands_every_message("unwrapped", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_is_refused_is_the_same_tick_when_it_is_delivered_again() {
    for (topic, unwrapped) in [("ticks-wrapped", false), ("ticks-unwrapped", true)] {
        let mut pushed = Pushed::new(topic, unwrapped).await;
        let by_type: &[(&str, &str)] = &[
            ("ce-specversion", "1.0"),
            ("ce-id", "nightly"),
            ("ce-source", "//cloudscheduler.googleapis.com/jobs/nightly"),
            ("ce-type", "dev.millstream.schedule.fired.v1"),
            ("content-type", "application/json"),
        ];
        for (data, attributes) in [(&b""[..], &[("schedule", "fraud")][..]), (&br#"{"pipeline":"fraud"}"#[..], by_type)]
        {
            pushed.refuse_next.store(true, Ordering::SeqCst);
            pushed.publish(data, attributes);
            let (first, again) = (pushed.next_event().await, pushed.next_event().await);
            match &first {
                Event::ScheduleFired(ScheduleFired { pipeline, scheduled_at, .. }) => {
                    assert_eq!((pipeline.as_str(), scheduled_at.timestamp() % 60), ("fraud", 0), "{scheduled_at}");
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(again.id(), first.id());
        }
    }
}

/// The fixtures of `shared/runtime` that were taken from the emulator still have its form.
#[tokio::test(flavor = "multi_thread")]
async fn the_captured_fixtures_are_what_the_emulator_sends() {
    for (topic, unwrapped) in [("captured-wrapped", false), ("captured-unwrapped", true)] {
        let mut pushed = Pushed::new(topic, unwrapped).await;
        pushed.publish(br#"{"transaction_id":7}"#, &[("shop", "till-3")]);
        let push = pushed.next().await;
        let fixture = fixture(&format!("emulator_{}_message", topic.trim_start_matches("captured-")));

        let named: BTreeSet<String> = push.headers.keys().map(|name| name.as_str().to_owned()).collect();
        let expected: BTreeSet<String> =
            fixture["headers"].as_object().unwrap().keys().map(|name| name.to_ascii_lowercase()).collect();
        assert_eq!(named, expected, "{topic}");

        let expected = fixture["text"].as_str().unwrap();
        if unwrapped {
            assert_eq!(push.body, expected);
        } else {
            let (body, expected) =
                (serde_json::from_slice(&push.body).unwrap(), serde_json::from_str(expected).unwrap());
            assert_eq!(shape(&body), shape(&expected));
        }
    }
}

fn fixture(name: &str) -> Value {
    let path = format!("{}/../../runtime/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}

/// The JSON with each text and number gone, so that only its form is left.
fn shape(json: &Value) -> Value {
    match json {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Value::Null,
    }
}
