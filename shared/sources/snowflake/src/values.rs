//! A result's values: how Arrow carries them, as the service's own drivers read it, and how they get into a column.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
        Int64Type,
    },
};
use chrono::{DateTime, Days, NaiveDate};
use millstream_ports::CellFaultKind;
use millstream_source_columns::Cell;

use crate::sql_type::SqlType;

const NANOS: i128 = 1_000_000_000;
/// Nanoseconds of a microsecond, which is as fine as BigQuery's times are.
const MICRO: i128 = 1_000;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    /// Without its point, and how many digits stand behind it.
    Number(i128, u32),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Bool(bool),
    /// Days since 1970-01-01.
    Date(i64),
    /// Nanoseconds since midnight.
    Time(i128),
    /// Nanoseconds since 1970-01-01T00:00:00, of the clock or of UTC.
    Moment(i128),
    Vector(ArrayRef),
}

/// A column of a batch.
#[derive(Debug)]
pub(crate) struct Column<'a> {
    array: &'a ArrayRef,
    kind: &'a SqlType,
    scale: u32,
}

impl<'a> Column<'a> {
    /// A column of this type. Whole numbers come with their scale beside them.
    pub(crate) fn new(array: &'a ArrayRef, field: &Field, kind: &'a SqlType) -> Self {
        let told = field.metadata().get("scale").and_then(|scale| scale.parse().ok());
        let own = match kind {
            SqlType::Number { scale, .. }
            | SqlType::Time { scale }
            | SqlType::Ntz { scale }
            | SqlType::Ltz { scale }
            | SqlType::Tz { scale } => u32::from(*scale),
            _ => 0,
        };
        Self { array, kind, scale: told.unwrap_or(own) }
    }

    /// A row's value; `None` for a form that no driver knows.
    pub(crate) fn value(&self, row: usize) -> Option<Value<'a>> {
        let array: &'a ArrayRef = self.array;
        if array.is_null(row) {
            return Some(Value::Null);
        }
        Some(match (self.kind, array.data_type()) {
            (SqlType::Number { .. }, DataType::Decimal128(_, scale)) => {
                Value::Number(array.as_primitive::<Decimal128Type>().value(row), u32::try_from(*scale).ok()?)
            }
            (SqlType::Number { .. }, _) => Value::Number(whole(array, row)?, self.scale),
            (SqlType::Float, DataType::Float64) => Value::Float(array.as_primitive::<Float64Type>().value(row)),
            (SqlType::Float, DataType::Float32) => Value::Float(array.as_primitive::<Float32Type>().value(row).into()),
            (SqlType::Boolean, DataType::Boolean) => Value::Bool(array.as_boolean().value(row)),
            (SqlType::Date, DataType::Date32) => Value::Date(array.as_primitive::<Date32Type>().value(row).into()),
            (SqlType::Time { .. }, _) => Value::Time(scaled(whole(array, row)?, self.scale)?),
            (SqlType::Ntz { .. } | SqlType::Ltz { .. } | SqlType::Tz { .. }, DataType::Struct(_)) => {
                self.split_moment(row)?
            }
            (SqlType::Ntz { .. } | SqlType::Ltz { .. }, _) => Value::Moment(scaled(whole(array, row)?, self.scale)?),
            (SqlType::Vector { .. }, DataType::FixedSizeList(..)) => {
                Value::Vector(array.as_fixed_size_list().value(row))
            }
            (SqlType::Vector { .. }, DataType::List(_)) => Value::Vector(array.as_list::<i32>().value(row)),
            (_, DataType::Utf8) => Value::Text(array.as_string::<i32>().value(row)),
            (_, DataType::LargeUtf8) => Value::Text(array.as_string::<i64>().value(row)),
            (_, DataType::Binary) => Value::Bytes(array.as_binary::<i32>().value(row)),
            (_, DataType::LargeBinary) => Value::Bytes(array.as_binary::<i64>().value(row)),
            (_, DataType::FixedSizeBinary(_)) => Value::Bytes(array.as_fixed_size_binary().value(row)),
            _ => return None,
        })
    }

    /// A time in parts: seconds and nanoseconds, or with a zone and no more than milliseconds, both in one.
    fn split_moment(&self, row: usize) -> Option<Value<'a>> {
        let parts = self.array.as_struct();
        let epoch = whole(parts.column_by_name("epoch")?, row)?;
        Some(Value::Moment(match parts.column_by_name("fraction") {
            Some(fraction) => epoch * NANOS + whole(fraction, row)?,
            None => scaled(epoch, self.scale)?,
        }))
    }
}

fn whole(array: &ArrayRef, row: usize) -> Option<i128> {
    Some(match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        _ => return None,
    })
}

/// A count of `10^-scale` seconds in nanoseconds.
fn scaled(value: i128, scale: u32) -> Option<i128> {
    10_i128.checked_pow(9_u32.checked_sub(scale)?)?.checked_mul(value)
}

impl Value<'_> {
    /// Puts it into its place.
    pub(crate) fn put(&self, cell: Cell<'_>, kind: &SqlType) {
        match self {
            Self::Null => cell.null(),
            Self::Number(value, 0) => match i64::try_from(*value) {
                Ok(value) => cell.int64(value),
                Err(_) => cell.decimal(*value, 0),
            },
            Self::Number(value, scale) => cell.decimal(*value, *scale),
            Self::Float(value) => cell.float64(*value),
            Self::Text(text) if cell.is_json() => cell.json(text),
            Self::Text(text) => cell.text(text),
            Self::Bytes(bytes) => cell.binary(bytes),
            Self::Bool(value) => cell.bool(*value),
            Self::Date(days) => cell.date(Some(*days), || self.to_text(kind)),
            Self::Time(nanos) | Self::Moment(nanos) if nanos % MICRO != 0 => {
                cell.fault(CellFaultKind::SubMicrosecond, &self.to_text(kind));
            }
            Self::Time(nanos) => cell.time((nanos / MICRO) as i64, || self.to_text(kind)),
            Self::Moment(nanos) => {
                let micros = i64::try_from(nanos / MICRO).ok();
                match kind {
                    SqlType::Ntz { .. } => cell.datetime(micros, || self.to_text(kind)),
                    _ => cell.timestamp(micros, || self.to_text(kind)),
                }
            }
            Self::Vector(items) => cell.array(
                items.len(),
                |index, place| {
                    if items.is_null(index) {
                        place.null();
                        return false;
                    }
                    match (whole(items, index), items.data_type()) {
                        (Some(value), _) => place.int64(value as i64),
                        (None, DataType::Float32) => {
                            place.float64(items.as_primitive::<Float32Type>().value(index).into())
                        }
                        (None, DataType::Float64) => place.float64(items.as_primitive::<Float64Type>().value(index)),
                        (None, _) => place.fault(CellFaultKind::Type, "an item of a vector"),
                    }
                    true
                },
                || format!("a vector of {} items", items.len()),
            ),
        }
    }

    /// As a statement takes it back, by a CAST to its type, and as a person reads it. Times are ISO 8601.
    pub(crate) fn to_text(&self, kind: &SqlType) -> String {
        match self {
            Self::Null => String::new(),
            Self::Number(value, scale) => decimal_text(*value, *scale),
            Self::Float(value) => value.to_string(),
            Self::Text(text) => (*text).to_owned(),
            Self::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
            Self::Bool(value) => value.to_string(),
            Self::Date(days) => date_text(*days),
            Self::Time(nanos) => {
                let seconds = nanos / NANOS;
                format!("{:02}:{:02}:{:02}.{:09}", seconds / 3_600, seconds / 60 % 60, seconds % 60, nanos % NANOS)
            }
            Self::Moment(nanos) => moment_text(*nanos, !matches!(kind, SqlType::Ntz { .. })),
            Self::Vector(items) => format!("a vector of {} items", items.len()),
        }
    }
}

fn decimal_text(value: i128, scale: u32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

pub(crate) fn date_text(days: i64) -> String {
    let first = NaiveDate::default();
    let date = match u64::try_from(days) {
        Ok(days) => first.checked_add_days(Days::new(days)),
        Err(_) => first.checked_sub_days(Days::new(days.unsigned_abs())),
    };
    date.map_or_else(|| format!("{days} days since 1970"), |date| date.format("%Y-%m-%d").to_string())
}

/// Nanoseconds as a date and time, with the zone of UTC where it has one.
pub(crate) fn moment_text(nanos: i128, is_utc: bool) -> String {
    let at = i64::try_from(nanos.div_euclid(NANOS))
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, nanos.rem_euclid(NANOS) as u32));
    let zone = if is_utc { "+00:00" } else { "" };
    at.map_or_else(|| format!("{nanos} ns since 1970"), |at| format!("{}{zone}", at.format("%Y-%m-%dT%H:%M:%S%.9f")))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use arrow::array::{Decimal128Array, Int8Array, Int32Array, Int64Array, StructArray};

    use super::*;

    fn value(array: ArrayRef, scale: Option<&str>, kind: &str) -> Option<String> {
        let metadata = scale.map(|scale| ("scale".to_owned(), scale.to_owned())).into_iter().collect::<HashMap<_, _>>();
        let field = Field::new("c", array.data_type().clone(), true).with_metadata(metadata);
        let kind = SqlType::read(kind);
        let value = Column::new(&array, &field, &kind).value(0);
        value.map(|value| value.to_text(&kind))
    }

    fn parts(fields: &[(&str, ArrayRef)]) -> ArrayRef {
        let fields = fields
            .iter()
            .map(|(name, array)| (Arc::new(Field::new(*name, array.data_type().clone(), false)), Arc::clone(array)));
        Arc::new(StructArray::from(fields.collect::<Vec<_>>()))
    }

    #[test]
    fn numbers_and_times_come_in_several_forms() {
        let int8 = |value| Arc::new(Int8Array::from(vec![value])) as ArrayRef;
        let int32 = |value| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
        let int64 = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
        assert_eq!(value(int8(-5), Some("2"), "NUMBER(3,2)").as_deref(), Some("-0.05"));
        let decimal = Decimal128Array::from(vec![12_345]).with_precision_and_scale(38, 2).unwrap();
        assert_eq!(value(Arc::new(decimal), None, "NUMBER(38,2)").as_deref(), Some("123.45"));
        assert_eq!(value(int32(45_015), Some("0"), "TIME(0)").as_deref(), Some("12:30:15.000000000"));
        assert_eq!(value(int64(45_015_500_000_001), None, "TIME(9)").as_deref(), Some("12:30:15.500000001"));
        assert_eq!(value(int64(-1), Some("3"), "TIMESTAMP_NTZ(3)").as_deref(), Some("1969-12-31T23:59:59.999000000"));
        let split = parts(&[("epoch", int64(-1)), ("fraction", int32(5))]);
        assert_eq!(value(split, Some("9"), "TIMESTAMP_LTZ(9)").as_deref(), Some("1969-12-31T23:59:59.000000005+00:00"));
        let zoned = parts(&[("epoch", int64(1_500)), ("timezone", int32(1_500))]);
        assert_eq!(value(zoned, Some("3"), "TIMESTAMP_TZ(3)").as_deref(), Some("1970-01-01T00:00:01.500000000+00:00"));
        assert_eq!(value(int32(1), None, "BOOLEAN"), None, "a form that no driver knows");
    }
}
