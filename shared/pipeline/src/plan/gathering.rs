//! Files that are loaded together: many small ones as few loads, by a source's `window`.
//!
//! A file waits until it is gathered. Which files go together is a record in the ledger, written by whoever finds that the
//! oldest has waited long enough; the first record stays. From there on it is planned like any other load.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use millstream_events::{
    Fingerprint,
    contract::Column,
    fact::{BatchIngested, Outcome, Reason},
    history::{GatheredFile, History, Record},
    names::{StepName, TableName},
    work::{LoadTable, Work, WriteMode},
};

use super::{PlannedStep, Planner, Standing, StepState, sources::BatchState, step_name};
use crate::{identity, model::Source};

/// More files are another load: a command that names them stays far below what a message may hold.
const MOST_FILES: usize = 1_000;

/// How many of a failed load's files its message names.
const NAMED_FILES: usize = 5;

/// Files that wait for others to be loaded with.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathering {
    /// The table they go to.
    pub table: TableName,
    /// The number their record will have.
    pub number: u32,
    /// How long a file may wait.
    pub window: Duration,
    /// The files as far as they are known, in the order of their uploads.
    pub files: Vec<GatheredFile>,
}

impl Gathering {
    /// Whether the files have waited long enough: the oldest for the window, or as many as one load takes are there.
    #[must_use]
    pub fn is_due(&self, history: &History, now: DateTime<Utc>) -> bool {
        let ingested = history.entries().filter_map(|entry| match &entry.record {
            Record::Done(fact) if self.files.iter().any(|file| file.ingested == fact.step) => Some(entry.at),
            _ => None,
        });
        let window = TimeDelta::from_std(self.window).unwrap_or(TimeDelta::MAX);
        self.files.len() >= MOST_FILES || ingested.min().is_some_and(|oldest| now - oldest >= window)
    }

    /// The record that makes them one load.
    #[must_use]
    pub fn record(&self) -> Record {
        Record::Gathered { table: self.table.clone(), number: self.number, files: self.files.clone() }
    }
}

/// A source's files that are in no load yet, in the order of their uploads.
#[derive(Default)]
pub(super) struct Ungathered<'a> {
    /// Those with a batch.
    pub(super) ingested: Vec<(GatheredFile, &'a BatchIngested)>,
    /// The steps that read the others.
    pub(super) being_read: Vec<StepName>,
}

impl<'a> Planner<'a> {
    /// Adds a source's gathered loads; where each of their files stands.
    pub(super) fn gathered_loads(&mut self, source: &'a Source) -> BTreeMap<&'a Fingerprint, BatchState> {
        let mut states = BTreeMap::new();
        if source.write != WriteMode::Append {
            return states;
        }
        for files in self.known.gathered(&source.table) {
            let fingerprint = identity::gathered(&source.table, files);
            let name = step_name(&format!("load/{}/{}", source.name, fingerprint.short()));
            let standing = self.known.standing(self.first_attempt(&name, fingerprint), 1, |_| false);
            let batches: Option<Vec<&'a BatchIngested>> =
                files.iter().map(|file| self.known.batch(&file.ingested)).collect();
            let needs = match standing {
                Standing::Done(..) => Vec::new(),
                _ => self.add_ingested(files),
            };
            let standing = self.add_standing(name.clone(), needs, standing, |_| match &batches {
                Some(batches) => Ok(Work::LoadTable(load_of(source, batches))),
                None => Err(Reason::new("a gathered file's batch is not known any more; upload the files again")),
            });
            self.name_files(batches.as_deref().unwrap_or_default());
            for file in files {
                let state = match &standing {
                    Standing::Done(..) => BatchState::Loaded(file.load.clone()),
                    Standing::Owed(_) => BatchState::NotYet,
                    Standing::Failed(..) => BatchState::Failed(name.clone()),
                };
                states.insert(&file.load, state);
            }
        }
        states
    }

    /// Adds the steps that made the batches of a load that is not done.
    fn add_ingested(&mut self, files: &'a [GatheredFile]) -> Vec<StepName> {
        for GatheredFile { ingested, .. } in files {
            if let Some(batch) = self.known.batch(ingested) {
                let state = StepState::Done { outcome: Outcome::BatchIngested(batch.clone()) };
                let (name, step) = (ingested.step.clone(), Some(ingested.clone()));
                self.steps.push(PlannedStep { name, needs: Vec::new(), step, state });
            }
        }
        files.iter().map(|file| file.ingested.step.clone()).collect()
    }

    /// Says which files a failed load is of.
    fn name_files(&mut self, batches: &[&BatchIngested]) {
        if let Some(PlannedStep { state: StepState::Failed { reason }, .. }) = self.steps.last_mut() {
            let names: Vec<&str> = batches.iter().map(|batch| batch.object.name()).collect();
            let mut named = names.iter().take(NAMED_FILES).copied().collect::<Vec<_>>().join(", ");
            if names.len() > NAMED_FILES {
                named = format!("{named} and {} more", names.len() - NAMED_FILES);
            }
            reason.message = format!("{} (the files loaded together: {named})", reason.message);
        }
    }

    /// Adds the load of the files that wait, and what is to be gathered of them next.
    pub(super) fn gathering(&mut self, source: &'a Source, files: Ungathered<'a>) {
        let Some(window) = source.window.filter(|_| !files.ingested.is_empty() || !files.being_read.is_empty()) else {
            return;
        };
        let needs = files.ingested.iter().map(|(file, _)| file.ingested.step.clone()).chain(files.being_read).collect();
        let reason = format!(
            "waits up to {} for more files: the source {} gathers its files into one load",
            humantime::format_duration(window),
            source.name
        );
        self.add_without_inputs(step_name(&format!("load/{}/gathering", source.name)), needs, None, vec![reason]);
        let together = fit_together(files.ingested);
        if !together.is_empty() {
            let number = u32::try_from(self.known.gathered(&source.table).len() + 1).unwrap_or(u32::MAX);
            self.gatherings.push(Gathering { table: source.table.clone(), number, window, files: together });
        }
    }

    /// Whether a file is to be gathered: its own load has not been asked for, as before its source had a window.
    pub(super) fn gathers(&self, source: &Source, load: &Standing<'_>) -> bool {
        source.window.is_some()
            && source.write == WriteMode::Append
            && matches!(load, Standing::Owed(step) if !self.known.was_requested(step))
    }
}

/// Of the files that wait those that one load takes: a column of another type than the first files' is for the next.
fn fit_together(waiting: Vec<(GatheredFile, &BatchIngested)>) -> Vec<GatheredFile> {
    let mut columns: Vec<Column> = Vec::new();
    let mut together = Vec::new();
    for (file, batch) in waiting {
        let fits = batch.columns.iter().all(|new| find(&columns, new).is_none_or(|known| known.kind == new.kind));
        if fits && together.len() < MOST_FILES {
            let new: Vec<Column> = batch.columns.iter().filter(|new| find(&columns, new).is_none()).cloned().collect();
            columns.extend(new);
            together.push(file);
        }
    }
    together
}

fn find<'c>(columns: &'c [Column], wanted: &Column) -> Option<&'c Column> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(&wanted.name))
}

/// One load of several batches: the columns of all, each required only where every batch requires it.
fn load_of(source: &Source, batches: &[&BatchIngested]) -> LoadTable {
    let mut columns: Vec<Column> = Vec::new();
    for batch in batches {
        for column in &batch.columns {
            if find(&columns, column).is_none() {
                columns.push(column.clone());
            }
        }
    }
    for column in &mut columns {
        column.required = batches.iter().all(|batch| find(&batch.columns, column).is_some_and(|own| own.required));
    }
    LoadTable {
        batches: batches.iter().map(|batch| batch.batch.clone()).collect(),
        table: source.table.clone(),
        columns,
        write: source.write.clone(),
        layout: source.layout.clone(),
        // Appends have no order.
        sequence: 0,
        uploaded: None,
        deletes: false,
    }
}
