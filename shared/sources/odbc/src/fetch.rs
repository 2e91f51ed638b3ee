//! Rows off a cursor.
//!
//! In blocks of columns, bound once, where every column has a length; row by row, each value as long as it is, where one has
//! none (CLOB, BLOB, XML): a driver can do only one of both.

use millstream_ports::{BatchSize, PortError, PortResult, Rows};
use millstream_source_columns::{Cell, Columns};
use odbc_api::{
    Cursor, CursorRow, Error, Nullable,
    buffers::{AnyColumnBufferSlice, BinColumnSlice, BufferDesc, ColumnarDynBuffer, NullableSlice, TextColumnSlice},
    sys::{Date, Timestamp},
};

use crate::{cells, odbc_type::Wire};

/// The most rows of a block.
const MOST_ROWS: usize = 8_192;

/// ASCII of a truth value, a time, a fine timestamp.
const TRUTH: usize = 8;
const TIME: usize = 24;
const FINE_TIMESTAMP: usize = 48;

/// Where rows go. `Ok(false)` when nobody takes them any more.
pub(crate) trait Sink {
    /// Takes a batch.
    fn give(&mut self, rows: Rows) -> PortResult<bool>;

    /// An error of the driver.
    fn failed(&self, error: &Error) -> PortError;

    /// `Err` when the time is up.
    fn check(&self) -> PortResult<()>;
}

/// Reads a cursor to its end.
pub(crate) fn fetch(
    cursor: impl Cursor,
    wires: &[Wire],
    columns: &mut Columns,
    batch: BatchSize,
    sink: &mut dyn Sink,
) -> PortResult<()> {
    let goes_on = if wires.iter().any(|wire| matches!(wire, Wire::LongText | Wire::LongBytes)) {
        by_row(cursor, wires, columns, sink)?
    } else {
        by_block(cursor, wires, columns, batch, sink)?
    };
    if goes_on && let Some(rows) = columns.take()? {
        sink.give(rows)?;
    }
    Ok(())
}

/// How a column is bound: one unit more than its values have, so that a longer one is known.
fn bound(wire: Wire) -> BufferDesc {
    let nullable = true;
    match wire {
        Wire::Integer => BufferDesc::I64 { nullable },
        Wire::Single => BufferDesc::F32 { nullable },
        Wire::Double => BufferDesc::F64 { nullable },
        Wire::Date => BufferDesc::Date { nullable },
        Wire::Timestamp => BufferDesc::Timestamp { nullable },
        Wire::Decimal(length) => BufferDesc::Text { max_str_len: length + 1 },
        Wire::Truth => BufferDesc::Text { max_str_len: TRUTH },
        Wire::Time => BufferDesc::Text { max_str_len: TIME },
        Wire::FineTimestamp => BufferDesc::Text { max_str_len: FINE_TIMESTAMP },
        Wire::Text(units) => BufferDesc::WText { max_str_len: units + 1 },
        Wire::Bytes(length) => BufferDesc::Binary { max_bytes: length + 1 },
        // Read by row.
        Wire::LongText | Wire::LongBytes => BufferDesc::Binary { max_bytes: 1 },
    }
}

/// A column of a block.
enum Block<'a> {
    Integer(NullableSlice<'a, i64>),
    Single(NullableSlice<'a, f32>),
    Double(NullableSlice<'a, f64>),
    Date(NullableSlice<'a, Date>),
    Timestamp(NullableSlice<'a, Timestamp>),
    Ascii(Wire, TextColumnSlice<'a, u8>),
    Text(TextColumnSlice<'a, u16>),
    Bytes(BinColumnSlice<'a>, usize),
}

impl<'a> Block<'a> {
    fn of(wire: Wire, slice: AnyColumnBufferSlice<'a>) -> Option<Self> {
        match wire {
            Wire::Integer => slice.as_nullable_slice().map(Self::Integer),
            Wire::Single => slice.as_nullable_slice().map(Self::Single),
            Wire::Double => slice.as_nullable_slice().map(Self::Double),
            Wire::Date => slice.as_nullable_slice().map(Self::Date),
            Wire::Timestamp => slice.as_nullable_slice().map(Self::Timestamp),
            Wire::Decimal(_) | Wire::Truth | Wire::Time | Wire::FineTimestamp => {
                slice.as_text().map(|texts| Self::Ascii(wire, texts))
            }
            Wire::Text(_) => slice.as_wide_text().map(Self::Text),
            Wire::Bytes(length) => slice.as_binary().map(|bytes| Self::Bytes(bytes, length)),
            Wire::LongText | Wire::LongBytes => None,
        }
    }

    fn put(&self, row: usize, cell: Cell<'_>, scratch: &mut String) {
        match self {
            Self::Integer(values) => values.get(row).map_or(Put::Null, |value| Put::Integer(*value)).put(cell),
            Self::Single(values) => values.get(row).map_or(Put::Null, |value| Put::Double((*value).into())).put(cell),
            Self::Double(values) => values.get(row).map_or(Put::Null, |value| Put::Double(*value)).put(cell),
            Self::Date(values) => match values.get(row) {
                Some(date) => cells::put_date(cell, *date),
                None => cell.null(),
            },
            Self::Timestamp(values) => match values.get(row) {
                Some(at) => cells::put_timestamp(cell, *at),
                None => cell.null(),
            },
            Self::Ascii(wire, texts) => match texts.get(row) {
                Some(text) if text.len() >= texts.max_len() => cells::put_cut(cell, &String::from_utf8_lossy(text)),
                Some(text) => put_ascii(*wire, cell, text),
                None => cell.null(),
            },
            Self::Text(texts) => match texts.get(row) {
                Some(units) if units.len() >= texts.max_len() => cells::put_cut(cell, &String::from_utf16_lossy(units)),
                Some(units) => cells::put_text(cell, units, scratch),
                None => cell.null(),
            },
            Self::Bytes(values, length) => match values.get(row) {
                Some(bytes) if bytes.len() > *length => cells::put_cut(cell, &format!("more than {length} bytes")),
                Some(bytes) => cell.binary(bytes),
                None => cell.null(),
            },
        }
    }
}

fn put_ascii(wire: Wire, cell: Cell<'_>, text: &[u8]) {
    match wire {
        Wire::Truth => cells::put_truth(cell, text),
        Wire::Time => cells::put_time(cell, text),
        Wire::FineTimestamp => cells::put_fine_timestamp(cell, text),
        _ => cells::put_decimal(cell, text),
    }
}

fn by_block(
    cursor: impl Cursor,
    wires: &[Wire],
    columns: &mut Columns,
    batch: BatchSize,
    sink: &mut dyn Sink,
) -> PortResult<bool> {
    let bytes: usize = wires.iter().map(|wire| bound(*wire).bytes_per_row()).sum();
    let rows = (batch.bytes / bytes.max(1)).clamp(1, batch.rows.clamp(1, MOST_ROWS));
    let buffer = ColumnarDynBuffer::try_from_descs(rows, wires.iter().map(|wire| bound(*wire)));
    let mut blocks = buffer.and_then(|buffer| cursor.bind_buffer(buffer)).map_err(|error| sink.failed(&error))?;
    let mut scratch = String::new();
    while let Some(block) = blocks.fetch().map_err(|error| sink.failed(&error))? {
        let slices = wires.iter().enumerate().map(|(at, wire)| Block::of(*wire, block.column(at)));
        let slices = slices
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| PortError::internal("a column is bound as another type"))?;
        for row in 0..block.num_rows() {
            for (at, slice) in slices.iter().enumerate() {
                slice.put(row, columns.cell(at), &mut scratch);
            }
            if columns.end_row() && !give(columns, sink)? {
                return Ok(false);
            }
        }
        sink.check()?;
    }
    Ok(true)
}

fn by_row(mut cursor: impl Cursor, wires: &[Wire], columns: &mut Columns, sink: &mut dyn Sink) -> PortResult<bool> {
    let mut values = Values::default();
    while let Some(mut row) = cursor.next_row().map_err(|error| sink.failed(&error))? {
        for (at, wire) in wires.iter().enumerate() {
            values.put(&mut row, at, *wire, columns).map_err(|error| sink.failed(&error))?;
        }
        if columns.end_row() && !give(columns, sink)? {
            return Ok(false);
        }
        sink.check()?;
    }
    Ok(true)
}

/// How much space for a value is kept for the next one, in units or bytes.
const KEPT: usize = 8_192;

/// Makes space for the next value: it must not begin with what an earlier one left, and a long one is not kept for short ones.
fn emptied<T>(space: &mut Vec<T>) -> &mut Vec<T> {
    space.clear();
    space.shrink_to(KEPT);
    space
}

/// Space for one value at a time.
#[derive(Default)]
struct Values {
    units: Vec<u16>,
    bytes: Vec<u8>,
    scratch: String,
}

impl Values {
    fn put(&mut self, row: &mut CursorRow<'_>, at: usize, wire: Wire, columns: &mut Columns) -> Result<(), Error> {
        let number = u16::try_from(at + 1).unwrap_or(u16::MAX);
        match wire {
            Wire::Integer => {
                let mut value = Nullable::<i64>::null();
                row.get_data(number, &mut value)?;
                value.into_opt().map_or(Put::Null, Put::Integer).put(columns.cell(at));
            }
            Wire::Single => {
                let mut value = Nullable::<f32>::null();
                row.get_data(number, &mut value)?;
                value.into_opt().map_or(Put::Null, |value| Put::Double(value.into())).put(columns.cell(at));
            }
            Wire::Double => {
                let mut value = Nullable::<f64>::null();
                row.get_data(number, &mut value)?;
                value.into_opt().map_or(Put::Null, Put::Double).put(columns.cell(at));
            }
            Wire::Date => {
                let mut value = Nullable::<Date>::null();
                row.get_data(number, &mut value)?;
                match value.into_opt() {
                    Some(date) => cells::put_date(columns.cell(at), date),
                    None => columns.cell(at).null(),
                }
            }
            Wire::Timestamp => {
                let mut value = Nullable::<Timestamp>::null();
                row.get_data(number, &mut value)?;
                match value.into_opt() {
                    Some(time) => cells::put_timestamp(columns.cell(at), time),
                    None => columns.cell(at).null(),
                }
            }
            Wire::Decimal(_) | Wire::Truth | Wire::Time | Wire::FineTimestamp => {
                if row.get_text(number, emptied(&mut self.bytes))? {
                    put_ascii(wire, columns.cell(at), &self.bytes);
                } else {
                    columns.cell(at).null();
                }
            }
            Wire::Text(_) | Wire::LongText => {
                if row.get_wide_text(number, emptied(&mut self.units))? {
                    cells::put_text(columns.cell(at), &self.units, &mut self.scratch);
                } else {
                    columns.cell(at).null();
                }
            }
            Wire::Bytes(_) | Wire::LongBytes => {
                if row.get_binary(number, emptied(&mut self.bytes))? {
                    columns.cell(at).binary(&self.bytes);
                } else {
                    columns.cell(at).null();
                }
            }
        }
        Ok(())
    }
}

/// A number or nothing.
enum Put {
    Null,
    Integer(i64),
    Double(f64),
}

impl Put {
    fn put(self, cell: Cell<'_>) {
        match self {
            Self::Null => cell.null(),
            Self::Integer(value) => cell.int64(value),
            Self::Double(value) => cell.float64(value),
        }
    }
}

/// Hands on what there is; whether someone took it.
fn give(columns: &mut Columns, sink: &mut dyn Sink) -> PortResult<bool> {
    match columns.take()? {
        Some(rows) => sink.give(rows),
        None => Ok(true),
    }
}
