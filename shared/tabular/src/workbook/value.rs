//! What a cell holds.

use std::fmt::Write;

use calamine::{ExcelDateTime, ExcelDateTimeType};
use millstream_events::contract::ColumnType;

use super::digits::write_fifteen_digits;

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;

/// Serial numbers of 10000-01-01 and after are no dates: in the 1900 system, and 1,462 less in the 1904 one.
const LAST_SERIAL: f64 = 2_958_466.0;

/// A cell's value. A formula's is the one that was last computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Empty,
    /// A number.
    Number(f64),
    /// A truth value.
    Bool(bool),
    /// A text, also a number that was entered as one.
    Text(&'a str),
    /// A number that is formatted as a date, a time of day, or both.
    Moment(Moment),
    /// A date, or a date and time, as ISO 8601 writes it.
    Iso(&'a str),
    /// A span of time, in milliseconds.
    Span(i64),
    /// An error, by its name: `#N/A`, `#DIV/0!`.
    Error(&'static str),
}

impl Value<'_> {
    /// Whether there is nothing in the cell that a person sees.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// The value as a text that a column of this type reads: dates as ISO 8601, numbers as a spreadsheet shows them (in full
    /// for FLOAT64), spans as hours, minutes and seconds. A value of another type is written so that the column refuses it.
    pub fn write(&self, kind: &ColumnType, out: &mut String) {
        // Writing to a string does not fail.
        let _ = match self {
            Self::Empty => Ok(()),
            Self::Number(number) if *kind == ColumnType::Float64 => write!(out, "{number:e}"),
            Self::Number(number) => {
                write_fifteen_digits(*number, out);
                Ok(())
            }
            Self::Bool(value) => write!(out, "{value}"),
            Self::Text(text) => write!(out, "{text}"),
            Self::Iso(text) if *kind == ColumnType::Date => {
                let date = text.strip_suffix("T00:00:00").unwrap_or(text);
                write!(out, "{date}")
            }
            Self::Iso(text) => write!(out, "{text}"),
            Self::Moment(moment) => moment.write(kind, out),
            Self::Span(millis) => write_clock(*millis, out),
            Self::Error(error) => write!(out, "{error}"),
        };
    }

    /// As [`write`](Self::write), as a text of its own.
    #[must_use]
    pub fn to_text(&self, kind: &ColumnType) -> String {
        let mut text = String::new();
        self.write(kind, &mut text);
        text
    }
}

/// A serial number that stands for a date or a time of day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    pub(crate) serial: f64,
    /// Whether days are counted from 1904-01-01 (older workbooks of the Macintosh), not from 1900.
    pub(crate) is_1904: bool,
}

/// A moment's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year, month and day; absent for a time of day alone. 1900-02-29, which spreadsheets have and calendars have not, is
    /// given as it is.
    pub date: Option<(u16, u8, u8)>,
    /// Milliseconds since midnight. Spreadsheets know no finer times.
    pub millis: i64,
}

impl Moment {
    /// Its parts; `None` for a number that is no date: below zero, or of the year 10000 and after. `as_time` is whether a
    /// number below 1 of the 1904 system, which may be both, is a time of day.
    #[must_use]
    pub fn civil(self, as_time: bool) -> Option<Civil> {
        let last = if self.is_1904 { LAST_SERIAL - 1_462.0 } else { LAST_SERIAL };
        if !(0.0..last).contains(&self.serial) {
            return None;
        }
        // Rounded before it is split, so that 23:59:59.9999 is the next day's midnight.
        let millis = span_of(self.serial);
        let (days, millis) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
        // Day 0 of the 1900 system is no date: a time of day alone. That of the 1904 system is its first of January.
        if days == 0 && (as_time || !self.is_1904) {
            return Some(Civil { date: None, millis });
        }
        let day = ExcelDateTime::new(days as f64, ExcelDateTimeType::DateTime, self.is_1904);
        let (year, month, day, ..) = day.to_ymd_hms_milli();
        Some(Civil { date: Some((year, month, day)), millis })
    }

    fn write(self, kind: &ColumnType, out: &mut String) -> std::fmt::Result {
        let Some(Civil { date, millis }) = self.civil(matches!(kind, ColumnType::Time | ColumnType::String)) else {
            write_fifteen_digits(self.serial, out);
            return Ok(());
        };
        let Some((year, month, day)) = date else { return write_clock(millis, out) };
        write!(out, "{year:04}-{month:02}-{day:02}")?;
        if millis != 0 {
            out.push(' ');
            write_clock(millis, out)?;
        }
        Ok(())
    }
}

/// A number of days in milliseconds.
pub(crate) fn span_of(days: f64) -> i64 {
    (days * DAY as f64).round() as i64
}

fn write_clock(millis: i64, out: &mut String) -> std::fmt::Result {
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.unsigned_abs();
    let (seconds, fraction) = (millis / 1_000, millis % 1_000);
    write!(out, "{sign}{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)?;
    if fraction != 0 {
        write!(out, ".{fraction:03}")?;
    }
    Ok(())
}
