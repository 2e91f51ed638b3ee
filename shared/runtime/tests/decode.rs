//! Google's forms, our own, and what hostile senders make of them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use millstream_events::{
    Envelope, Event,
    trigger::{MessagePublished, ObjectFinalized},
};
use millstream_runtime::cloudevent::{
    Arrival, BATCH, Decoded, STRUCTURED, Undecodable, decode, to_batch, to_binary, to_structured,
};
use serde_json::{Value, json};
use support::{at, export, run_requested, sweep};

fn arrival() -> Arrival {
    Arrival { at: at("2026-11-24T07:00:00Z"), topic: None }
}

fn headers<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    given.into_iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
}

fn decode_as(content_type: &str, body: impl Into<Bytes>) -> Result<Decoded, Undecodable> {
    decode(&headers([("content-type", content_type)]), &body.into(), &arrival())
}

fn decode_json(body: &Value) -> Result<Decoded, Undecodable> {
    decode_as("application/json", body.to_string())
}

fn fixture(name: &str) -> Decoded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.json"));
    let request: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let given = request["headers"].as_object().unwrap();
    let headers = headers(given.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())));
    decode(&headers, &request["body"].to_string().into(), &arrival()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn only(decoded: Decoded) -> Envelope {
    assert!(decoded.ignored.is_empty(), "{:?}", decoded.ignored);
    let [envelope] = <[Envelope; 1]>::try_from(decoded.events).unwrap();
    envelope
}

fn uploaded() -> Event {
    Event::ObjectFinalized(ObjectFinalized {
        object: "gs://landing/fraud/2026-11-24/transactions.csv".parse().unwrap(),
        generation: 1_795_500_000_000_000,
        size: 10_482_311,
        crc32c: 3_808_858_755,
    })
}

fn message(topic: &str) -> Event {
    Event::MessagePublished(MessagePublished { topic: topic.into(), data: r#"{"transaction_id": 7}"#.into() })
}

#[test]
fn an_upload_is_the_same_event_in_every_form_google_sends_it_in() {
    for name in [
        "eventarc_storage_binary",
        "eventarc_storage_structured",
        "pubsub_push_storage_notification",
        "pubsub_push_cloudevent_binary",
        "pubsub_unwrapped_storage_notification",
    ] {
        let envelope = only(fixture(name));
        assert_eq!(envelope.event, uploaded(), "{name}");
        assert_eq!(envelope.event.id(), uploaded().id(), "{name}");
        assert_eq!(envelope.time.timestamp(), at("2026-11-24T06:00:03Z").timestamp(), "{name}");
    }
}

#[test]
fn a_message_is_published_on_its_topic_or_else_its_subscriptions_name() {
    assert_eq!(only(fixture("pubsub_push_message")).event, message("landing-uploads"));
    assert_eq!(only(fixture("eventarc_pubsub_binary")).event, message("transactions"));
    // The body is the data here, and this fixture's is written without the space.
    match only(fixture("pubsub_unwrapped_message")).event {
        Event::MessagePublished(message) => {
            assert_eq!((message.topic.as_str(), message.data.as_str()), ("landing-uploads", r#"{"transaction_id":7}"#));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_topic_in_the_path_wins_and_takes_plain_bodies() {
    let arrival = Arrival { topic: Some("orders".into()), ..arrival() };
    let push = json!({"message": {"data": BASE64_STANDARD.encode("x"), "attributes": {"topic": "projects/p/topics/t"}},
        "subscription": "projects/p/subscriptions/s"});
    for body in [push.to_string(), "x".to_owned()] {
        let decoded = decode(&headers([]), &body.into(), &arrival).unwrap();
        let expected = MessagePublished { topic: "orders".into(), data: "x".into() };
        assert_eq!(only(decoded).event, Event::MessagePublished(expected));
    }
}

#[test]
fn a_cloud_event_inside_a_message_is_what_it_says() {
    match only(fixture("pubsub_push_cloudevent_structured")).event {
        Event::RunRequested(request) => assert_eq!(request.request, "r1"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn deletions_are_understood_and_ignored() {
    let decoded = fixture("pubsub_push_storage_deletion");
    assert!(decoded.events.is_empty());
    assert!(decoded.ignored[0].contains("OBJECT_DELETE of fraud/2026-11-24/transactions.csv"), "{:?}", decoded.ignored);

    let event =
        json!({"specversion": "1.0", "id": "1", "source": "//s", "type": "google.cloud.storage.object.v1.deleted"});
    assert_eq!(decode_json(&event).unwrap().ignored.len(), 1);
}

#[test]
fn every_golden_example_is_read_and_written_again_just_so() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/examples");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let bytes = fs::read(&path).unwrap();
            let envelope = only(decode_as(STRUCTURED, bytes.clone()).unwrap());
            let again: Value = serde_json::from_slice(&to_structured(&envelope).unwrap()).unwrap();
            assert_eq!(again, serde_json::from_slice::<Value>(&bytes).unwrap(), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen} examples");
}

#[test]
fn what_is_written_in_any_mode_is_read_back_as_it_was() {
    let trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    let mut upload = Envelope { event: uploaded(), time: at("2026-11-24T06:00:03Z"), traceparent: trace.clone() };
    upload.event = match upload.event {
        Event::ObjectFinalized(object) => {
            let object = ObjectFinalized { object: "gs://landing/Straße 100%.csv".parse().unwrap(), ..object };
            Event::ObjectFinalized(object)
        }
        other => other,
    };
    let events: Vec<Envelope> = [export(1), run_requested("r"), sweep(), upload]
        .into_iter()
        .map(|envelope| Envelope { traceparent: trace.clone(), ..envelope })
        .collect();
    for envelope in &events {
        let (headers, body) = to_binary(envelope).unwrap();
        assert_eq!(&only(decode(&headers, &body, &arrival()).unwrap()), envelope);
        assert_eq!(&only(decode_as(STRUCTURED, to_structured(envelope).unwrap()).unwrap()), envelope);
    }
    assert_eq!(decode_as(BATCH, to_batch(&events).unwrap()).unwrap().events, events);
}

#[test]
fn a_step_can_be_filtered_by_its_attributes() {
    let (headers, _) = to_binary(&export(24)).unwrap();
    for (name, expected) in [
        ("ce-type", "dev.millstream.export.requested.v1"),
        ("ce-pipeline", "fraud"),
        ("ce-run", "date=2026-11-24"),
        ("ce-step", "export/features"),
        ("ce-attempt", "1"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(headers.get(name).unwrap(), expected, "{name}");
    }
}

#[test]
fn a_batch_with_one_wrong_event_is_refused_whole_and_says_which() {
    let mut batch: Vec<Value> = serde_json::from_slice(&to_batch(&[sweep(), export(1)]).unwrap()).unwrap();
    batch[1]["data"]["work"]["table"] = json!("no_dataset");
    let error = decode_as(BATCH, json!(batch).to_string()).unwrap_err();
    assert!(error.to_string().starts_with("event 1 of the batch: "), "{error}");
    assert!(decode_as(BATCH, "[]").unwrap().events.is_empty());
    assert!(matches!(decode_as(BATCH, "{}").unwrap_err(), Undecodable::Json { .. }));
}

#[test]
fn an_event_without_a_trace_starts_one_and_a_broken_trace_is_dropped() {
    let body = to_structured(&sweep()).unwrap();
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let with = |traceparent| {
        let headers = headers([("content-type", STRUCTURED), ("traceparent", traceparent)]);
        only(decode(&headers, &body, &arrival()).unwrap()).traceparent.unwrap()
    };
    assert_eq!(with(given), given);
    for broken in [
        "",
        "00-short-00f067aa0ba902b7-01",
        &given.to_uppercase(),
        &format!("{given}-more"),
        &given.replace("00-4", "ff-4"),
    ] {
        let started = with(broken);
        assert_ne!(started, broken);
        assert_eq!((started.len(), &started[..3], &started[52..]), (55, "00-", "-01"), "{started}");
    }
}

fn push(message: Value) -> Value {
    json!({"message": message, "subscription": "projects/p/subscriptions/s"})
}

fn object_event(change: impl FnOnce(&mut Value)) -> Value {
    let mut data = json!({"bucket": "landing", "name": "a.csv", "generation": "1", "size": "2", "crc32c": "AAAAAA=="});
    change(&mut data);
    json!({"specversion": "1.0", "id": "1", "source": "//s", "type": "google.cloud.storage.object.v1.finalized", "data": data})
}

#[test]
fn what_cannot_be_decoded_says_what_is_wrong_and_what_to_do() {
    let cases: Vec<(&str, Value, &str)> = vec![
        ("wrong base64", push(json!({"data": "%%%"})), "not base64"),
        ("binary data", push(json!({"data": BASE64_STANDARD.encode([0xff, 0xfe])})), "not UTF-8"),
        ("data that is no text", push(json!({"data": 7})), "message.data is \"7\""),
        ("attributes that are no object", push(json!({"data": "", "attributes": [1]})), "message.attributes"),
        ("an attribute that is no text", push(json!({"data": "", "attributes": {"a": 1}})), "message.attributes"),
        ("no topic", json!({"message": {"data": ""}}), "no topic or subscription"),
        (
            "a notification without its object",
            push(json!({"attributes": {"eventType": "OBJECT_FINALIZE", "bucketId": "b", "payloadFormat": "NONE"}})),
            "expected JSON_API_V1",
        ),
        (
            "a notification cut short",
            push(json!({"data": BASE64_STANDARD.encode("{\"bucket\":"), "attributes":
                {"eventType": "OBJECT_FINALIZE", "bucketId": "b", "payloadFormat": "JSON_API_V1"}})),
            "not valid JSON",
        ),
        (
            "an inner event with a line break in a header",
            push(json!({"data": "", "attributes": {"ce-specversion": "1.0", "ce-id": "1\r\nx: y"}})),
            "printable ASCII",
        ),
        (
            "an inner event of no version",
            push(json!({"data": "", "attributes": {"ce-specversion": "9", "ce-id": "1"}})),
            "not a valid CloudEvent",
        ),
        (
            "no checksum",
            object_event(|data| {
                data.as_object_mut().unwrap().remove("crc32c");
            }),
            "no crc32c",
        ),
        ("a short checksum", object_event(|data| data["crc32c"] = json!("AAA=")), "crc32c is \"AAA=\""),
        ("a negative size", object_event(|data| data["size"] = json!("-2")), "size is \"-2\""),
        ("a generation of no number", object_event(|data| data["generation"] = json!(["1"])), "generation is"),
        (
            "a path out of its bucket",
            object_event(|data| data["name"] = json!("../../etc/passwd")),
            "not a valid object name",
        ),
        ("a bucket that is a path", object_event(|data| data["bucket"] = json!("../up")), "not a valid bucket name"),
        (
            "an unknown type",
            json!({"specversion": "1.0", "id": "1", "source": "//s", "type": "com.example.ordered"}),
            "com.example.ordered",
        ),
        ("no id", json!({"specversion": "1.0", "source": "//s", "type": "dev.millstream.sweep.due.v1"}), "`id`"),
        ("a wrong version", json!({"specversion": "7", "id": "1", "source": "//s", "type": "t"}), "7"),
        (
            "a time of no form",
            json!({"specversion": "1.0", "id": "1", "source": "//s", "type": "dev.millstream.sweep.due.v1", "time": "now"}),
            "not a valid CloudEvent",
        ),
        ("JSON of something else", json!({"hello": "world"}), "neither a CloudEvent nor"),
        ("no object", json!(null), "neither a CloudEvent nor"),
    ];
    for (what, body, expected) in cases {
        let error = decode_json(&body).expect_err(what);
        assert!(error.to_string().contains(expected), "{what}: {error}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn hostile_bytes_and_headers_are_refused_without_a_panic() {
    let deep = "[".repeat(200_000);
    for body in [&b""[..], b"\xff\xfe\x00", b"{", b"nul", deep.as_bytes(), &[0; 4096]] {
        for content_type in ["application/json", STRUCTURED, BATCH, "text/plain", "APPLICATION/CLOUDEVENTS+JSON", ""] {
            assert!(decode_as(content_type, body.to_vec()).is_err(), "{content_type}: {body:?}");
        }
    }
    let strange = HeaderValue::from_bytes(&[0xff, 0x80]).unwrap();
    for name in ["ce-specversion", "ce-type", "ce-time", "content-type", "traceparent", "x-goog-pubsub-message-id"] {
        let mut headers = headers([
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "//s"),
            ("ce-type", "dev.millstream.sweep.due.v1"),
        ]);
        headers.insert(name, strange.clone());
        // Either answer will do; what matters is that there is one.
        let _ = decode(&headers, &Bytes::from_static(b"{}"), &arrival());
    }
}

#[test]
fn an_error_repeats_only_the_beginning_of_a_long_value() {
    let event = object_event(|data| data["size"] = json!("9".repeat(1_000_000)));
    assert!(decode_json(&event).unwrap_err().to_string().len() < 300);
}
