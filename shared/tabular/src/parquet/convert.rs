//! One Parquet column's values to the contract's type. Casts are checked by casting back: what does not return the same is lossy,
//! and its row is bad.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::{CastOptions, cast_with_options, kernels::cmp},
    datatypes::DataType,
    error::ArrowError,
};
use millstream_events::contract::ColumnType;

use crate::{
    cells::Text,
    column::{ColumnBuilder, One},
    fault::Fault,
    schema::arrow_type,
};

/// How a file's column becomes a table's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// It is what it shall be.
    Same,
    /// An Arrow cast between kindred types.
    Cast,
    /// Texts, read as CSV's are.
    Parse,
}

/// Which conversion leads from the file's type to the contract's; `None` when none does.
pub(crate) fn conversion(from: &DataType, to: &ColumnType) -> Option<Conversion> {
    let from = match from {
        DataType::Dictionary(_, value) => value,
        other => other,
    };
    let is_text = matches!(from, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_bytes =
        matches!(from, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_));
    let cast = |kindred: bool| kindred.then_some(Conversion::Cast);
    match to {
        ColumnType::String => cast(is_text || is_bytes),
        ColumnType::Bytes => cast(is_bytes),
        ColumnType::Array(_) | ColumnType::Struct(_) => cast(nested_kindred(from, to)),
        _ if is_text => Some(Conversion::Parse),
        ColumnType::Json => None,
        _ if *from == arrow_type(to) => Some(Conversion::Same),
        ColumnType::Int64 | ColumnType::Float64 | ColumnType::Numeric { .. } | ColumnType::BigNumeric { .. } => {
            cast(from.is_numeric())
        }
        ColumnType::Bool => cast(*from == DataType::Boolean),
        ColumnType::Date => cast(matches!(from, DataType::Date32 | DataType::Date64)),
        ColumnType::Time => cast(matches!(from, DataType::Time32(_) | DataType::Time64(_))),
        ColumnType::Datetime => cast(matches!(from, DataType::Timestamp(_, None))),
        // A time without a zone is UTC, as it is in CSV.
        ColumnType::Timestamp => cast(matches!(from, DataType::Timestamp(..))),
    }
}

fn nested_kindred(from: &DataType, to: &ColumnType) -> bool {
    match (from, to) {
        (DataType::List(item) | DataType::LargeList(item), ColumnType::Array(kind)) => kindred(item.data_type(), kind),
        (DataType::Struct(fields), ColumnType::Struct(kinds)) => {
            fields.len() == kinds.len()
                && fields
                    .iter()
                    .zip(kinds)
                    .all(|(field, (name, kind))| field.name() == name && kindred(field.data_type(), kind))
        }
        _ => false,
    }
}

fn kindred(from: &DataType, to: &ColumnType) -> bool {
    matches!(conversion(from, to), Some(Conversion::Same | Conversion::Cast))
}

/// Converts a column; `on_fault` gets the rows that cannot be converted.
pub(crate) fn convert(
    array: &ArrayRef,
    conversion: Conversion,
    to: &ColumnType,
    mut on_fault: impl FnMut(usize, Fault),
) -> Result<ArrayRef, ArrowError> {
    match conversion {
        Conversion::Same => Ok(ArrayRef::clone(array)),
        Conversion::Cast => cast(array, &arrow_type(to), on_fault),
        Conversion::Parse => {
            let texts = cast_with_options(array, &DataType::Utf8, &CastOptions::default())?;
            let texts = texts.as_string::<i32>();
            let mut builder = ColumnBuilder::new(to);
            for (row, text) in texts.iter().enumerate() {
                let bytes = text.map(str::as_bytes);
                let mut one = One { text: bytes.map_or(Text::Null, Text::Scalar), json: bytes, fault: None };
                builder.append(&mut one);
                if let Some(fault) = one.fault {
                    on_fault(row, fault);
                }
            }
            builder.finish()
        }
    }
}

fn cast(array: &ArrayRef, to: &DataType, mut on_fault: impl FnMut(usize, Fault)) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let converted = match to {
        // A list's items are cast as nullable first: a NULL among them is the row's fault, not the cast's.
        DataType::List(_) | DataType::Struct(_) if has_null_items(array, to) => {
            return Ok(refuse_null_items(array, to, on_fault));
        }
        _ => cast_with_options(array, to, &options)?,
    };
    let back = cast_with_options(&converted, array.data_type(), &options)?;
    let lossy = |row: usize| array.is_valid(row) && back.slice(row, 1).to_data() != array.slice(row, 1).to_data();
    let same = if array.data_type().is_nested() || matches!(array.data_type(), DataType::Dictionary(..)) {
        None
    } else {
        Some(cmp::not_distinct(&back, array)?)
    };
    for row in 0..array.len() {
        if same.as_ref().map_or_else(|| lossy(row), |same| !same.value(row)) {
            on_fault(row, Fault::Lossy);
        }
    }
    if let Some(texts) = converted.as_string_opt::<i32>() {
        for row in (0..texts.len()).filter(|row| texts.is_valid(*row) && texts.value(*row).contains('\0')) {
            on_fault(row, Fault::NulByte);
        }
    }
    Ok(converted)
}

/// Whether some array in the column has a NULL item, which the contract's ARRAY has not.
fn has_null_items(array: &ArrayRef, to: &DataType) -> bool {
    match (array.data_type(), to) {
        (DataType::List(_), DataType::List(_)) => array.as_list::<i32>().values().null_count() > 0,
        (DataType::LargeList(_), DataType::List(_)) => array.as_list::<i64>().values().null_count() > 0,
        (DataType::Struct(_), DataType::Struct(fields)) => array
            .as_struct()
            .columns()
            .iter()
            .zip(fields)
            .any(|(column, field)| has_null_items(column, field.data_type())),
        _ => false,
    }
}

/// Casts row by row, so that only the rows with a NULL item are lost.
fn refuse_null_items(array: &ArrayRef, to: &DataType, mut on_fault: impl FnMut(usize, Fault)) -> ArrayRef {
    let null = arrow::array::new_null_array(to, 1);
    let mut parts: Vec<ArrayRef> = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        // Compacted, since a slice keeps its neighbours' items.
        let one = arrow::compute::take(array, &arrow::array::UInt64Array::from(vec![row as u64]), None);
        let mut fault = None;
        let part = one.and_then(|one| {
            if has_null_items(&one, to) {
                fault = Some(Fault::NullElement);
                return Ok(ArrayRef::clone(&null));
            }
            cast(&one, to, |_, found| fault = Some(found))
        });
        if let Some(fault) = fault.or(part.is_err().then_some(Fault::Lossy)) {
            on_fault(row, fault);
        }
        parts.push(part.unwrap_or_else(|_| ArrayRef::clone(&null)));
    }
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    arrow::compute::concat(&parts).unwrap_or_else(|_| arrow::array::new_null_array(to, array.len()))
}
