//! Arrow columns -> the matrix a model reads, and the labels and values it is measured against.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;

use crate::Encoder;
use crate::encode::codes;
use crate::signature::{FeatureKind, nearest};

pub(crate) const MICROSECONDS_A_DAY: f64 = 86_400e6;

/// Why a batch cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum ColumnError {
    /// The batch lacks a column.
    #[error("there is no column {name:?}{}", nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    Missing {
        /// The column looked for.
        name: String,
        /// The column most like it.
        nearest: Option<String>,
    },
    /// A column's type cannot be read as the feature's kind.
    #[error("column {name:?} is {found}, which cannot be read as {expected}")]
    WrongType {
        /// The column.
        name: String,
        /// Its type.
        found: DataType,
        /// What it should be readable as.
        expected: &'static str,
    },
    /// A value could not be converted.
    #[error("column {name:?}: {source}")]
    Value {
        /// The column.
        name: String,
        /// What Arrow says.
        source: ArrowError,
    },
}

impl Encoder {
    /// Encodes a batch's columns, found by name, into rows of the model's features.
    pub fn encode_batch(&self, batch: &RecordBatch) -> Result<Vec<f32>, ColumnError> {
        let features = &self.signature().features;
        let width = features.len();
        let mut matrix = vec![f32::NAN; batch.num_rows() * width];
        for (position, feature) in features.iter().enumerate() {
            let values = column_values(&feature.name, column(batch, &feature.name)?, &feature.kind)?;
            for (row, value) in values.into_iter().enumerate() {
                matrix[row * width + position] = value;
            }
        }
        Ok(matrix)
    }
}

/// A batch's column by name.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ColumnError> {
    batch.column_by_name(name).ok_or_else(|| {
        let schema = batch.schema();
        let nearest = nearest(name, schema.fields().iter().map(|field| field.name().as_str())).map(str::to_owned);
        ColumnError::Missing { name: name.to_owned(), nearest }
    })
}

/// A column as a feature's values; null, NaN and unknown categories become NaN.
pub fn column_values(name: &str, array: &ArrayRef, kind: &FeatureKind) -> Result<Vec<f32>, ColumnError> {
    match kind {
        FeatureKind::Numeric => {
            let readable = array.data_type().is_numeric() || *array.data_type() == DataType::Boolean;
            let array = convert(name, array, &DataType::Float64, readable, "a number")?;
            Ok(values(array.as_primitive::<Float64Type>().iter(), to_feature))
        }
        FeatureKind::Boolean => {
            let readable = *array.data_type() == DataType::Boolean;
            let array = convert(name, array, &DataType::Boolean, readable, "true or false")?;
            Ok(values(array.as_boolean().iter(), |value| f32::from(u8::from(value))))
        }
        FeatureKind::Timestamp => {
            let readable = array.data_type().is_temporal();
            let target = DataType::Timestamp(TimeUnit::Microsecond, None);
            let array = convert(name, array, &target, readable, "a date or time")?;
            let days = |micros: i64| to_feature(micros as f64 / MICROSECONDS_A_DAY);
            Ok(values(array.as_primitive::<TimestampMicrosecondType>().iter(), days))
        }
        FeatureKind::Category { .. } => {
            let codes = codes(kind);
            let text = text(name, array)?;
            let code = |value: &str| codes.get(value).copied().unwrap_or(f32::NAN);
            Ok(values(text.as_string::<i32>().iter(), code))
        }
    }
}

/// A column as class labels: strings as they are, booleans as `true` and `false`, integers in digits.
pub fn class_labels(name: &str, array: &ArrayRef) -> Result<Vec<Option<String>>, ColumnError> {
    let text = text(name, array)?;
    Ok(text.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect())
}

fn text(name: &str, array: &ArrayRef) -> Result<ArrayRef, ColumnError> {
    let kind = array.data_type();
    let readable = kind.is_numeric()
        || matches!(kind, DataType::Boolean | DataType::Dictionary(..))
        || matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    convert(name, array, &DataType::Utf8, readable, "text")
}

fn convert(
    name: &str,
    array: &ArrayRef,
    target: &DataType,
    readable: bool,
    expected: &'static str,
) -> Result<ArrayRef, ColumnError> {
    // An all-null column has no type of its own, and fits every kind.
    if !readable && *array.data_type() != DataType::Null {
        return Err(ColumnError::WrongType { name: name.to_owned(), found: array.data_type().clone(), expected });
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, target, &options).map_err(|source| ColumnError::Value { name: name.to_owned(), source })
}

fn values<T>(items: impl Iterator<Item = Option<T>>, encode: impl Fn(T) -> f32) -> Vec<f32> {
    items.map(|item| item.map_or(f32::NAN, &encode)).collect()
}

/// A number as a model reads it: 32 bits, and finite unless it is missing.
pub(crate) fn to_feature(value: f64) -> f32 {
    (value as f32).clamp(f32::MIN, f32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Int64Array, NullArray, StringArray, TimestampMillisecondArray,
    };

    use super::*;

    fn read(array: impl Array + 'static, kind: &FeatureKind) -> Vec<f32> {
        column_values("x", &(Arc::new(array) as ArrayRef), kind).unwrap()
    }

    #[test]
    fn every_kind_of_column_becomes_numbers_with_nan_for_null() {
        let integers = read(Int64Array::from(vec![Some(7), None]), &FeatureKind::Numeric);
        assert!(integers[0] == 7.0 && integers[1].is_nan());
        let decimals = Decimal128Array::from(vec![1250]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(read(decimals, &FeatureKind::Numeric), [12.5]);
        assert_eq!(read(BooleanArray::from(vec![true, false]), &FeatureKind::Boolean), [1.0, 0.0]);
        assert_eq!(read(Date32Array::from(vec![19_000]), &FeatureKind::Timestamp), [19_000.0]);
        assert_eq!(read(TimestampMillisecondArray::from(vec![43_200_000]), &FeatureKind::Timestamp), [0.5]);
        assert!(read(NullArray::new(1), &FeatureKind::Numeric)[0].is_nan());
        let colours = FeatureKind::Category { values: vec!["red".into(), "blue".into()] };
        let codes = read(StringArray::from(vec![Some("blue"), Some("green"), None]), &colours);
        assert!(codes[0] == 1.0 && codes[1].is_nan() && codes[2].is_nan());
    }

    #[test]
    fn a_text_column_is_not_a_number() {
        let array: ArrayRef = Arc::new(StringArray::from(vec!["7"]));
        let error = column_values("weight", &array, &FeatureKind::Numeric).unwrap_err();
        assert_eq!(error.to_string(), "column \"weight\" is Utf8, which cannot be read as a number");
    }
}
