//! What the tests on the emulator share: a connection to it, events, and reading them back.
#![allow(dead_code, unreachable_pub, reason = "every test file takes this in as a module and uses another part of it")]

pub mod gate;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue};
use millstream_events::{
    Command, Envelope, Event, StepFact, StepRef,
    fact::{Outcome, TableExported},
    work::{ExportTable, Work},
};
use millstream_gcp_client::{Connection, Emulators, Service};
use millstream_gcp_pubsub::PubSubBus;
use millstream_peers::pubsub::{PROJECT, Pulled};
use millstream_runtime::cloudevent::{Arrival, Decoded, decode};

pub const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn connection(address: &str) -> Connection {
    Connection::new(PROJECT, Emulators::default().with(Service::PubSub, address)).unwrap()
}

pub async fn bus(address: &str, topic: &str) -> PubSubBus {
    PubSubBus::connect(&connection(address), topic).await.unwrap()
}

pub fn envelope(event: Event) -> Envelope {
    Envelope { event, time: at("2026-11-24T06:00:00Z"), traceparent: Some(TRACE.to_owned()) }
}

fn step(run: &str, attempt: u32) -> StepRef {
    StepRef {
        run: run.parse().unwrap(),
        step: "export/features".parse().unwrap(),
        fingerprint: "5f1d0c9a3b7e42d68f0a1c2b3d4e5f60".parse().unwrap(),
        attempt,
    }
}

/// The command to export a table in this run, for the `attempt`-th time.
pub fn export(run: &str, attempt: u32) -> Envelope {
    let work = ExportTable {
        table: "production.features".parse().unwrap(),
        to: "gs://lake/features.parquet".parse().unwrap(),
    };
    envelope(Event::Command(Command { step: step(run, attempt), work: Work::ExportTable(work) }))
}

/// The fact that answers [`export`].
pub fn exported(run: &str) -> Envelope {
    let fact = Outcome::TableExported(TableExported {
        table: "production.features".parse().unwrap(),
        files: Vec::new(),
        rows: 1,
        bytes: 1,
    });
    envelope(Event::StepDone(StepFact { step: step(run, 1), fact }))
}

/// What the message's receiver makes of it.
pub fn read(message: &Pulled) -> Envelope {
    let headers: HeaderMap = message
        .attributes
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
        .collect();
    only(decoded(&headers, message.data.clone().into()))
}

pub fn decoded(headers: &HeaderMap, body: Bytes) -> Decoded {
    let arrival = Arrival { at: at("2026-11-24T07:00:00Z"), topic: None };
    decode(headers, &body, &arrival).unwrap_or_else(|error| panic!("{error}: {headers:?} {}", body.escape_ascii()))
}

pub fn only(decoded: Decoded) -> Envelope {
    assert!(decoded.ignored.is_empty(), "{:?}", decoded.ignored);
    let [envelope] = <[Envelope; 1]>::try_from(decoded.events).unwrap();
    envelope
}
