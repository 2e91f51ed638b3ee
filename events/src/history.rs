//! What the ledger keeps of a run, and the run read back as a value.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    event::{StepFact, StepRef},
    extract::Bookmark,
    fact::{Outcome, Reason, TrafficMoved},
    fingerprint::Fingerprint,
    names::{RunId, StepName, TableName},
    trigger::ObjectFinalized,
};

/// One thing known about a run. Recorded once under its derived id, never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// An uploaded object belongs to the run, as the named source's.
    Uploaded {
        /// The source's name in the pipeline when it arrived; `decide` matches again by pattern.
        source: String,
        /// The object.
        object: ObjectFinalized,
    },
    /// The run is over the tables as they stand: a schedule fired, a message or a person asked.
    Started {
        /// What started it, for a person: `schedule 0 6 * * *`, `millstream run`.
        by: String,
        /// The sources that it extracts; when absent, those without a schedule of their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        extracts: Option<Vec<String>>,
        /// Whether they are extracted in full, whatever changed since the last time.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        full_refresh: bool,
    },
    /// It is the run's turn to extract into a table. Turns of one table follow each other, so that each begins where the last
    /// one that was loaded had come to.
    Turn(Turn),
    /// A step's command was issued.
    Requested(StepRef),
    /// A step is done.
    Done(StepFact<Outcome>),
    /// A step failed for good.
    Failed(StepFact<Reason>),
    /// A step was put off.
    Deferred(StepFact<Reason>),
    /// An endpoint's traffic was moved; nothing follows from it.
    Moved(TrafficMoved),
    /// Files of a source that gathers them are one load. The first record under a number stays, so that everybody loads
    /// the same files together; a file is in one record at most.
    Gathered {
        /// The table they go to. Not the source: it may be renamed, and its files are not to be loaded again for that.
        table: TableName,
        /// 1, 2 and so on, without a gap within the run and table.
        number: u32,
        /// The files, in the order of their uploads.
        files: Vec<GatheredFile>,
    },
    /// A failed attempt is to be tried again: the attempt after this one is owed.
    Retried(StepRef),
    /// The run had nothing more to do.
    Finished(Finished),
}

/// One turn at extracting into a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The table. Not the source: it may be renamed, and goes on where it was.
    pub table: TableName,
    /// 1, 2 and so on over all runs.
    pub number: u32,
    /// Orders the turns' writes among those of uploads: grows with each turn.
    pub sequence: u64,
    /// Where the last loaded extraction had come to; absent when everything is to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Bookmark>,
}

/// A file of a gathered load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatheredFile {
    /// Identifies the file's rows in the table, as the fingerprint of its own load would.
    pub load: Fingerprint,
    /// The step that made its batch, at the attempt that did: a contract that changes later does not change the load.
    pub ingested: StepRef,
}

/// How a run ended, kept so that an ended run reads the same after its pipeline has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// Hash of the steps' fingerprints and states: a run that goes on and ends again has another.
    pub plan: Fingerprint,
    /// Whether every step is done.
    pub succeeded: bool,
    /// Its steps in order.
    pub steps: Vec<StepName>,
    /// Their fingerprints and last attempts, in the same order; absent for a step that was never owed.
    pub refs: Vec<Option<StepRef>>,
}

impl Record {
    /// The record's id within its run, derived from its content.
    #[must_use]
    pub fn id(&self) -> String {
        use crate::event::Event;
        match self {
            Self::Uploaded { object, .. } => Event::ObjectFinalized(object.clone()).id(),
            Self::Started { .. } => "started".to_owned(),
            Self::Requested(step) => derived("requested", step),
            Self::Done(fact) => Event::StepDone(fact.clone()).id(),
            Self::Failed(fact) => Event::StepFailed(fact.clone()).id(),
            Self::Deferred(fact) => Event::StepDeferred(fact.clone()).id(),
            Self::Moved(moved) => Event::TrafficMoved(moved.clone()).id(),
            Self::Gathered { table, number, .. } => format!("gathered-{table}-{number}"),
            Self::Turn(Turn { table, number, .. }) => format!("turn-{table}-{number}"),
            Self::Retried(step) => derived("retried", step),
            Self::Finished(finished) => format!("finished-{}", finished.plan),
        }
    }
}

fn derived(what: &str, step: &StepRef) -> String {
    let identity = format!("{}\n{}\n{}\n{}", step.run, step.step, step.fingerprint, step.attempt);
    format!("{what}-{}", Fingerprint::of(what, [identity.as_bytes()]))
}

/// A record and when it was written. The time is for people; `decide` does not look at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When the ledger took it.
    pub at: DateTime<Utc>,
    /// The record.
    pub record: Record,
}

/// A run's records, keyed by id: no order of arrival, no duplicates.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The run.
    pub run: RunId,
    entries: BTreeMap<String, Entry>,
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new(run: RunId) -> Self {
        Self { run, entries: BTreeMap::new() }
    }

    /// Adds an entry; the first one under an id stays. Returns whether it was new.
    pub fn insert(&mut self, entry: Entry) -> bool {
        let id = entry.record.id();
        if self.entries.contains_key(&id) {
            return false;
        }
        self.entries.insert(id, entry);
        true
    }

    /// All entries, in the order of their ids.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// All records, in the order of their ids.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.entries.values().map(|entry| &entry.record)
    }

    /// The entry with this record id.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// Whether anything is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The time of the latest entry. What a person did to its model long after it had ended is none of its own doing.
    #[must_use]
    pub fn last_activity(&self) -> Option<DateTime<Utc>> {
        let is_by_hand = |record: &Record| matches!(record, Record::Moved(moved) if moved.step.is_none());
        self.entries.values().filter(|entry| !is_by_hand(&entry.record)).map(|entry| entry.at).max()
    }
}

impl Extend<Entry> for History {
    fn extend<T: IntoIterator<Item = Entry>>(&mut self, entries: T) {
        for entry in entries {
            self.insert(entry);
        }
    }
}
