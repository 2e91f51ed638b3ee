//! The ledger over any object store.
//!
//! Layout in its bucket:
//!
//! ```text
//! runs/{pipeline}/{key}/{record id}.json   one object a record, created once
//! open/{pipeline}/{key}                    there while the run is open; its generation is the open mark
//! turns/{table}.json                       whose turn it is to extract into a table; its generation is the turn's mark
//! ```
//!
//! A record never changes, so histories are cached by record: a snapshot lists names and reads only what is new.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use millstream_events::{
    history::{Entry, History, Record},
    names::{ObjectPath, RunId, TableName},
};

use crate::{
    clock::Clock,
    error::{ErrorKind, PortError, PortResult, optional},
    ledger::{Ledger, OpenMark, Recorded, Snapshot, TurnHolder, TurnMark},
    object_store::{ObjectStore, ObjectStoreExt, Precondition},
};

/// A record's object is far below this; anything larger is not ours.
const RECORD_LIMIT: u64 = 16 << 20;

/// How many runs' histories are kept in memory.
const CACHED_RUNS: usize = 1_024;

/// Records read at once when a run is read for the first time.
const READS_AT_ONCE: usize = 16;

/// A [`Ledger`] whose records are objects.
#[derive(Debug)]
pub struct ObjectLedger {
    store: Arc<dyn ObjectStore>,
    bucket: String,
    clock: Arc<dyn Clock>,
    cache: Mutex<HashMap<RunId, HashMap<String, Entry>>>,
}

impl ObjectLedger {
    /// A ledger in `bucket`.
    pub fn new(store: Arc<dyn ObjectStore>, bucket: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self { store, bucket: bucket.into(), clock, cache: Mutex::default() }
    }

    fn path(&self, name: String) -> PortResult<ObjectPath> {
        ObjectPath::new(self.bucket.clone(), name).map_err(|error| PortError::internal(error.to_string()))
    }

    fn open_path(&self, run: &RunId) -> PortResult<ObjectPath> {
        self.path(format!("open/{run}"))
    }

    fn turn_path(&self, table: &TableName) -> PortResult<ObjectPath> {
        self.path(format!("turns/{table}.json"))
    }

    fn knows(&self, run: &RunId, id: &str) -> bool {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(run).is_some_and(|entries| entries.contains_key(id))
    }

    fn cached(&self, run: &RunId) -> HashMap<String, Entry> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(run).cloned().unwrap_or_default()
    }

    fn remember(&self, run: &RunId, entries: impl IntoIterator<Item = (String, Entry)>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED_RUNS && !cache.contains_key(run) {
            cache.clear();
        }
        cache.entry(run.clone()).or_default().extend(entries);
    }

    async fn read_entry(&self, path: &ObjectPath) -> PortResult<Entry> {
        let bytes = self.store.read(path, RECORD_LIMIT).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| PortError::internal(format!("the ledger's record {path} cannot be read")).caused_by(error))
    }

    async fn run_names(&self, prefix: &str) -> PortResult<Vec<RunId>> {
        let mut runs: Vec<RunId> = Vec::new();
        for path in self.store.names(&self.bucket, prefix).await? {
            // Stripped once: a pipeline may be named `runs` or `open` itself.
            let mut parts = path.name().strip_prefix(prefix).unwrap_or_default().splitn(3, '/');
            if let (Some(Ok(pipeline)), Some(Ok(key))) = (parts.next().map(str::parse), parts.next().map(str::parse)) {
                let run = RunId { pipeline, key };
                if runs.last() != Some(&run) {
                    runs.push(run);
                }
            }
        }
        Ok(runs)
    }
}

#[async_trait]
impl Ledger for ObjectLedger {
    async fn open(&self, run: &RunId) -> PortResult<()> {
        // Written even when it is there: a new generation makes a concurrent close on old knowledge fail.
        self.store.put(&self.open_path(run)?, Vec::new(), Precondition::None).await.map(|_| ())
    }

    async fn record(&self, run: &RunId, record: Record) -> PortResult<Recorded> {
        let id = record.id();
        if self.knows(run, &id) {
            return Ok(Recorded::Known);
        }
        let entry = Entry { at: self.clock.now(), record };
        let json = serde_json::to_vec(&entry)
            .map_err(|error| PortError::internal("a record cannot be written as JSON").caused_by(error))?;
        match self.store.put(&self.path(format!("runs/{run}/{id}.json"))?, json, Precondition::Absent).await {
            Ok(_) => {
                self.remember(run, [(id, entry)]);
                Ok(Recorded::New)
            }
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(Recorded::Known),
            Err(error) => Err(error),
        }
    }

    async fn snapshot(&self, run: &RunId) -> PortResult<Snapshot> {
        // The mark first: whatever is recorded after it was read opens the run under another mark.
        let open = optional(self.store.stat(&self.open_path(run)?).await)?.map(|meta| OpenMark(meta.generation));
        let mut known = self.cached(run);
        let prefix = format!("runs/{run}/");
        let unread: Vec<(String, ObjectPath)> = self
            .store
            .names(&self.bucket, &prefix)
            .await?
            .into_iter()
            .filter_map(|path| {
                let id = path.name().strip_prefix(&prefix)?.strip_suffix(".json")?.to_owned();
                (!known.contains_key(&id)).then_some((id, path))
            })
            .collect();
        let read: Vec<(String, Entry)> = futures::stream::iter(unread)
            .map(|(id, path)| async move { Ok::<_, PortError>((id, self.read_entry(&path).await?)) })
            .buffer_unordered(READS_AT_ONCE)
            .try_collect()
            .await?;
        self.remember(run, read.iter().cloned());
        known.extend(read);
        let mut history = History::new(run.clone());
        history.extend(known.into_values());
        Ok(Snapshot { history, open })
    }

    async fn close(&self, run: &RunId, seen: OpenMark) -> PortResult<bool> {
        match self.store.delete(&self.open_path(run)?, Precondition::Generation(seen.0)).await {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn open_runs(&self) -> PortResult<Vec<RunId>> {
        self.run_names("open/").await
    }

    async fn turn(&self, table: &TableName) -> PortResult<Option<(TurnHolder, TurnMark)>> {
        let path = self.turn_path(table)?;
        let Some(read) = optional(self.store.get(&path, None).await)? else { return Ok(None) };
        let mark = TurnMark(read.meta.generation);
        let holder = serde_json::from_slice(&read.bytes(RECORD_LIMIT).await?)
            .map_err(|error| PortError::internal(format!("the turn {path} cannot be read")).caused_by(error))?;
        Ok(Some((holder, mark)))
    }

    async fn take_turn(&self, table: &TableName, holder: TurnHolder, seen: Option<TurnMark>) -> PortResult<bool> {
        let json = serde_json::to_vec(&holder)
            .map_err(|error| PortError::internal("a turn cannot be written as JSON").caused_by(error))?;
        let condition = seen.map_or(Precondition::Absent, |mark| Precondition::Generation(mark.0));
        match self.store.put(&self.turn_path(table)?, json, condition).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn runs(&self) -> PortResult<Vec<RunId>> {
        self.run_names("runs/").await
    }
}
