//! Positions of a cursor: values that Cassandra compares as they are compared here.

use std::cmp::Ordering;

use millstream_events::extract::Lookback;
use millstream_ports::{PortError, PortResult};
use scylla::{
    cluster::metadata::{ColumnType as CqlType, NativeType},
    deserialize::{DeserializationError, FrameSlice, value::DeserializeValue},
    value::{CqlDate, CqlTimestamp, CqlTimeuuid, CqlValue},
};

use crate::values::EPOCH_DAY;

/// A kind of column that can be a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CursorKind {
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    /// Milliseconds since 1970.
    Timestamp,
    /// Days since 1970.
    Date,
    Timeuuid,
}

/// A value of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// An integer, milliseconds or days.
    Number(i64),
    /// An identifier that begins with its time.
    Timeuuid(CqlTimeuuid),
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => Some(one.cmp(other)),
            (Self::Timeuuid(one), Self::Timeuuid(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }
}

impl CursorKind {
    /// The kind of a column; `None` for what cannot be a cursor.
    pub(crate) fn of(cql: &CqlType<'_>) -> Option<Self> {
        let CqlType::Native(native) = cql else { return None };
        Some(match native {
            NativeType::TinyInt => Self::TinyInt,
            NativeType::SmallInt => Self::SmallInt,
            NativeType::Int => Self::Int,
            NativeType::BigInt => Self::BigInt,
            NativeType::Timestamp => Self::Timestamp,
            NativeType::Date => Self::Date,
            NativeType::Timeuuid => Self::Timeuuid,
            _ => return None,
        })
    }

    /// Reads a position as [`text`](Self::text) writes it.
    pub(crate) fn read(self, text: &str) -> PortResult<Position> {
        let position = match self {
            Self::Timeuuid => text.parse().ok().map(Position::Timeuuid),
            _ => text.parse().ok().filter(|number| self.holds(*number)).map(Position::Number),
        };
        position.ok_or_else(|| {
            PortError::invalid(format!("{text} is no position of this cursor: read everything again to get a new one"))
        })
    }

    /// A position as it is kept: an integer, milliseconds or days since 1970, or an identifier.
    pub(crate) fn text(self, position: Position) -> String {
        match position {
            Position::Number(number) => number.to_string(),
            Position::Timeuuid(id) => id.to_string(),
        }
    }

    /// Of a value in a frame; `None` for none.
    pub(crate) fn decode<'metadata>(
        self,
        cql: &'metadata CqlType<'metadata>,
        value: Option<FrameSlice<'_>>,
    ) -> Result<Option<Position>, DeserializationError> {
        if value.is_none_or(|value| value.is_empty()) {
            return Ok(None);
        }
        Ok(Some(match self {
            Self::TinyInt => Position::Number(i64::from(i8::deserialize(cql, value)?)),
            Self::SmallInt => Position::Number(i64::from(i16::deserialize(cql, value)?)),
            Self::Int => Position::Number(i64::from(i32::deserialize(cql, value)?)),
            Self::BigInt => Position::Number(i64::deserialize(cql, value)?),
            Self::Timestamp => Position::Number(CqlTimestamp::deserialize(cql, value)?.0),
            Self::Date => Position::Number(i64::from(CqlDate::deserialize(cql, value)?.0) - EPOCH_DAY),
            Self::Timeuuid => Position::Timeuuid(CqlTimeuuid::deserialize(cql, value)?),
        }))
    }

    /// As a parameter of a statement.
    pub(crate) fn parameter(self, position: Position) -> CqlValue {
        match (self, position) {
            (_, Position::Timeuuid(id)) => CqlValue::Timeuuid(id),
            (Self::TinyInt, Position::Number(number)) => CqlValue::TinyInt(number as i8),
            (Self::SmallInt, Position::Number(number)) => CqlValue::SmallInt(number as i16),
            (Self::Int, Position::Number(number)) => CqlValue::Int(number as i32),
            (Self::Timestamp, Position::Number(number)) => CqlValue::Timestamp(CqlTimestamp(number)),
            (Self::Date, Position::Number(number)) => CqlValue::Date(CqlDate((number + EPOCH_DAY) as u32)),
            (_, Position::Number(number)) => CqlValue::BigInt(number),
        }
    }

    /// The position that is so far before this one.
    pub(crate) fn earlier(self, position: Position, lookback: Option<Lookback>) -> PortResult<Position> {
        let Some(lookback) = lookback else { return Ok(position) };
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let less = |number: i64, count: i64| Position::Number(number.saturating_sub(count).max(self.least()));
        match (self, position, lookback) {
            (Self::Timestamp, Position::Number(millis), Lookback::Seconds(seconds)) => {
                Ok(less(millis, signed(seconds).saturating_mul(1_000)))
            }
            (Self::Date, Position::Number(days), Lookback::Seconds(seconds)) => {
                Ok(less(days, signed(seconds.div_ceil(86_400))))
            }
            (Self::Timeuuid, Position::Timeuuid(id), Lookback::Seconds(seconds)) => {
                Ok(Position::Timeuuid(earliest(ticks_of(id).saturating_sub(seconds.saturating_mul(10_000_000)))))
            }
            (
                Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt,
                Position::Number(number),
                Lookback::Count(count),
            ) => Ok(less(number, signed(count))),
            (_, _, Lookback::Seconds(_)) => {
                Err(PortError::invalid("a lookback of seconds is for timestamps, dates and timeuuids: write a count"))
            }
            (_, _, Lookback::Count(_)) => {
                Err(PortError::invalid("a lookback of a count is for integers: write a time, such as 5m"))
            }
        }
    }

    /// The least number that the column's type has.
    fn least(self) -> i64 {
        match self {
            Self::TinyInt => i64::from(i8::MIN),
            Self::SmallInt => i64::from(i16::MIN),
            Self::Int => i64::from(i32::MIN),
            Self::Date => -EPOCH_DAY,
            _ => i64::MIN,
        }
    }

    fn holds(self, number: i64) -> bool {
        let most = match self {
            Self::TinyInt => i64::from(i8::MAX),
            Self::SmallInt => i64::from(i16::MAX),
            Self::Int => i64::from(i32::MAX),
            Self::Date => EPOCH_DAY - 1,
            _ => i64::MAX,
        };
        (self.least()..=most).contains(&number)
    }
}

/// The hundreds of nanoseconds since 1582 that an identifier of version 1 begins with, its parts put into order.
fn ticks_of(id: CqlTimeuuid) -> u64 {
    let (high, _) = id.as_u64_pair();
    (high >> 32) | ((high >> 16) & 0xffff) << 32 | (high & 0x0fff) << 48
}

/// The first identifier of a time, as Cassandra orders them.
fn earliest(ticks: u64) -> CqlTimeuuid {
    let high = (ticks & 0xffff_ffff) << 32 | (ticks >> 32 & 0xffff) << 16 | 0x1000 | (ticks >> 48 & 0x0fff);
    // The other bytes are compared as signed ones: -128 each is the least.
    CqlTimeuuid::from_u64_pair(high, 0x8080_8080_8080_8080)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [CursorKind; 6] = [
        CursorKind::TinyInt,
        CursorKind::SmallInt,
        CursorKind::Int,
        CursorKind::BigInt,
        CursorKind::Timestamp,
        CursorKind::Date,
    ];

    #[test]
    fn a_position_is_of_its_column() {
        for kind in KINDS {
            for number in [kind.least(), -1, 0, 1] {
                let position = kind.read(&number.to_string()).unwrap();
                assert_eq!(kind.text(position), number.to_string());
            }
        }
        assert!(CursorKind::TinyInt.read("128").is_err());
        assert!(CursorKind::Int.read("2147483648").is_err());
        assert!(CursorKind::Timestamp.read("yesterday").is_err());
        assert!(CursorKind::Timeuuid.read("1").is_err());
    }

    #[test]
    fn a_lookback_stays_in_the_type() {
        let back = |kind: CursorKind, number, lookback| kind.earlier(Position::Number(number), Some(lookback));
        let number = |number| Position::Number(number);
        assert_eq!(back(CursorKind::TinyInt, -100, Lookback::Count(90)).unwrap(), number(-128));
        assert_eq!(back(CursorKind::BigInt, 5, Lookback::Count(u64::MAX)).unwrap(), number(5 - i64::MAX));
        assert_eq!(back(CursorKind::Timestamp, 10_000, Lookback::Seconds(3)).unwrap(), number(7_000));
        assert_eq!(back(CursorKind::Date, 10, Lookback::Seconds(86_401)).unwrap(), number(8));
        assert!(back(CursorKind::Int, 1, Lookback::Seconds(1)).is_err());
        assert!(back(CursorKind::Timestamp, 1, Lookback::Count(1)).is_err());
    }

    proptest! {
        #[test]
        fn a_timeuuid_goes_back_by_its_time(ticks in 0_u64..1 << 60, seconds in 0_u64..1_000_000_000, low: u64) {
            let id = CqlTimeuuid::from_u64_pair(earliest(ticks).as_u64_pair().0, low);
            prop_assert_eq!(ticks_of(id), ticks);
            let earlier = CursorKind::Timeuuid.earlier(Position::Timeuuid(id), Some(Lookback::Seconds(seconds))).unwrap();
            let Position::Timeuuid(earlier) = earlier else { unreachable!() };
            prop_assert_eq!(ticks_of(earlier), ticks.saturating_sub(seconds * 10_000_000));
            prop_assert!(earlier <= id);
        }
    }
}
