//! Copies of batches, where BigQuery cannot load them as they are.
//!
//! Of several rows with one key the last in the file wins, and a table in BigQuery has no order: a merge's batches are
//! copied with a column that numbers their rows. Rows that are marked as deleted have no place in an append or a replace,
//! and a load job takes a file whole: their batches are copied without these rows and without the marks, so that it stays
//! one load job. A copy lies beside its batch and is made through a temporary file: a batch is never held in memory whole.
//! The copies are named by the job and removed once it is done.

use std::{
    borrow::Cow,
    fs::File,
    io::{Seek, Write},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch},
    compute::filter_record_batch,
    datatypes::{DataType, Field, Schema},
};
use futures::{StreamExt, TryStreamExt};
use millstream_events::{Fingerprint, extract::DELETED_COLUMN, names::ObjectPath, work::LoadTable};
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

/// What is done to the rows of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    /// They are numbered, growing over all batches of the load.
    Numbered,
    /// Those that are marked as deleted are left out, and so are the marks.
    Unmarked,
}

impl Copies {
    /// Where the copy of a load's batch goes.
    fn of(self, batch: &ObjectPath, at: usize, job: &str) -> PortResult<ObjectPath> {
        let word = match self {
            Self::Numbered => "numbered",
            Self::Unmarked => "unmarked",
        };
        let hash = Fingerprint::of(word, [job.as_bytes()]);
        let name = batch.name().trim_end_matches(".parquet");
        ObjectPath::new(batch.bucket(), format!("{name}.{word}-{at}-{hash}.parquet"))
            .map_err(|error| PortError::invalid(format!("{batch} has too long a name")).caused_by(error))
    }
}

impl BigQueryWarehouse {
    /// The files of an append or a replace: its batches, without the rows that are marked as deleted where there are such.
    pub(crate) async fn unmarked<'a>(&self, load: &'a LoadTable, job: &str) -> PortResult<Cow<'a, [ObjectPath]>> {
        Ok(if load.deletes {
            Cow::Owned(self.copy_batches(load, job, Copies::Unmarked).await?)
        } else {
            Cow::Borrowed(&load.batches)
        })
    }

    /// Removes what [`Self::unmarked`] made.
    pub(crate) async fn drop_unmarked(&self, load: &LoadTable, job: &str) {
        if load.deletes {
            self.drop_copies(load, job, Copies::Unmarked).await;
        }
    }

    /// Copies a load's batches; gives the copies.
    pub(crate) async fn copy_batches(
        &self,
        load: &LoadTable,
        job: &str,
        copies: Copies,
    ) -> PortResult<Vec<ObjectPath>> {
        let mut made = Vec::with_capacity(load.batches.len());
        for (first, (at, batch)) in (0_i64..).zip(load.batches.iter().enumerate()) {
            let copy = copies.of(batch, at, job)?;
            let failed = |error: std::io::Error| {
                PortError::unavailable(format!("cannot keep a copy of {batch} in a temporary file")).caused_by(error)
            };
            let mut plain = tempfile::tempfile().map_err(failed)?;
            let mut read = self.store.get(batch, None).await?;
            while let Some(chunk) = read.body.try_next().await? {
                plain.write_all(&chunk).map_err(failed)?;
            }
            let rewritten = spawn_blocking(move || match copies {
                Copies::Numbered => number(plain, first * ROWS_OF_A_BATCH),
                Copies::Unmarked => unmark(plain),
            });
            let rewritten = rewritten
                .await
                .map_err(|error| PortError::internal(format!("copying {batch} broke off")).caused_by(error))?
                .map_err(|error| {
                    PortError::invalid(format!("{batch} is no batch that can be read: {error}")).caused_by(error)
                })?;
            let body = ReaderStream::with_capacity(tokio::fs::File::from_std(rewritten), CHUNK)
                .map(move |chunk| {
                    chunk.map_err(|error| PortError::unavailable("cannot read a temporary file").caused_by(error))
                })
                .boxed();
            // Written again it has the same bytes.
            self.store.put_stream(&copy, body, Precondition::None).await?;
            made.push(copy);
        }
        Ok(made)
    }

    /// Removes the copies; one that is left costs its space.
    pub(crate) async fn drop_copies(&self, load: &LoadTable, job: &str, copies: Copies) {
        for (at, batch) in load.batches.iter().enumerate() {
            let Ok(copy) = copies.of(batch, at, job) else { continue };
            // Not found: an earlier ask removed it.
            let _ = self.store.delete(&copy, Precondition::None).await;
        }
    }
}

/// A Parquet file with one more column: its rows' numbers from `first` on.
fn number(plain: File, first: i64) -> Result<File, ParquetError> {
    let reader = reader(plain)?;
    let mut fields: Vec<_> = reader.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(ROW, DataType::Int64, false)));
    let schema = Arc::new(Schema::new(fields));
    let mut next = first;
    rewrite(reader, &Arc::clone(&schema), |batch| {
        let end = next + i64::try_from(batch.num_rows()).unwrap_or(ROWS_OF_A_BATCH);
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(next..end));
        next = end;
        let columns = batch.columns().iter().cloned().chain([numbers]).collect();
        Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
    })
}

/// A Parquet file without the rows that are marked as deleted, and without the column of the marks.
fn unmark(plain: File) -> Result<File, ParquetError> {
    let reader = reader(plain)?;
    let marks = reader.schema().index_of(DELETED_COLUMN)?;
    let kept: Vec<usize> = (0..reader.schema().fields().len()).filter(|column| *column != marks).collect();
    let schema = Arc::new(reader.schema().project(&kept)?);
    rewrite(reader, &schema, |batch| {
        let deleted = batch.column(marks).as_boolean_opt().ok_or_else(|| {
            ParquetError::General(format!("its column {DELETED_COLUMN} is {}", batch.column(marks).data_type()))
        })?;
        // A row without a mark is there.
        let there: BooleanArray = deleted.iter().map(|mark| Some(mark != Some(true))).collect();
        Ok(filter_record_batch(&batch.project(&kept)?, &there)?)
    })
}

type Reader = ParquetRecordBatchReaderBuilder<File>;

fn reader(mut plain: File) -> Result<Reader, ParquetError> {
    plain.rewind()?;
    Reader::try_new(plain)
}

/// Another file of what `change` makes of the batches.
fn rewrite(
    reader: Reader,
    schema: &Arc<Schema>,
    mut change: impl FnMut(&RecordBatch) -> Result<RecordBatch, ParquetError>,
) -> Result<File, ParquetError> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut rewritten = tempfile::tempfile()?;
    let mut writer = ArrowWriter::try_new(&mut rewritten, Arc::clone(schema), Some(properties))?;
    for batch in reader.build()? {
        writer.write(&change(&batch?)?)?;
    }
    writer.close()?;
    rewritten.rewind()?;
    Ok(rewritten)
}
