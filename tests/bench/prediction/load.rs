//! Load on one server: as much as it takes, or at a fixed rate.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use millstream_tests::{
    figures::quantile,
    http::{Connection, request},
};

use crate::model;

/// Connections of the load at a fixed rate: more than are ever needed at once by a server that keeps up.
const CONNECTIONS: usize = 32;

/// What a load's requests came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Answers a second.
    pub(crate) a_second: f64,
    /// The time below which half of the answers came.
    pub(crate) p50: Duration,
    /// The time below which 99 % of the answers came.
    pub(crate) p99: Duration,
}

impl Measured {
    fn new(mut latencies: Vec<Duration>, wall: Duration) -> Self {
        let a_second = latencies.len() as f64 / wall.as_secs_f64();
        Self { a_second, p50: quantile(&mut latencies, 0.5), p99: quantile(&mut latencies, 0.99) }
    }
}

/// Closed loop: each connection asks again when it is answered.
pub(crate) fn saturated(address: SocketAddr, connections: usize, length: Duration) -> Measured {
    let started = Instant::now();
    let ask = |which: usize| {
        let mut connection = Connection::open(address).unwrap();
        let requests = requests();
        let mut latencies = Vec::new();
        while started.elapsed() < length {
            let asked = Instant::now();
            answered(&mut connection, &requests[(which + latencies.len()) % requests.len()]);
            latencies.push(asked.elapsed());
        }
        latencies
    };
    let latencies = on_threads(connections, ask);
    Measured::new(latencies, started.elapsed())
}

/// Open loop: a request is due every so often, whether the earlier ones are answered or not, and its time counts from then. A
/// server that falls behind is not spared the requests it makes wait.
pub(crate) fn at_rate(address: SocketAddr, a_second: u32, length: Duration) -> Measured {
    let pause = Duration::from_secs(1) / a_second;
    let count = u32::try_from(length.as_nanos() / pause.as_nanos()).unwrap();
    let next = AtomicU32::new(0);
    let started = Instant::now() + Duration::from_millis(50);
    let ask = |_| {
        let mut connection = Connection::open(address).unwrap();
        let requests = requests();
        let mut latencies = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return latencies;
            }
            let due = started + pause * number;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            answered(&mut connection, &requests[number as usize % requests.len()]);
            latencies.push(due.elapsed());
        }
    };
    let latencies = on_threads(CONNECTIONS, ask);
    Measured::new(latencies, started.elapsed())
}

fn on_threads(count: usize, ask: impl Fn(usize) -> Vec<Duration> + Sync) -> Vec<Duration> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|which| {
                scope.spawn({
                    let ask = &ask;
                    move || ask(which)
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn requests() -> Vec<Vec<u8>> {
    (0..model::REQUESTS).map(|number| request("POST", "/predict", None, &model::instance(number))).collect()
}

fn answered(connection: &mut Connection, request: &[u8]) {
    let response = connection.send(request).unwrap();
    assert!(response.status == 200, "{}", String::from_utf8_lossy(&response.body));
}
