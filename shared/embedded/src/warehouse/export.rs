//! A table into an object.

use std::path::Path;

use duckdb::Connection;
use futures::StreamExt;
use millstream_events::{contract::ColumnType, work::DataFormat};
use millstream_ports::{ExportJob, ExportWrite, JobState, PortError, PortResult, Precondition};
use tokio_util::io::ReaderStream;

use super::{
    DuckDbWarehouse, catalog,
    errors::Mapped,
    types::{identifier, literal},
};

/// See `Warehouse::ensure_export`.
///
/// The object is there before the job is remembered: a process killed between the two writes the same object again.
pub(super) async fn ensure(
    warehouse: &DuckDbWarehouse,
    job: &str,
    export: &ExportJob,
) -> PortResult<JobState<ExportWrite>> {
    let _turn = warehouse.exports.lock().await;
    let name = job.to_owned();
    if let Some(done) = warehouse.read(move |connection| catalog::known_job(connection, &name, "export")).await? {
        return Ok(JobState::Done(done));
    }
    let file = warehouse.scratch.join(format!("export-{}", blake3::hash(job.as_bytes()).to_hex()));
    let (copied, to) = (export.clone(), file.clone());
    let rows = warehouse.read(move |connection| copy(connection, &copied, &to)).await?;
    let opened = tokio::fs::File::open(&file)
        .await
        .map_err(|error| PortError::internal("the copy of a table is gone").caused_by(error))?;
    let body = ReaderStream::with_capacity(opened, 1 << 20)
        .map(|chunk| chunk.map_err(|error| PortError::unavailable("cannot read the copy of a table").caused_by(error)))
        .boxed();
    let written = warehouse.store.put_stream(&export.to, body, Precondition::None).await?;
    // Left behind it costs only space until the next start.
    let _ = tokio::fs::remove_file(&file).await;
    let result = ExportWrite { files: vec![export.to.clone()], rows, bytes: written.size };
    warehouse.job(job, "export", move |_| Ok(result)).await
}

/// Writes the table's rows to a file; gives how many.
fn copy(connection: &Connection, export: &ExportJob, to: &Path) -> PortResult<u64> {
    let Some(entry) = catalog::entry(connection, &export.table)? else {
        return Err(PortError::not_found(format!("there is no table {} (yet)", export.table)));
    };
    let options = match export.format {
        DataFormat::Parquet => "FORMAT parquet, COMPRESSION zstd",
        DataFormat::Csv => "FORMAT csv, HEADER true",
        DataFormat::Jsonl => "FORMAT json",
    };
    // Text has no place for bytes: base64, as BigQuery exports them.
    let as_text = export.format != DataFormat::Parquet;
    let columns: Vec<String> = entry
        .columns
        .iter()
        .map(|column| {
            let name = identifier(&column.name);
            if as_text && column.kind == ColumnType::Bytes { format!("to_base64({name}) AS {name}") } else { name }
        })
        .collect();
    let statement = format!(
        "COPY (SELECT {} FROM {}) TO {} ({options})",
        columns.join(", "),
        catalog::path(&export.table),
        literal(&to.to_string_lossy())
    );
    let rows = connection.execute(&statement, []).mapped(&format!("copy {}", export.table))?;
    Ok(rows as u64)
}
