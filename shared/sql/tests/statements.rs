//! BigQuery statements of the kinds people write, run on DuckDB.
//!
//! Each `statements/NN-name.sql` has its rows beside it in `NN-name.expected`: tab-separated text under the columns' names,
//! worked out by hand from BigQuery's documentation, not from what DuckDB answered.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{fs, path::Path};

use duckdb::Connection;
use millstream_sql::{Select, to_duckdb};

fn warehouse() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("SET TimeZone = 'UTC'").unwrap();
    connection.execute_batch(include_str!("fixture.sql")).unwrap();
    connection
}

/// The rows as text, under the columns' names.
fn answer(connection: &Connection, sql: &str) -> Result<String, String> {
    let translated = to_duckdb(sql).map_err(|error| format!("{error} (hint: {:?})", error.hint))?;
    let failed = |error: duckdb::Error| format!("{error}\n  in: {translated}");
    let text = format!("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({translated})");
    let mut statement = connection.prepare(&text).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let columns = row.as_ref().column_count();
        let values: Vec<String> = (0..columns)
            .map(|column| row.get::<_, Option<String>>(column).unwrap().unwrap_or_else(|| "NULL".into()))
            .collect();
        lines.push(values.join("\t"));
    }
    drop(rows);
    lines.insert(0, statement.column_names().join("\t"));
    Ok(lines.join("\n") + "\n")
}

#[test]
fn every_statement_gives_the_rows_bigquery_documents() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/statements");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    assert!(files.len() >= 50, "only {} statements were found", files.len());
    let connection = warehouse();
    let mut failures = Vec::new();
    for file in &files {
        let name = file.file_stem().unwrap().to_string_lossy();
        let sql = fs::read_to_string(file).unwrap();
        let expected = fs::read_to_string(file.with_extension("expected")).unwrap();
        match answer(&connection, &sql) {
            Ok(found) if found == expected => {}
            Ok(found) => {
                let translated = to_duckdb(&sql).unwrap();
                failures.push(format!("{name}:\n  expected {expected:?}\n  found    {found:?}\n  in: {translated}"));
            }
            Err(problem) => failures.push(format!("{name}: {problem}")),
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), files.len(), failures.join("\n"));
}

#[test]
fn every_statement_keeps_its_meaning_when_its_spelling_changes() {
    let spellings =
        ["SELECT a,b FROM source.t WHERE x='a  b'", "SELECT a, b\n-- why\nFROM source.t /* here */ WHERE x = 'a  b';"];
    let [first, second] = spellings.map(|text| Select::parse(text).unwrap().canonical);
    assert_eq!(first, second);
    let other = Select::parse("SELECT a,b FROM source.t WHERE x='a b'").unwrap().canonical;
    assert_ne!(first, other, "a literal's own spaces are its meaning");
}
