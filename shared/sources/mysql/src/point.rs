//! Values of a cursor or of the column that is split by: as positions are kept, and as they stand in SQL.

use std::fmt;

use chrono::{NaiveDate, NaiveDateTime};
use millstream_events::extract::Lookback;
use millstream_ports::{PortError, PortResult};
use millstream_source_columns::{Civil, days_of, micros_of};
use mysql_async::Value;

use crate::kind::Scale;

const DAY: i64 = 86_400_000_000;

/// 0001-01-01, in days since 1970-01-01.
const FIRST_DAY: i64 = -719_162;

/// 1970-01-01 00:00:01, the first TIMESTAMP, in microseconds.
const FIRST_TIMESTAMP: i64 = 1_000_000;

/// A value that rows are compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Point {
    /// A whole number within 64 bits, with a sign or without.
    Integer(i128),
    /// An exact decimal, as it is written.
    Decimal(String),
    /// A double.
    Float(f64),
    /// Days since 1970-01-01.
    Date(i64),
    /// Microseconds since 1970-01-01 00:00:00 of a DATETIME or, in UTC, of a TIMESTAMP.
    Moment(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// As it is kept in positions and ranges.
impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Decimal(text) | Self::Text(text) => f.write_str(text),
            Self::Float(number) => write!(f, "{number:e}"),
            Self::Date(days) => match moment(days * DAY) {
                Some(at) => write!(f, "{}", at.format("%Y-%m-%d")),
                None => Err(fmt::Error),
            },
            Self::Moment(micros) => match moment(*micros) {
                Some(at) => write!(f, "{}", at.format("%Y-%m-%d %H:%M:%S%.6f")),
                None => Err(fmt::Error),
            },
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

fn moment(micros: i64) -> Option<NaiveDateTime> {
    chrono::DateTime::from_timestamp_micros(micros).map(|at| at.naive_utc())
}

impl Point {
    /// Reads what [`Display`](fmt::Display) has written.
    ///
    /// # Errors
    /// `Invalid` for what is no value of this scale.
    pub(crate) fn parse(scale: Scale, text: &str) -> PortResult<Self> {
        let read = match scale {
            Scale::Integer => text.parse().ok().filter(is_in_range).map(Self::Integer),
            Scale::Decimal => is_decimal(text).then(|| Self::Decimal(text.to_owned())),
            Scale::Float => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::Float),
            Scale::Date => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|date| Self::Date(days_of(date))),
            Scale::Datetime | Scale::Timestamp => {
                let at = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok();
                at.map(|at| Self::Moment(micros_of(at)))
            }
            Scale::Text => Some(Self::Text(text.to_owned())),
            Scale::Bytes => bytes(text).map(Self::Bytes),
        };
        read.ok_or_else(|| {
            PortError::invalid(format!("{text:?} is no value of the column any more: extract everything again"))
        })
    }

    /// A value that the server gave; `None` for NULL, and for one that is no value of this scale, such as 0000-00-00.
    pub(crate) fn of(scale: Scale, value: &Value) -> Option<Self> {
        Some(match (scale, value) {
            (Scale::Integer, Value::Int(number)) => Self::Integer(i128::from(*number)),
            (Scale::Integer, Value::UInt(number)) => Self::Integer(i128::from(*number)),
            (Scale::Decimal, Value::Bytes(text)) => {
                Self::Decimal(std::str::from_utf8(text).ok().filter(|text| is_decimal(text))?.to_owned())
            }
            (Scale::Float, Value::Double(number)) => Self::Float(*number),
            (Scale::Float, Value::Float(number)) => Self::Float(f64::from(*number)),
            (Scale::Date, Value::Date(year, month, day, ..)) => Self::Date(civil(*year, *month, *day, 0).days()?),
            (Scale::Datetime | Scale::Timestamp, Value::Date(year, month, day, hour, minute, second, micros)) => {
                let seconds = i64::from(*hour) * 3_600 + i64::from(*minute) * 60 + i64::from(*second);
                let micros = seconds * 1_000_000 + i64::from(*micros);
                Self::Moment(civil(*year, *month, *day, micros).since_epoch()?)
            }
            (Scale::Text, Value::Bytes(text)) => Self::Text(std::str::from_utf8(text).ok()?.to_owned()),
            (Scale::Bytes, Value::Bytes(bytes)) => Self::Bytes(bytes.clone()),
            _ => return None,
        })
    }

    /// This value, so far back.
    ///
    /// # Errors
    /// `Invalid` for seconds before a number, and a count before a time.
    pub(crate) fn back(self, lookback: Lookback, scale: Scale) -> PortResult<Self> {
        Ok(match (self, lookback) {
            (Self::Integer(number), Lookback::Count(count)) => {
                Self::Integer((number - i128::from(count)).max(i128::from(i64::MIN)))
            }
            (Self::Float(number), Lookback::Count(count)) => Self::Float(number - count as f64),
            (Self::Date(days), Lookback::Seconds(seconds)) => {
                let back = i64::try_from(seconds.div_ceil(86_400)).unwrap_or(i64::MAX);
                Self::Date(days.saturating_sub(back).max(FIRST_DAY))
            }
            (Self::Moment(micros), Lookback::Seconds(seconds)) => {
                let back = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
                let first = if scale == Scale::Timestamp { FIRST_TIMESTAMP } else { FIRST_DAY * DAY };
                Self::Moment(micros.saturating_sub(back).max(first))
            }
            (Self::Integer(_) | Self::Float(_), Lookback::Seconds(_)) => {
                return Err(PortError::invalid(
                    "the cursor is a number: write its lookback as a number, without a unit",
                ));
            }
            (Self::Date(_) | Self::Moment(_), Lookback::Count(_)) => {
                return Err(PortError::invalid("the cursor is a time: write its lookback as a time, such as 10m"));
            }
            (Self::Decimal(_) | Self::Text(_) | Self::Bytes(_), _) => {
                return Err(PortError::invalid("a lookback is of a cursor that is a time, a whole number or a double"));
            }
        })
    }

    /// How it stands in SQL: a literal, or a place for the value that is pushed to `values`.
    pub(crate) fn sql(&self, values: &mut Vec<Value>) -> String {
        match self {
            // Of digits only, so that there is nothing to quote. A decimal literal is exact, a place for a text is not.
            Self::Integer(_) | Self::Decimal(_) | Self::Float(_) => self.to_string(),
            Self::Date(_) | Self::Moment(_) => format!("'{self}'"),
            Self::Text(text) => {
                values.push(Value::from(text.as_str()));
                "?".into()
            }
            Self::Bytes(_) => format!("x'{self}'"),
        }
    }

    /// Its place on a line of whole numbers, where the scale has one that is evenly spaced.
    pub(crate) fn tick(&self) -> Option<i128> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Date(days) => Some(i128::from(*days)),
            Self::Moment(micros) => Some(i128::from(*micros)),
            Self::Decimal(_) | Self::Float(_) | Self::Text(_) | Self::Bytes(_) => None,
        }
    }

    /// The value at a place on that line.
    pub(crate) fn at(scale: Scale, tick: i128) -> Option<Self> {
        Some(match scale {
            Scale::Integer => Self::Integer(tick),
            Scale::Date => Self::Date(i64::try_from(tick).ok()?),
            Scale::Datetime | Scale::Timestamp => Self::Moment(i64::try_from(tick).ok()?),
            Scale::Decimal | Scale::Float | Scale::Text | Scale::Bytes => return None,
        })
    }
}

fn civil(year: u16, month: u8, day: u8, micros: i64) -> Civil {
    Civil { year: i32::from(year), month: u32::from(month), day: u32::from(day), micros }
}

fn is_in_range(number: &i128) -> bool {
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(number)
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && all_digits(fraction)
}

/// Bytes of hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn points_are_written_as_they_are_kept_and_as_sql() {
        let mut values = Vec::new();
        for (scale, text, sql) in [
            (Scale::Integer, "-5", "-5"),
            (Scale::Integer, "18446744073709551615", "18446744073709551615"),
            (Scale::Decimal, "-12.50", "-12.50"),
            (Scale::Float, "1.5e-7", "1.5e-7"),
            (Scale::Date, "2024-02-29", "'2024-02-29'"),
            (Scale::Datetime, "0001-01-01 00:00:00.000001", "'0001-01-01 00:00:00.000001'"),
            (Scale::Timestamp, "2024-02-29 23:59:59.999999", "'2024-02-29 23:59:59.999999'"),
            (Scale::Text, "it's", "?"),
            (Scale::Bytes, "00ff", "x'00ff'"),
        ] {
            let point = Point::parse(scale, text).unwrap();
            assert_eq!(point.to_string(), text);
            assert_eq!(point.sql(&mut values), sql);
        }
        assert_eq!(values, [Value::from("it's")]);
    }

    #[test]
    fn what_is_no_value_of_the_column_is_refused() {
        for (scale, text) in [
            (Scale::Integer, "1 OR 1"),
            (Scale::Integer, "18446744073709551616"),
            (Scale::Decimal, "1e3"),
            (Scale::Decimal, "1.2.3"),
            (Scale::Decimal, ""),
            (Scale::Float, "inf"),
            (Scale::Date, "2024-02-30"),
            (Scale::Datetime, "2024-02-28' OR ''='"),
            (Scale::Bytes, "0"),
            (Scale::Bytes, "0g"),
        ] {
            assert!(Point::parse(scale, text).is_err(), "{scale:?} {text}");
        }
        assert_eq!(Point::of(Scale::Date, &Value::Date(0, 0, 0, 0, 0, 0, 0)), None);
        assert_eq!(Point::of(Scale::Integer, &Value::NULL), None);
    }

    #[test]
    fn a_lookback_stops_where_the_scale_begins() {
        let back = |scale, text, lookback| Point::parse(scale, text).unwrap().back(lookback, scale);
        assert_eq!(back(Scale::Integer, "5", Lookback::Count(7)).unwrap().to_string(), "-2");
        assert_eq!(back(Scale::Date, "2024-03-01", Lookback::Seconds(1)).unwrap().to_string(), "2024-02-29");
        let early = back(Scale::Timestamp, "1970-01-01 00:00:05", Lookback::Seconds(60)).unwrap();
        assert_eq!(early.to_string(), "1970-01-01 00:00:01.000000");
        let early = back(Scale::Datetime, "2024-01-01 00:00:00", Lookback::Seconds(u64::MAX)).unwrap();
        assert_eq!(early.to_string(), "0001-01-01 00:00:00.000000");
        assert!(back(Scale::Integer, "5", Lookback::Seconds(7)).is_err());
        assert!(back(Scale::Date, "2024-03-01", Lookback::Count(7)).is_err());
        assert!(back(Scale::Text, "a", Lookback::Count(7)).is_err());
    }

    proptest! {
        #[test]
        fn every_double_is_kept_exactly(number in any::<f64>().prop_filter("finite", |number| number.is_finite())) {
            let point = Point::Float(number);
            prop_assert_eq!(Point::parse(Scale::Float, &point.to_string()).unwrap(), point);
        }

        #[test]
        fn every_moment_is_kept_exactly(micros in FIRST_DAY * DAY..253_402_300_800_000_000) {
            let point = Point::Moment(micros);
            prop_assert_eq!(Point::parse(Scale::Datetime, &point.to_string()).unwrap(), point);
        }

        #[test]
        fn all_bytes_are_kept(bytes in any::<Vec<u8>>()) {
            let point = Point::Bytes(bytes);
            prop_assert_eq!(Point::parse(Scale::Bytes, &point.to_string()).unwrap(), point);
        }
    }
}
