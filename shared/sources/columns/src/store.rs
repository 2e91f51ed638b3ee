//! A growing column.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, Float64Builder,
        Int64Builder, ListArray, NullBufferBuilder, StringBuilder, StructArray, Time64MicrosecondBuilder,
        TimestampMicrosecondBuilder,
    },
    buffer::{OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, Field, Fields},
    error::ArrowError,
};
use millstream_events::contract::ColumnType;

/// The values of one column, or of one field of it.
#[derive(Debug)]
pub(crate) enum Store {
    Text { values: StringBuilder, json: bool },
    Bytes(BinaryBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Decimal128 { values: Decimal128Builder, precision: u8, scale: u8 },
    Decimal256 { values: Decimal256Builder, precision: u8, scale: u8 },
    Bool(BooleanBuilder),
    Date(Date32Builder),
    Datetime(TimestampMicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Time(Time64MicrosecondBuilder),
    List { offsets: Vec<i32>, items: Box<Store>, nulls: NullBufferBuilder },
    Struct { names: Vec<String>, fields: Vec<Store>, nulls: NullBufferBuilder, rows: usize },
}

impl Store {
    /// An empty column of a type.
    pub(crate) fn new(kind: &ColumnType) -> Result<Self, ArrowError> {
        Ok(match kind {
            ColumnType::String => Self::Text { values: StringBuilder::new(), json: false },
            ColumnType::Json => Self::Text { values: StringBuilder::new(), json: true },
            ColumnType::Bytes => Self::Bytes(BinaryBuilder::new()),
            ColumnType::Int64 => Self::Int64(Int64Builder::new()),
            ColumnType::Float64 => Self::Float64(Float64Builder::new()),
            ColumnType::Numeric { precision, scale } => Self::Decimal128 {
                values: Decimal128Builder::new().with_precision_and_scale(*precision, scale.cast_signed())?,
                precision: *precision,
                scale: *scale,
            },
            ColumnType::BigNumeric { precision, scale } => Self::Decimal256 {
                values: Decimal256Builder::new().with_precision_and_scale(*precision, scale.cast_signed())?,
                precision: *precision,
                scale: *scale,
            },
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Datetime => Self::Datetime(TimestampMicrosecondBuilder::new()),
            ColumnType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            ColumnType::Time => Self::Time(Time64MicrosecondBuilder::new()),
            ColumnType::Array(item) => {
                Self::List { offsets: vec![0], items: Box::new(Self::new(item)?), nulls: NullBufferBuilder::new(0) }
            }
            ColumnType::Struct(fields) => Self::Struct {
                names: fields.iter().map(|(name, _)| name.clone()).collect(),
                fields: fields.iter().map(|(_, kind)| Self::new(kind)).collect::<Result<_, _>>()?,
                nulls: NullBufferBuilder::new(0),
                rows: 0,
            },
        })
    }

    /// Appends NULL.
    pub(crate) fn null(&mut self) {
        match self {
            Self::Text { values, .. } => values.append_null(),
            Self::Bytes(values) => values.append_null(),
            Self::Int64(values) => values.append_null(),
            Self::Float64(values) => values.append_null(),
            Self::Decimal128 { values, .. } => values.append_null(),
            Self::Decimal256 { values, .. } => values.append_null(),
            Self::Bool(values) => values.append_null(),
            Self::Date(values) => values.append_null(),
            Self::Datetime(values) | Self::Timestamp(values) => values.append_null(),
            Self::Time(values) => values.append_null(),
            Self::List { offsets, nulls, .. } => {
                offsets.push(offsets.last().copied().unwrap_or_default());
                nulls.append_null();
            }
            Self::Struct { fields, nulls, rows, .. } => {
                fields.iter_mut().for_each(Self::null);
                nulls.append_null();
                *rows += 1;
            }
        }
    }

    /// How many values it has.
    pub(crate) fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        match self {
            Self::Text { values, .. } => values.len(),
            Self::Bytes(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Float64(values) => values.len(),
            Self::Decimal128 { values, .. } => values.len(),
            Self::Decimal256 { values, .. } => values.len(),
            Self::Bool(values) => values.len(),
            Self::Date(values) => values.len(),
            Self::Datetime(values) | Self::Timestamp(values) => values.len(),
            Self::Time(values) => values.len(),
            Self::List { offsets, .. } => offsets.len() - 1,
            Self::Struct { rows, .. } => *rows,
        }
    }

    /// The column so far; it is empty again.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text { values, .. } => Arc::new(values.finish()),
            Self::Bytes(values) => Arc::new(values.finish()),
            Self::Int64(values) => Arc::new(values.finish()),
            Self::Float64(values) => Arc::new(values.finish()),
            Self::Decimal128 { values, .. } => Arc::new(values.finish()),
            Self::Decimal256 { values, .. } => Arc::new(values.finish()),
            Self::Bool(values) => Arc::new(values.finish()),
            Self::Date(values) => Arc::new(values.finish()),
            Self::Datetime(values) | Self::Timestamp(values) => Arc::new(values.finish()),
            Self::Time(values) => Arc::new(values.finish()),
            Self::List { offsets, items, nulls } => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])));
                let items = items.finish()?;
                let field = Arc::new(Field::new("item", items.data_type().clone(), true));
                Arc::new(ListArray::try_new(field, ends, items, nulls.finish())?)
            }
            Self::Struct { names, fields, nulls, rows } => {
                let arrays = fields.iter_mut().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                let fields: Fields = names
                    .iter()
                    .zip(&arrays)
                    .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
                    .collect();
                let rows = std::mem::take(rows);
                Arc::new(StructArray::try_new_with_length(fields, arrays, nulls.finish(), rows)?)
            }
        })
    }
}

/// The Arrow type that holds a BigQuery type: as `millstream_tabular::schema` lists them.
pub(crate) fn arrow_type(kind: &ColumnType) -> Result<DataType, ArrowError> {
    use arrow::array::Array;
    Store::new(kind)?.finish().map(|array| array.data_type().clone())
}
