//! A source's batches to the table's columns.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use millstream_events::contract::{Column, Contract};

use super::{RowBatch, RowFault};
use crate::{
    cells::BadRecord,
    decode::{Block, Decode, Decoded, Excerpt},
    error::{Rejection, RejectionKind},
    fault::Fault,
    layout::{Layout, Origin},
    schema,
    typed::{Incoming, TypedLayout},
};

/// Decodes a source's batches: a batch is a block, and becomes one row group.
#[derive(Debug)]
pub(crate) struct RowsDecoder {
    typed: TypedLayout,
    /// The Arrow types that the batches have.
    data_types: Vec<DataType>,
    /// For each column that comes, the table's; `None` where it is left out.
    places: Vec<Option<u16>>,
    deletes: bool,
}

impl RowsDecoder {
    pub(crate) fn new(columns: &[Column], contract: &Contract, deletes: bool) -> Result<Self, Rejection> {
        let mut data_types: Vec<DataType> = columns.iter().map(|column| schema::arrow_type(&column.kind)).collect();
        let incoming: Vec<Incoming<'_>> = columns
            .iter()
            .zip(&data_types)
            .map(|(Column { name, kind, .. }, data_type)| Incoming {
                name,
                data_type: data_type.clone(),
                kind: Some(kind.clone()),
                vouched_for: true,
            })
            .collect();
        let typed = TypedLayout::new(&incoming, contract, Origin::Source)?;
        let mut places = vec![None; columns.len()];
        for (place, source) in typed.layout.sources.iter().enumerate() {
            if let Some(source) = source {
                places[*source] = Some(place as u16);
            }
        }
        if deletes {
            data_types.push(DataType::Boolean);
        }
        Ok(Self { typed, data_types, places, deletes })
    }

    /// The table's columns.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.typed.layout.columns
    }

    /// The fault of a row in one of the table's columns.
    fn fault<'a>(&self, block: &'a RowBatch, position: u32, column: Option<u16>) -> Option<&'a RowFault> {
        let column = Some(column?);
        let place = |fault: &RowFault| self.places.get(fault.column).copied().flatten();
        block.faults.iter().find(|fault| fault.row == position as usize && place(fault) == column)
    }
}

impl Block for RowBatch {
    fn recycle(self) -> Vec<u8> {
        Vec::new()
    }

    fn lines_between(&self, from: u32, position: u32) -> u64 {
        u64::from(position - from)
    }
}

impl Decode for RowsDecoder {
    type Block = RowBatch;

    fn layout(&self) -> &Layout {
        &self.typed.layout
    }

    fn decode(&self, block: &RowBatch) -> Result<Decoded, Rejection> {
        let (columns, rows) = (block.batch.columns(), block.batch.num_rows());
        if !columns.iter().map(|column| column.data_type()).eq(&self.data_types) {
            let message = format!(
                "the source's rows have the types {:?}, not {:?}",
                columns.iter().map(|column| column.data_type()).collect::<Vec<_>>(),
                self.data_types
            );
            return Err(Rejection::new(RejectionKind::WrongFormat, message));
        }
        let misfits = block.faults.iter().filter_map(|fault| {
            let column = self.places.get(fault.column).copied().flatten()?;
            let (position, fault) = (u32::try_from(fault.row).ok()?, Fault::Source(fault.kind));
            ((position as usize) < rows).then_some(BadRecord { position, column: Some(column), fault })
        });
        let mut faults: Vec<BadRecord> = misfits.collect();
        let mut arrays = self.typed.decode(columns, rows, &mut faults)?;
        if self.deletes {
            arrays.extend(columns.last().map(never_null));
        }
        let lines = rows as u64;
        Ok(Decoded { arrays, positions: None, faults, broken: Vec::new(), unknown: Vec::new(), lines })
    }

    fn excerpt(&self, block: &RowBatch, position: u32, column: Option<u16>) -> Excerpt {
        let row = block.batch.slice(position as usize, 1);
        let excerpt = self.typed.excerpt(&with_misfits(&row, &block.faults, position as usize), column);
        match self.fault(block, position, column) {
            Some(fault) => Excerpt { value: Some(fault.value.clone().into_bytes()), ..excerpt },
            None => excerpt,
        }
    }
}

/// The mark of deleted rows, false where it is not said.
fn never_null(deleted: &ArrayRef) -> ArrayRef {
    match deleted.as_boolean_opt() {
        Some(marks) if marks.null_count() > 0 => {
            Arc::new(marks.iter().map(|mark| Some(mark.unwrap_or(false))).collect::<BooleanArray>())
        }
        _ => ArrayRef::clone(deleted),
    }
}

/// The row with the values that do not fit, as texts, in the place of the NULLs that stand for them.
fn with_misfits(row: &RecordBatch, faults: &[RowFault], position: usize) -> RecordBatch {
    let (mut fields, mut columns) = (row.schema().fields().to_vec(), row.columns().to_vec());
    let width = columns.len();
    for fault in faults.iter().filter(|fault| fault.row == position && fault.column < width) {
        fields[fault.column] = Arc::new(Field::new(fields[fault.column].name(), DataType::Utf8, true));
        columns[fault.column] = Arc::new(StringArray::from(vec![fault.value.as_str()]));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap_or_else(|_| row.clone())
}
