//! Row numbers for a merge's batches.
//!
//! Of several rows with one key the last in the file wins, and a table in BigQuery has no order. So each batch is copied
//! beside itself with a column that numbers its rows, through a temporary file: a batch is never held in memory whole. The
//! copies are named by the job and removed once it is done.

use std::{
    fs::File,
    io::{Seek, Write},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch},
    datatypes::{DataType, Field, Schema},
};
use futures::{StreamExt, TryStreamExt};
use millstream_events::{Fingerprint, names::ObjectPath, work::LoadTable};
use millstream_ports::{PortError, PortResult, Precondition};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::Compression,
    errors::ParquetError,
    file::properties::WriterProperties,
};
use tokio::task::spawn_blocking;
use tokio_util::io::ReaderStream;

use crate::{BigQueryWarehouse, statements::ROW};

/// Numbers of one batch: more rows than BigQuery loads from a file.
const ROWS_OF_A_BATCH: i64 = 1 << 40;

/// What is read from a copy at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// Where the copy of a load's batch goes.
fn copy_of(batch: &ObjectPath, at: usize, job: &str) -> PortResult<ObjectPath> {
    let hash = Fingerprint::of("numbered", [job.as_bytes()]);
    let name = batch.name().trim_end_matches(".parquet");
    ObjectPath::new(batch.bucket(), format!("{name}.numbered-{at}-{hash}.parquet"))
        .map_err(|error| PortError::invalid(format!("{batch} has too long a name")).caused_by(error))
}

impl BigQueryWarehouse {
    /// Copies a load's batches with row numbers that grow over all of them; gives the copies.
    pub(crate) async fn number_rows(&self, load: &LoadTable, job: &str) -> PortResult<Vec<ObjectPath>> {
        let mut copies = Vec::with_capacity(load.batches.len());
        for (first, (at, batch)) in (0_i64..).zip(load.batches.iter().enumerate()) {
            let copy = copy_of(batch, at, job)?;
            let failed = |error: std::io::Error| {
                PortError::unavailable(format!("cannot keep a copy of {batch} in a temporary file")).caused_by(error)
            };
            let mut plain = tempfile::tempfile().map_err(failed)?;
            let mut read = self.store.get(batch, None).await?;
            while let Some(chunk) = read.body.try_next().await? {
                plain.write_all(&chunk).map_err(failed)?;
            }
            let numbered = spawn_blocking(move || number(plain, first * ROWS_OF_A_BATCH))
                .await
                .map_err(|error| PortError::internal(format!("numbering {batch} broke off")).caused_by(error))?
                .map_err(|error| PortError::invalid(format!("{batch} is no readable Parquet file")).caused_by(error))?;
            let body = ReaderStream::with_capacity(tokio::fs::File::from_std(numbered), CHUNK)
                .map(move |chunk| {
                    chunk.map_err(|error| PortError::unavailable("cannot read a temporary file").caused_by(error))
                })
                .boxed();
            // Written again it has the same bytes.
            self.store.put_stream(&copy, body, Precondition::None).await?;
            copies.push(copy);
        }
        Ok(copies)
    }

    /// Removes the copies; one that is left costs its space.
    pub(crate) async fn drop_numbered(&self, load: &LoadTable, job: &str) {
        if load.uploaded.is_some() {
            return;
        }
        for (at, batch) in load.batches.iter().enumerate() {
            let Ok(copy) = copy_of(batch, at, job) else { continue };
            // Not found: an earlier ask removed it.
            let _ = self.store.delete(&copy, Precondition::None).await;
        }
    }
}

/// A Parquet file with one more column: its rows' numbers from `first` on.
fn number(mut plain: File, first: i64) -> Result<File, ParquetError> {
    plain.rewind()?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(plain)?;
    let mut fields: Vec<_> = reader.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(ROW, DataType::Int64, false)));
    let schema = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut numbered = tempfile::tempfile()?;
    let mut writer = ArrowWriter::try_new(&mut numbered, Arc::clone(&schema), Some(properties))?;
    let mut next = first;
    for batch in reader.build()? {
        let batch = batch?;
        let end = next + i64::try_from(batch.num_rows()).unwrap_or(ROWS_OF_A_BATCH);
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(next..end));
        let columns = batch.columns().iter().cloned().chain([numbers]).collect();
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
        next = end;
    }
    writer.close()?;
    numbered.rewind()?;
    Ok(numbered)
}
