//! One column's values to the contract's type. Casts are checked by casting back: what does not return the same is lossy,
//! and its row is bad.

use arrow::{
    array::{Array, ArrayRef, AsArray, make_array},
    compute::{CastOptions, cast_with_options, kernels::cmp},
    datatypes::DataType,
    error::ArrowError,
};
use millstream_events::contract::ColumnType;

use crate::{
    cells::Text,
    column::{ColumnBuilder, One},
    fault::Fault,
    schema::{self, arrow_type},
};

/// How a column that comes becomes a table's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// It is what it shall be.
    Same,
    /// An Arrow cast between kindred types.
    Cast,
    /// Texts, read as CSV's are.
    Parse,
}

/// Which conversion leads from one type to the contract's; `None` when none does.
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
pub(super) fn convert(
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
    let array = schema::without_zone(array)?;
    let plain = match to {
        DataType::Timestamp(unit, Some(_)) => &DataType::Timestamp(*unit, None),
        other => other,
    };
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let mut converted = cast_with_options(&array, plain, &options)?;
    let back = cast_with_options(&converted, array.data_type(), &options)?;
    if array.data_type().is_nested() || matches!(array.data_type(), DataType::Dictionary(..)) {
        // Compared a row at a time: Arrow's comparison kernels do not take these types.
        for row in 0..array.len() {
            if has_null_item(array.as_ref(), row) {
                on_fault(row, Fault::NullElement);
            } else if back.slice(row, 1).to_data() != array.slice(row, 1).to_data() {
                on_fault(row, Fault::Lossy);
            }
        }
    } else {
        let same = cmp::not_distinct(&back, &array)?;
        (0..array.len()).filter(|row| !same.value(*row)).for_each(|row| on_fault(row, Fault::Lossy));
    }
    if let Some(texts) = converted.as_string_opt::<i32>() {
        for row in (0..texts.len()).filter(|row| texts.is_valid(*row) && texts.value(*row).contains('\0')) {
            on_fault(row, Fault::NulByte);
        }
    }
    if plain != to {
        converted = make_array(converted.to_data().into_builder().data_type(to.clone()).build()?);
    }
    Ok(converted)
}

/// Whether an array in the row has a NULL item, at any depth.
fn has_null_item(array: &dyn Array, row: usize) -> bool {
    let any =
        |items: ArrayRef| items.null_count() > 0 || (0..items.len()).any(|item| has_null_item(items.as_ref(), item));
    match array.data_type() {
        _ if array.is_null(row) => false,
        DataType::List(_) => any(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => any(array.as_list::<i64>().value(row)),
        DataType::Struct(_) => array.as_struct().columns().iter().any(|column| has_null_item(column.as_ref(), row)),
        _ => false,
    }
}
