//! Parquet batches into their table.

use std::path::PathBuf;

use millstream_events::{
    extract::DELETED_COLUMN,
    names::ObjectPath,
    work::{LoadTable, WriteMode},
};
use millstream_ports::{JobState, PortError, PortResult, TableWrite};

use super::{
    DuckDbWarehouse, catalog,
    types::{self, identifier, literal},
    write::{self, Incoming},
};
use crate::copied;

/// Where DuckDB says which file a row is from: a name that no user's column has.
const FILE_COLUMN: &str = "_millstream_file";

/// See `Warehouse::ensure_load`.
pub(super) async fn ensure(
    warehouse: &DuckDbWarehouse,
    job: &str,
    load: &LoadTable,
) -> PortResult<JobState<TableWrite>> {
    // A job that is done is answered although its batch may have been cleaned up since.
    let (name, known) = (job.to_owned(), warehouse.clone());
    if let Some(done) = known.read(move |connection| catalog::known_job(connection, &name, "load")).await? {
        return Ok(JobState::Done(done));
    }
    check(load)?;
    let (load, batches) = (load.clone(), Batches::of(warehouse, job, load).await?);
    let files = batches.files.clone();
    let done = warehouse
        .job(job, "load", move |transaction| {
            let select = select(&load, &files)?;
            write::write(
                transaction,
                &Incoming {
                    table: &load.table,
                    columns: load.columns.clone(),
                    select,
                    mode: &load.write,
                    deletes: load.deletes,
                    layout: &load.layout,
                    expect: &[],
                    sequence: Some(load.sequence),
                },
            )
        })
        .await;
    batches.remove_copies().await;
    done
}

fn check(load: &LoadTable) -> PortResult<()> {
    if load.uploaded.is_some() {
        return Err(PortError::invalid(format!(
            "{} is to be loaded as it was uploaded, and this warehouse loads ingested batches only; leave direct loads off",
            load.table
        )));
    }
    if load.batches.is_empty() || load.columns.is_empty() {
        return Err(PortError::invalid(format!("the load into {} has no batch or no columns", load.table)));
    }
    Ok(())
}

/// A load's batches as files of this machine.
struct Batches {
    files: Vec<PathBuf>,
    copies: Vec<PathBuf>,
}

impl Batches {
    /// Copies those that the store has not as files.
    async fn of(warehouse: &DuckDbWarehouse, job: &str, load: &LoadTable) -> PortResult<Self> {
        let mut batches = Self { files: Vec::new(), copies: Vec::new() };
        for (at, batch) in load.batches.iter().enumerate() {
            let file = match batches.file(warehouse, &format!("{job}-{at}"), batch).await {
                Ok(file) => file,
                Err(error) => {
                    batches.remove_copies().await;
                    return Err(error);
                }
            };
            batches.files.push(file);
        }
        Ok(batches)
    }

    async fn file(&mut self, warehouse: &DuckDbWarehouse, name: &str, batch: &ObjectPath) -> PortResult<PathBuf> {
        warehouse.store.stat(batch).await?;
        if let Some(file) = warehouse.store.local_path(batch) {
            return Ok(file);
        }
        let copy = warehouse.scratch.join(format!("load-{}.parquet", blake3::hash(name.as_bytes()).to_hex()));
        self.copies.push(copy.clone());
        copied::copy(&*warehouse.store, batch, &copy).await?;
        Ok(copy)
    }

    async fn remove_copies(self) {
        for copy in self.copies {
            // Left behind it costs only space until the next start.
            let _ = tokio::fs::remove_file(copy).await;
        }
    }
}

/// The batches' rows in the columns' types; of a merge's rows with one key only the last of the last file. Rows that are
/// marked as deleted are a merge's to take out; the other ways of writing leave them out.
fn select(load: &LoadTable, files: &[PathBuf]) -> PortResult<String> {
    let columns: PortResult<Vec<String>> = load
        .columns
        .iter()
        .map(|column| {
            let kind = types::to_duckdb(&column.kind)
                .map_err(|problem| PortError::invalid(format!("column {}: {problem}", column.name)))?;
            let name = identifier(&column.name);
            Ok(format!("CAST({name} AS {kind}) AS {name}"))
        })
        .collect();
    let mut columns = columns?.join(", ");
    let deleted = format!("coalesce({}, false)", identifier(DELETED_COLUMN));
    let files: Vec<String> = files.iter().map(|file| literal(&file.to_string_lossy())).collect();
    let files = format!("[{}]", files.join(", "));
    Ok(match &load.write {
        WriteMode::Merge { key } if !key.is_empty() => {
            if load.deletes {
                columns += &format!(", {deleted} AS {}", identifier(DELETED_COLUMN));
            }
            let key: Vec<String> = key.iter().map(|column| identifier(column)).collect();
            format!(
                "SELECT {columns}
                 FROM read_parquet({files}, union_by_name = true, file_row_number = true, filename = '{FILE_COLUMN}')
                 QUALIFY row_number() OVER (
                     PARTITION BY {} ORDER BY list_position({files}, {FILE_COLUMN}) DESC, file_row_number DESC
                 ) = 1",
                key.join(", ")
            )
        }
        _ => {
            let there = if load.deletes { format!(" WHERE NOT {deleted}") } else { String::new() };
            format!("SELECT {columns} FROM read_parquet({files}, union_by_name = true){there}")
        }
    })
}
