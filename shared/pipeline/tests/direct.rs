//! Which files are loaded as they were uploaded, and that nothing else changes with them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use millstream_events::{
    Command, StepFact,
    contract::{ColumnType, FileFormat, MaxBad, OnNewColumn},
    fact::Reason,
    history::{History, Record},
    work::{Work, WriteMode},
};
use millstream_pipeline::{
    Pipelines, decide,
    model::{Pipeline, Source},
};
use support::*;

/// A pipeline whose files of this name a loader may read itself.
fn strict(upload: &str) -> Pipeline {
    let mut pipeline = pipeline();
    let source = &mut pipeline.sources[0];
    source.upload = upload.parse().unwrap();
    source.contract.max_bad = MaxBad::Rows(0);
    source.contract.on_new_column = OnNewColumn::Reject;
    source.options.no_header = true;
    pipeline
}

fn directly(pipeline: Pipeline) -> Pipelines {
    Pipelines { direct_loads: true, ..project(pipeline) }
}

fn uploaded(name: &str) -> History {
    let mut history = History::new(run());
    history.insert(entry(upload(name, 2, 2)));
    history
}

fn first(pipelines: &Pipelines, history: &History) -> Command {
    decide(pipelines, history).into_iter().next().unwrap()
}

#[test]
fn a_file_whose_contract_the_loader_keeps_is_loaded_as_it_is() {
    for (pattern, name, format) in [
        ("sales/*.jsonl", "sales/a.jsonl", FileFormat::JsonLines),
        ("sales/*.json.gz", "sales/a.json.gz", FileFormat::JsonLines),
        ("sales/*.csv", "sales/a.csv", FileFormat::Csv),
        ("sales/*.parquet", "sales/a.parquet", FileFormat::Parquet),
    ] {
        let pipeline = strict(pattern);
        let command = first(&directly(pipeline.clone()), &uploaded(name));
        let Work::LoadTable(load) = &command.work else { panic!("{name}: {command:?}") };
        assert_eq!(load.batches, [format!("gs://landing/{name}").parse().unwrap()]);
        assert_eq!(load.columns, pipeline.sources[0].contract.columns);
        let file = load.uploaded.as_ref().unwrap();
        assert_eq!((file.generation, file.size, file.crc32c, file.format), (2, 10, 2, format));
        let ingest = first(&project(pipeline), &uploaded(name));
        assert!(matches!(ingest.work, Work::IngestFile(_)), "a warehouse that reads no uploads: {ingest:?}");
    }
}

type Change = (&'static str, fn(&mut Source));

#[test]
fn whatever_the_loader_would_do_differently_is_ingested_first() {
    let changes: Vec<Change> = vec![
        ("some bad rows are allowed", |source| source.contract.max_bad = MaxBad::Rows(1)),
        ("a share of bad rows is allowed", |source| source.contract.max_bad = MaxBad::Share(0.0)),
        ("rows have expectations", |source| source.contract.expect.push("id > 0".into())),
        ("new columns are added", |source| source.contract.on_new_column = OnNewColumn::Add),
        ("new columns are ignored", |source| source.contract.on_new_column = OnNewColumn::Ignore),
        ("rows are merged", |source| source.write = WriteMode::Merge { key: vec!["id".into()] }),
        ("files are gathered", |source| source.window = Some(Duration::from_secs(60))),
    ];
    for (what, change) in changes {
        let mut pipeline = strict("sales/*.jsonl");
        change(&mut pipeline.sources[0]);
        let command = first(&directly(pipeline), &uploaded("sales/a.jsonl"));
        assert!(matches!(command.work, Work::IngestFile(_)), "{what}: {command:?}");
    }
    for name in ["sales/a.jsonl.zst", "sales/a.parquet.gz", "sales/a.xlsx", "sales/a.unknown"] {
        let command = first(&directly(strict("sales/*")), &uploaded(name));
        assert!(matches!(command.work, Work::IngestFile(_)), "{name}: {command:?}");
    }
}

#[test]
fn a_csv_file_is_loaded_by_the_place_of_its_columns_only() {
    let header: Change = ("a header", |source| source.options.no_header = false);
    let nested: Change =
        ("a list", |source| source.contract.columns[0].kind = ColumnType::Array(Box::new(ColumnType::Int64)));
    for (what, change) in [header, nested] {
        let mut pipeline = strict("sales/*.csv");
        change(&mut pipeline.sources[0]);
        let command = first(&directly(pipeline), &uploaded("sales/a.csv"));
        assert!(matches!(command.work, Work::IngestFile(_)), "{what}: {command:?}");
    }
}

#[test]
fn a_file_beyond_the_loaders_limit_is_ingested_first() {
    let mut record = upload("sales/a.jsonl", 2, 2);
    if let Record::Uploaded { object, .. } = &mut record {
        object.size = 5_000_000_000;
    }
    let mut history = History::new(run());
    history.insert(entry(record));
    let command = first(&directly(strict("sales/*.jsonl")), &history);
    assert!(matches!(command.work, Work::IngestFile(_)));
}

#[test]
fn direct_loads_change_no_fingerprint_so_that_what_is_loaded_stays_loaded() {
    let identities = |pipelines: &Pipelines| {
        let mut history = uploaded("sales/a.jsonl");
        history.insert(entry(upload("products.csv", 3, 3)));
        let mut all = Vec::new();
        while let Some(command) = decide(pipelines, &history).into_iter().next() {
            history.insert(entry(done(&command, 1 + all.len() as u64)));
            all.push(command.step);
        }
        (all, history)
    };
    let pipeline = strict("sales/*.jsonl");
    let (direct, _) = identities(&directly(pipeline.clone()));
    let (ingested, history) = identities(&project(pipeline.clone()));
    let loads_and_on: Vec<_> =
        ingested.iter().filter(|step| !step.step.as_str().starts_with("ingest/sales/")).cloned().collect();
    let sorted = |mut steps: Vec<_>| {
        steps.sort();
        steps
    };
    assert_eq!(sorted(direct), sorted(loads_and_on));
    assert_eq!(decide(&directly(pipeline), &history), [], "switched on later, nothing is loaded again");
}

#[test]
fn a_refused_file_uploaded_again_is_tried_again() {
    let pipelines = directly(strict("sales/*.jsonl"));
    let mut history = uploaded("sales/a.jsonl");
    let refused = first(&pipelines, &history);
    let fact = Reason::new("a bad row");
    history.insert(entry(Record::Failed(StepFact { step: refused.step.clone(), fact })));
    assert_eq!(decide(&pipelines, &history), []);
    history.insert(entry(upload("sales/a.jsonl", 3, 2)));
    let again = first(&pipelines, &history);
    assert_eq!((again.step.attempt, again.step.fingerprint), (2, refused.step.fingerprint));
}
