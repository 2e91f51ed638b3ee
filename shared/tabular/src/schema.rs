//! Column types as Arrow types.
//!
//! | BigQuery | Arrow |
//! |---|---|
//! | STRING, JSON | Utf8 |
//! | BYTES | Binary |
//! | INT64 | Int64 |
//! | FLOAT64 | Float64 |
//! | NUMERIC(p, s) | Decimal128(p, s) |
//! | BIGNUMERIC(p, s) | Decimal256(p, s) |
//! | BOOL | Boolean |
//! | DATE | Date32 |
//! | DATETIME | Timestamp(microsecond) |
//! | TIME | Time64(microsecond) |
//! | TIMESTAMP | Timestamp(microsecond, UTC) |
//! | ARRAY | List |
//! | STRUCT | Struct (fields nullable) |

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, make_array},
    datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit},
    error::ArrowError,
};
use millstream_events::contract::{Column, ColumnType};

/// The Arrow type that holds a BigQuery type.
pub fn arrow_type(kind: &ColumnType) -> DataType {
    match kind {
        ColumnType::String | ColumnType::Json => DataType::Utf8,
        ColumnType::Bytes => DataType::Binary,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Numeric { precision, scale } => DataType::Decimal128(*precision, scale.cast_signed()),
        ColumnType::BigNumeric { precision, scale } => DataType::Decimal256(*precision, scale.cast_signed()),
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::Datetime => DataType::Timestamp(TimeUnit::Microsecond, None),
        ColumnType::Time => DataType::Time64(TimeUnit::Microsecond),
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Array(item) => DataType::List(item_field(item)),
        ColumnType::Struct(fields) => DataType::Struct(struct_fields(fields)),
    }
}

/// Whether a type holds other types.
pub(crate) fn is_nested(kind: &ColumnType) -> bool {
    matches!(kind, ColumnType::Array(_) | ColumnType::Struct(_))
}

pub(crate) fn item_field(item: &ColumnType) -> Arc<Field> {
    // Nullable, so that a bad row's placeholder can stand in it; no good row has a NULL item.
    Arc::new(Field::new("item", arrow_type(item), true))
}

pub(crate) fn struct_fields(fields: &[(String, ColumnType)]) -> Fields {
    fields.iter().map(|(name, kind)| Field::new(name, arrow_type(kind), true)).collect()
}

/// The batch's schema: a required column is not nullable.
pub fn arrow_schema(columns: &[Column]) -> SchemaRef {
    let fields: Fields =
        columns.iter().map(|column| Field::new(&column.name, arrow_type(&column.kind), !column.required)).collect();
    Arc::new(Schema::new(fields))
}

/// The same values without a time zone, where they have one: Arrow's formatter and casts know no zone names, not even UTC.
pub(crate) fn without_zone(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            let plain = array.to_data().into_builder().data_type(DataType::Timestamp(*unit, None)).build()?;
            Ok(make_array(plain))
        }
        _ => Ok(ArrayRef::clone(array)),
    }
}

/// The BigQuery type that holds an Arrow type, for a Parquet column that is added; `None` when there is none.
pub fn column_type(data_type: &DataType) -> Option<ColumnType> {
    Some(match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnType::String,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            ColumnType::Bytes
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => ColumnType::Int64,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => ColumnType::Int64,
        DataType::UInt64 => ColumnType::Numeric { precision: 20, scale: 0 },
        DataType::Float16 | DataType::Float32 | DataType::Float64 => ColumnType::Float64,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => decimal_type(*precision, u8::try_from(*scale).ok()?)?,
        DataType::Boolean => ColumnType::Bool,
        DataType::Date32 | DataType::Date64 => ColumnType::Date,
        DataType::Timestamp(_, None) => ColumnType::Datetime,
        DataType::Timestamp(_, Some(_)) => ColumnType::Timestamp,
        DataType::Time32(_) | DataType::Time64(_) => ColumnType::Time,
        DataType::Dictionary(_, value) => column_type(value)?,
        DataType::List(item) | DataType::LargeList(item) => match column_type(item.data_type())? {
            ColumnType::Array(_) => return None,
            inner => ColumnType::Array(Box::new(inner)),
        },
        DataType::Struct(fields) => ColumnType::Struct(
            fields
                .iter()
                .map(|field| Some((field.name().clone(), column_type(field.data_type())?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

fn decimal_type(precision: u8, scale: u8) -> Option<ColumnType> {
    let whole = precision.checked_sub(scale)?;
    if scale <= 9 && whole <= 29 && precision <= 38 {
        Some(ColumnType::Numeric { precision, scale })
    } else {
        (scale <= 38 && whole <= 38).then_some(ColumnType::BigNumeric { precision, scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrow_type_we_write_reads_back_as_the_column_type_it_came_from() {
        for text in [
            "STRING",
            "BYTES",
            "INT64",
            "FLOAT64",
            "NUMERIC",
            "NUMERIC(10, 2)",
            "BIGNUMERIC",
            "BOOL",
            "DATE",
            "DATETIME",
            "TIME",
            "TIMESTAMP",
            "ARRAY<STRUCT<a INT64, b STRING>>",
        ] {
            let kind: ColumnType = text.parse().unwrap();
            assert_eq!(column_type(&arrow_type(&kind)), Some(kind));
        }
    }
}
