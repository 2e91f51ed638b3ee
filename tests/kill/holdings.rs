//! What a platform holds, as text that is the same whenever the same was put in: without times, and without the names that
//! are made from them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
};

use millstream_tests::up::{Project, Up};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};

/// Lines by what they are of: a table's rows, a lake file's rows, a model's versions, a run's steps.
pub(crate) type Holdings = BTreeMap<String, Vec<String>>;

/// Reads it from a platform that has come to rest.
pub(crate) fn of(project: &Project, up: &mut Up<'_>) -> Holdings {
    let mut holdings = Holdings::new();
    for table in items(&up.get("/tables")) {
        let name = text(&table["table"]);
        let sql = format!("SELECT * FROM {name}");
        let answer = up.ask("POST", "/query", &json!({"sql": sql, "limit": 100_000}));
        let mut lines = sorted(items(&answer["rows"]).iter().map(Value::to_string));
        lines.push(table["columns"].to_string());
        holdings.insert(format!("table {name}"), lines);
    }
    for run in items(&up.get("/runs")) {
        let name = text(&run["run"]);
        let details = up.get(&format!("/runs/{name}"));
        let step = |step: &Value| format!("{} {} attempt {}", step["step"], step["state"], step["attempt"]);
        holdings.insert(format!("run {name}"), sorted(items(&details["steps"]).iter().map(step)));
    }
    for model in items(&up.get("/models")) {
        let name = text(&model["model"]);
        let details = up.get(&format!("/models/{name}"));
        let version = |version: &Value| format!("{} {} {}", version["version"], version["metrics"], version["verdict"]);
        let mut lines: Vec<String> = items(&details["versions"]).iter().map(version).collect();
        lines.push(format!("aliases {}", details["aliases"]));
        for endpoint in items(&details["endpoints"]) {
            for deployed in items(&endpoint["deployed"]) {
                lines.push(format!("serves version {} to {} percent", deployed["version"], deployed["traffic"]));
            }
            lines.push(format!("before it served {} versions", items(&endpoint["previous"]).len()));
        }
        holdings.insert(format!("model {name}"), lines);
    }
    let quarantined = |file: &Value| format!("{} {} {}", file["object"], file["bad_rows"], file["reasons"]);
    holdings.insert("quarantine".to_owned(), sorted(items(&up.get("/quarantine")).iter().map(quarantined)));
    lake(&project.bucket("lake"), "lake", &mut holdings);
    holdings
}

/// The first thing that differs.
pub(crate) fn first_difference(held: &Holdings, expected: &Holdings) -> Option<String> {
    let name = held.keys().chain(expected.keys()).find(|name| held.get(*name) != expected.get(*name))?;
    let (held, expected) = (held.get(name), expected.get(name));
    let (Some(held), Some(expected)) = (held, expected) else {
        return Some(format!("{name} is {}", if held.is_some() { "one too many" } else { "missing" }));
    };
    let only = |of: &[String], other: &[String]| of.iter().find(|line| !other.contains(line)).cloned();
    Some(format!(
        "{name} has {} lines, an undisturbed platform's has {}; only here: {:?}; only there: {:?}",
        held.len(),
        expected.len(),
        only(held, expected),
        only(expected, held)
    ))
}

fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| panic!("{value} is no list"))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| panic!("{value} is no text"), str::to_owned)
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

/// The rows of every file. Two files whose names differ only in a fingerprint (an upload's holds its time) are one entry with
/// the rows of both.
fn lake(folder: &Path, name: &str, holdings: &mut Holdings) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let entry_name = entry.file_name().into_string().unwrap();
        let name = format!("{name}/{}", without_fingerprint(&entry_name));
        if entry.file_type().unwrap().is_dir() {
            lake(&entry.path(), &name, holdings);
            continue;
        }
        let rows = if entry_name.ends_with(".parquet") { parquet_rows(&entry.path()) } else { Vec::new() };
        let held = holdings.entry(name).or_default();
        held.push(format!("a file of {} rows", rows.len()));
        held.extend(rows);
        held.sort();
    }
}

/// `3f2a...9c.parquet` as `#.parquet`.
fn without_fingerprint(name: &str) -> String {
    let hex = name.chars().take_while(char::is_ascii_hexdigit).count();
    if hex >= 16 { format!("#{}", &name[hex..]) } else { name.to_owned() }
}

fn parquet_rows(file: &Path) -> Vec<String> {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect()
}
