//! The `millstream` program itself, on the demo's project: how long it takes to start, what it holds while it waits, and how
//! many predictions it answers.
//!
//! In: nothing. Out: rows of a table. The load comes from threads of this process over loopback, one kept-alive connection
//! each, a request at a time; it shares the machine with what it measures.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may panic")]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use millstream_tests::{
    figures::{memory, milliseconds, quantile, row},
    http::{Connection, request},
    up::{Project, Up, demo_uploads},
};

/// One flower, by name.
const FLOWER: &str = r#"{"instances": [{"sepal_length": 6.1, "sepal_width": 2.8, "petal_length": 4.7, "petal_width": 1.2,
"petal_ratio": 3.9167, "sepal_area": 17.08}]}"#;

/// Starts that are measured.
const STARTS: usize = 7;

/// How long a platform has nothing to do before its memory is read: a few sweeps.
const IDLE: Duration = Duration::from_secs(12);

/// The load's bounds, for each number of connections.
const LOAD: Duration = Duration::from_secs(5);
const MOST_REQUESTS: usize = 500_000;

fn main() {
    let project = Project::new("", &[]);
    let uploads = demo_uploads();
    for (name, content) in &uploads {
        project.upload(name, content);
    }
    let names: Vec<&str> = uploads.iter().map(|(name, _)| name.as_str()).collect();
    let mut first = Up::start(&project);
    first.wait_until_settled(&names);
    drop(first);

    let mut starts: Vec<Duration> = (0..STARTS).map(|_| start(&project).0).collect();
    let (median, worst) = (quantile(&mut starts, 0.5), quantile(&mut starts, 1.0));
    row("`millstream up`, start to ready", &format!("median {}, worst {}", milliseconds(median), milliseconds(worst)));

    let (_, mut up) = start(&project);
    let address = up.wait_until_ready();
    std::thread::sleep(IDLE);
    row("`millstream up`, memory when idle", &resident(&up));
    load(address, 1, Duration::from_secs(1));
    for connections in [1, 8, 32] {
        let measured = load(address, connections, LOAD);
        report(connections, measured);
    }
    row("`millstream up`, memory after that", &resident(&up));
}

/// A start on a project where nothing is left to do: from the program's start to the first 200 of `/readyz`.
fn start(project: &Project) -> (Duration, Up<'_>) {
    let started = Instant::now();
    let mut up = Up::start(project);
    up.wait_until_ready();
    (started.elapsed(), up)
}

fn resident(up: &Up<'_>) -> String {
    format!("{} resident", memory(up.pid(), "VmRSS"))
}

/// What a load's requests took, and how long it all took.
struct Measured {
    latencies: Vec<Duration>,
    wall: Duration,
}

fn load(address: SocketAddr, connections: usize, length: Duration) -> Measured {
    let started = Instant::now();
    let ask = || {
        let request = request("POST", "/predict/iris", None, FLOWER);
        let mut connection = Connection::open(address).unwrap();
        let mut latencies = Vec::new();
        while started.elapsed() < length && latencies.len() < MOST_REQUESTS / connections {
            let asked = Instant::now();
            let response = connection.send(&request).unwrap();
            latencies.push(asked.elapsed());
            assert!(response.status == 200, "{}", String::from_utf8_lossy(&response.body));
        }
        latencies
    };
    let latencies = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    Measured { latencies, wall: started.elapsed() }
}

fn report(connections: usize, Measured { mut latencies, wall }: Measured) {
    let a_second = latencies.len() as f64 / wall.as_secs_f64();
    let (p50, p99) = (quantile(&mut latencies, 0.5), quantile(&mut latencies, 0.99));
    row(
        &format!("predictions over HTTP, {connections} at once"),
        &format!("{a_second:.0} a second, p50 {}, p99 {}", milliseconds(p50), milliseconds(p99)),
    );
}
