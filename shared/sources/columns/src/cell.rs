//! One value on its way into a column.

use arrow::datatypes::i256;
use millstream_ports::{CellFault, CellFaultKind};
use serde::Deserialize;

use crate::{
    decimal::{Written, rescaled},
    store::Store,
    temporal::{DAY, FIRST_DAY, LAST_DAY},
};

/// How much of a bad value is shown.
const SHOWN: usize = 200;

/// The deepest JSON document taken (BigQuery's own limit).
const JSON_DEPTH: usize = 500;

/// The place of one value. Each method fills it, with the value or with NULL and a fault; a value of a type that the column
/// does not hold is a fault too.
#[derive(Debug)]
pub struct Cell<'a> {
    pub(crate) store: &'a mut Store,
    pub(crate) faults: &'a mut Vec<CellFault>,
    pub(crate) bytes: &'a mut usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl Cell<'_> {
    /// NULL.
    pub fn null(self) {
        self.store.null();
    }

    /// NULL, because the value does not fit: `value` is what the source has, for a person.
    pub fn fault(self, kind: CellFaultKind, value: &str) {
        self.store.null();
        self.faults.push(cut(self.row, self.column, kind, value));
    }

    /// An integer: into INT64, a decimal, FLOAT64 (where it is exact) or STRING.
    pub fn int64(self, value: i64) {
        match &mut *self.store {
            Store::Int64(values) => values.append_value(value),
            _ => self.integer(i128::from(value)),
        }
    }

    /// An integer without a sign; MySQL's `bigint unsigned` does not fit INT64.
    pub fn uint64(self, value: u64) {
        self.integer(i128::from(value));
    }

    fn integer(self, value: i128) {
        match &mut *self.store {
            Store::Int64(values) => match i64::try_from(value) {
                Ok(value) => values.append_value(value),
                Err(_) => self.fault(CellFaultKind::Int64Range, &value.to_string()),
            },
            Store::Decimal128 { .. } | Store::Decimal256 { .. } => self.decimal(value, 0),
            // Above 2^53 a double skips integers.
            Store::Float64(values) if value.unsigned_abs() <= 1 << 53 => values.append_value(value as f64),
            Store::Text { json: false, .. } => self.text(&value.to_string()),
            _ => self.fault(CellFaultKind::Type, &value.to_string()),
        }
    }

    /// A double.
    pub fn float64(self, value: f64) {
        match &mut *self.store {
            Store::Float64(values) => values.append_value(value),
            Store::Text { json: false, .. } => self.text(&value.to_string()),
            _ => self.fault(CellFaultKind::Type, &value.to_string()),
        }
    }

    /// A truth value.
    pub fn bool(self, value: bool) {
        match &mut *self.store {
            Store::Bool(values) => values.append_value(value),
            Store::Int64(values) => values.append_value(i64::from(value)),
            Store::Text { json: false, .. } => self.text(if value { "true" } else { "false" }),
            _ => self.fault(CellFaultKind::Type, if value { "true" } else { "false" }),
        }
    }

    /// A text: into STRING as it is, into JSON if it is a document.
    pub fn text(self, value: &str) {
        match &mut *self.store {
            Store::Text { json: true, .. } => self.json(value),
            Store::Text { .. } if value.as_bytes().contains(&0) => self.fault(CellFaultKind::Text, value),
            Store::Text { values, .. } => {
                values.append_value(value);
                *self.bytes += value.len();
            }
            _ => self.fault(CellFaultKind::Type, value),
        }
    }

    /// A text that may be none: bytes that are to be UTF-8.
    pub fn text_bytes(self, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(text) => self.text(text),
            Err(_) => self.fault(CellFaultKind::Text, &String::from_utf8_lossy(value)),
        }
    }

    /// A JSON document, as text.
    pub fn json(self, document: &str) {
        let Store::Text { values, .. } = &mut *self.store else {
            return self.fault(CellFaultKind::Type, document);
        };
        if !is_json(document) {
            return self.fault(CellFaultKind::Json, document);
        }
        values.append_value(document);
        *self.bytes += document.len();
    }

    /// Bytes.
    pub fn binary(self, value: &[u8]) {
        match &mut *self.store {
            Store::Bytes(values) => {
                values.append_value(value);
                *self.bytes += value.len();
            }
            _ => self.fault(CellFaultKind::Type, &format!("{} bytes", value.len())),
        }
    }

    /// An exact decimal: `unscaled` / 10^`scale`.
    pub fn decimal(self, unscaled: i128, scale: u32) {
        match &mut *self.store {
            Store::Decimal128 { values, precision, scale: to } => {
                if let Some(value) = rescaled(unscaled, scale, *precision, *to) {
                    return values.append_value(value);
                }
            }
            Store::Decimal256 { values, precision, scale: to } => {
                if let Some(value) = rescaled(unscaled, scale, *precision, *to) {
                    return values.append_value(i256::from_i128(value));
                }
            }
            _ => {}
        }
        self.written(Ok(Written::of(i256::from_i128(unscaled), i64::from(scale))), || decimal_text(unscaled, scale));
    }

    /// An exact decimal of more digits: `unscaled` / 10^`scale`. `shown` is the source's text.
    pub fn decimal256(self, unscaled: i256, scale: u32, shown: impl FnOnce() -> String) {
        self.written(Ok(Written::of(unscaled, i64::from(scale))), shown);
    }

    /// An exact decimal as it is written: `-12.50`, `1E+3`.
    pub fn decimal_text(self, text: &str) {
        self.written(Written::read(text), || text.to_owned());
    }

    fn written(self, written: Result<Written, CellFaultKind>, shown: impl FnOnce() -> String) {
        match &mut *self.store {
            Store::Decimal128 { values, precision, scale } => {
                let scaled = written.and_then(|written| written.scaled(*precision, *scale));
                match scaled.map(|scaled| scaled.to_i128()) {
                    Ok(Some(value)) => values.append_value(value),
                    Ok(None) => self.fault(CellFaultKind::DecimalRange, &shown()),
                    Err(kind) => self.fault(kind, &shown()),
                }
            }
            Store::Decimal256 { values, precision, scale } => {
                match written.and_then(|written| written.scaled(*precision, *scale)) {
                    Ok(value) => values.append_value(value),
                    Err(kind) => self.fault(kind, &shown()),
                }
            }
            Store::Int64(values) => {
                match written.and_then(|written| written.scaled(38, 0)).map(|value| value.to_i128()) {
                    Ok(Some(value)) if i64::try_from(value).is_ok() => values.append_value(value as i64),
                    Ok(_) => self.fault(CellFaultKind::Int64Range, &shown()),
                    Err(kind) => self.fault(kind, &shown()),
                }
            }
            Store::Float64(_) => {
                let text = shown();
                match text.parse() {
                    Ok(value) => self.float64(value),
                    Err(_) => self.fault(CellFaultKind::Type, &text),
                }
            }
            Store::Text { json: false, .. } => self.text(&shown()),
            _ => self.fault(CellFaultKind::Type, &shown()),
        }
    }

    /// A calendar date, in days since 1970-01-01; `None` for a date that is none or endless. `shown` is the source's text.
    pub fn date(self, days: Option<i64>, shown: impl FnOnce() -> String) {
        match (&mut *self.store, days) {
            (Store::Date(values), Some(days @ FIRST_DAY..=LAST_DAY)) => values.append_value(days as i32),
            (Store::Date(_), _) => self.fault(CellFaultKind::DateRange, &shown()),
            (Store::Datetime(_), Some(days)) => self.datetime(days.checked_mul(DAY), shown),
            (Store::Text { json: false, .. }, _) => self.text(&shown()),
            _ => self.fault(CellFaultKind::Type, &shown()),
        }
    }

    /// A date and time without a zone, in microseconds since 1970-01-01T00:00:00; `None` as for [`date`](Self::date).
    pub fn datetime(self, micros: Option<i64>, shown: impl FnOnce() -> String) {
        let in_range = micros.filter(|micros| (FIRST_DAY..=LAST_DAY).contains(&micros.div_euclid(DAY)));
        match (&mut *self.store, in_range) {
            (Store::Datetime(values), Some(micros)) => values.append_value(micros),
            (Store::Date(values), Some(micros)) if micros.rem_euclid(DAY) == 0 => {
                values.append_value(micros.div_euclid(DAY) as i32);
            }
            (Store::Datetime(_), None) => self.fault(CellFaultKind::DateRange, &shown()),
            (Store::Text { json: false, .. }, _) => self.text(&shown()),
            _ => self.fault(CellFaultKind::Type, &shown()),
        }
    }

    /// A point in time, in microseconds since 1970-01-01T00:00:00Z; `None` as for [`date`](Self::date).
    pub fn timestamp(self, micros: Option<i64>, shown: impl FnOnce() -> String) {
        let in_range = micros.filter(|micros| (FIRST_DAY..=LAST_DAY).contains(&micros.div_euclid(DAY)));
        match (&mut *self.store, in_range) {
            (Store::Timestamp(values), Some(micros)) => values.append_value(micros),
            (Store::Timestamp(_), None) => self.fault(CellFaultKind::DateRange, &shown()),
            (Store::Text { json: false, .. }, _) => self.text(&shown()),
            _ => self.fault(CellFaultKind::Type, &shown()),
        }
    }

    /// A time of day, in microseconds since midnight; 24:00 and longer (MySQL's `time` is a span) do not fit TIME.
    pub fn time(self, micros: i64, shown: impl FnOnce() -> String) {
        match &mut *self.store {
            Store::Time(values) if (0..DAY).contains(&micros) => values.append_value(micros),
            Store::Time(_) => self.fault(CellFaultKind::DateRange, &shown()),
            Store::Text { json: false, .. } => self.text(&shown()),
            _ => self.fault(CellFaultKind::Type, &shown()),
        }
    }

    /// An array of `length` items; `item` fills each, in order, and returns whether it was a value: BigQuery stores no NULL in
    /// an array, so that one makes the whole array a fault. `shown` is the source's text.
    pub fn array(self, length: usize, mut item: impl FnMut(usize, Cell<'_>) -> bool, shown: impl FnOnce() -> String) {
        let Store::List { offsets, items, nulls } = &mut *self.store else {
            return self.fault(CellFaultKind::Type, &shown());
        };
        let mut whole = true;
        for index in 0..length {
            let place =
                Cell { store: items, faults: self.faults, bytes: self.bytes, row: self.row, column: self.column };
            whole &= item(index, place);
        }
        offsets.push(items.len() as i32);
        if whole {
            nulls.append_non_null();
        } else {
            nulls.append_null();
            self.faults.push(cut(self.row, self.column, CellFaultKind::Array, &shown()));
        }
    }

    /// A structure: `field` fills each of the column's fields, which it gets by index and name.
    pub fn structure(self, mut field: impl FnMut(usize, &str, Cell<'_>), shown: impl FnOnce() -> String) {
        let Store::Struct { names, fields, nulls, rows } = &mut *self.store else {
            return self.fault(CellFaultKind::Type, &shown());
        };
        for (index, (name, store)) in names.iter().zip(fields).enumerate() {
            field(
                index,
                name,
                Cell { store, faults: self.faults, bytes: self.bytes, row: self.row, column: self.column },
            );
        }
        nulls.append_non_null();
        *rows += 1;
    }

    /// Whether the column, or the item or field that this is the place of, is an ARRAY.
    #[must_use]
    pub fn is_array(&self) -> bool {
        matches!(self.store, Store::List { .. })
    }

    /// Whether it is a STRUCT.
    #[must_use]
    pub fn is_structure(&self) -> bool {
        matches!(self.store, Store::Struct { .. })
    }

    /// Whether it is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self.store, Store::Text { json: true, .. })
    }
}

fn cut(row: usize, column: usize, kind: CellFaultKind, value: &str) -> CellFault {
    let end = value.char_indices().nth(SHOWN).map_or(value.len(), |(at, _)| at);
    CellFault { row, column, kind, value: value[..end].to_owned() }
}

fn decimal_text(unscaled: i128, scale: u32) -> String {
    let scale = scale as usize;
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Whether a text is one JSON document of a depth that BigQuery takes.
fn is_json(text: &str) -> bool {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest > JSON_DEPTH {
        return false;
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    serde::de::IgnoredAny::deserialize(&mut reader).is_ok() && reader.end().is_ok()
}
