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

use crate::planning;

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
                let is_it = |column: &SourceColumn| {
                    cursor.deleted.as_ref().is_some_and(|deleted| planning::is_same(deleted, &column.name))
                };
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

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, Date32Array, Decimal256Array, Int64Array};
    use millstream_events::{
        contract::{ColumnType, Contract},
        extract::{Connection, ExtractLimits, SourceKind},
    };

    use super::*;

    fn work(select: Selection, contract: &[&str]) -> ExtractSource {
        let column =
            |name: &&str| Column { name: (*name).into(), kind: ColumnType::Int64, required: false, description: None };
        ExtractSource {
            connection: Connection { from: SourceKind::Excel, secret: None, ca: None },
            select,
            only: Vec::new(),
            split_by: None,
            contract: Contract { columns: contract.iter().map(column).collect(), ..Contract::default() },
            keys: Vec::new(),
            changes: Changes::Everything,
            since: None,
            appends: false,
            limits: ExtractLimits::default(),
            batches: "gs://lake/batches".parse().unwrap(),
            quarantine: "gs://lake/quarantine".parse().unwrap(),
        }
    }

    fn plan(names: &[&str]) -> ReadPlan {
        let column = |name: &&str| SourceColumn {
            name: (*name).into(),
            source_type: "number".into(),
            kind: Ok(ColumnType::Int64),
            required: false,
            description: None,
        };
        ReadPlan {
            columns: names.iter().map(column).collect(),
            everything: true,
            split_by: None,
            ranges: Vec::new(),
            position: None,
            rows: None,
        }
    }

    fn names(arrangement: &Arrangement) -> Vec<&str> {
        arrangement.columns.iter().map(|column| column.name.as_str()).collect()
    }

    #[test]
    fn of_a_sheet_without_a_header_the_contracts_order_counts() {
        let sheet = |header_row| {
            let cells = Cells { header_row, ..Cells::default() };
            Selection::Sheet(Sheet { object: "gs://landing/a.xlsx".parse().unwrap(), cells })
        };
        let plan = plan(&["A", "B", "C"]);
        let headless = Arrangement::new(&work(sheet(Some(0)), &["id", "name"]), &plan, |_| true);
        assert_eq!(names(&headless), ["id", "name", "C"]);
        let with_header = Arrangement::new(&work(sheet(None), &["id", "name"]), &plan, |_| true);
        assert_eq!(names(&with_header), ["A", "B", "C"]);
        let table = Arrangement::new(&work(Selection::Table("t".into()), &["id", "name"]), &plan, |_| true);
        assert_eq!(names(&table), ["A", "B", "C"]);
    }

    #[test]
    fn a_mark_is_a_value_other_than_none_no_and_nothing() {
        let marked = |array: ArrayRef| is_marked(&array).unwrap().iter().flatten().collect::<Vec<_>>();
        let bytes: Vec<Option<&[u8]>> = vec![Some(b""), Some(b"\0"), None];
        assert_eq!(marked(Arc::new(BinaryArray::from(bytes))), [false, true, false]);
        let large = Decimal256Array::from(vec![Some(i256::ZERO), Some(i256::MAX), None]);
        assert_eq!(marked(Arc::new(large.with_precision_and_scale(76, 38).unwrap())), [false, true, false]);
        assert_eq!(marked(Arc::new(Date32Array::from(vec![Some(0), None]))), [true, false]);
    }

    #[test]
    fn faults_move_with_their_columns_and_those_of_columns_left_out_are_gone() {
        let mut work = work(Selection::Table("t".into()), &[]);
        let cursor =
            millstream_events::extract::Cursor { column: "c".into(), lookback: None, deleted: Some("gone".into()) };
        work.changes = Changes::Cursor(cursor);
        let arrangement = Arrangement::new(&work, &plan(&["a", "gone", "c"]), |name| name != "gone");
        let ints = || Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("a", ints()), ("gone", ints()), ("c", ints())]).unwrap();
        let fault = |column| CellFault { row: 1, column, kind: CellFaultKind::Type, value: "x".into() };
        let arranged = arrangement.arrange(Rows { batch, faults: vec![fault(1), fault(2)] }).unwrap();
        assert_eq!(arranged.faults.iter().map(|fault| fault.column).collect::<Vec<_>>(), [1]);
        let schema = arranged.batch.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(columns, ["a", "c", DELETED_COLUMN]);
        assert_eq!(*arranged.batch.column(2).as_boolean(), BooleanArray::from(vec![true, false]));
    }
}
