//! A source's uploads as steps: each file ingested, each batch loaded.

use std::collections::{BTreeMap, BTreeSet};

use millstream_events::{
    Fingerprint, StepRef,
    fact::{Outcome, Reason},
    names::{ObjectPath, PipelineName, StepName},
    trigger::ObjectFinalized,
    work::{IngestFile, LoadTable, Work, WriteMode},
};

use super::{Input, Planner, Standing, step_name, written_over};
use crate::{identity, model::Source, pattern::captures_of};

/// A file whose rows are to be in the source's table.
struct Batch<'a> {
    /// The newest upload with these bytes: older generations of a name may be gone.
    object: &'a ObjectFinalized,
    /// How many times these bytes had come before, with others in between.
    occurrence: usize,
    /// How many uploads of these bytes under this name there were.
    uploads: u32,
}

/// How far a batch is.
enum BatchState {
    Loaded(Fingerprint),
    NotYet,
    Failed(StepName),
}

impl<'a> Planner<'a> {
    pub(super) fn source(&mut self, source: &'a Source) {
        let captures = captures_of(&self.run.key);
        let takes_part = !self.known.started
            && captures.keys().map(String::as_str).collect::<BTreeSet<_>>() == source.upload.capture_names().collect();
        if !takes_part {
            // Another run fills it; this one takes it as it stands.
            self.tables.insert(&source.table, Input::Ready(identity::standing_table(&source.table)));
            return;
        }
        let uploads: Vec<&'a ObjectFinalized> = self
            .known
            .uploads
            .iter()
            .copied()
            .filter(|object| source.upload.matches(object.object.name()).is_some_and(|found| found == captures))
            .collect();
        if uploads.is_empty() {
            let reason = format!("no upload matches {} yet", source.upload);
            self.add_without_inputs(
                step_name(&format!("load/{}", source.name)),
                Vec::new(),
                None,
                vec![reason.clone()],
            );
            self.tables.insert(&source.table, Input::NotYet(reason));
            return;
        }
        let mut previous: Option<Fingerprint> = None;
        let mut states = Vec::new();
        for batch in wanted(&uploads, &source.write) {
            let chained = previous.as_ref().filter(|_| matches!(source.write, WriteMode::Merge { .. }));
            let load = identity::load(source, batch.object, batch.occurrence, chained);
            // Merges go in one after the other: the later file's rows win.
            let must_wait = matches!(source.write, WriteMode::Merge { .. })
                && states.iter().any(|state| matches!(state, BatchState::NotYet));
            states.push(self.batch(source, &batch, load.clone(), must_wait));
            if matches!(states.last(), Some(BatchState::Loaded(_) | BatchState::NotYet)) {
                previous = Some(load);
            }
        }
        let input = table_input(source, states);
        self.tables.insert(&source.table, input);
    }

    fn batch(&mut self, source: &'a Source, batch: &Batch<'a>, load: Fingerprint, must_wait: bool) -> BatchState {
        let load_name = step_name(&format!("load/{}/{}", source.name, load.short()));
        // An appended file is in the table whatever its contract says by now: nothing is to be ingested for it again.
        let is_in = matches!(
            self.known.standing(self.first_attempt(&load_name, load.clone()), 1, |_| false),
            Standing::Done(..)
        ) && source.write == WriteMode::Append;
        let ingested = if is_in {
            None
        } else {
            let fingerprint = identity::ingest(source, batch.object);
            let name = step_name(&format!("ingest/{}/{}", source.name, fingerprint.short()));
            let (lake, pipeline) = (&self.pipelines.buckets.lake, &self.pipeline.name);
            let work = |step: &StepRef| ingest_work(lake, pipeline, source, batch.object, step);
            // Uploading a file again is asking for another try: its bytes may have been gone when they were to be read.
            let standing = self.known.standing(self.first_attempt(&name, fingerprint), batch.uploads, |_| false);
            match self.add_standing(name.clone(), Vec::new(), standing, work) {
                Standing::Done(_, Outcome::BatchIngested(ingested)) => Some((name, ingested)),
                Standing::Done(..) | Standing::Owed(_) => {
                    let reason = format!("{} is being read", batch.object.object.name());
                    self.add_without_inputs(load_name, vec![name], None, vec![reason]);
                    return BatchState::NotYet;
                }
                Standing::Failed(..) => {
                    self.add_without_inputs(load_name, vec![name.clone()], Some(name.clone()), Vec::new());
                    return BatchState::Failed(name);
                }
            }
        };
        let needs = ingested.iter().map(|(name, _)| name.clone()).collect();
        if must_wait {
            let reason = format!("an earlier file is being merged into {}", source.table);
            self.add_without_inputs(load_name, needs, None, vec![reason]);
            return BatchState::NotYet;
        }
        let later = match source.write {
            WriteMode::Replace => self.known.latest_other_write(&format!("load/{}", source.name), &load),
            WriteMode::Append | WriteMode::Merge { .. } => None,
        };
        let standing = self.add(load_name.clone(), needs, load.clone(), written_over(later), |_| match ingested {
            Some((_, ingested)) => Ok(Work::LoadTable(LoadTable {
                batches: vec![ingested.batch.clone()],
                table: source.table.clone(),
                columns: ingested.columns.clone(),
                write: source.write.clone(),
                layout: source.layout.clone(),
                sequence: batch.object.generation,
                uploaded: None,
            })),
            None => Err(Reason::new("the file's batch is not known any more; upload it again")),
        });
        match standing {
            Standing::Done(..) => BatchState::Loaded(load),
            Standing::Owed(_) => BatchState::NotYet,
            Standing::Failed(..) => BatchState::Failed(load_name),
        }
    }
}

fn ingest_work(
    lake: &str,
    pipeline: &PipelineName,
    source: &Source,
    object: &ObjectFinalized,
    step: &StepRef,
) -> Result<Work, Reason> {
    let path = |folder: &str, ending: &str| {
        ObjectPath::new(lake, format!("{folder}/{pipeline}/{}/{}.{ending}", source.name, step.job_id()))
            .map_err(|error| Reason::new(error.to_string()))
    };
    Ok(Work::IngestFile(IngestFile {
        object: object.object.clone(),
        generation: object.generation,
        size: object.size,
        crc32c: object.crc32c,
        contract: source.contract.clone(),
        options: source.options.clone(),
        keys: identity::keys(&source.write),
        batch: path("batches", "parquet")?,
        quarantine: path("quarantine", "jsonl")?,
    }))
}

/// The files whose rows are to be in the table, in the order they came.
///
/// The same bytes again, with nothing else of the source's in between, are the same file. Appending takes every file once;
/// replacing takes only the last one; merging takes them in turn.
fn wanted<'a>(uploads: &[&'a ObjectFinalized], write: &WriteMode) -> Vec<Batch<'a>> {
    let mut batches: Vec<Batch<'a>> = Vec::new();
    let mut came: BTreeMap<(&ObjectPath, u32, u64), usize> = BTreeMap::new();
    let same_bytes =
        |a: &ObjectFinalized, b: &ObjectFinalized| (&a.object, a.crc32c, a.size) == (&b.object, b.crc32c, b.size);
    for object in uploads.iter().copied() {
        let same = |batch: &Batch<'a>| same_bytes(batch.object, object);
        let again = match write {
            WriteMode::Append => batches.iter_mut().find(|batch| same(batch)),
            WriteMode::Replace | WriteMode::Merge { .. } => batches.last_mut().filter(|batch| same(batch)),
        };
        if let Some(batch) = again {
            batch.object = object;
            continue;
        }
        let occurrence = came.entry((&object.object, object.crc32c, object.size)).or_default();
        let times = uploads.iter().filter(|upload| same_bytes(upload, object)).count();
        batches.push(Batch { object, occurrence: *occurrence, uploads: u32::try_from(times).unwrap_or(u32::MAX) });
        *occurrence += 1;
    }
    if *write == WriteMode::Replace {
        batches.drain(..batches.len().saturating_sub(1));
    }
    batches
}

/// What a reader of the table finds: the good files count, whatever became of the others.
fn table_input(source: &Source, states: Vec<BatchState>) -> Input {
    let (mut loads, mut failed, mut waits) = (Vec::new(), None, false);
    for state in states {
        match state {
            BatchState::Loaded(load) => loads.push(load),
            BatchState::NotYet => waits = true,
            BatchState::Failed(step) => failed = failed.or(Some(step)),
        }
    }
    match failed {
        _ if waits => Input::NotYet(format!("{} is being loaded", source.table)),
        Some(step) if loads.is_empty() => Input::Blocked(step),
        _ => Input::Ready(identity::loaded_table(&source.table, loads)),
    }
}
