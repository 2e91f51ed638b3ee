//! The contracts as files: every type has a schema and an example, and what was once accepted stays accepted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use millstream_events::{DecodeError, Event, event::schemas};
use serde_json::{Value, json};

/// Set to write `schemas/` anew after a type has changed.
const UPDATE: &str = "MILLSTREAM_UPDATE_SCHEMAS";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn json_files(name: &str) -> Vec<(String, Value)> {
    let mut files: Vec<_> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), json)
        })
        .collect();
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    files
}

fn decode(example: &Value) -> Result<Event, DecodeError> {
    Event::from_parts(example["type"].as_str().unwrap(), example["data"].clone())
}

#[test]
fn the_schemas_on_disk_are_those_of_the_types() {
    let current: Vec<(String, Value)> = schemas()
        .into_iter()
        .map(|(event_type, schema)| (event_type.to_owned(), serde_json::to_value(schema).unwrap()))
        .collect();
    if std::env::var_os(UPDATE).is_some() {
        for (event_type, schema) in &current {
            let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
            fs::write(folder("schemas").join(format!("{event_type}.json")), text).unwrap();
        }
    }
    let kept = json_files("schemas");
    let names = |schemas: &[(String, Value)]| schemas.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
    assert_eq!(names(&kept), names(&current), "run the test with {UPDATE}=1, remove files of types that are gone");
    for (event_type, schema) in &kept {
        let (_, expected) = current.iter().find(|(name, _)| name == event_type).unwrap();
        assert_eq!(schema, expected, "{event_type} has changed: if old events still fit, run with {UPDATE}=1");
    }
}

#[test]
fn every_type_has_an_example() {
    let shown: BTreeSet<_> =
        json_files("examples").into_iter().map(|(_, json)| json["type"].as_str().unwrap().to_owned()).collect();
    let known: BTreeSet<_> = schemas().into_iter().map(|(event_type, _)| event_type.to_owned()).collect();
    assert_eq!(shown, known);
}

#[test]
fn every_example_fits_its_schema() {
    for (name, example) in json_files("examples").into_iter().chain(json_files("examples/accepted")) {
        let event_type = example["type"].as_str().unwrap();
        let schema = fs::read(folder("schemas").join(format!("{event_type}.json"))).unwrap();
        let validator = jsonschema::validator_for(&serde_json::from_slice(&schema).unwrap()).unwrap();
        let wrong: Vec<String> = validator
            .iter_errors(&example["data"])
            .map(|error| format!("{} at {}", error, error.instance_path))
            .collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
}

#[test]
fn every_example_decodes_and_is_written_again_just_so() {
    let mut wrong_ids = Vec::new();
    for (name, example) in json_files("examples") {
        let event_type = example["type"].as_str().unwrap();
        assert!(name.starts_with(event_type), "{name} holds a {event_type}");
        let event = decode(&example).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(event.event_type(), event_type, "{name}");
        assert_eq!(event.data().unwrap(), example["data"], "{name}");
        if example["id"] != event.id() {
            wrong_ids.push(format!("{name}: {}", event.id()));
        }
        assert_eq!(event.subject().as_deref(), example["subject"].as_str(), "{name}");
    }
    assert!(wrong_ids.is_empty(), "ids must stay what they were, but are now {wrong_ids:#?}");
}

#[test]
fn what_earlier_and_later_producers_write_is_accepted() {
    let files = json_files("examples/accepted");
    assert!(!files.is_empty());
    for (name, example) in files {
        let event = decode(&example).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(event.event_type(), example["type"].as_str().unwrap(), "{name}");
        let again = Event::from_parts(event.event_type(), event.data().unwrap()).unwrap();
        assert_eq!(again, event, "{name}");
    }
}

#[test]
fn a_type_that_is_not_known_is_named_in_the_error() {
    for event_type in [
        "com.example.ordered",
        "dev.millstream.table.dropped.v1",
        "dev.millstream.load.requested.v2",
        "google.cloud.storage.object.v1.archived",
        "",
    ] {
        let data = json!({"step": step(), "fact": {}});
        match Event::from_parts(event_type, data) {
            Err(DecodeError::UnknownType(named)) => assert_eq!(named, event_type),
            other => panic!("{event_type}: {other:?}"),
        }
    }
}

#[test]
fn data_that_does_not_fit_says_which_type_and_what() {
    let with_bad_table = json!({"step": step(), "work": {
        "batch": "gs://lake/a.parquet", "table": "a.b; DROP TABLE c", "columns": [], "write": {"mode": "append"}, "sequence": 1
    }});
    let error = Event::from_parts("dev.millstream.load.requested.v1", with_bad_table).unwrap_err().to_string();
    assert!(error.contains("dev.millstream.load.requested.v1") && error.contains("table name"), "{error}");

    let without_step = json!({"work": {}});
    let error = Event::from_parts("dev.millstream.load.requested.v1", without_step).unwrap_err().to_string();
    assert!(error.contains("step"), "{error}");
}

fn step() -> Value {
    json!({
        "run": {"pipeline": "fraud", "key": "latest"},
        "step": "load/transactions",
        "fingerprint": "5f1d0c9a3b7e42d68f0a1c2b3d4e5f60",
        "attempt": 1
    })
}
