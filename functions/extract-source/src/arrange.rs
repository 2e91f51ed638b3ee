//! A source's batches as they are ingested: the columns that are wanted, under the table's names, and the mark of deleted rows.

use std::{io, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
    compute::kernels::cmp,
    datatypes::{DataType, Decimal128Type, Decimal256Type, Field, Float64Type, Int64Type, Schema, i256},
};
use millstream_events::{
    contract::Column,
    extract::{Cells, Changes, DELETED_COLUMN, ExtractSource, Selection, Sheet},
};
use millstream_ports::{CellFault, CellFaultKind, ReadPlan, Rows, SourceColumn};
use millstream_tabular::{RowBatch, RowFault, RowFaultKind};

/// Where it stands which rows were deleted at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mark {
    /// Nowhere.
    None,
    /// In the source's own [`DELETED_COLUMN`].
    Told,
    /// In a column of the table.
    Column(usize),
}

/// How batches become those that are ingested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrangement {
    /// The columns that are ingested.
    pub(crate) columns: Vec<Column>,
    /// Which of the batch's columns they are.
    places: Vec<usize>,
    mark: Mark,
}

impl Arrangement {
    /// Of a plan whose columns are all mapped. `is_wanted` is whether the table is to have a column.
    pub(crate) fn new(work: &ExtractSource, plan: &ReadPlan, is_wanted: impl Fn(&str) -> bool) -> Self {
        let mark = match &work.changes {
            Changes::Everything => Mark::None,
            Changes::Log(_) => Mark::Told,
            Changes::Cursor(cursor) => {
                let is_it = |column: &SourceColumn| Some(&column.name) == cursor.deleted.as_ref();
                plan.columns.iter().position(is_it).map_or(Mark::None, Mark::Column)
            }
        };
        let (mut columns, mut places) = (Vec::new(), Vec::new());
        for (place, column) in plan.columns.iter().enumerate() {
            let SourceColumn { name, kind: Ok(kind), required, description, .. } = column else { continue };
            if name == DELETED_COLUMN || (mark == Mark::Column(place) && !is_wanted(name)) {
                continue;
            }
            let name = positional_name(work, columns.len()).unwrap_or(name).clone();
            let (kind, required, description) = (kind.clone(), *required, description.clone());
            columns.push(Column { name, kind, required, description });
            places.push(place);
        }
        Self { columns, places, mark }
    }

    /// Whether the batches say which rows were deleted.
    pub(crate) fn has_deletes(&self) -> bool {
        self.mark != Mark::None
    }

    /// The rows as they are ingested. No value is copied.
    pub(crate) fn arrange(&self, rows: Rows) -> io::Result<RowBatch> {
        let Rows { batch, faults } = rows;
        let fault = |CellFault { row, column, kind, value }: CellFault| {
            let column = self.places.iter().position(|place| *place == column)?;
            Some(RowFault { row, column, kind: fault_kind(kind), value })
        };
        let faults = faults.into_iter().filter_map(fault).collect();
        let same = self.places.len() == batch.num_columns() && self.mark == Mark::None;
        if same && self.places.iter().enumerate().all(|(index, place)| index == *place) {
            return Ok(RowBatch { batch, faults });
        }
        let missing = |what: &str| io::Error::other(format!("the source's rows have no column {what}"));
        let schema = batch.schema();
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for (column, place) in self.columns.iter().zip(&self.places) {
            let array = batch.columns().get(*place).ok_or_else(|| missing(&column.name))?;
            fields.push(Arc::clone(&schema.fields()[*place]));
            arrays.push(ArrayRef::clone(array));
        }
        let mark = match self.mark {
            Mark::None => None,
            Mark::Told => Some(batch.column_by_name(DELETED_COLUMN).ok_or_else(|| missing(DELETED_COLUMN))?.clone()),
            Mark::Column(place) => {
                let column = batch.columns().get(place).ok_or_else(|| missing(DELETED_COLUMN))?;
                Some(Arc::new(is_marked(column).map_err(io::Error::other)?) as ArrayRef)
            }
        };
        if let Some(mark) = mark {
            fields.push(Arc::new(Field::new(DELETED_COLUMN, DataType::Boolean, true)));
            arrays.push(mark);
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(io::Error::other)?;
        Ok(RowBatch { batch, faults })
    }
}

/// The contract's name of a workbook's column where its sheet has no header: the order counts.
fn positional_name(work: &ExtractSource, index: usize) -> Option<&String> {
    match &work.select {
        Selection::Sheet(Sheet { cells: Cells { header_row: Some(0), .. }, .. }) => {
            work.contract.columns.get(index).map(|column| &column.name)
        }
        _ => None,
    }
}

/// Whether a value is neither NULL nor false nor 0 nor an empty text. Of a time, any value is.
fn is_marked(column: &ArrayRef) -> Result<BooleanArray, arrow::error::ArrowError> {
    let marked = match column.data_type() {
        DataType::Boolean => column.as_boolean().clone(),
        DataType::Int64 => BooleanArray::from_unary(column.as_primitive::<Int64Type>(), |value| value != 0),
        DataType::Float64 => BooleanArray::from_unary(column.as_primitive::<Float64Type>(), |value| value != 0.0),
        DataType::Decimal128(..) => {
            BooleanArray::from_unary(column.as_primitive::<Decimal128Type>(), |value| value != 0)
        }
        DataType::Decimal256(..) => {
            BooleanArray::from_unary(column.as_primitive::<Decimal256Type>(), |value| value != i256::ZERO)
        }
        DataType::Utf8 => cmp::neq(column.as_string::<i32>(), &arrow::array::StringArray::new_scalar(""))?,
        DataType::Binary => cmp::neq(column.as_binary::<i32>(), &arrow::array::BinaryArray::new_scalar(b""))?,
        _ => return Ok((0..column.len()).map(|row| Some(column.is_valid(row))).collect()),
    };
    Ok(marked.iter().map(|mark| Some(mark.unwrap_or(false))).collect())
}

fn fault_kind(kind: CellFaultKind) -> RowFaultKind {
    match kind {
        CellFaultKind::DateRange => RowFaultKind::DateRange,
        CellFaultKind::DecimalRange => RowFaultKind::DecimalRange,
        CellFaultKind::Int64Range => RowFaultKind::Int64Range,
        CellFaultKind::NotFinite => RowFaultKind::NotFinite,
        CellFaultKind::Text => RowFaultKind::Text,
        CellFaultKind::Json => RowFaultKind::Json,
        CellFaultKind::Array => RowFaultKind::Array,
        CellFaultKind::Type => RowFaultKind::Type,
        CellFaultKind::SubMicrosecond => RowFaultKind::SubMicrosecond,
    }
}
