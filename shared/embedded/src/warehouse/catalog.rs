//! What the warehouse keeps besides the tables: the jobs it has done, and what is known of each table.

use duckdb::{Connection, OptionalExt, params};
use millstream_events::{contract::Column, names::TableName};
use millstream_ports::{PortError, PortResult, TableFacts};
use serde::{Serialize, de::DeserializeOwned};

use super::{errors::Mapped, types::identifier};

/// Schemas that are DuckDB's or the warehouse's own.
const RESERVED: [&str; 6] = ["_millstream", "main", "temp", "system", "information_schema", "pg_catalog"];

/// A table as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its columns, as they were declared.
    pub(super) columns: Vec<Column>,
    /// The commit number of its last write.
    pub(super) version: u64,
    /// The sequence of its last replace; 0 when it has had none.
    pub(super) sequence: u64,
}

/// Creates the catalog where it is not there yet.
pub(super) fn prepare(connection: &Connection) -> PortResult<()> {
    connection
        .execute_batch(
            "CREATE SCHEMA IF NOT EXISTS _millstream;
             CREATE TABLE IF NOT EXISTS _millstream.jobs (job VARCHAR PRIMARY KEY, kind VARCHAR NOT NULL, result VARCHAR NOT NULL);
             CREATE TABLE IF NOT EXISTS _millstream.tables (
                 dataset VARCHAR, name VARCHAR, version UBIGINT NOT NULL, sequence UBIGINT NOT NULL, columns VARCHAR NOT NULL,
                 PRIMARY KEY (dataset, name)
             );",
        )
        .mapped("prepare the catalog")
}

/// The result of a job that is done.
pub(super) fn known_job<T: DeserializeOwned>(connection: &Connection, job: &str, kind: &str) -> PortResult<Option<T>> {
    let known: Option<(String, String)> = connection
        .query_row("SELECT kind, result FROM _millstream.jobs WHERE job = ?", [job], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
        .mapped("look up a job")?;
    match known {
        None => Ok(None),
        Some((known, _)) if known != kind => {
            Err(PortError::invalid(format!("the job {job} is a {known} already and cannot be a {kind}")))
        }
        Some((_, result)) => serde_json::from_str(&result)
            .map(Some)
            .map_err(|error| PortError::internal(format!("the result of job {job} is not readable")).caused_by(error)),
    }
}

/// Remembers a job and its result; they become visible with the transaction that has its effect.
pub(super) fn remember_job<T: Serialize>(connection: &Connection, job: &str, kind: &str, result: &T) -> PortResult<()> {
    let result = serde_json::to_string(result)
        .map_err(|error| PortError::internal("a job's result cannot be written").caused_by(error))?;
    connection
        .execute("INSERT INTO _millstream.jobs VALUES (?, ?, ?)", params![job, kind, result])
        .mapped("remember a job")?;
    Ok(())
}

/// A table as an identifier.
pub(super) fn path(table: &TableName) -> String {
    format!("{}.{}", identifier(table.dataset()), identifier(table.table()))
}

/// A table's entry, when there is such a table.
pub(super) fn entry(connection: &Connection, table: &TableName) -> PortResult<Option<Entry>> {
    let found: Option<(String, u64, u64)> = connection
        .query_row(
            "SELECT columns, version, sequence FROM _millstream.tables WHERE dataset = ? AND name = ?",
            [table.dataset(), table.table()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()
        .mapped("look up a table")?;
    found
        .map(|(columns, version, sequence)| Ok(Entry { columns: columns_of(&columns)?, version, sequence }))
        .transpose()
}

fn columns_of(json: &str) -> PortResult<Vec<Column>> {
    serde_json::from_str(json)
        .map_err(|error| PortError::internal("a table's columns are not readable").caused_by(error))
}

/// Notes a write under the next commit number, which it gives.
pub(super) fn note_write(
    connection: &Connection,
    table: &TableName,
    columns: &[Column],
    sequence: u64,
) -> PortResult<u64> {
    let columns = serde_json::to_string(columns)
        .map_err(|error| PortError::internal("a table's columns cannot be written").caused_by(error))?;
    connection
        .query_row(
            "INSERT OR REPLACE INTO _millstream.tables
             SELECT ?, ?, coalesce(max(version), 0) + 1, ?, ? FROM _millstream.tables RETURNING version",
            params![table.dataset(), table.table(), sequence, columns],
            |row| row.get(0),
        )
        .mapped("note a write")
}

/// Checks that a table of this name may be made. DuckDB does not tell names apart by case, BigQuery does.
pub(super) fn check_name(connection: &Connection, table: &TableName) -> PortResult<()> {
    if RESERVED.contains(&table.dataset().to_ascii_lowercase().as_str()) {
        return Err(PortError::invalid(format!(
            "the dataset {} is the warehouse's own; use another name",
            table.dataset()
        )));
    }
    let other: Option<String> = connection
        .query_row(
            "SELECT dataset || '.' || name FROM _millstream.tables
             WHERE lower(dataset) = lower(?1) AND lower(name) = lower(?2) AND (dataset <> ?1 OR name <> ?2)",
            params![table.dataset(), table.table()],
            |row| row.get(0),
        )
        .optional()
        .mapped("look up a table")?;
    match other {
        Some(other) => Err(PortError::invalid(format!("{table} and {other} differ only in case; use one name"))),
        None => Ok(()),
    }
}

/// Checks that every input is there.
pub(super) fn check_inputs(connection: &Connection, inputs: &[TableName]) -> PortResult<()> {
    for input in inputs {
        if entry(connection, input)?.is_none() {
            return Err(PortError::not_found(format!("there is no table {input} (yet)")));
        }
    }
    Ok(())
}

/// The rows of a table.
pub(super) fn count(connection: &Connection, path: &str) -> PortResult<u64> {
    connection.query_row(&format!("SELECT count(*) FROM {path}"), [], |row| row.get(0)).mapped("count rows")
}

/// What is known of a table.
pub(super) fn facts(connection: &Connection, table: &TableName) -> PortResult<TableFacts> {
    let Some(entry) = entry(connection, table)? else {
        return Err(PortError::not_found(format!("there is no table {table}")));
    };
    let rows = count(connection, &path(table))?;
    Ok(TableFacts { table: table.clone(), columns: entry.columns, rows, version: entry.version })
}

/// What is known of every table.
pub(super) fn all_facts(connection: &Connection) -> PortResult<Vec<TableFacts>> {
    let mut statement = connection
        .prepare("SELECT dataset || '.' || name FROM _millstream.tables ORDER BY dataset, name")
        .mapped("list tables")?;
    let names: Vec<String> =
        statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).mapped("list tables")?;
    names
        .into_iter()
        .map(|name| {
            let table = name
                .parse()
                .map_err(|error| PortError::internal("the catalog has a name that is none").caused_by(error))?;
            facts(connection, &table)
        })
        .collect()
}
