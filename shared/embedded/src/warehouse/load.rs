//! A Parquet batch into its table.

use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use millstream_events::{
    names::ObjectPath,
    work::{LoadTable, WriteMode},
};
use millstream_ports::{JobState, PortError, PortResult, TableWrite};
use tokio::io::AsyncWriteExt;

use super::{
    DuckDbWarehouse, catalog,
    types::{self, identifier, literal},
    write::{self, Incoming},
};

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
    warehouse.store.stat(&load.batch).await?;
    let (file, spooled) = match warehouse.store.local_path(&load.batch) {
        Some(file) => (file, false),
        None => (spool(warehouse, job, &load.batch).await?, true),
    };
    let (load, batch) = (load.clone(), file.clone());
    let done = warehouse
        .job(job, "load", move |transaction| {
            let select = select(&load, &batch)?;
            write::write(
                transaction,
                &Incoming {
                    table: &load.table,
                    columns: load.columns.clone(),
                    select,
                    mode: &load.write,
                    layout: &load.layout,
                    expect: &[],
                    sequence: Some(load.sequence),
                },
            )
        })
        .await;
    if spooled {
        // Left behind it costs only space until the next start.
        let _ = tokio::fs::remove_file(file).await;
    }
    done
}

/// Copies a batch to a file, for a store that has none.
async fn spool(warehouse: &DuckDbWarehouse, job: &str, batch: &ObjectPath) -> PortResult<PathBuf> {
    let failed =
        |error: std::io::Error| PortError::unavailable(format!("cannot keep a copy of {batch}")).caused_by(error);
    let path = warehouse.scratch.join(format!("load-{}.parquet", blake3::hash(job.as_bytes()).to_hex()));
    let mut file = tokio::fs::File::create(&path).await.map_err(failed)?;
    let mut read = warehouse.store.get(batch, None).await?;
    while let Some(chunk) = read.body.try_next().await? {
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok(path)
}

/// The batch's rows in the columns' types; of a merge's rows with one key only the last in the file.
fn select(load: &LoadTable, file: &Path) -> PortResult<String> {
    if load.columns.is_empty() {
        return Err(PortError::invalid(format!("the batch for {} has no columns", load.table)));
    }
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
    let columns = columns?.join(", ");
    let file = literal(&file.to_string_lossy());
    Ok(match &load.write {
        WriteMode::Merge { key } if !key.is_empty() => {
            let key: Vec<String> = key.iter().map(|column| identifier(column)).collect();
            format!(
                "SELECT {columns} FROM read_parquet({file}, file_row_number = true)
                 QUALIFY row_number() OVER (PARTITION BY {} ORDER BY file_row_number DESC) = 1",
                key.join(", ")
            )
        }
        _ => format!("SELECT {columns} FROM read_parquet({file})"),
    })
}
