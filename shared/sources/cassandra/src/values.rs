//! Values of the driver's frames on their way into columns.

use std::net::IpAddr;

use arrow::datatypes::i256;
use millstream_ports::CellFaultKind;
use millstream_source_columns::Cell;
use scylla::{
    cluster::metadata::{CollectionType, ColumnType as CqlType, NativeType},
    deserialize::{
        DeserializationError, FrameSlice,
        value::{DeserializeValue, FrameSliceWithMetadata, ListlikeIterator, MapIterator, UdtIterator, VectorIterator},
    },
    value::{Counter, CqlDate, CqlDecimalBorrowed, CqlDuration, CqlTime, CqlTimestamp},
};
use uuid::Uuid;

/// Days from CQL's first date to 1970-01-01.
pub(crate) const EPOCH_DAY: i64 = 1 << 31;

type Raw<'frame, 'metadata> = FrameSliceWithMetadata<'frame, 'metadata>;

/// Fills a place with a value of a type.
pub(crate) fn write<'frame, 'metadata>(
    cell: Cell<'_>,
    cql: &'metadata CqlType<'metadata>,
    value: Option<FrameSlice<'frame>>,
) {
    let Some(value) = value else { return cell.null() };
    match cql {
        CqlType::Native(NativeType::Ascii | NativeType::Text) => cell.text_bytes(value.as_slice()),
        CqlType::Native(NativeType::Blob) => cell.binary(value.as_slice()),
        // Cassandra's oldest interface could store a value of no bytes in a column of any type. It says nothing.
        _ if value.is_empty() => cell.null(),
        CqlType::Native(native) => single(cell, native, cql, value),
        // The place of an array inside of an array is a STRUCT around it.
        CqlType::Collection { .. } | CqlType::Vector { .. } if cell.is_structure() => {
            cell.structure(|_, _, cell| write(cell, cql, Some(value)), String::new);
        }
        CqlType::Collection { typ: CollectionType::List(_) | CollectionType::Set(_), .. } => {
            let items = |value| ListlikeIterator::<Raw<'frame, 'metadata>>::deserialize(cql, Some(value));
            array(cell, items(value), || items(value).map_or(0, |items| items.size_hint().0));
        }
        CqlType::Vector { .. } => {
            let items = |value| VectorIterator::<Raw<'frame, 'metadata>>::deserialize(cql, Some(value));
            array(cell, items(value), || items(value).map_or(0, |items| items.size_hint().0));
        }
        CqlType::Collection { typ: CollectionType::Map(..), .. } => {
            map(cell, MapIterator::<Raw<'frame, 'metadata>, Raw<'frame, 'metadata>>::deserialize(cql, Some(value)));
        }
        CqlType::Tuple(items) => {
            let mut rest = value;
            cell.structure(
                |index, _, cell| match rest.read_cql_bytes() {
                    Ok(item) => write(cell, &items[index], item),
                    // A tuple that was written before items were added ends early.
                    Err(_) => cell.null(),
                },
                String::new,
            );
        }
        CqlType::UserDefinedType { .. } => match UdtIterator::deserialize(cql, Some(value)) {
            Ok(mut fields) => cell.structure(
                |_, _, cell| match fields.next() {
                    Some(((_, kind), Ok(field))) => write(cell, kind, field.flatten()),
                    Some((_, Err(error))) => malformed(cell, &error),
                    None => cell.null(),
                },
                String::new,
            ),
            Err(error) => malformed(cell, &error),
        },
        _ => cell.fault(CellFaultKind::Type, "a type that the driver does not know"),
    }
}

fn array<'frame, 'metadata>(
    cell: Cell<'_>,
    items: Result<impl Iterator<Item = Result<Raw<'frame, 'metadata>, DeserializationError>>, DeserializationError>,
    length: impl FnOnce() -> usize,
) {
    match items {
        Err(error) => malformed(cell, &error),
        Ok(mut items) => cell.array(
            length(),
            |_, cell| match items.next() {
                Some(Ok(Raw { frame_slice, column_type })) => {
                    let is_value = frame_slice.is_some();
                    write(cell, column_type, frame_slice);
                    is_value
                }
                Some(Err(error)) => {
                    malformed(cell, &error);
                    true
                }
                None => {
                    cell.null();
                    false
                }
            },
            || "a collection with an item that is NULL".into(),
        ),
    }
}

fn map<'frame, 'metadata>(
    cell: Cell<'_>,
    entries: Result<
        MapIterator<'frame, 'metadata, Raw<'frame, 'metadata>, Raw<'frame, 'metadata>>,
        DeserializationError,
    >,
) {
    match entries {
        Err(error) => malformed(cell, &error),
        Ok(mut entries) => cell.array(
            entries.size_hint().0,
            |_, cell| {
                match entries.next() {
                    Some(Ok((key, value))) => cell.structure(
                        |index, _, cell| {
                            let Raw { frame_slice, column_type } = if index == 0 { &key } else { &value };
                            write(cell, column_type, *frame_slice);
                        },
                        String::new,
                    ),
                    Some(Err(error)) => malformed(cell, &error),
                    None => cell.null(),
                }
                true
            },
            String::new,
        ),
    }
}

/// A value that is neither text nor bytes nor made of others.
enum Single<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Big-endian digits in two's complement, and how many are after the point.
    Decimal(&'a [u8], i32),
    /// Days since 1970.
    Date(i64),
    /// Nanoseconds since midnight.
    Time(i64),
    /// Milliseconds since 1970.
    Timestamp(i64),
    Duration([i64; 3]),
    Inet(IpAddr),
    Uuid(Uuid),
}

fn decode<'a>(
    native: &NativeType,
    cql: &CqlType<'_>,
    value: FrameSlice<'a>,
) -> Result<Option<Single<'a>>, DeserializationError> {
    let bytes = Some(value);
    Ok(Some(match native {
        NativeType::Boolean => Single::Bool(bool::deserialize(cql, bytes)?),
        NativeType::TinyInt => Single::Int(i64::from(i8::deserialize(cql, bytes)?)),
        NativeType::SmallInt => Single::Int(i64::from(i16::deserialize(cql, bytes)?)),
        NativeType::Int => Single::Int(i64::from(i32::deserialize(cql, bytes)?)),
        NativeType::BigInt => Single::Int(i64::deserialize(cql, bytes)?),
        NativeType::Counter => Single::Int(Counter::deserialize(cql, bytes)?.0),
        NativeType::Float => Single::Float(f64::from(f32::deserialize(cql, bytes)?)),
        NativeType::Double => Single::Float(f64::deserialize(cql, bytes)?),
        // Its bytes are the value's own.
        NativeType::Varint => Single::Decimal(value.as_slice(), 0),
        NativeType::Decimal => {
            let decimal = CqlDecimalBorrowed::deserialize(cql, bytes)?;
            let (digits, scale) = decimal.as_signed_be_bytes_slice_and_exponent();
            // The same bytes, which live as long as the frame: the digits are its end.
            let frame = value.as_slice();
            Single::Decimal(&frame[frame.len() - digits.len()..], scale)
        }
        NativeType::Date => Single::Date(i64::from(CqlDate::deserialize(cql, bytes)?.0) - EPOCH_DAY),
        NativeType::Time => Single::Time(CqlTime::deserialize(cql, bytes)?.0),
        NativeType::Timestamp => Single::Timestamp(CqlTimestamp::deserialize(cql, bytes)?.0),
        NativeType::Duration => {
            let CqlDuration { months, days, nanoseconds } = CqlDuration::deserialize(cql, bytes)?;
            Single::Duration([i64::from(months), i64::from(days), nanoseconds])
        }
        NativeType::Inet => Single::Inet(IpAddr::deserialize(cql, bytes)?),
        NativeType::Uuid | NativeType::Timeuuid => match Uuid::from_slice(value.as_slice()) {
            Ok(id) => Single::Uuid(id),
            Err(_) => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

fn single(cell: Cell<'_>, native: &NativeType, cql: &CqlType<'_>, value: FrameSlice<'_>) {
    let value = match decode(native, cql, value) {
        Ok(Some(value)) => value,
        Ok(None) => return cell.fault(CellFaultKind::Type, "a value that the driver does not know"),
        Err(error) => return malformed(cell, &error),
    };
    match value {
        Single::Bool(value) => cell.bool(value),
        Single::Int(value) => cell.int64(value),
        Single::Float(value) => cell.float64(value),
        Single::Decimal(digits, scale) => decimal(cell, digits, scale),
        Single::Date(days) => cell.date(Some(days), || format!("{days} days from 1970-01-01")),
        Single::Time(nanos) if nanos % 1_000 != 0 => {
            cell.fault(CellFaultKind::SubMicrosecond, &format!("{nanos} ns from midnight"));
        }
        Single::Time(nanos) => cell.time(nanos / 1_000, || format!("{nanos} ns from midnight")),
        Single::Timestamp(millis) => {
            cell.timestamp(millis.checked_mul(1_000), || format!("{millis} ms from 1970-01-01T00:00:00Z"));
        }
        Single::Duration(parts) => cell.structure(|index, _, cell| cell.int64(parts[index]), String::new),
        Single::Inet(address) => cell.text(&address.to_string()),
        Single::Uuid(id) => cell.text(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
    }
}

/// A number of any size: big-endian digits in two's complement, over 10^scale.
fn decimal(cell: Cell<'_>, digits: &[u8], scale: i32) {
    let negative = digits.first().is_some_and(|first| *first & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    // Bytes that only repeat the sign.
    let kept = digits.iter().position(|byte| *byte != fill).map_or(&[][..], |at| &digits[at.saturating_sub(1)..]);
    let mut wide = [fill; 32];
    let Some(start) = wide.len().checked_sub(kept.len()) else {
        return cell.fault(CellFaultKind::DecimalRange, &format!("a number of {} bytes", digits.len()));
    };
    wide[start..].copy_from_slice(kept);
    let value = i256::from_be_bytes(wide);
    match (value.to_i128(), u32::try_from(scale)) {
        (Some(value), Ok(scale @ 0..=76)) => cell.decimal(value, scale),
        _ => cell.decimal_text(&format!("{value}E{}", -i64::from(scale))),
    }
}

fn malformed(cell: Cell<'_>, error: &DeserializationError) {
    cell.fault(CellFaultKind::Type, &format!("a value that cannot be read: {error}"));
}
