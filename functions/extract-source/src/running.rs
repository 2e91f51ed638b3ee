//! The extractions that this process has under way.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use millstream_events::names::ObjectPath;
use tokio::{
    sync::Mutex as AsyncMutex,
    task::{AbortHandle, JoinError, JoinHandle},
};
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

/// An extraction that was started.
#[derive(Debug)]
pub(crate) struct Task<T> {
    tally: Tally,
    /// Whoever has it waits for the end; it is gone when that was told.
    end: AsyncMutex<Option<JoinHandle<T>>>,
}

/// What waiting came to.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    /// It ended.
    Ended(Result<T, JoinError>),
    /// It goes on.
    UnderWay,
    /// Its end was told to someone else.
    Over,
}

impl<T> Task<T> {
    /// Waits for the end, unless someone else does: a request that waits is what keeps a processor at the work where one is
    /// given to requests alone, and one of them will do.
    pub(crate) async fn wait(&self, patience: Duration) -> Waited<T> {
        let Ok(mut end) = self.end.try_lock() else { return Waited::UnderWay };
        let Some(task) = end.as_mut() else { return Waited::Over };
        match tokio::time::timeout(patience, task).await {
            Err(_) => Waited::UnderWay,
            Ok(outcome) => {
                *end = None;
                Waited::Ended(outcome)
            }
        }
    }

    /// How far it is.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }
}

type Tasks<T> = HashMap<ObjectPath, (Arc<Task<T>>, AbortHandle)>;

type Entries<T> = Mutex<Tasks<T>>;

/// Extractions by the folder of their batches. They end when it is dropped.
#[derive(Debug)]
pub(crate) struct Running<T>(Arc<Entries<T>>);

impl<T> Default for Running<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Send + 'static> Running<T> {
    /// The extraction that is under way; one that starts now where none is. It does not end when nobody waits for it.
    pub(crate) fn task<F>(&self, batches: ObjectPath, extract: impl FnOnce(Arc<Task<T>>) -> F) -> Arc<Task<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut entries = lock(&self.0);
        if let Some((task, _)) = entries.get(&batches) {
            return Arc::clone(task);
        }
        let task = Arc::new(Task { tally: Tally::default(), end: AsyncMutex::new(None) });
        let leave = Leave { entries: Arc::clone(&self.0), batches: batches.clone() };
        let extraction = extract(Arc::clone(&task));
        let work = async move {
            let _leave = leave;
            extraction.await
        };
        let handle = tokio::spawn(work.instrument(Span::current()));
        entries.insert(batches, (Arc::clone(&task), handle.abort_handle()));
        // Nobody else has it yet.
        if let Ok(mut end) = task.end.try_lock() {
            *end = Some(handle);
        }
        task
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        lock(&self.0).values().for_each(|(_, task)| task.abort());
    }
}

/// Takes an extraction out of the list, however it ends.
struct Leave<T> {
    entries: Arc<Entries<T>>,
    batches: ObjectPath,
}

impl<T> Drop for Leave<T> {
    fn drop(&mut self) {
        lock(&self.entries).remove(&self.batches);
    }
}

fn lock<T>(entries: &Entries<T>) -> MutexGuard<'_, Tasks<T>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}
