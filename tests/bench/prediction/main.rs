//! `serve-model` beside a Python server on onnxruntime: the same model, the same requests, in the same run.
//!
//! In: nothing. Out: rows of a table. One server runs at a time, the load comes from threads of this process over loopback and
//! shares the machine with it. The servers take turns, and the best of the rounds is shown of each: the machine may have other
//! things to do. Before anything is measured, both have to give the same answers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may panic")]

mod load;
mod model;
mod servers;

use std::{path::Path, time::Duration};

use load::{Measured, at_rate, saturated};
use millstream_tests::figures::{milliseconds, row};
use servers::{Kind, Server};

const ROUNDS: usize = 3;

/// Each load's length.
const LOAD: Duration = Duration::from_secs(4);

/// Connections that ask as fast as they are answered.
const CONNECTIONS: [usize; 3] = [1, 8, 32];

/// Requests a second that come whether the earlier ones are answered or not.
const RATE: u32 = 1_000;

/// What was measured of a server.
#[derive(Default)]
struct Figures {
    saturated: [Vec<Measured>; CONNECTIONS.len()],
    at_rate: Vec<Measured>,
    memory: String,
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    model::train(folder.path());
    let kinds = [Kind::ServeModel, Kind::Python];
    agree(kinds.map(|kind| Server::start(kind, folder.path()).predict(model::REQUESTS)));
    let mut figures = kinds.map(|kind| (kind, Figures::default()));
    for _ in 0..ROUNDS {
        for (kind, figures) in &mut figures {
            measure(*kind, folder.path(), figures);
        }
    }
    for (kind, figures) in &figures {
        report(*kind, figures);
    }
}

/// Answers as lists of probabilities.
fn agree([one, other]: [Vec<Vec<f64>>; 2]) {
    assert_eq!(one.len(), other.len());
    let far = one.iter().flatten().zip(other.iter().flatten()).find(|(a, b)| (*a - *b).abs() > 1e-5);
    assert!(far.is_none(), "the servers do not agree: {far:?}");
}

fn measure(kind: Kind, folder: &Path, figures: &mut Figures) {
    let server = Server::start(kind, folder);
    saturated(server.address, 2, Duration::from_secs(1));
    for (connections, measured) in CONNECTIONS.iter().zip(&mut figures.saturated) {
        measured.push(saturated(server.address, *connections, LOAD));
    }
    figures.at_rate.push(at_rate(server.address, RATE, LOAD));
    figures.memory = server.memory();
}

fn report(kind: Kind, figures: &Figures) {
    let name = kind.name();
    for (connections, rounds) in CONNECTIONS.iter().zip(&figures.saturated) {
        let best = rounds.iter().max_by(|a, b| a.a_second.total_cmp(&b.a_second)).unwrap();
        row(&format!("{name}, {connections} at once"), &format!("{:.0} a second, {}", best.a_second, latencies(best)));
    }
    let best = figures.at_rate.iter().min_by_key(|measured| measured.p99).unwrap();
    row(
        &format!("{name}, {RATE} a second offered"),
        &format!("{:.0} a second answered, {}", best.a_second, latencies(best)),
    );
    row(&format!("{name}, memory after that"), &figures.memory);
}

fn latencies(measured: &Measured) -> String {
    format!("p50 {}, p99 {}", milliseconds(measured.p50), milliseconds(measured.p99))
}
