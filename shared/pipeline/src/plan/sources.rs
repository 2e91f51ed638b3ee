//! A source's uploads as steps: each file ingested and its batch loaded, alone or gathered with others, or loaded as it is.

use std::collections::{BTreeMap, BTreeSet};

use millstream_events::{
    Fingerprint, StepRef,
    fact::{BatchIngested, Outcome, Reason},
    history::GatheredFile,
    names::{ObjectPath, PipelineName, StepName},
    trigger::ObjectFinalized,
    work::{IngestFile, LoadTable, UploadedFile, Work, WriteMode},
};

use super::{Input, Planner, Standing, direct, gathering::Ungathered, step_name, written_over};
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
#[derive(Clone)]
pub(super) enum BatchState {
    Loaded(Fingerprint),
    NotYet,
    Failed(StepName),
}

/// Where the rows of a load of one file are.
enum Rows<'a> {
    /// In the table: an appended file stays there whatever its contract says by now.
    Loaded,
    /// In the batch that the step made.
    Batch(StepName, &'a BatchIngested),
    /// In the upload itself.
    Upload(UploadedFile),
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
        let gathered = self.gathered_loads(source);
        let mut ungathered = Ungathered::default();
        let mut previous: Option<Fingerprint> = None;
        let mut states = Vec::new();
        for batch in wanted(&uploads, &source.write) {
            let chained = previous.as_ref().filter(|_| matches!(source.write, WriteMode::Merge { .. }));
            let load = identity::load(source, batch.object, batch.occurrence, chained);
            if let Some(state) = gathered.get(&load) {
                states.push(state.clone());
                continue;
            }
            // Merges go in one after the other: the later file's rows win.
            let must_wait = matches!(source.write, WriteMode::Merge { .. })
                && states.iter().any(|state| matches!(state, BatchState::NotYet));
            states.push(self.batch(source, &batch, load.clone(), must_wait, &mut ungathered));
            if matches!(states.last(), Some(BatchState::Loaded(_) | BatchState::NotYet)) {
                previous = Some(load);
            }
        }
        self.gathering(source, ungathered);
        let input = table_input(source, states);
        self.tables.insert(&source.table, input);
    }

    fn batch(
        &mut self,
        source: &'a Source,
        batch: &Batch<'a>,
        load: Fingerprint,
        must_wait: bool,
        ungathered: &mut Ungathered<'a>,
    ) -> BatchState {
        let load_name = step_name(&format!("load/{}/{}", source.name, load.short()));
        let standing = self.known.standing(self.first_attempt(&load_name, load.clone()), 1, |_| false);
        let rows = if source.write == WriteMode::Append && matches!(standing, Standing::Done(..)) {
            Rows::Loaded
        } else if let Some(uploaded) = self.uploaded(source, batch.object) {
            Rows::Upload(uploaded)
        } else {
            match self.ingested(source, batch) {
                Standing::Done(step, Outcome::BatchIngested(ingested)) => {
                    if self.gathers(source, &standing) {
                        ungathered.ingested.push((GatheredFile { load, ingested: step }, ingested));
                        return BatchState::NotYet;
                    }
                    Rows::Batch(step.step, ingested)
                }
                Standing::Done(step, _) | Standing::Owed(step) => {
                    if self.gathers(source, &standing) {
                        ungathered.being_read.push(step.step);
                    } else {
                        let reason = format!("{} is being read", batch.object.object.name());
                        self.add_without_inputs(load_name, vec![step.step], None, vec![reason]);
                    }
                    return BatchState::NotYet;
                }
                Standing::Failed(step, _) => {
                    let name = step.step;
                    self.add_without_inputs(load_name, vec![name.clone()], Some(name.clone()), Vec::new());
                    return BatchState::Failed(name);
                }
            }
        };
        if must_wait {
            let needs = rows.made_by();
            let reason = format!("an earlier file is being merged into {}", source.table);
            self.add_without_inputs(load_name, needs, None, vec![reason]);
            return BatchState::NotYet;
        }
        self.load(source, batch, load_name, load, rows)
    }

    /// The upload as a load's file, if the warehouse may read it itself.
    fn uploaded(&self, source: &Source, object: &ObjectFinalized) -> Option<UploadedFile> {
        if self.pipelines.direct_loads { direct::uploaded(source, object) } else { None }
    }

    /// Adds the step that reads a file.
    fn ingested(&mut self, source: &'a Source, batch: &Batch<'a>) -> Standing<'a> {
        let fingerprint = identity::ingest(source, batch.object);
        let name = step_name(&format!("ingest/{}/{}", source.name, fingerprint.short()));
        let (lake, pipeline) = (&self.pipelines.buckets.lake, &self.pipeline.name);
        let work = |step: &StepRef| ingest_work(lake, pipeline, source, batch.object, step);
        // Uploading a file again is asking for another try: its bytes may have been gone when they were to be read.
        let standing = self.known.standing(self.first_attempt(&name, fingerprint), batch.uploads, |_| false);
        self.add_standing(name, Vec::new(), standing, work)
    }

    /// Adds the load of one file.
    fn load(
        &mut self,
        source: &'a Source,
        batch: &Batch<'a>,
        name: StepName,
        load: Fingerprint,
        rows: Rows<'a>,
    ) -> BatchState {
        let later = match source.write {
            WriteMode::Replace => self.known.latest_other_write(&format!("load/{}", source.name), &load),
            WriteMode::Append | WriteMode::Merge { .. } => None,
        };
        // A file that is not read before is read by its load, and gets its tries there.
        let chances = if matches!(rows, Rows::Upload(_)) { batch.uploads } else { 1 };
        let standing = self.known.standing(self.first_attempt(&name, load.clone()), chances, written_over(later));
        let standing = self.add_standing(name.clone(), rows.made_by(), standing, |_| load_work(source, batch, rows));
        match standing {
            Standing::Done(..) => BatchState::Loaded(load),
            Standing::Owed(_) => BatchState::NotYet,
            Standing::Failed(..) => BatchState::Failed(name),
        }
    }
}

impl Rows<'_> {
    /// The steps that a load of them comes after.
    fn made_by(&self) -> Vec<StepName> {
        match self {
            Self::Batch(step, _) => vec![step.clone()],
            Self::Loaded | Self::Upload(_) => Vec::new(),
        }
    }
}

fn load_work(source: &Source, batch: &Batch<'_>, rows: Rows<'_>) -> Result<Work, Reason> {
    let (file, columns, uploaded) = match rows {
        Rows::Batch(_, ingested) => (&ingested.batch, &ingested.columns, None),
        Rows::Upload(uploaded) => (&batch.object.object, &source.contract.columns, Some(uploaded)),
        Rows::Loaded => return Err(Reason::new("the file's batch is not known any more; upload it again")),
    };
    Ok(Work::LoadTable(LoadTable {
        batches: vec![file.clone()],
        table: source.table.clone(),
        columns: columns.clone(),
        write: source.write.clone(),
        layout: source.layout.clone(),
        sequence: batch.object.generation,
        uploaded,
        deletes: false,
    }))
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
