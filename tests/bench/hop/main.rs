//! How long events take: every function in one process, as `millstream up` has it, with the ledger on local files and tables in
//! memory, so that nearly nothing is left but the platform itself.
//!
//! In: nothing. Out: rows of a table. A hop is counted from a fact's publishing to the entry of the next step's function: in
//! between `plan-run` takes the fact, records it, reads the run's history, decides and publishes the command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints and may panic")]

mod chain;
mod timed;

use std::{sync::Arc, time::Duration};

use millstream_embedded::objects::{LocalObjectStore, StoreOptions};
use millstream_events::{Envelope, Event, names::RunId, trigger::ObjectFinalized};
use millstream_ports::{
    Clock, EventBus, Ledger, ObjectLedger, ObjectStoreExt, Precondition, SystemClock,
    memory::{MemoryModels, MemoryTrainer, MemoryWarehouse},
};
use millstream_runtime::{DispatchSettings, Dispatcher, Metrics};
use millstream_tests::{
    example::{World, functions},
    figures::{milliseconds, quantile, row},
};
use timed::{Marks, TimedBus, timed};

/// Chains that are measured, after some that warm up caches and threads.
const CHAINS: usize = 40;
const WARM_UP: usize = 5;

/// The ingest, the load and the models.
const STEPS: usize = 2 + chain::MODELS;

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(LocalObjectStore::open(folder.path().join("buckets"), StoreOptions::default()).unwrap());
    let ledger: Arc<dyn Ledger> = Arc::new(ObjectLedger::new(store.clone(), "ledger", clock.clone()));
    let models = Arc::new(MemoryModels::new(clock.clone()));
    let dispatcher = Dispatcher::new(DispatchSettings::default(), Metrics::new().unwrap());
    let marks = Arc::new(Marks::default());
    let world = World {
        store: store.clone(),
        warehouse: Arc::new(MemoryWarehouse::new(store.clone())),
        trainer: Arc::new(MemoryTrainer::new(store.clone(), clock.clone())),
        registry: models.clone(),
        endpoints: models.clone(),
        scorer: models,
        ledger: ledger.clone(),
        bus: Arc::new(TimedBus { inner: dispatcher.clone(), marks: marks.clone() }),
        clock: clock.clone(),
    };
    let scratch = folder.path().join("scratch");
    dispatcher.start(timed(functions(chain::pipelines(), &world, &scratch), &marks));

    for number in 0..WARM_UP + CHAINS {
        if number == WARM_UP {
            marks.forget();
        }
        let (path, run) = chain::upload(number);
        let body = format!("id\n{number}\n");
        let meta = store.put(&path, body, Precondition::Absent).await.unwrap();
        let object =
            ObjectFinalized { object: meta.path, generation: meta.generation, size: meta.size, crc32c: meta.crc32c };
        let event = Event::ObjectFinalized(object);
        dispatcher.publish(vec![Envelope { event, time: clock.now(), traceparent: None }]).await.unwrap();
        until_closed(&*ledger, &marks, &run).await;
    }
    dispatcher.shutdown(Duration::from_secs(5)).await;
    report(&marks);
}

/// The last fact closes the run; the next chain must not be measured beside that.
async fn until_closed(ledger: &dyn Ledger, marks: &Marks, run: &RunId) {
    while marks.published(run) < STEPS || ledger.snapshot(run).await.unwrap().open.is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn report(marks: &Marks) {
    let (mut hops, mut chains) = (Vec::new(), Vec::new());
    for (run, times) in marks.taken() {
        assert_eq!((times.entered.len(), times.published.len()), (STEPS, STEPS), "steps of {run} ran once each");
        // One step at a time: the n-th fact is followed by the step after the n-th.
        hops.extend(times.published.iter().zip(&times.entered[1..]).map(|(fact, next)| *next - *fact));
        // From the load's fact to the last model's.
        chains.push(times.published[STEPS - 1] - times.published[1]);
    }
    let hop = |q| milliseconds(quantile(&mut hops.clone(), q));
    let chain = |q| milliseconds(quantile(&mut chains.clone(), q));
    row(&format!("hop, {} of them", hops.len()), &format!("median {}, p99 {}", hop(0.5), hop(0.99)));
    row(
        &format!("chain of {} empty steps, {CHAINS} of them", chain::MODELS),
        &format!("median {}, worst {}", chain(0.5), chain(1.0)),
    );
}
