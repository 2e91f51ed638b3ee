//! Rows in quarantine: whose they are, what they are, and a second try for them.
//!
//! A replay is a new upload of the source: the quarantined rows' own text under the file's own header. That is right where a
//! source appends or merges. Where it replaces its table the new upload would leave only the replayed rows; there, as with
//! every source that is not appended to, a corrected contract reads the whole file again by itself.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use millstream_embedded::objects::LocalObjectStore;
use millstream_events::{
    Fingerprint, StepRef,
    contract::FileFormat,
    fact::{BatchIngested, Outcome},
    history::{Entry, History, Record},
    names::{ObjectPath, RunId},
    work::WriteMode,
};
use millstream_pipeline::{Pipelines, model::Source, pattern::captures_of};
use millstream_ports::{ErrorKind, ObjectStore, ObjectStoreExt, Precondition};
use millstream_tabular::BadRow;

use super::{
    Answer, Refusal,
    views::{QuarantinedFile, QuarantinedRows, RunDetails, StepView},
};

/// A header line is far shorter.
const HEADER_LIMIT: usize = 1 << 20;

/// Every upload with rows in quarantine, the latest first.
///
/// What was ingested is read from the histories: a file that was appended needs no ingest step any more after its contract has
/// changed, and its quarantine is worth the more then.
pub(super) fn files(runs: &[(History, RunDetails)]) -> Vec<QuarantinedFile> {
    let mut files = Vec::new();
    for (history, details) in runs {
        files.extend(last_ingests(history).into_values().filter_map(ingested));
        files.extend(details.steps.iter().filter_map(|step| rejected(&details.summary.run, step)));
    }
    files.sort_by_key(|file| std::cmp::Reverse(file.at));
    files
}

/// The last time each upload of a run was read.
fn last_ingests(history: &History) -> BTreeMap<&ObjectPath, (&Entry, &StepRef, &BatchIngested)> {
    let mut last = BTreeMap::new();
    for entry in history.entries() {
        let Record::Done(fact) = &entry.record else { continue };
        let Outcome::BatchIngested(batch) = &fact.fact else { continue };
        let found = last.entry(&batch.object).or_insert((entry, &fact.step, batch));
        if entry.at > found.0.at {
            *found = (entry, &fact.step, batch);
        }
    }
    last
}

fn ingested((entry, step, batch): (&Entry, &StepRef, &BatchIngested)) -> Option<QuarantinedFile> {
    Some(QuarantinedFile {
        run: step.run.to_string(),
        step: step.step.to_string(),
        object: Some(batch.object.clone()),
        quarantine: batch.quarantine.clone()?,
        rows: batch.rows,
        bad_rows: Some(batch.bad_rows),
        reasons: batch.reasons.clone(),
        rejected: None,
        at: Some(entry.at),
    })
}

fn rejected(run: &str, step: &StepView) -> Option<QuarantinedFile> {
    if step.state != "failed" || !step.step.starts_with("ingest/") {
        return None;
    }
    Some(QuarantinedFile {
        run: run.to_owned(),
        step: step.step.clone(),
        object: None,
        quarantine: step.kept.first()?.clone(),
        rows: 0,
        bad_rows: None,
        reasons: BTreeMap::new(),
        rejected: step.reason.clone(),
        at: step.ended_at,
    })
}

/// The latest file that `name` names: an upload's name, or its quarantine's.
pub(super) fn find(runs: &[(History, RunDetails)], name: &str) -> Answer<QuarantinedFile> {
    let is_named = |file: &QuarantinedFile| {
        let paths = file.object.iter().chain([&file.quarantine]);
        let by_path = paths.into_iter().any(|path| path.name() == name || path.to_string() == name);
        by_path || file.step == name || file.run == name
    };
    files(runs).into_iter().find(is_named).ok_or_else(|| {
        Refusal::not_found(format!("no rows of {name} are in quarantine; `millstream quarantine list` shows whose are"))
    })
}

/// The first rows of a file's quarantine.
pub(super) async fn rows(store: &LocalObjectStore, file: QuarantinedFile, limit: usize) -> Answer<QuarantinedRows> {
    let mut body = store.get(&file.quarantine, None).await?.body;
    let (mut rows, mut line, mut truncated) = (Vec::new(), Vec::new(), false);
    'reading: while let Some(chunk) = body.try_next().await? {
        for byte in chunk {
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            if rows.len() == limit {
                truncated = true;
                break 'reading;
            }
            rows.push(row(&line)?);
            line.clear();
        }
    }
    Ok(QuarantinedRows { file, rows, truncated })
}

fn row(line: &[u8]) -> Answer<BadRow> {
    serde_json::from_slice(line)
        .map_err(|error| Refusal::new(super::Code::Internal, format!("a quarantined row cannot be read: {error}")))
}

/// Puts the quarantined rows into the landing bucket as a new upload of their source; returns it, its rows, and the rows left
/// out since their whole text was not kept.
pub(super) async fn replay(
    store: &LocalObjectStore,
    pipelines: &Pipelines,
    file: &QuarantinedFile,
) -> Answer<(ObjectPath, u64, u64)> {
    let source = source(pipelines, file)?;
    let name = new_name(source, file)?;
    let kept = rows(store, file.clone(), usize::MAX).await?.rows;
    let (mut text, mut count, mut left_out) = (header(store, source, file).await?, 0, 0);
    for row in &kept {
        match row.raw.as_deref().filter(|_| !row.raw_truncated) {
            Some(raw) => {
                text.extend_from_slice(raw.as_bytes());
                text.push(b'\n');
                count += 1;
            }
            None => left_out += 1,
        }
    }
    if count == 0 {
        return Err(Refusal::invalid("no row's whole text was kept: upload a corrected file instead"));
    }
    let object = ObjectPath::new(pipelines.buckets.landing.clone(), name)
        .map_err(|error| Refusal::invalid(error.to_string()))?;
    match store.put(&object, text, Precondition::Absent).await {
        // Replayed before: it is the same upload.
        Err(error) if error.kind() != ErrorKind::Conflict => Err(error.into()),
        _ => Ok((object, count, left_out)),
    }
}

fn source<'a>(pipelines: &'a Pipelines, file: &QuarantinedFile) -> Answer<&'a Source> {
    let named = file.step.split('/').nth(1).unwrap_or_default();
    let pipeline = file.run.split('/').next().unwrap_or_default();
    pipelines
        .by_name
        .values()
        .filter(|known| known.name.as_str() == pipeline)
        .flat_map(|pipeline| &pipeline.sources)
        .find(|source| source.name == named)
        .ok_or_else(|| Refusal::not_found(format!("the pipeline {pipeline} has no source {named} any more")))
}

/// A name that the source takes, in the same run, and that no other upload has.
fn new_name(source: &Source, file: &QuarantinedFile) -> Answer<String> {
    let pattern = source.upload.to_string();
    let instead = "correct the contract, and the whole file is read again by itself; or upload a corrected file";
    if source.write == WriteMode::Replace {
        return Err(Refusal::invalid(format!(
            "{} is replaced by each upload, so its bad rows cannot be uploaded alone: {instead}",
            source.table
        )));
    }
    if !pattern.contains('*') {
        return Err(Refusal::invalid(format!(
            "the source takes uploads called {pattern} only, so its bad rows cannot be uploaded beside them: {instead}"
        )));
    }
    let run: RunId =
        file.run.parse().map_err(|error: millstream_events::names::NameError| Refusal::invalid(error.to_string()))?;
    let mark = Fingerprint::of("replay", [file.quarantine.to_string().as_bytes()]);
    let mut name = pattern.replacen('*', &format!("replay-{}", mark.short()), 1).replace('*', "");
    for (capture, value) in captures_of(&run.key) {
        name = name.replace(&format!("{{{capture}}}"), &value);
    }
    match source.upload.matches(&name) {
        Some(captures) if captures == captures_of(&run.key) => Ok(name),
        _ => Err(Refusal::invalid(format!("no name for the rows fits {pattern}: {instead}"))),
    }
}

/// What comes before the rows: a CSV file's header line, as the upload has it.
async fn header(store: &LocalObjectStore, source: &Source, file: &QuarantinedFile) -> Answer<Vec<u8>> {
    let Some(object) = &file.object else {
        return Err(Refusal::invalid(
            "the whole file was rejected: correct its contract or the file, and it is read again",
        ));
    };
    let name = object.name();
    if [".gz", ".zst", ".parquet"].iter().any(|end| name.ends_with(end)) {
        return Err(Refusal::invalid(format!(
            "{name} is compressed or Parquet, and rows are replayed as text; upload a corrected file instead"
        )));
    }
    let is_json = match source.options.format {
        Some(format) => format == FileFormat::JsonLines,
        None => [".jsonl", ".ndjson", ".json"].iter().any(|end| name.ends_with(end)),
    };
    if is_json || source.options.no_header {
        return Ok(Vec::new());
    }
    let read = store.get(object, None).await?;
    let (mut body, mut header) = (read.body, Vec::new());
    while let Some(chunk) = body.try_next().await? {
        header.extend_from_slice(&chunk);
        // A header with quoted line breaks is longer than a line: it is closed when its quotes are even.
        let mut quotes = 0;
        for (at, byte) in header.iter().enumerate() {
            match byte {
                b'"' => quotes += 1,
                b'\n' if quotes % 2 == 0 => {
                    header.truncate(at + 1);
                    return Ok(header);
                }
                _ => {}
            }
        }
        if header.len() > HEADER_LIMIT {
            break;
        }
    }
    Err(Refusal::invalid(format!("{name} has no header line")))
}
