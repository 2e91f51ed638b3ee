//! What goes into each step's fingerprint, and what does not.
//!
//! In: what changes the result. Out: names local to the YAML file, descriptions, limits, the order things are written in,
//! comments in SQL. The domain string is versioned: changing what goes in means changing it.

use millstream_events::{
    Fingerprint,
    extract::Changes,
    history::{GatheredFile, Turn},
    names::{ModelName, TableName},
    trigger::ObjectFinalized,
    work::WriteMode,
};
use serde::Serialize;

use crate::model::{Export, Extract, Source, SqlModel, Training};

/// Hashes a step's definition as canonical JSON. Maps in it are sorted ones, so order of writing cannot show.
fn of(domain: &str, definition: &impl Serialize) -> Fingerprint {
    // Values built of strings, numbers, lists and string-keyed maps always have a JSON form.
    let json = serde_json::to_string(definition).unwrap_or_default();
    Fingerprint::of(domain, [json.as_bytes()])
}

/// The bytes of an upload: where they are does count (a date in the name is data), when they came does not.
fn content(object: &ObjectFinalized) -> impl Serialize + use<> {
    (object.object.clone(), object.crc32c, object.size)
}

/// A file under a contract.
pub(crate) fn ingest(source: &Source, object: &ObjectFinalized) -> Fingerprint {
    let mut contract = source.contract.clone();
    for column in &mut contract.columns {
        column.description = None;
    }
    of("ingest/1", &(content(object), contract, &source.options, keys(&source.write)))
}

/// A file's rows in a table.
///
/// An appended file is identified by its bytes alone: loaded once, it is not loaded again because the contract changed.
/// `occurrence` tells a file's return after another one from its first coming (A, B, A again).
pub(crate) fn load(
    source: &Source,
    object: &ObjectFinalized,
    occurrence: usize,
    previous: Option<&Fingerprint>,
) -> Fingerprint {
    match source.write {
        WriteMode::Append => of("load/1/append", &(content(object), &source.table)),
        WriteMode::Replace | WriteMode::Merge { .. } => of(
            "load/1",
            &(
                ingest(source, object),
                &source.table,
                &source.write,
                (&source.layout.partition_by, &source.layout.cluster_by),
                occurrence,
                previous,
            ),
        ),
    }
}

/// Files that are one load, each by the fingerprint of its own.
pub(crate) fn gathered(table: &TableName, files: &[GatheredFile]) -> Fingerprint {
    let loads: Vec<&Fingerprint> = files.iter().map(|file| &file.load).collect();
    of("load/1/gathered", &(table, loads))
}

/// What an extraction is of: where another thing was extracted before, what had been loaded of that says nothing.
pub(crate) fn extracted_thing(extract: &Extract) -> Fingerprint {
    let cursor = match &extract.changes {
        Changes::Everything => None,
        Changes::Cursor(cursor) => Some(("cursor", cursor.column.as_str())),
        Changes::Log(log) => Some(("log", log.slot.as_str())),
    };
    of("extracted/1", &(&extract.connection, &extract.select, cursor))
}

/// A turn at extracting into a table, and the load of what it gave. A turn is done once, whatever its definition says by then:
/// others go on where it came to.
pub(crate) fn turn(turn: &Turn) -> Fingerprint {
    of("turn/1", &(&turn.table, turn.number, turn.sequence))
}

/// A table as a source leaves it: the loads that made it.
pub(crate) fn loaded_table(table: &TableName, mut loads: Vec<Fingerprint>) -> Fingerprint {
    loads.sort();
    of("loaded/1", &(table, loads))
}

/// A table that this run takes as it stands.
pub(crate) fn standing_table(table: &TableName) -> Fingerprint {
    of("standing/1", &table)
}

/// A table a SELECT fills. `inputs` are the tables it reads and their fingerprints, in name order.
pub(crate) fn model(model: &SqlModel, inputs: &[(TableName, Fingerprint)]) -> Fingerprint {
    of(
        "model/1",
        &(
            &model.table,
            &model.select.canonical,
            &model.write,
            (&model.layout.partition_by, &model.layout.cluster_by),
            &model.expect,
            inputs,
        ),
    )
}

/// A step of a run over the tables as they stand: done anew on each occasion, though no input is known to have changed.
pub(crate) fn on_occasion(step: Fingerprint, occasion: Option<&str>) -> Fingerprint {
    match occasion {
        Some(occasion) => of("occasion/1", &(step, occasion)),
        None => step,
    }
}

/// A copy of a table.
pub(crate) fn export(export: &Export, to: &str, table: &Fingerprint) -> Fingerprint {
    of("export/1", &(&export.table, to, table))
}

/// A training. Its limits and its machines are left out: more time or another GPU alone is no other model.
pub(crate) fn training(training: &Training, data: &Fingerprint) -> Fingerprint {
    of(
        "training/1",
        &(
            &training.model,
            data,
            training.data_format,
            &training.target,
            &training.program,
            &training.args,
            &training.env,
            &training.code,
        ),
    )
}

/// A promotion of what a training job made.
pub(crate) fn promotion(model: &ModelName, trained_by: &str, training: &Training) -> Fingerprint {
    of("promotion/1", &(model, trained_by, &training.serving))
}

/// The columns that identify a row.
pub(crate) fn keys(write: &WriteMode) -> Vec<String> {
    match write {
        WriteMode::Merge { key } => key.clone(),
        WriteMode::Replace | WriteMode::Append => Vec::new(),
    }
}
