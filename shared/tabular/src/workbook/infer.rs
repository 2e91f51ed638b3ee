//! The types of a sheet's columns, by the values of all rows.

use millstream_events::contract::ColumnType;

use super::{block::Block, digits::fifteen_digits, table::Table, value::Value};
use crate::{error::IngestError, parse::decimal};

/// Bytes of rows looked at at once.
const BLOCK_BYTES: usize = 1 << 20;

/// The narrowest type for what was seen of a column so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Bool,
    Int64,
    Numeric,
    Float64,
    Date,
    Datetime,
    Time,
    String,
}

impl Seen {
    fn of(value: Value<'_>) -> Self {
        match value {
            // An error is no value of any type: its row is a bad one.
            Value::Empty | Value::Error(_) => Self::Nothing,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => Self::Int64,
            Value::Number(number) => match decimal::decimal128(fifteen_digits(number).as_bytes(), 38, 9) {
                Ok(_) => Self::Numeric,
                Err(_) => Self::Float64,
            },
            Value::Moment(moment) => match moment.civil(true) {
                Some(civil) if civil.date.is_none() => Self::Time,
                Some(civil) if civil.millis == 0 => Self::Date,
                _ => Self::Datetime,
            },
            Value::Iso(text) if text.contains('T') && !text.ends_with("T00:00:00") => Self::Datetime,
            Value::Iso(text) if text.contains('-') => Self::Date,
            Value::Iso(_) => Self::Time,
            Value::Text(_) | Value::Span(_) => Self::String,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, seen) | (seen, Self::Nothing) => seen,
            (left, right) if left == right => left,
            (Self::Int64, Self::Numeric) | (Self::Numeric, Self::Int64) => Self::Numeric,
            (Self::Int64 | Self::Numeric, Self::Float64) | (Self::Float64, Self::Int64 | Self::Numeric) => {
                Self::Float64
            }
            (Self::Date, Self::Datetime) | (Self::Datetime, Self::Date) => Self::Datetime,
            _ => Self::String,
        }
    }

    fn column_type(self) -> ColumnType {
        match self {
            Self::Nothing | Self::String => ColumnType::String,
            Self::Bool => ColumnType::Bool,
            Self::Int64 => ColumnType::Int64,
            Self::Numeric => ColumnType::Numeric { precision: 38, scale: 9 },
            Self::Float64 => ColumnType::Float64,
            Self::Date => ColumnType::Date,
            Self::Datetime => ColumnType::Datetime,
            Self::Time => ColumnType::Time,
        }
    }
}

/// Reads a table to its end: the type of each column, and how many rows there are.
///
/// Whole numbers are INT64; others NUMERIC where a spreadsheet shows at most nine digits after the point, FLOAT64 where one shows
/// more. A column of several kinds of value is STRING, and so are one of durations and one without any value.
///
/// # Errors
/// As [`Table::next`].
pub fn column_types(table: &mut Table<'_>) -> Result<(Vec<ColumnType>, u64), IngestError> {
    let mut seen = vec![Seen::Nothing; table.names().len()];
    let (mut block, mut rows) = (Block::default(), 0);
    while let Some(read) = table.next(block, BLOCK_BYTES)? {
        for (column, seen) in seen.iter_mut().enumerate() {
            for row in 0..read.len() {
                *seen = seen.and(Seen::of(read.value(row, column)));
            }
        }
        rows += read.len() as u64;
        block = read;
    }
    Ok((seen.into_iter().map(Seen::column_type).collect(), rows))
}
