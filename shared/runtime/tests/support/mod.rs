//! What the tests of this crate share: a step, deliveries, and handlers that say what they are told to say.
#![allow(dead_code, unreachable_pub, reason = "every test file takes this in as a module and uses another part of it")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use millstream_events::{
    Command, Envelope, Event, StepRef,
    fact::{Outcome, TableExported},
    trigger::{RunRequested, SweepDue},
    work::{ExportTable, Work},
};
use millstream_ports::{Clock, memory::ManualClock};
use millstream_runtime::{Ack, Handler};
use tokio::sync::mpsc;

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(at("2026-11-24T06:00:00Z")))
}

pub fn step(number: u32) -> StepRef {
    StepRef {
        run: format!("fraud/date=2026-11-{number:02}").parse().unwrap(),
        step: "export/features".parse().unwrap(),
        fingerprint: "5f1d0c9a3b7e42d68f0a1c2b3d4e5f60".parse().unwrap(),
        attempt: 1,
    }
}

/// The command to export a table, in the `number`-th run.
pub fn export(number: u32) -> Envelope {
    let work = ExportTable {
        table: "production.features".parse().unwrap(),
        to: "gs://lake/features.parquet".parse().unwrap(),
    };
    let command = Command { step: step(number), work: Work::ExportTable(work) };
    Envelope {
        event: Event::Command(command),
        time: at("2026-11-24T06:00:00Z"),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
    }
}

pub fn exported() -> Outcome {
    Outcome::TableExported(TableExported {
        table: "production.features".parse().unwrap(),
        files: Vec::new(),
        rows: 1,
        bytes: 1,
    })
}

pub fn sweep() -> Envelope {
    Envelope { event: Event::SweepDue(SweepDue {}), time: at("2026-11-24T06:00:00Z"), traceparent: None }
}

pub fn run_requested(request: &str) -> Envelope {
    let event = RunRequested { pipeline: "fraud".parse().unwrap(), request: request.into(), full_refresh: false };
    Envelope { event: Event::RunRequested(event), time: at("2026-11-24T06:00:00Z"), traceparent: None }
}

/// A handler that tells the test of each delivery and gives the answers it was given, then `Done`.
pub struct Scripted {
    event_type: &'static str,
    answers: Mutex<VecDeque<Ack>>,
    deliveries: mpsc::UnboundedSender<Envelope>,
}

impl Scripted {
    pub fn new(
        event_type: &'static str,
        answers: impl IntoIterator<Item = Ack>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Envelope>) {
        let (deliveries, received) = mpsc::unbounded_channel();
        (Arc::new(Self { event_type, answers: Mutex::new(answers.into_iter().collect()), deliveries }), received)
    }
}

#[async_trait]
impl Handler for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn takes(&self, event_type: &str) -> bool {
        event_type == self.event_type
    }

    async fn handle(&self, delivery: &Envelope) -> Ack {
        let _ = self.deliveries.send(delivery.clone());
        self.answers.lock().unwrap().pop_front().unwrap_or(Ack::Done)
    }
}

pub fn retry() -> Ack {
    Ack::Retry { reason: "the disk is full".into() }
}
