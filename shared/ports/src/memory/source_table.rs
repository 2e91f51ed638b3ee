//! One table of a database in memory: its columns and rows, its ranges, and its rows as batches.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    datatypes::{Field, Schema},
    error::ArrowError,
};
use millstream_events::{
    contract::ColumnType,
    extract::{Changes, Cursor, Lookback, Selection},
};

use crate::{
    error::{PortError, PortResult},
    source::{BatchSize, CellFault, CellFaultKind, KeyRange, Read, ReadPlan, Rows, Shape, SourceColumn, Ties},
};

/// A value of a table in memory.
#[derive(Debug, Clone, PartialEq)]
pub enum MemoryCell {
    /// NULL.
    Null,
    /// A whole number: INT64, days for DATE, microseconds for DATETIME and TIMESTAMP, units of the last digit for NUMERIC.
    Int(i64),
    /// A FLOAT64.
    Float(f64),
    /// A BOOL.
    Bool(bool),
    /// A STRING or JSON.
    Text(String),
    /// A value that does not fit.
    Misfit(CellFaultKind, String),
}

impl From<i64> for MemoryCell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for MemoryCell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for MemoryCell {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for MemoryCell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl<T: Into<MemoryCell>> From<Option<T>> for MemoryCell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A table's definition and rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MemoryTable {
    /// The columns, in order.
    pub columns: Vec<SourceColumn>,
    /// The columns of the primary key.
    pub key: Vec<String>,
    /// The rows: a value for each column.
    pub rows: Vec<Vec<MemoryCell>>,
}

impl MemoryTable {
    /// A table without rows: its columns by name and BigQuery type, those in the key required.
    #[must_use]
    pub fn new(columns: &[(&str, ColumnType)], key: &[&str]) -> Self {
        let column = |(name, kind): &(&str, ColumnType)| SourceColumn {
            name: (*name).to_owned(),
            source_type: kind.to_string().to_lowercase(),
            kind: Ok(kind.clone()),
            required: key.contains(name),
            description: None,
        };
        Self {
            columns: columns.iter().map(column).collect(),
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// A row's values of the key.
    #[must_use]
    pub fn key_of(&self, row: &[MemoryCell]) -> Vec<MemoryCell> {
        let of_key = self.columns.iter().zip(row).filter(|(column, _)| self.key.contains(&column.name));
        of_key.map(|(_, cell)| cell.clone()).collect()
    }
}

/// A table that is there.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) definition: MemoryTable,
}

impl Table {
    pub(super) fn new(definition: MemoryTable) -> Self {
        Self { definition }
    }

    /// A query's rows have no key.
    pub(super) fn shape(&self, select: &Selection) -> Shape {
        let MemoryTable { columns, key, rows } = &self.definition;
        let is_time = |column: &&SourceColumn| matches!(column.kind, Ok(ColumnType::Timestamp | ColumnType::Datetime));
        Shape {
            columns: columns.clone(),
            key: if matches!(select, Selection::Query(_)) { Vec::new() } else { key.clone() },
            cursors: columns.iter().filter(is_time).map(|column| column.name.clone()).collect(),
            rows: Some(rows.len() as u64),
            bytes: None,
        }
    }

    fn place(&self, column: &str) -> PortResult<usize> {
        let places = self.definition.columns.iter().position(|there| there.name == column);
        places.ok_or_else(|| PortError::invalid(format!("the table has no column {column}; name one that it has")))
    }

    fn is_unique(&self, column: &str) -> bool {
        matches!(&self.definition.key[..], [key] if key == column)
    }

    pub(super) fn plan(&self, read: &Read) -> PortResult<ReadPlan> {
        let mut columns = Vec::new();
        for name in &read.only {
            columns.push(self.definition.columns[self.place(name)?].clone());
        }
        if columns.is_empty() {
            columns.clone_from(&self.definition.columns);
        }
        let position = match &read.changes {
            Changes::Everything => None,
            Changes::Cursor(cursor) => self.position(cursor, read.since.as_deref())?,
            Changes::Log(_) => return Err(PortError::invalid("a source in memory has no log of its changes")),
        };
        let split_by = match (&read.split_by, &read.select, &self.definition.key[..]) {
            (Some(column), ..) => Some(column.clone()),
            (None, Selection::Table(_), [key]) => Some(key.clone()),
            _ => None,
        };
        let (split_by, ranges) = match split_by {
            Some(column) => {
                let ranges = self.ranges(self.place(&column)?, read.range_rows);
                (Some(column), ranges)
            }
            None => (None, vec![KeyRange::whole()]),
        };
        let everything = read.changes == Changes::Everything || read.since.is_none();
        let rows = Some(self.definition.rows.len() as u64);
        Ok(ReadPlan { columns, everything, split_by, ranges, position, rows })
    }

    /// The newest value, or `since` where nothing is newer.
    fn position(&self, cursor: &Cursor, since: Option<&str>) -> PortResult<Option<String>> {
        let place = self.place(&cursor.column)?;
        let newest = self.definition.rows.iter().filter_map(|row| number(&row[place])).max();
        let since = since.map(read_number).transpose()?;
        Ok(newest.max(since).map(|position| position.to_string()))
    }

    /// Ranges with about so many rows: each begins at a value that is there. A text makes one range.
    fn ranges(&self, place: usize, range_rows: u64) -> Vec<KeyRange> {
        let mut values: Vec<i64> = self.definition.rows.iter().filter_map(|row| number(&row[place])).collect();
        values.sort_unstable();
        let step = usize::try_from(range_rows.max(1)).unwrap_or(usize::MAX);
        let starts: BTreeSet<i64> = values.iter().step_by(step).skip(1).copied().collect();
        let starts: Vec<String> = starts.iter().map(ToString::to_string).collect();
        let from = std::iter::once(None).chain(starts.iter().cloned().map(Some));
        let until = starts.iter().cloned().map(Some).chain([None]);
        from.zip(until).map(|(from, until)| KeyRange { from, until }).collect()
    }

    /// The rows of a range, in the plan's columns.
    pub(super) fn rows(&self, read: &Read, plan: &ReadPlan, range: &KeyRange) -> PortResult<Vec<Vec<MemoryCell>>> {
        let places = plan.columns.iter().map(|column| self.place(&column.name)).collect::<PortResult<Vec<usize>>>()?;
        for (column, place) in plan.columns.iter().zip(&places) {
            let there = &self.definition.columns[*place];
            if there.kind != column.kind {
                let SourceColumn { name, source_type, .. } = column;
                return Err(PortError::invalid(format!(
                    "the column {name} was {source_type} when the reading was planned and is {} now",
                    there.source_type
                )));
            }
        }
        let split = plan.split_by.as_deref().map(|column| self.place(column)).transpose()?;
        let covered = self.covered(read, plan)?;
        let (from, until) =
            (range.from.as_deref().map(read_number).transpose()?, range.until.as_deref().map(read_number).transpose()?);
        let in_range = |row: &Vec<MemoryCell>| {
            let value = split.and_then(|place| number(&row[place]));
            let Some(value) = value else { return from.is_none() };
            from.is_none_or(|from| value >= from) && until.is_none_or(|until| value < until)
        };
        let pruned = |row: &Vec<MemoryCell>| places.iter().map(|place| row[*place].clone()).collect();
        let changed = |row: &Vec<MemoryCell>| covered.as_ref().is_none_or(|covered| covered.has(row));
        Ok(self.definition.rows.iter().filter(|row| in_range(row) && changed(row)).map(pruned).collect())
    }

    /// Which rows the plan covers: those whose cursor is within bounds.
    fn covered(&self, read: &Read, plan: &ReadPlan) -> PortResult<Option<Covered>> {
        let Changes::Cursor(cursor) = &read.changes else { return Ok(None) };
        let place = self.place(&cursor.column)?;
        let since = read.since.as_deref().map(read_number).transpose()?;
        // Where no row had a value, none that has one now was planned.
        let position = plan.position.as_deref().map_or(Ok(i64::MIN), read_number)?;
        let back = match cursor.lookback {
            None => 0,
            Some(Lookback::Count(count)) => count,
            Some(Lookback::Seconds(seconds)) => match self.definition.columns[place].kind {
                Ok(ColumnType::Timestamp | ColumnType::Datetime) => seconds.saturating_mul(1_000_000),
                _ => seconds,
            },
        };
        let (first, last) = match read.ties {
            Ties::Again => (since.map(|since| since.saturating_sub_unsigned(back)), position),
            Ties::Once if self.is_unique(&cursor.column) => (since.map(|since| since.saturating_add(1)), position),
            Ties::Once => (since, position.saturating_sub(1)),
        };
        Ok(Some(Covered { place, first, last }))
    }
}

/// Bounds of the cursor, both included. Rows without a value are read when everything is.
struct Covered {
    place: usize,
    first: Option<i64>,
    last: i64,
}

impl Covered {
    fn has(&self, row: &[MemoryCell]) -> bool {
        match number(&row[self.place]) {
            Some(value) => self.first.is_none_or(|first| value >= first) && value <= self.last,
            None => self.first.is_none(),
        }
    }
}

fn number(cell: &MemoryCell) -> Option<i64> {
    match cell {
        MemoryCell::Int(value) => Some(*value),
        _ => None,
    }
}

fn read_number(text: &str) -> PortResult<i64> {
    text.parse().map_err(|_| PortError::invalid(format!("{text:?} is no value of a source in memory")))
}

/// Rows cut into batches.
pub(super) fn batches(columns: &[SourceColumn], rows: &[Vec<MemoryCell>], size: BatchSize) -> PortResult<Vec<Rows>> {
    let width = |cell: &MemoryCell| match cell {
        MemoryCell::Text(text) => 8 + text.len(),
        _ => 8,
    };
    let (mut cut, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, row) in rows.iter().enumerate() {
        bytes += row.iter().map(width).sum::<usize>();
        if index + 1 - start >= size.rows || bytes >= size.bytes || index + 1 == rows.len() {
            cut.push(batch(columns, &rows[start..=index])?);
            (start, bytes) = (index + 1, 0);
        }
    }
    Ok(cut)
}

fn batch(columns: &[SourceColumn], rows: &[Vec<MemoryCell>]) -> PortResult<Rows> {
    let mut faults = Vec::new();
    for (row, cells) in rows.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            if let MemoryCell::Misfit(kind, value) = cell {
                faults.push(CellFault { row, column, kind: *kind, value: value.clone() });
            }
        }
    }
    let not_a_batch = |error: ArrowError| PortError::internal("the rows do not make a batch").caused_by(error);
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for (index, SourceColumn { name, kind, .. }) in columns.iter().enumerate() {
        let kind = kind.as_ref().map_err(|reason| PortError::invalid(format!("the column {name}: {reason}")))?;
        let array = array(kind, rows.iter().map(|row| &row[index])).map_err(not_a_batch)?;
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(not_a_batch)?;
    Ok(Rows { batch, faults })
}

/// A column of values; one of another type than the column's is NULL.
fn array<'a>(kind: &ColumnType, cells: impl Iterator<Item = &'a MemoryCell>) -> Result<ArrayRef, ArrowError> {
    let ints = |cells: &mut dyn Iterator<Item = &'a MemoryCell>| cells.map(number).collect::<Vec<_>>();
    let mut cells = cells;
    Ok(match kind {
        ColumnType::Int64 => Arc::new(Int64Array::from(ints(&mut cells))),
        ColumnType::Date => {
            let days = cells.map(|cell| number(cell).and_then(|days| i32::try_from(days).ok()));
            Arc::new(days.collect::<Date32Array>())
        }
        ColumnType::Datetime => Arc::new(TimestampMicrosecondArray::from(ints(&mut cells))),
        ColumnType::Timestamp => Arc::new(TimestampMicrosecondArray::from(ints(&mut cells)).with_timezone("UTC")),
        ColumnType::Numeric { precision, scale } => {
            let units = cells.map(|cell| number(cell).map(i128::from));
            let scale = i8::try_from(*scale).unwrap_or(i8::MAX);
            Arc::new(units.collect::<Decimal128Array>().with_precision_and_scale(*precision, scale)?)
        }
        ColumnType::Float64 => Arc::new(
            cells
                .map(|cell| match cell {
                    MemoryCell::Float(value) => Some(*value),
                    _ => None,
                })
                .collect::<Float64Array>(),
        ),
        ColumnType::Bool => Arc::new(
            cells
                .map(|cell| match cell {
                    MemoryCell::Bool(value) => Some(*value),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        ColumnType::String | ColumnType::Json => Arc::new(
            cells
                .map(|cell| match cell {
                    MemoryCell::Text(value) => Some(value.as_str()),
                    _ => None,
                })
                .collect::<StringArray>(),
        ),
        kind => return Err(ArrowError::NotYetImplemented(format!("a source in memory has no column of type {kind}"))),
    })
}
