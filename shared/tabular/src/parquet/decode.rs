//! Parquet batches to the table's columns.

use std::{fs::File, panic::AssertUnwindSafe};

use arrow::{
    array::RecordBatch,
    datatypes::{Field, SchemaRef},
};
use millstream_events::contract::Contract;
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};

use crate::{
    decode::{Block, Decode, Decoded, Excerpt},
    error::{IngestError, Rejection, RejectionKind},
    layout::{Layout, Origin},
    limits::Limits,
    schema,
    typed::{Incoming, TypedLayout},
};

/// Rows decoded at once.
const BATCH_ROWS: usize = 32 * 1024;

/// Decodes one file's batches: a batch is a block, and becomes one row group.
#[derive(Debug)]
pub(crate) struct ParquetDecoder {
    typed: TypedLayout,
}

/// A file's batches, in order.
pub(crate) struct Batches {
    reader: ParquetRecordBatchReader,
    decoded_bytes: u64,
    decoded_limit: u64,
}

impl Block for RecordBatch {
    fn recycle(self) -> Vec<u8> {
        Vec::new()
    }

    fn lines_between(&self, from: u32, position: u32) -> u64 {
        u64::from(position - from)
    }
}

/// Reads a file's footer and lays the table out by its schema.
pub(crate) fn open(file: File, contract: &Contract, limits: &Limits) -> Result<(ParquetDecoder, Batches), IngestError> {
    let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error)))?;
    let schema = SchemaRef::clone(builder.schema());
    if schema.fields().len() > limits.columns {
        let message =
            format!("the file has {} columns, more than the limit of {}", schema.fields().len(), limits.columns);
        return Err(Rejection::new(RejectionKind::TooManyColumns, message).into());
    }
    let incoming: Vec<Incoming<'_>> = schema.fields().iter().map(|field| incoming(field)).collect();
    let mut typed = TypedLayout::new(&incoming, contract, Origin::File)?;
    let used = typed.only_used();
    let mask = ProjectionMask::roots(builder.parquet_schema(), used);
    let reader =
        guarded(|| builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|error| damaged(&error)))?;
    let batches = Batches { reader, decoded_bytes: 0, decoded_limit: limits.decompressed_bytes };
    Ok((ParquetDecoder { typed }, batches))
}

fn incoming(field: &Field) -> Incoming<'_> {
    let (data_type, kind) = (field.data_type().clone(), schema::column_type(field.data_type()));
    Incoming { name: field.name(), data_type, kind, vouched_for: false }
}

impl Batches {
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, IngestError> {
        let reader = &mut self.reader;
        let batch = guarded(|| reader.next().transpose().map_err(|error| damaged(&error)))?;
        if let Some(batch) = &batch {
            self.decoded_bytes += batch.get_array_memory_size() as u64;
            if self.decoded_bytes > self.decoded_limit {
                let message = format!("the file decodes to more than {} bytes", self.decoded_limit);
                return Err(Rejection::new(RejectionKind::DecompressionLimit, message)
                    .hint("upload it in smaller parts")
                    .into());
            }
        }
        Ok(batch)
    }
}

fn damaged(error: &dyn std::fmt::Display) -> Rejection {
    Rejection::new(RejectionKind::Corrupt, format!("the Parquet file is damaged or of a kind not supported: {error}"))
}

/// Parquet's reader panics on some damaged files; to the caller that is a damaged file like any other.
fn guarded<T>(read: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    std::panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(damaged(&"its pages contradict each other")))
}

impl Decode for ParquetDecoder {
    type Block = RecordBatch;

    fn layout(&self) -> &Layout {
        &self.typed.layout
    }

    fn decode(&self, block: &RecordBatch) -> Result<Decoded, Rejection> {
        let mut faults = Vec::new();
        let arrays = self.typed.decode(block.columns(), block.num_rows(), &mut faults)?;
        let lines = block.num_rows() as u64;
        Ok(Decoded { arrays, positions: None, faults, broken: Vec::new(), unknown: Vec::new(), lines })
    }

    fn excerpt(&self, block: &RecordBatch, position: u32, column: Option<u16>) -> Excerpt {
        self.typed.excerpt(&block.slice(position as usize, 1), column)
    }
}
