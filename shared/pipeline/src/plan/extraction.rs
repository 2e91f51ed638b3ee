//! Extractions as steps: a run's turn at a source, the extraction, and the load of what it gave.
//!
//! Turns of one table follow each other over all runs. A turn begins where the last one that was loaded had come to, so that
//! nothing is missed, and the next begins when it has ended, so that nothing is read twice. How a turn ended is read in the
//! history of its run ([`turn_end`]); the bookmark stands there in the extraction's fact, and counts once the load's fact is
//! there too. A turn whose extraction or load failed for good has ended; to try again is to take another turn.

use millstream_events::{
    Fingerprint, StepRef,
    extract::{Bookmark, Changes, ExtractSource},
    fact::{Outcome, Reason, SourceExtracted},
    history::{History, Record, Turn},
    names::{ObjectPath, PipelineName, StepName, TableName},
    work::{LoadTable, Work, WriteMode},
};

use super::{Input, Planner, Standing, step_name};
use crate::{identity, known::Known, model::Extract};

/// A turn that a run waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnWanted {
    /// The table.
    pub table: TableName,
    /// Which of the run's turns it is: 1 for the first.
    pub claim: u32,
    /// What is to be extracted, hashed.
    pub of: Fingerprint,
    /// Whether everything is to be read, whatever was loaded before.
    pub full_refresh: bool,
}

/// How a turn stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnEnd {
    /// It goes on.
    NotYet,
    /// What it extracted is in the table: the next turn starts there.
    Loaded(Bookmark),
    /// It came to nothing: the next turn starts where it had started.
    GivenUp,
}

/// How a run's turn at a table stands, from the run's history; `is_open` says whether the run goes on.
#[must_use]
pub fn turn_end(history: &History, is_open: bool, table: &TableName, number: u32) -> TurnEnd {
    let mine = |turn: &Turn| turn.table == *table && turn.number == number;
    let Some(turn) = history.records().find_map(|record| match record {
        Record::Turn(turn) if mine(turn) => Some(turn),
        _ => None,
    }) else {
        // Taken, and not yet written into the run's history.
        return if is_open { TurnEnd::NotYet } else { TurnEnd::GivenUp };
    };
    let fingerprint = identity::turn(turn);
    let (mut extracted, mut is_loaded, mut has_failed) = (None, false, false);
    for record in history.records() {
        match record {
            Record::Done(fact) if fact.step.fingerprint == fingerprint => match &fact.fact {
                Outcome::SourceExtracted(source) => {
                    extracted = Some(&source.bookmark);
                    is_loaded |= source.batches.is_empty();
                }
                _ => is_loaded = true,
            },
            Record::Failed(fact) => has_failed |= fact.step.fingerprint == fingerprint,
            _ => {}
        }
    }
    match extracted {
        Some(bookmark) if is_loaded => TurnEnd::Loaded(bookmark.clone()),
        _ if has_failed || !is_open => TurnEnd::GivenUp,
        _ => TurnEnd::NotYet,
    }
}

impl<'a> Planner<'a> {
    /// Adds what a source's extraction takes in this run.
    pub(super) fn extract(&mut self, extract: &'a Extract) {
        if !takes_part(&self.known, extract) {
            self.tables.insert(&extract.table, Input::Ready(identity::standing_table(&extract.table)));
            return;
        }
        let turns: Vec<&'a Turn> = self.known.turns(&extract.table).collect();
        let input = match turns.last() {
            Some(turn) if !self.is_to_be_tried_again(extract, turn) => self.turn(extract, turn),
            _ => self.wait_for_turn(extract, turns.len()),
        };
        self.tables.insert(&extract.table, input);
    }

    /// Whether the turn failed and a person asked for another try, which takes another turn.
    fn is_to_be_tried_again(&self, extract: &Extract, turn: &Turn) -> bool {
        let retried = |name| {
            let first = self.first_attempt(&name, identity::turn(turn));
            match self.known.standing(first, 1, |_| false) {
                Standing::Done(step, _) | Standing::Failed(step, _) | Standing::Owed(step) => step.attempt > 1,
            }
        };
        steps_of(extract, turn).into_iter().any(retried)
    }

    fn wait_for_turn(&mut self, extract: &'a Extract, taken: usize) -> Input {
        let name = step_name(&format!("extract/{}", extract.name));
        let reason = format!("waits for its turn at {}", extract.table);
        self.add_without_inputs(name, Vec::new(), None, vec![reason]);
        self.turns.push(TurnWanted {
            table: extract.table.clone(),
            claim: u32::try_from(taken + 1).unwrap_or(u32::MAX),
            of: identity::extracted_thing(extract),
            full_refresh: self.known.full_refresh,
        });
        Input::NotYet(format!("{} is extracted in turn", extract.table))
    }

    /// Adds the extraction and the load of a turn.
    fn turn(&mut self, extract: &'a Extract, turn: &'a Turn) -> Input {
        let fingerprint = identity::turn(turn);
        let [name, load_name] = steps_of(extract, turn);
        let (lake, pipeline) = (&self.pipelines.buckets.lake, &self.pipeline.name);
        let work = |step: &StepRef| extract_work(lake, pipeline, extract, turn, step);
        let extracted = match self.add(name.clone(), Vec::new(), fingerprint.clone(), |_| false, work) {
            Standing::Done(_, Outcome::SourceExtracted(extracted)) => extracted,
            Standing::Done(..) | Standing::Owed(_) => {
                let reason = format!("{} is being extracted", extract.name);
                self.add_without_inputs(load_name, vec![name], None, vec![reason.clone()]);
                return Input::NotYet(reason);
            }
            Standing::Failed(..) => {
                self.add_without_inputs(load_name, vec![name.clone()], Some(name.clone()), Vec::new());
                return Input::Blocked(name);
            }
        };
        if extracted.batches.is_empty() {
            return Input::Ready(identity::standing_table(&extract.table));
        }
        let work = |_: &StepRef| Ok(load_work(extract, turn, extracted));
        match self.add(load_name.clone(), vec![name], fingerprint.clone(), |_| false, work) {
            Standing::Done(..) => Input::Ready(identity::loaded_table(&extract.table, vec![fingerprint])),
            Standing::Owed(_) => Input::NotYet(format!("{} is being loaded", extract.table)),
            Standing::Failed(..) => Input::Blocked(load_name),
        }
    }
}

/// Whether the run extracts the source.
fn takes_part(known: &Known<'_>, extract: &Extract) -> bool {
    known.started
        && match known.extracts {
            Some(named) => named.contains(&extract.name),
            None => extract.schedule.is_none(),
        }
}

/// The extraction of a turn and its load.
fn steps_of(extract: &Extract, turn: &Turn) -> [StepName; 2] {
    ["extract", "load"].map(|kind| step_name(&format!("{kind}/{}/turn-{}", extract.name, turn.number)))
}

fn extract_work(
    lake: &str,
    pipeline: &PipelineName,
    extract: &Extract,
    turn: &Turn,
    step: &StepRef,
) -> Result<Work, Reason> {
    let folder = |kind: &str| {
        ObjectPath::new(lake, format!("{kind}/{pipeline}/{}/{}", extract.name, step.job_id()))
            .map_err(|error| Reason::new(error.to_string()))
    };
    Ok(Work::ExtractSource(ExtractSource {
        connection: extract.connection.clone(),
        select: extract.select.clone(),
        only: extract.only.clone(),
        split_by: extract.split_by.clone(),
        contract: extract.contract.clone(),
        keys: identity::keys(&extract.write),
        changes: extract.changes.clone(),
        since: turn.since.clone(),
        appends: extract.write == WriteMode::Append && extract.changes != Changes::Everything,
        limits: extract.limits.clone(),
        batches: folder("batches")?,
        quarantine: folder("quarantine")?,
    }))
}

fn load_work(extract: &Extract, turn: &Turn, extracted: &SourceExtracted) -> Work {
    // Everything that the source has takes the place of what was built up of its changes.
    let starts_over = extracted.everything && extract.changes != Changes::Everything;
    Work::LoadTable(LoadTable {
        batches: extracted.batches.clone(),
        table: extract.table.clone(),
        columns: extracted.columns.clone(),
        write: if starts_over { WriteMode::Replace } else { extract.write.clone() },
        layout: extract.layout.clone(),
        sequence: turn.sequence,
        uploaded: None,
        deletes: extracted.deletes,
    })
}
