//! Values in PostgreSQL's binary form, as its types' `send` functions write them.

use millstream_ports::CellFaultKind;
use millstream_source_columns::Cell;

use crate::{
    decode::text::{bits, interval, mac_address, network, uuid},
    temporal::{date_text, in_unix_days, in_unix_micros, time_text, time_zone_text, timestamp_text},
};

mod numeric;
mod text;

/// How a column's values are read. Chosen once for a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decoder {
    Bool,
    Int2,
    Int4,
    Int8,
    /// 32 bits without a sign.
    Oid,
    Float4,
    Float8,
    Numeric,
    /// An integer in units of the currency's last digit.
    Money {
        /// Its digits after the point.
        scale: u32,
    },
    /// UTF-8, also of JSON.
    Text,
    /// JSON after a byte of version.
    Jsonb,
    Bytes,
    Date,
    Timestamp,
    Timestamptz,
    Time,
    Timetz,
    Interval,
    Uuid,
    /// `inet` and `cidr`.
    Inet,
    /// `macaddr` and `macaddr8`.
    Macaddr,
    Bits,
    /// Of items that are read so.
    Array(Box<Self>),
}

/// The bytes are no value of the type: the two sides do not speak of the same column.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Decoder {
    /// Puts a value that is not NULL into its place.
    pub(crate) fn decode(&self, value: &[u8], cell: Cell<'_>) -> Result<(), Malformed> {
        match self {
            Self::Int4 => cell.int64(i32::from_be_bytes(exactly(value)?).into()),
            Self::Int8 => cell.int64(i64::from_be_bytes(exactly(value)?)),
            Self::Text => cell.text_bytes(value),
            Self::Numeric => numeric::decode(value, cell)?,
            Self::Float8 => cell.float64(f64::from_be_bytes(exactly(value)?)),
            Self::Timestamptz => {
                let micros = i64::from_be_bytes(exactly(value)?);
                cell.timestamp(in_unix_micros(micros), || timestamp_text(micros, "+00"));
            }
            Self::Timestamp => {
                let micros = i64::from_be_bytes(exactly(value)?);
                cell.datetime(in_unix_micros(micros), || timestamp_text(micros, ""));
            }
            Self::Date => {
                let days = i32::from_be_bytes(exactly(value)?);
                cell.date(in_unix_days(days), || date_text(days));
            }
            Self::Bool => cell.bool(exactly::<1>(value)? != [0]),
            Self::Int2 => cell.int64(i16::from_be_bytes(exactly(value)?).into()),
            Self::Oid => cell.int64(u32::from_be_bytes(exactly(value)?).into()),
            Self::Float4 => cell.float64(f32::from_be_bytes(exactly(value)?).into()),
            Self::Money { scale } => cell.decimal(i64::from_be_bytes(exactly(value)?).into(), *scale),
            Self::Jsonb => match value.split_first() {
                Some((1, document)) => cell.text_bytes(document),
                _ => return Err(Malformed),
            },
            Self::Bytes => cell.binary(value),
            Self::Time => {
                let micros = i64::from_be_bytes(exactly(value)?);
                cell.time(micros, || time_text(micros));
            }
            Self::Timetz => {
                let (micros, zone) = value.split_first_chunk().ok_or(Malformed)?;
                let (micros, zone) = (i64::from_be_bytes(*micros), i32::from_be_bytes(exactly(zone)?));
                cell.text(&format!("{}{}", time_text(micros), time_zone_text(zone)));
            }
            Self::Interval => match interval(value)? {
                Ok(text) => cell.text(&text),
                Err(endless) => cell.fault(CellFaultKind::DateRange, endless),
            },
            Self::Uuid => cell.text_bytes(&uuid(exactly(value)?)),
            Self::Inet => cell.text(&network(value)?),
            Self::Macaddr => cell.text(&mac_address(value)),
            Self::Bits => cell.text(&bits(value)?),
            Self::Array(items) => decode_array(items, value, cell)?,
        }
        Ok(())
    }
}

/// The bytes, if they are as many as the type has.
fn exactly<const N: usize>(value: &[u8]) -> Result<[u8; N], Malformed> {
    value.try_into().map_err(|_| Malformed)
}

/// Takes a big-endian integer of 32 bits off the front.
fn take_i32(bytes: &mut &[u8]) -> Result<i32, Malformed> {
    let (number, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
    *bytes = rest;
    Ok(i32::from_be_bytes(*number))
}

/// Dimensions, whether there is a NULL, the items' type; each dimension's length and first index; each item's length (-1 for
/// NULL) and bytes.
fn decode_array(items: &Decoder, value: &[u8], cell: Cell<'_>) -> Result<(), Malformed> {
    let mut rest = value;
    let dimensions = take_i32(&mut rest)?;
    let (_has_null, _item_type) = (take_i32(&mut rest)?, take_i32(&mut rest)?);
    let mut length = 0;
    for dimension in 0..dimensions {
        let (here, _first) = (take_i32(&mut rest)?, take_i32(&mut rest)?);
        if dimension == 0 {
            length = usize::try_from(here).map_err(|_| Malformed)?;
        }
    }
    if dimensions > 1 {
        cell.fault(CellFaultKind::Array, &format!("an array of {dimensions} dimensions"));
        return Ok(());
    }
    // An item has at least its length, so that no length makes this loop longer than the message.
    if length > rest.len() / 4 {
        return Err(Malformed);
    }
    let mut outcome = Ok(());
    let item = |_, place: Cell<'_>| match take_item(&mut rest) {
        Ok(Some(item)) => {
            outcome = std::mem::replace(&mut outcome, Ok(())).and_then(|()| items.decode(item, place));
            true
        }
        Ok(None) => {
            place.null();
            false
        }
        Err(malformed) => {
            place.null();
            outcome = Err(malformed);
            true
        }
    };
    cell.array(length, item, || format!("an array of {length} items, some of them NULL"));
    outcome
}

fn take_item<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    match usize::try_from(take_i32(rest)?) {
        Err(_) => Ok(None),
        Ok(length) => {
            let (item, left) = rest.split_at_checked(length).ok_or(Malformed)?;
            *rest = left;
            Ok(Some(item))
        }
    }
}

#[cfg(test)]
mod tests {
    use millstream_events::contract::ColumnType;
    use millstream_ports::{BatchSize, SourceColumn};
    use millstream_source_columns::Columns;
    use proptest::prelude::*;

    use super::*;

    fn decoders() -> Vec<(Decoder, ColumnType)> {
        use ColumnType as Kind;
        let decimal = Kind::BigNumeric { precision: 76, scale: 38 };
        let mut all = vec![
            (Decoder::Bool, Kind::Bool),
            (Decoder::Int2, Kind::Int64),
            (Decoder::Int4, Kind::Int64),
            (Decoder::Int8, Kind::Int64),
            (Decoder::Oid, Kind::Int64),
            (Decoder::Float4, Kind::Float64),
            (Decoder::Float8, Kind::Float64),
            (Decoder::Numeric, decimal),
            (Decoder::Money { scale: 2 }, Kind::Numeric { precision: 19, scale: 2 }),
            (Decoder::Text, Kind::String),
            (Decoder::Jsonb, Kind::Json),
            (Decoder::Bytes, Kind::Bytes),
            (Decoder::Date, Kind::Date),
            (Decoder::Timestamp, Kind::Datetime),
            (Decoder::Timestamptz, Kind::Timestamp),
            (Decoder::Time, Kind::Time),
        ];
        let texts = [Decoder::Timetz, Decoder::Interval, Decoder::Uuid, Decoder::Inet, Decoder::Macaddr, Decoder::Bits];
        all.extend(texts.map(|decoder| (decoder, Kind::String)));
        let array = |(item, kind): &(Decoder, Kind)| {
            (Decoder::Array(Box::new(item.clone())), Kind::Array(Box::new(kind.clone())))
        };
        all.extend(all.iter().map(array).collect::<Vec<_>>());
        all
    }

    fn decode(decoder: &Decoder, kind: &ColumnType, value: &[u8]) {
        let column = SourceColumn {
            name: "v".to_owned(),
            source_type: String::new(),
            kind: Ok(kind.clone()),
            required: false,
            description: None,
        };
        let mut columns = Columns::new(&[column], BatchSize::default()).unwrap();
        if decoder.decode(value, columns.cell(0)).is_ok() {
            columns.end_row();
            assert_eq!(columns.take().unwrap().unwrap().batch.num_rows(), 1);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_more_than_malformed(value in prop::collection::vec(any::<u8>(), 0..40), length in 0_usize..=16) {
            for (decoder, kind) in decoders() {
                decode(&decoder, &kind, &value);
                decode(&decoder, &kind, &value[..length.min(value.len())]);
            }
        }

        #[test]
        fn arrays_are_no_longer_than_what_was_sent(count in any::<i32>(), items in prop::collection::vec(any::<i32>(), 0..9)) {
            let words = [1, 0, 23, count, 1].into_iter().chain(items);
            let value: Vec<u8> = words.flat_map(i32::to_be_bytes).collect();
            for (decoder, kind) in decoders() {
                decode(&decoder, &kind, &value);
            }
        }
    }
}
