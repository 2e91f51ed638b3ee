//! Golden requests: every way an event reaches a function, and what it is decoded to.
//!
//! A fixture is a request's `headers` with its `body` as JSON, or as the exact `text` where that matters. Those named
//! `emulator_*` were taken from the pushes of Google's Pub/Sub emulator; `shared/gcp/pubsub/tests/push.rs` checks that it
//! still sends them so. The others are written after Google's documentation and the facts noted in `src/cloudevent`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use millstream_events::{
    Event,
    trigger::{MessagePublished, ObjectFinalized, RunRequested, ScheduleFired, SweepDue},
};
use millstream_runtime::cloudevent::{Arrival, Decoded, STRUCTURED, Undecodable, decode};
use serde_json::{Value, json};
use support::at;

/// What a fixture is decoded to.
#[derive(Debug, PartialEq)]
enum Meaning {
    Event(Box<Event>),
    /// Understood, and nothing to do; the text is in the log line.
    Ignored(&'static str),
}

fn event(event: Event) -> Meaning {
    Meaning::Event(Box::new(event))
}

fn uploaded() -> Meaning {
    event(Event::ObjectFinalized(ObjectFinalized {
        object: "gs://landing/fraud/2026-11-24/transactions.csv".parse().unwrap(),
        generation: 1_795_500_000_000_000,
        size: 10_482_311,
        crc32c: 3_808_858_755,
    }))
}

fn message(topic: &str, data: &str) -> Meaning {
    event(Event::MessagePublished(MessagePublished { topic: topic.into(), data: data.into() }))
}

fn fired(scheduled_at: &str) -> Meaning {
    event(Event::ScheduleFired(ScheduleFired {
        pipeline: "fraud".parse().unwrap(),
        scheduled_at: at(scheduled_at),
        source: None,
    }))
}

fn sweep() -> Meaning {
    event(Event::SweepDue(SweepDue {}))
}

/// The event of the golden example in `events/examples`.
fn export_requested() -> Meaning {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/examples/dev.millstream.export.requested.v1.json");
    let example: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    event(Event::from_parts(example["type"].as_str().unwrap(), example["data"].clone()).unwrap())
}

fn run_requested() -> Meaning {
    event(Event::RunRequested(RunRequested {
        pipeline: "fraud".parse().unwrap(),
        request: "r1".into(),
        full_refresh: false,
    }))
}

fn meanings() -> BTreeMap<&'static str, Meaning> {
    const OBJECT: &str = "fraud/2026-11-24/transactions.csv";
    const ROW: &str = r#"{"transaction_id":7}"#;
    const SPACED_ROW: &str = r#"{"transaction_id": 7}"#;
    const SIX: &str = "2026-11-24T06:00:00Z";
    BTreeMap::from([
        // Eventarc.
        ("eventarc_storage_binary", uploaded()),
        ("eventarc_storage_structured", uploaded()),
        (
            "eventarc_storage_deleted",
            Meaning::Ignored("an object was deleted (objects/fraud/2026-11-24/transactions.csv)"),
        ),
        ("eventarc_pubsub_binary", message("transactions", SPACED_ROW)),
        ("eventarc_pubsub_structured", message("transactions", ROW)),
        // Cloud Storage notifications through Pub/Sub. An overwrite is two messages: what is there now, what was.
        ("pubsub_push_storage_notification", uploaded()),
        ("pubsub_push_storage_overwrite", uploaded()),
        ("pubsub_push_storage_overwritten", Meaning::Ignored("OBJECT_DELETE")),
        ("pubsub_push_storage_deletion", Meaning::Ignored(OBJECT)),
        ("pubsub_push_storage_metadata", Meaning::Ignored("OBJECT_METADATA_UPDATE")),
        ("pubsub_unwrapped_storage_notification", uploaded()),
        ("pubsub_unwrapped_storage_deletion", Meaning::Ignored("OBJECT_DELETE")),
        // Pub/Sub, of others and of Millstream's own bus.
        ("pubsub_push_message", message("landing-uploads", SPACED_ROW)),
        ("pubsub_unwrapped_message", message("landing-uploads", ROW)),
        ("pubsub_push_cloudevent_binary", uploaded()),
        ("pubsub_push_cloudevent_structured", run_requested()),
        ("pubsub_push_millstream_command", export_requested()),
        ("pubsub_unwrapped_millstream_command", export_requested()),
        // Cloud Scheduler over HTTP.
        ("scheduler_http_structured", fired(SIX)),
        ("scheduler_http_default_content_type", fired(SIX)),
        ("scheduler_http_binary", fired(SIX)),
        ("scheduler_http_given_time", fired("2026-11-23T06:00:00Z")),
        ("scheduler_http_sweep", sweep()),
        // Cloud Scheduler over Pub/Sub.
        ("scheduler_pubsub_attribute", fired(SIX)),
        ("scheduler_pubsub_attribute_unwrapped", fired(SIX)),
        ("scheduler_pubsub_structured", fired(SIX)),
        ("scheduler_pubsub_binary", fired(SIX)),
        ("scheduler_pubsub_binary_unwrapped", fired(SIX)),
        ("scheduler_pubsub_sweep", sweep()),
        ("scheduler_pubsub_sweep_unwrapped", sweep()),
        // As the emulator sends them.
        ("emulator_wrapped_message", message("wrapped", ROW)),
        ("emulator_wrapped_cloudevent", sweep()),
        ("emulator_wrapped_attribute", fired("2026-11-24T21:17:00Z")),
        ("emulator_unwrapped_message", message("unwrapped", ROW)),
        ("emulator_unwrapped_cloudevent", sweep()),
        ("emulator_unwrapped_attribute", fired("2026-11-24T21:17:00Z")),
    ])
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn request(name: &str) -> (HeaderMap, Bytes) {
    let request: Value = serde_json::from_slice(&fs::read(folder().join(format!("{name}.json"))).unwrap()).unwrap();
    let body = match request["text"].as_str() {
        Some(text) => text.to_owned(),
        None => request["body"].to_string(),
    };
    (headers(&request["headers"]), body.into())
}

fn headers(given: &Value) -> HeaderMap {
    let pairs = given.as_object().unwrap().iter();
    pairs
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), value.as_str().unwrap().parse::<HeaderValue>().unwrap())
        })
        .collect()
}

fn decoded(headers: &HeaderMap, body: &Bytes) -> Result<Decoded, Undecodable> {
    decode(headers, body, &Arrival { at: at("2026-11-24T07:00:00Z"), topic: None })
}

fn meaning(name: &str) -> (Vec<Event>, Vec<String>) {
    let (headers, body) = request(name);
    let decoded = decoded(&headers, &body).unwrap_or_else(|error| panic!("{name}: {error}"));
    (decoded.events.into_iter().map(|envelope| envelope.event).collect(), decoded.ignored)
}

#[test]
fn every_fixture_is_decoded_to_what_it_means() {
    for (name, expected) in meanings() {
        let (events, ignored) = meaning(name);
        match expected {
            Meaning::Event(event) => assert_eq!((events, ignored), (vec![*event], Vec::new()), "{name}"),
            Meaning::Ignored(text) => {
                assert_eq!((events.len(), ignored.len()), (0, 1), "{name}");
                assert!(ignored[0].contains(text), "{name}: {ignored:?}");
            }
        }
    }
}

#[test]
fn every_fixture_has_a_meaning() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, meanings().keys().map(|name| (*name).to_owned()).collect());
}

#[test]
fn the_time_and_the_trace_of_a_message_are_its_own() {
    let (headers, body) = request("pubsub_unwrapped_millstream_command");
    let [envelope] = <[_; 1]>::try_from(decoded(&headers, &body).unwrap().events).unwrap();
    assert_eq!(envelope.time, at("2026-11-24T06:00:03Z"));
    assert_eq!(envelope.traceparent.unwrap(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");

    let (headers, body) = request("scheduler_pubsub_attribute");
    let [envelope] = <[_; 1]>::try_from(decoded(&headers, &body).unwrap().events).unwrap();
    assert_eq!(envelope.time, at("2026-11-24T06:00:01.284Z"));
}

#[test]
fn a_tick_tried_or_delivered_again_is_the_same_tick_and_the_next_one_is_another() {
    let id = |scheduled: &str| {
        let (mut headers, body) = request("scheduler_http_structured");
        headers.insert("x-cloudscheduler-scheduletime", scheduled.parse().unwrap());
        let [envelope] = <[_; 1]>::try_from(decoded(&headers, &body).unwrap().events).unwrap();
        envelope.event.id()
    };
    assert_eq!(id("2026-11-24T06:00:00Z"), id("2026-11-24T06:00:31.25Z"));
    assert_eq!(id("2026-11-24T06:00:00Z"), id("2026-11-24T07:00:00+01:00"));
    assert_ne!(id("2026-11-24T06:00:00Z"), id("2026-11-24T06:01:00Z"));
}

#[test]
fn a_tick_of_no_time_is_refused() {
    let body = json!({"specversion": "1.0", "id": "1", "source": "//s", "type": "dev.millstream.schedule.fired.v1",
        "data": {"pipeline": "fraud"}});
    for (name, time) in [("content-length", "1"), ("x-cloudscheduler-scheduletime", "soon")] {
        let headers = headers(&json!({"content-type": STRUCTURED, name: time}));
        let error = decoded(&headers, &body.to_string().into()).unwrap_err();
        assert!(error.to_string().contains("scheduled_at"), "{error}");
    }
    let push = json!({"message": {"attributes": {"schedule": "fraud"}}, "subscription": "projects/p/subscriptions/s"});
    let error = decoded(&HeaderMap::new(), &push.to_string().into()).unwrap_err();
    assert!(error.to_string().contains("no publishTime"), "{error}");
}

#[test]
fn attributes_say_what_is_due_only_where_there_is_no_data() {
    let push = |data: &str, attributes: Value| {
        let message = json!({"data": data, "attributes": attributes, "publishTime": "2026-11-24T06:00:00Z"});
        let body = json!({"message": message, "subscription": "projects/p/subscriptions/s"});
        decoded(&HeaderMap::new(), &body.to_string().into())
    };
    for attributes in [json!({"schedule": "fraud"}), json!({"sweep": "due"})] {
        let decoded = push("eA==", attributes).unwrap();
        let expected = Event::MessagePublished(MessagePublished { topic: "s".into(), data: "x".into() });
        assert_eq!(decoded.events[0].event, expected);
    }
    for (attributes, expected) in
        [(json!({"schedule": "No Pipeline"}), "No Pipeline"), (json!({"sweep": "now"}), "expected due")]
    {
        let error = push("", attributes).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
