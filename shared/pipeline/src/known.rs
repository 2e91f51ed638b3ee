//! A history, indexed by what planning asks of it.

use std::collections::{BTreeMap, BTreeSet};

use millstream_events::{
    Fingerprint, StepRef,
    fact::{BatchIngested, Outcome, Reason},
    history::{GatheredFile, History, Record, Turn},
    names::{StepName, TableName},
    trigger::ObjectFinalized,
};

/// What is known of a run.
#[derive(Debug, Default)]
pub(crate) struct Known<'a> {
    /// The uploads, by generation.
    pub(crate) uploads: Vec<&'a ObjectFinalized>,
    /// Whether the run is over the tables as they stand.
    pub(crate) started: bool,
    /// The sources that such a run extracts, and whether in full; none said where those without a schedule are meant.
    pub(crate) extracts: Option<&'a [String]>,
    pub(crate) full_refresh: bool,
    turns: BTreeMap<(&'a TableName, u32), &'a Turn>,
    gathered: BTreeMap<(&'a TableName, u32), &'a [GatheredFile]>,
    requested: BTreeSet<&'a StepRef>,
    retried: BTreeSet<&'a StepRef>,
    done: BTreeMap<&'a StepRef, &'a Outcome>,
    failed: BTreeMap<&'a StepRef, &'a Reason>,
    deferred: BTreeMap<&'a StepRef, &'a Reason>,
}

/// Where one step with one fingerprint stands.
#[derive(Debug, PartialEq)]
pub(crate) enum Standing<'a> {
    /// Done at this attempt.
    Done(StepRef, &'a Outcome),
    /// Failed at this attempt, and nobody has asked for another.
    Failed(StepRef, &'a Reason),
    /// This attempt is owed.
    Owed(StepRef),
}

impl<'a> Known<'a> {
    pub(crate) fn of(history: &'a History) -> Self {
        let mut known = Self::default();
        for record in history.records() {
            match record {
                Record::Uploaded { object, .. } => known.uploads.push(object),
                Record::Started { extracts, full_refresh, .. } => {
                    known.started = true;
                    known.extracts = extracts.as_deref();
                    known.full_refresh = *full_refresh;
                }
                Record::Turn(turn) => drop(known.turns.insert((&turn.table, turn.number), turn)),
                Record::Gathered { table, number, files } => {
                    known.gathered.insert((table, *number), files);
                }
                Record::Requested(step) => drop(known.requested.insert(step)),
                Record::Retried(step) => drop(known.retried.insert(step)),
                Record::Done(fact) => drop(known.done.insert(&fact.step, &fact.fact)),
                Record::Failed(fact) => drop(known.failed.insert(&fact.step, &fact.fact)),
                Record::Deferred(fact) => drop(known.deferred.insert(&fact.step, &fact.fact)),
                Record::Finished(_) | Record::Moved(_) => {}
            }
        }
        known.uploads.sort_by_key(|object| (object.generation, &object.object));
        known
    }

    /// Where the step stands, attempt by attempt. `is_stale` says that a finished attempt no longer holds; `chances` is how
    /// many attempts may fail before a person has to ask for another.
    pub(crate) fn standing(&self, first: StepRef, chances: u32, is_stale: impl Fn(&Outcome) -> bool) -> Standing<'a> {
        let mut step = first;
        loop {
            if let Some(outcome) = self.done.get(&step) {
                if !is_stale(outcome) {
                    return Standing::Done(step, outcome);
                }
            } else if let Some(reason) = self.failed.get(&step) {
                if step.attempt >= chances && !self.retried.contains(&step) {
                    return Standing::Failed(step, reason);
                }
            } else {
                return Standing::Owed(step);
            }
            step.attempt += 1;
        }
    }

    /// The gathered loads of a table, in the order of their numbers.
    pub(crate) fn gathered(&self, table: &TableName) -> Vec<&'a [GatheredFile]> {
        self.gathered.iter().filter(|((of, _), _)| *of == table).map(|(_, files)| *files).collect()
    }

    /// The run's turns at extracting into a table, in order.
    pub(crate) fn turns(&self, table: &TableName) -> impl DoubleEndedIterator<Item = &'a Turn> {
        let table = table.clone();
        self.turns.iter().filter(move |((of, _), _)| **of == table).map(|(_, turn)| *turn)
    }

    /// The batch that a step made.
    pub(crate) fn batch(&self, ingested: &StepRef) -> Option<&'a BatchIngested> {
        match self.done.get(ingested)? {
            Outcome::BatchIngested(batch) => Some(batch),
            _ => None,
        }
    }

    /// Whether the command for this attempt was issued before.
    pub(crate) fn was_requested(&self, step: &StepRef) -> bool {
        self.requested.contains(step)
    }

    /// Why this attempt was put off, if it was.
    pub(crate) fn deferred(&self, step: &StepRef) -> Option<&'a Reason> {
        self.deferred.get(step).copied()
    }

    /// The latest commit to a table by a step of this name prefix with a fingerprint other than `wanted`.
    pub(crate) fn latest_other_write(&self, steps: &str, wanted: &Fingerprint) -> Option<u64> {
        self.done
            .iter()
            .filter(|(step, _)| is_step_of(&step.step, steps) && step.fingerprint != *wanted)
            .filter_map(|(_, outcome)| match outcome {
                Outcome::TableUpdated(updated) if !updated.superseded => Some(updated.version),
                _ => None,
            })
            .max()
    }
}

/// Whether `step` is `steps` itself or one of those below it (`load/sales` and `load/sales/1f00`).
fn is_step_of(step: &StepName, steps: &str) -> bool {
    step.as_str().strip_prefix(steps).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
