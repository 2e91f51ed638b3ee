//! Rows that come as Arrow batches, from a database for example, instead of as a file.

mod decode;
mod fault;

use std::{
    io::{self, Write},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema},
};
use millstream_events::{
    contract::{Column, Contract},
    extract::DELETED_COLUMN,
};

use self::decode::RowsDecoder;
pub use self::fault::RowFaultKind;
use crate::{
    check::Checks,
    error::{IngestError, Rejection, RejectionKind},
    ingest::check_columns,
    job::Job,
    layout::Origin,
    limits::Limits,
    report::Report,
    schema,
};

/// A value that does not fit: its slot in the batch is NULL, and its row is bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// The row in the batch.
    pub row: usize,
    /// The column in the batch.
    pub column: usize,
    /// Why.
    pub kind: RowFaultKind,
    /// The value as the source writes it, for a person.
    pub value: String,
}

/// Some rows; they become one row group of the Parquet file.
#[derive(Debug, Clone)]
pub struct RowBatch {
    /// The rows, in the request's columns, each of the Arrow type of its kind (see [`schema`](crate::schema)); then
    /// [`DELETED_COLUMN`], where the request says that the rows have it.
    pub batch: RecordBatch,
    /// The values that do not fit, by row.
    pub faults: Vec<RowFault>,
}

/// What to ingest a source's rows by.
#[derive(Debug, Clone)]
pub struct RowsRequest<'a> {
    /// The columns that come, in their order. Their values are known to be of their types.
    pub columns: &'a [Column],
    /// What the rows must be. Without columns of its own it has those that come.
    pub contract: &'a Contract,
    /// The columns that rows are merged by: a row without a value in one, or with NaN, is bad.
    pub keys: &'a [String],
    /// Whether the batches have [`DELETED_COLUMN`] last (BOOL). A row where it is true is judged by its keys alone. The Parquet
    /// file has it last too, and only its keys are not nullable then; the report's columns leave it out.
    pub deletes: bool,
    /// Whether rows may come several times, as the changes in a log do: `unique(..)` is not judged then.
    pub repeats: bool,
    /// What they may cost.
    pub limits: Limits,
}

/// Reads the rows to their end; writes the good ones as Parquet to `batch` and the bad ones as JSON Lines to `quarantine`, in
/// which a row's line is its number, from 1. The report's `bytes_read` are those of the batches in memory.
///
/// The same rows give the same two outputs, wherever batches end as long as they end there each time. After an error `batch`
/// is no Parquet file; `quarantine` has the bad rows found until then. Blocks: call it where blocking is allowed.
///
/// # Errors
///
/// [`IngestError::Rejected`] when the columns are not what the contract wants or too many rows are bad, [`IngestError::Io`]
/// with the error of `rows`, or when writing failed.
pub fn ingest_rows<B: Write + Send, Q: Write>(
    request: &RowsRequest<'_>,
    rows: impl IntoIterator<Item = io::Result<RowBatch>, IntoIter: Send>,
    batch: B,
    quarantine: Q,
) -> Result<Report, IngestError> {
    let RowsRequest { columns, keys, deletes, repeats, limits, .. } = request;
    let contract = effective_contract(request)?;
    check_columns(&contract)?;
    if columns.len() > limits.columns {
        let message = format!("the source has {} columns, more than the limit of {}", columns.len(), limits.columns);
        return Err(Rejection::new(RejectionKind::TooManyColumns, message).into());
    }
    let decoder = RowsDecoder::new(columns, &contract, *deletes)?;
    let table = decoder.columns();
    if let Some(column) = table.iter().find(|column| column.name.eq_ignore_ascii_case(DELETED_COLUMN)) {
        let message = format!("no table may have a column {:?}", column.name);
        return Err(Rejection::new(RejectionKind::Contract, message).in_column(&column.name).into());
    }
    let mut checks = Checks::new(table, &contract.expect, keys)?;
    if *repeats {
        checks = checks.without_unique();
    }
    let mut file = schema::arrow_schema(table);
    if *deletes {
        checks = checks.with_deleted(table.len());
        file = with_deleted(&file, keys);
    }
    let mut bytes_read = 0;
    let mut rows = rows.into_iter();
    let next = |_| {
        let batch = rows.next().transpose()?;
        bytes_read += batch.as_ref().map_or(0, |rows| rows.batch.get_array_memory_size() as u64);
        Ok(batch)
    };
    let job = Job { decoder: &decoder, checks, schema: file, contract: &contract, limits };
    let report = job.run(next, batch, quarantine)?;
    Ok(Report { bytes_read, ..report })
}

/// The contract with columns: its own, or those that come, if a table can have columns of their names.
fn effective_contract(request: &RowsRequest<'_>) -> Result<Contract, Rejection> {
    let RowsRequest { columns, contract, .. } = *request;
    if !contract.columns.is_empty() {
        return Ok(contract.clone());
    }
    for (index, column) in columns.iter().enumerate() {
        Origin::Source.check_new_name(&column.name, index)?;
    }
    Ok(Contract { columns: columns.to_vec(), ..contract.clone() })
}

/// The batch's schema with the mark of deleted rows, which have values in the keys alone.
fn with_deleted(schema: &Schema, keys: &[String]) -> Arc<Schema> {
    let is_key = |field: &Field| keys.iter().any(|key| key.eq_ignore_ascii_case(field.name()));
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(!is_key(field)));
    let deleted = Field::new(DELETED_COLUMN, DataType::Boolean, false);
    Arc::new(Schema::new(fields.chain([deleted]).collect::<Vec<_>>()))
}
