//! Measures the ledger on files: `cargo run --release -p millstream-embedded --example ledger_speed`.
//!
//! Out: the mean time of recording a step and of reading a run of 200 records anew.
#![expect(clippy::print_stdout, reason = "a measurement is for a person at a terminal")]

use std::{sync::Arc, time::Instant};

use millstream_embedded::objects::{LocalObjectStore, StoreOptions};
use millstream_events::{Fingerprint, StepRef, history::Record, names::RunId};
use millstream_ports::{Ledger, ObjectLedger, PortResult, SystemClock};

const RUNS: u32 = 20;
const RECORDS: u32 = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::temp_dir().join(format!("ledger-speed-{}", std::process::id()));
    for durable in [false, true] {
        let options = StoreOptions { durable, ..StoreOptions::default() };
        measure(Arc::new(LocalObjectStore::open(&root, options)?), if durable { "durable" } else { "plain" }).await?;
    }
    std::fs::remove_dir_all(root)?;
    Ok(())
}

async fn measure(store: Arc<LocalObjectStore>, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let open = || ObjectLedger::new(store.clone(), "ledger", Arc::new(SystemClock));
    let runs: Vec<RunId> = (0..RUNS).map(|run| format!("{name}/{run}").parse()).collect::<Result<_, _>>()?;
    let ledger = open();
    let started = Instant::now();
    for run in &runs {
        ledger.open(run).await?;
        for step in 0..RECORDS {
            ledger.record(run, requested(run, step)?).await?;
        }
    }
    println!("{name}: {:?} a record", started.elapsed() / (RUNS * RECORDS));
    let fresh = open();
    println!("{name}: {:?} a first snapshot of {RECORDS} records", snapshots(&fresh, &runs).await?);
    println!("{name}: {:?} a snapshot with nothing new", snapshots(&fresh, &runs).await?);
    Ok(())
}

async fn snapshots(ledger: &ObjectLedger, runs: &[RunId]) -> PortResult<std::time::Duration> {
    let started = Instant::now();
    for run in runs {
        ledger.snapshot(run).await?;
    }
    Ok(started.elapsed() / RUNS)
}

fn requested(run: &RunId, step: u32) -> Result<Record, Box<dyn std::error::Error>> {
    let name = format!("load/table-{step}");
    Ok(Record::Requested(StepRef {
        run: run.clone(),
        fingerprint: Fingerprint::of("speed", [name.as_bytes()]),
        step: name.parse()?,
        attempt: 1,
    }))
}
