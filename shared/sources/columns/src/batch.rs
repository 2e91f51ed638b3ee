//! All columns of a reading, row by row.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    datatypes::{Field, Schema, SchemaRef},
    error::ArrowError,
};
use millstream_ports::{BatchSize, CellFault, PortError, PortResult, Rows, SourceColumn};

use crate::{
    cell::Cell,
    store::{Store, arrow_type},
};

/// The schema of the batches of these columns. Every field is nullable: a value that does not fit leaves NULL.
///
/// # Errors
/// `Invalid` names the first column that is mapped to nothing.
pub fn batch_schema(columns: &[SourceColumn]) -> PortResult<SchemaRef> {
    let field = |column: &SourceColumn| match &column.kind {
        Ok(kind) => Ok(Field::new(&column.name, arrow_type(kind).map_err(not_a_batch)?, true)),
        Err(reason) => {
            let SourceColumn { name, source_type, .. } = column;
            Err(PortError::invalid(format!("the column {name} of type {source_type} cannot be extracted: {reason}")))
        }
    };
    let fields = columns.iter().map(field).collect::<PortResult<Vec<_>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// The growing columns of a batch. For each row, give every column one value in turn, then end the row.
#[derive(Debug)]
pub struct Columns {
    schema: SchemaRef,
    stores: Vec<Store>,
    faults: Vec<CellFault>,
    size: BatchSize,
    rows: usize,
    bytes: usize,
}

impl Columns {
    /// No rows yet, of a plan's columns.
    ///
    /// # Errors
    /// As [`batch_schema`].
    pub fn new(columns: &[SourceColumn], size: BatchSize) -> PortResult<Self> {
        let schema = batch_schema(columns)?;
        // The schema has refused the columns that are mapped to nothing.
        let kinds = columns.iter().filter_map(|column| column.kind.as_ref().ok());
        let stores = kinds.map(Store::new).collect::<Result<_, _>>().map_err(not_a_batch)?;
        Ok(Self { schema, stores, faults: Vec::new(), size, rows: 0, bytes: 0 })
    }

    /// The place for the current row's value of a column, by its index: call one method of it, once.
    pub fn cell(&mut self, column: usize) -> Cell<'_> {
        Cell {
            store: &mut self.stores[column],
            faults: &mut self.faults,
            bytes: &mut self.bytes,
            row: self.rows,
            column,
        }
    }

    /// Ends the row; whether the batch is full now and is to be taken.
    pub fn end_row(&mut self) -> bool {
        self.rows += 1;
        debug_assert!(self.stores.iter().all(|store| store.len() == self.rows), "every column has one value a row");
        // Eight bytes a value cover the plain ones; longer ones are counted as they come.
        self.rows >= self.size.rows || self.bytes + self.rows * 8 * self.stores.len() >= self.size.bytes
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows so far; there are none afterwards. `None` when there are none.
    ///
    /// # Errors
    /// `Internal` when the columns are not of one length: an adapter's mistake.
    pub fn take(&mut self) -> PortResult<Option<Rows>> {
        if self.rows == 0 {
            return Ok(None);
        }
        (self.rows, self.bytes) = (0, 0);
        let arrays = self.stores.iter_mut().map(Store::finish).collect::<Result<Vec<_>, _>>().map_err(not_a_batch)?;
        let batch = RecordBatch::try_new(SchemaRef::clone(&self.schema), arrays).map_err(not_a_batch)?;
        Ok(Some(Rows { batch, faults: std::mem::take(&mut self.faults) }))
    }
}

fn not_a_batch(error: ArrowError) -> PortError {
    PortError::internal("the rows of a source do not make a batch").caused_by(error)
}
