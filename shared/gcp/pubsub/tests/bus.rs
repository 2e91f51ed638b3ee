//! Publishing, on Google's Pub/Sub emulator.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use millstream_events::{
    Event,
    trigger::{MessagePublished, SweepDue},
};
use millstream_gcp_pubsub::PubSubBus;
use millstream_peers::pubsub::{PubSubEmulator, Pulled, Subscription};
use millstream_ports::{ErrorKind, EventBus, contracts::event_bus};
use support::{bus, connection, envelope, export, exported, gate::Gate, read};

/// A topic of this name with one subscription of the same name.
fn topic(name: &str) -> Arc<PubSubEmulator> {
    let emulator = PubSubEmulator::shared();
    emulator.create_topic(name);
    emulator.subscribe(&Subscription { ordered: true, ..Subscription::pull(name, name) });
    emulator
}

/// Pulls until there are as many messages; a pull gives what it likes of what is there.
fn pull(emulator: &PubSubEmulator, subscription: &str, count: usize) -> Vec<Pulled> {
    let mut pulled = Vec::new();
    for _ in 0..1_000 {
        pulled.extend(emulator.pull(subscription));
        if pulled.len() >= count {
            return pulled;
        }
    }
    panic!("{} messages of {count}", pulled.len());
}

#[tokio::test]
async fn it_keeps_the_contract_of_an_event_bus() {
    let emulator = topic("contract");
    let seen = Mutex::new(Vec::new());
    let delivered = async || {
        let mut seen = seen.lock().unwrap();
        seen.extend(emulator.pull("contract").iter().map(|message| read(message).event));
        seen.clone()
    };
    event_bus::all(&bus(&emulator.address(), "contract").await, &delivered).await;
}

#[tokio::test]
async fn a_message_is_a_binary_cloudevent_with_its_kind_and_its_run() {
    let emulator = topic("attributes");
    let sent =
        [export("fraud/date=2026-11-24", 2), exported("fraud/date=2026-11-24"), envelope(Event::SweepDue(SweepDue {}))];
    bus(&emulator.address(), "attributes").await.publish(sent.to_vec()).await.unwrap();

    let pulled = pull(&emulator, "attributes", 3);
    let of_kind = |kind: &str| pulled.iter().find(|message| message.attributes["kind"] == kind).unwrap();
    for (kind, sent) in ["command", "fact", "trigger"].into_iter().zip(&sent) {
        assert_eq!(&read(of_kind(kind)), sent, "{kind}");
    }
    let command = of_kind("command");
    let id = sent[0].event.id();
    let expected: BTreeMap<&str, &str> = [
        ("ce-attempt", "2"),
        ("ce-id", &id),
        ("ce-pipeline", "fraud"),
        ("ce-run", "date=2026-11-24"),
        ("ce-source", "//millstream.dev/runs/fraud/date=2026-11-24"),
        ("ce-specversion", "1.0"),
        ("ce-step", "export/features"),
        ("ce-subject", "fraud/date=2026-11-24/export/features"),
        ("ce-time", "2026-11-24T06:00:00+00:00"),
        ("ce-traceparent", support::TRACE),
        ("ce-type", "dev.millstream.export.requested.v1"),
        ("content-type", "application/json"),
        ("kind", "command"),
    ]
    .into();
    let found: BTreeMap<&str, &str> =
        command.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!(command.ordering_key, "fraud/date=2026-11-24");
    assert_eq!(of_kind("fact").ordering_key, "fraud/date=2026-11-24");
    assert_eq!(of_kind("trigger").ordering_key, "");
}

#[tokio::test]
async fn a_thousand_events_are_all_there_once_publish_returns_each_run_in_its_order() {
    let emulator = topic("thousand");
    let events = (1..=50).flat_map(|attempt| (1..=20).map(move |run| export(&format!("fraud/run={run}"), attempt)));
    bus(&emulator.address(), "thousand").await.publish(events.collect()).await.unwrap();

    let mut runs = BTreeMap::<String, Vec<u32>>::new();
    for message in pull(&emulator, "thousand", 1_000) {
        let step = read(&message).event.step().unwrap().clone();
        runs.entry(step.run.to_string()).or_default().push(step.attempt);
    }
    assert_eq!(runs.len(), 20);
    for (run, attempts) in runs {
        assert_eq!(attempts, (1..=50).collect::<Vec<_>>(), "{run}");
    }
}

#[tokio::test]
async fn many_callers_publish_at_once_and_each_is_answered_for_its_own() {
    let emulator = topic("callers");
    let bus = Arc::new(bus(&emulator.address(), "callers").await);
    let callers: Vec<_> = (1..=50)
        .map(|attempt| {
            let bus = Arc::clone(&bus);
            tokio::spawn(async move { bus.publish(vec![export("fraud/latest", attempt)]).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    let found: BTreeSet<u32> =
        pull(&emulator, "callers", 50).iter().map(|message| read(message).event.step().unwrap().attempt).collect();
    assert_eq!(found, (1..=50).collect());
}

#[tokio::test]
async fn a_missing_topic_is_named_with_what_creates_it_and_taken_once_it_is_there() {
    let emulator = PubSubEmulator::shared();
    let bus = bus(&emulator.address(), "not-yet").await;
    let events = || vec![export("fraud/latest", 1), export("fraud/latest", 2), envelope(Event::SweepDue(SweepDue {}))];
    let error = bus.publish(events()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("gcloud pubsub topics create not-yet --project p1"), "{error}");

    topic("not-yet");
    bus.publish(events()).await.unwrap();
    assert_eq!(pull(&emulator, "not-yet", 3).len(), 3);
}

#[tokio::test]
async fn events_wait_for_a_service_that_is_back_in_a_moment() {
    let emulator = topic("moment");
    let mut gate = Gate::new(emulator.address(), true).await;
    let bus = Arc::new(bus(&gate.address(), "moment").await);
    bus.publish(vec![export("fraud/latest", 1)]).await.unwrap();

    gate.close();
    let publishing = tokio::spawn({
        let bus = Arc::clone(&bus);
        async move { bus.publish(vec![export("fraud/latest", 2)]).await }
    });
    gate.refusal().await;
    assert!(!publishing.is_finished());
    gate.open();
    publishing.await.unwrap().unwrap();
    let found: BTreeSet<u32> =
        pull(&emulator, "moment", 2).iter().map(|message| read(message).event.step().unwrap().attempt).collect();
    assert_eq!(found, [1, 2].into());
}

#[tokio::test]
async fn a_service_that_stays_away_is_unavailable_and_its_runs_go_on_when_it_is_back() {
    let emulator = topic("away");
    let gate = Gate::new(emulator.address(), false).await;
    let bus =
        PubSubBus::connect_within(&connection(&gate.address()), "away", Duration::from_millis(500)).await.unwrap();
    for attempt in 1..=2 {
        let error = bus.publish(vec![export("fraud/latest", attempt)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.is_retryable());
        assert!(error.to_string().contains("the topic away"), "{error}");
    }
    gate.open();
    bus.publish(vec![export("fraud/latest", 3)]).await.unwrap();
    assert_eq!(read(&pull(&emulator, "away", 1)[0]).event.step().unwrap().attempt, 3);
}

#[tokio::test]
async fn an_event_of_nine_megabytes_arrives_and_one_over_the_limit_keeps_all_others_back() {
    let emulator = topic("large");
    let bus = bus(&emulator.address(), "large").await;
    let message = |length: usize| {
        envelope(Event::MessagePublished(MessagePublished { topic: "rows".into(), data: "x".repeat(length) }))
    };
    bus.publish(vec![message(9_000_000)]).await.unwrap();
    assert_eq!(read(&pull(&emulator, "large", 1)[0]), message(9_000_000));

    let error = bus.publish(vec![message(1), message(10_000_001)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    // What is refused is refused before anything is sent.
    assert_eq!(emulator.pull("large"), []);
}

#[tokio::test]
async fn a_topic_that_cannot_be_one_is_refused_before_anything_is_published() {
    let error = PubSubBus::connect(&connection("127.0.0.1:1"), "projects/p1/topics/events").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
