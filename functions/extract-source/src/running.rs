//! The extractions that this process has under way.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use millstream_events::names::ObjectPath;
use tokio::task::{AbortHandle, JoinHandle};
use tracing::{Instrument, Span};

/// How far an extraction is.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ranges: AtomicUsize,
    ranges_done: AtomicUsize,
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// How many ranges there are to read.
    pub(crate) fn expect(&self, ranges: usize) {
        self.ranges.store(ranges, Ordering::Relaxed);
    }

    /// Counts a range that was read to its end; how many were.
    pub(crate) fn end_range(&self) -> usize {
        self.ranges_done.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts rows and their bytes in memory; how many of both there are with them.
    pub(crate) fn add(&self, rows: u64, bytes: u64) -> (u64, u64) {
        (self.rows.fetch_add(rows, Ordering::Relaxed) + rows, self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows.load(Ordering::Relaxed);
        match self.ranges.load(Ordering::Relaxed) {
            0 => f.write_str("the extraction is being planned"),
            ranges => {
                let done = self.ranges_done.load(Ordering::Relaxed);
                write!(f, "the extraction is under way: {done} of {ranges} ranges, {rows} rows so far")
            }
        }
    }
}

type Entries = Mutex<HashMap<ObjectPath, (Arc<Tally>, AbortHandle)>>;

/// Extractions by the folder of their batches. They end when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Running(Arc<Entries>);

/// What asking for an extraction came to.
#[derive(Debug)]
pub(crate) enum Start<T> {
    /// It goes on since an earlier asking.
    UnderWay(Arc<Tally>),
    /// It goes on from now; the handle waits for its end.
    Started(Arc<Tally>, JoinHandle<T>),
}

impl Running {
    /// Starts an extraction, unless it is under way. It does not end when nobody waits for it any more.
    pub(crate) fn start<F>(&self, batches: ObjectPath, extract: impl FnOnce(Arc<Tally>) -> F) -> Start<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let mut entries = lock(&self.0);
        if let Some((tally, _)) = entries.get(&batches) {
            return Start::UnderWay(Arc::clone(tally));
        }
        let tally = Arc::new(Tally::default());
        let leave = Leave { entries: Arc::clone(&self.0), batches: batches.clone() };
        let extraction = extract(Arc::clone(&tally));
        let task = async move {
            let _leave = leave;
            extraction.await
        };
        let task = tokio::spawn(task.instrument(Span::current()));
        entries.insert(batches, (Arc::clone(&tally), task.abort_handle()));
        Start::Started(tally, task)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.0).values().for_each(|(_, task)| task.abort());
    }
}

/// Takes an extraction out of the list, however it ends.
struct Leave {
    entries: Arc<Entries>,
    batches: ObjectPath,
}

impl Drop for Leave {
    fn drop(&mut self) {
        lock(&self.entries).remove(&self.batches);
    }
}

fn lock(entries: &Entries) -> MutexGuard<'_, HashMap<ObjectPath, (Arc<Tally>, AbortHandle)>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}
