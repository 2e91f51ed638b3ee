//! Parquet batches to the table's columns.

use std::{collections::HashMap, fs::File, panic::AssertUnwindSafe};

use arrow::{
    array::{Array, ArrayRef, RecordBatch},
    datatypes::SchemaRef,
    error::ArrowError,
    util::display::array_value_to_string,
};
use millstream_events::contract::{Column, Contract, OnNewColumn};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};

use super::convert::{Conversion, conversion, convert};
use crate::{
    cells::BadRecord,
    decode::{Block, Decode, Decoded, Excerpt},
    error::{IngestError, Rejection, RejectionKind},
    layout::{Layout, check_new_name, nearest, new_column},
    limits::Limits,
    schema,
};

/// Rows decoded at once.
const BATCH_ROWS: usize = 32 * 1024;

/// Decodes one file's batches: a batch is a block, and becomes one row group.
#[derive(Debug)]
pub(crate) struct ParquetDecoder {
    layout: Layout,
    conversions: Vec<Option<Conversion>>,
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
    let (layout, conversions, used) = lay_out(&schema, contract)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), used);
    let reader =
        guarded(|| builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|error| damaged(&error)))?;
    let batches = Batches { reader, decoded_bytes: 0, decoded_limit: limits.decompressed_bytes };
    Ok((ParquetDecoder { layout, conversions }, batches))
}

/// The layout, each column's conversion, and the file's columns to read.
type LaidOut = (Layout, Vec<Option<Conversion>>, Vec<usize>);

fn lay_out(schema: &SchemaRef, contract: &Contract) -> Result<LaidOut, Rejection> {
    let mut positions: HashMap<String, usize> = HashMap::new();
    for (index, field) in schema.fields().iter().enumerate() {
        if positions.insert(field.name().to_lowercase(), index).is_some() {
            let message = format!("the file has the column {:?} twice", field.name());
            return Err(Rejection::new(RejectionKind::DuplicateColumn, message).in_column(field.name()));
        }
    }
    let mut layout = Layout { width: schema.fields().len(), ..Layout::default() };
    let mut conversions = Vec::new();
    for column in &contract.columns {
        let position = positions.remove(&column.name.to_lowercase());
        let Some(position) = position else {
            if column.required {
                let message = format!("the required column {:?} is not in the file", column.name);
                let rejection = Rejection::new(RejectionKind::MissingColumn, message).in_column(&column.name);
                let near = nearest(&column.name, schema.fields().iter().map(|field| field.name().as_str()));
                return Err(match near {
                    Some(near) => rejection.hint(format!("the file has {near:?}")),
                    None => rejection,
                });
            }
            layout.missing.push(column.name.clone());
            layout.push(column.clone(), None);
            conversions.push(None);
            continue;
        };
        let from = schema.field(position).data_type();
        let conversion = conversion(from, &column.kind).ok_or_else(|| {
            let has = schema::column_type(from).map_or_else(|| from.to_string(), |kind| kind.to_string());
            let message =
                format!("the column {:?} is {has} in the file and {} in the contract", column.name, column.kind);
            Rejection::new(RejectionKind::TypeMismatch, message).in_column(&column.name)
        })?;
        layout.push(column.clone(), Some(position));
        conversions.push(Some(conversion));
    }
    for (index, field) in schema.fields().iter().enumerate() {
        if !positions.contains_key(&field.name().to_lowercase()) {
            continue;
        }
        match contract.on_new_column {
            OnNewColumn::Ignore => layout.ignored.push(field.name().clone()),
            OnNewColumn::Reject => return Err(new_column(field.name(), contract)),
            OnNewColumn::Add => {
                check_new_name(field.name(), index)?;
                let kind = schema::column_type(field.data_type())
                    .and_then(|kind| Some((conversion(field.data_type(), &kind)?, kind)));
                let Some((conversion, kind)) = kind else {
                    let message = format!(
                        "the new column {:?} has the type {}, which no table has",
                        field.name(),
                        field.data_type()
                    );
                    return Err(Rejection::new(RejectionKind::NewColumn, message).in_column(field.name()));
                };
                let column = Column { name: field.name().clone(), kind, required: false, description: None };
                layout.added.push(column.clone());
                layout.push(column, Some(index));
                conversions.push(Some(conversion));
            }
        }
    }
    // What is not read leaves no gap in a batch: positions become those among the columns that are.
    let mut used: Vec<usize> = layout.sources.iter().copied().flatten().collect();
    used.sort_unstable();
    for source in layout.sources.iter_mut().flatten() {
        *source = used.partition_point(|index| index < source);
    }
    Ok((layout, conversions, used))
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
        &self.layout
    }

    fn decode(&self, block: &RecordBatch) -> Result<Decoded, Rejection> {
        let mut faults = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.layout.columns.len());
        for (index, column) in self.layout.columns.iter().enumerate() {
            let array = match (self.layout.sources[index], self.conversions[index]) {
                (Some(source), Some(conversion)) => {
                    convert(block.column(source), conversion, &column.kind, |row, fault| {
                        faults.push(BadRecord { position: row as u32, column: Some(index as u16), fault });
                    })?
                }
                _ => arrow::array::new_null_array(&schema::arrow_type(&column.kind), block.num_rows()),
            };
            arrays.push(array);
        }
        let lines = block.num_rows() as u64;
        Ok(Decoded { arrays, positions: None, faults, broken: Vec::new(), unknown: Vec::new(), lines })
    }

    fn excerpt(&self, block: &RecordBatch, position: u32, column: Option<u16>) -> Excerpt {
        let row = position as usize;
        let value = column
            .and_then(|column| self.layout.sources[usize::from(column)])
            .map(|source| block.column(source))
            .filter(|array| array.is_valid(row))
            .and_then(|array| array_value_to_string(&schema::without_zone(array).ok()?, row).ok());
        // A value that JSON cannot hold leaves the raw text empty; the line and the reason stay.
        let raw = as_json(&block.slice(row, 1)).unwrap_or_default();
        Excerpt { raw, value: value.map(String::into_bytes) }
    }
}

/// A one-row batch as a JSON object.
fn as_json(row: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let columns = row.columns().iter().map(schema::without_zone).collect::<Result<Vec<_>, _>>()?;
    let schema = row.schema();
    let named = schema.fields().iter().map(|field| field.name()).zip(columns);
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    writer.write(&RecordBatch::try_from_iter(named)?)?;
    writer.finish()?;
    let mut json = writer.into_inner();
    json.truncate(json.trim_ascii_end().len());
    Ok(json)
}
