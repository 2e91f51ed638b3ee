//! One function as a service, `millstream serve plan-run`, with its ledger on fake-gcs-server and its topic on the Pub/Sub
//! emulator: how long it takes from the program's start to the first 200 of `/readyz`, and how many events a second it takes in.
//!
//! In: nothing. Out: rows of a table. Each event is a fact of its own: one object is created in the ledger before it is
//! acknowledged, so the figures are the peers' as much as the function's.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may panic")]

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use millstream_events::{Envelope, Event, Fingerprint, StepFact, StepRef, fact::Reason};
use millstream_peers::{
    fake_gcs::FakeGcs,
    free_port,
    pubsub::{PROJECT, PubSubEmulator},
};
use millstream_ports::{Clock, SystemClock};
use millstream_runtime::cloudevent::to_structured;
use millstream_tests::{
    figures::{memory, milliseconds, quantile, row},
    http::{Connection, request},
    program::millstream,
    up::{demo, wait_for},
};

/// Starts that are measured.
const STARTS: usize = 7;

/// The load's length, for each number of connections.
const LOAD: Duration = Duration::from_secs(5);

const TOPIC: &str = "millstream-events";

/// The service; killed when dropped.
struct Service {
    process: Child,
    address: SocketAddr,
}

impl Service {
    fn start(gcs: &FakeGcs, pubsub: &PubSubEmulator, home: &Path) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let process = Command::new(millstream())
            .args(["serve", "plan-run"])
            .current_dir(home)
            .env("STORAGE_EMULATOR_HOST", gcs.url())
            .env("PUBSUB_EMULATOR_HOST", pubsub.address())
            .env("BIGQUERY_EMULATOR_HOST", "127.0.0.1:1")
            .env("MILLSTREAM_GCP__PROJECT", PROJECT)
            .env("MILLSTREAM_GCP__LOCATION", "US")
            .env("MILLSTREAM_AUTH__REQUIRE", "false")
            .env("MILLSTREAM_PIPELINES_DIR", demo().join("pipelines"))
            .env("MILLSTREAM_HTTP__ADDRESS", address.to_string())
            .env("MILLSTREAM_LOG__LEVEL", "error")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let service = Self { process, address };
        let ready = request("GET", "/readyz", None, "");
        wait_for(
            || "plan-run to be ready".to_owned(),
            || Connection::open(address).ok()?.send(&ready).ok().filter(|response| response.status == 200),
        );
        service
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn main() {
    let pubsub = PubSubEmulator::start();
    pubsub.create_topic(TOPIC);
    let gcs = FakeGcs::start(None);
    for bucket in ["landing", "lake", "ledger", "models"] {
        gcs.create_bucket(bucket);
    }
    let home = tempfile::tempdir().unwrap();
    // Built first, where it is not: that is no start.
    millstream();
    let mut starts: Vec<Duration> = (0..STARTS)
        .map(|_| {
            let started = Instant::now();
            let _service = Service::start(&gcs, &pubsub, home.path());
            started.elapsed()
        })
        .collect();
    let (median, worst) = (quantile(&mut starts, 0.5), quantile(&mut starts, 1.0));
    row("`serve plan-run`, start to ready", &format!("median {}, worst {}", milliseconds(median), milliseconds(worst)));

    let service = Service::start(&gcs, &pubsub, home.path());
    let sent = AtomicUsize::new(0);
    load(service.address, 1, Duration::from_secs(1), &sent);
    for connections in [1, 8, 32] {
        let (mut latencies, wall) = load(service.address, connections, LOAD, &sent);
        let a_second = latencies.len() as f64 / wall.as_secs_f64();
        let (p50, p99) = (quantile(&mut latencies, 0.5), quantile(&mut latencies, 0.99));
        row(
            &format!("facts into the ledger, {connections} at once"),
            &format!("{a_second:.0} a second, p50 {}, p99 {}", milliseconds(p50), milliseconds(p99)),
        );
    }
    row("`serve plan-run`, memory under that", &format!("{} at most", memory(service.process.id(), "VmHWM")));
}

fn load(address: SocketAddr, connections: usize, length: Duration, sent: &AtomicUsize) -> (Vec<Duration>, Duration) {
    let started = Instant::now();
    let tell = || {
        let mut connection = Connection::open(address).unwrap();
        let mut latencies = Vec::new();
        while started.elapsed() < length {
            let body = fact(sent.fetch_add(1, Ordering::Relaxed));
            let told = Instant::now();
            let response = connection.send(&request("POST", "/", None, &body)).unwrap();
            latencies.push(told.elapsed());
            assert!(response.status == 204, "{}: {}", response.status, String::from_utf8_lossy(&response.body));
        }
        latencies
    };
    let latencies = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(tell)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    (latencies, started.elapsed())
}

/// A fact that the ledger has not yet, as a structured CloudEvent.
fn fact(number: usize) -> String {
    let step = StepRef {
        run: "iris/latest".parse().unwrap(),
        step: "load/measurements".parse().unwrap(),
        fingerprint: Fingerprint::of("bench", [number.to_le_bytes().as_slice()]),
        attempt: 1,
    };
    let event = Event::StepDeferred(StepFact { step, fact: Reason::new("measured") });
    let envelope = Envelope { event, time: SystemClock.now(), traceparent: None };
    String::from_utf8(to_structured(&envelope).unwrap().into()).unwrap()
}
