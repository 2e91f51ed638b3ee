//! A driver's values into a batch.

use chrono::{NaiveDate, NaiveDateTime};
use millstream_ports::CellFaultKind;
use millstream_source_columns::{Cell, Civil, micros_of};
use odbc_api::sys::{Date, Timestamp};

/// A text in UTF-16.
pub(crate) fn put_text(cell: Cell<'_>, units: &[u16], scratch: &mut String) {
    scratch.clear();
    let whole =
        char::decode_utf16(units.iter().copied()).try_for_each(|letter| letter.map(|letter| scratch.push(letter)));
    match whole {
        Ok(()) => cell.text(scratch),
        Err(_) => cell.fault(CellFaultKind::Text, &String::from_utf16_lossy(units)),
    }
}

/// A value that is longer than the driver said its column's are, of which only the beginning is there.
pub(crate) fn put_cut(cell: Cell<'_>, beginning: &str) {
    cell.fault(CellFaultKind::Text, beginning);
}

/// A decimal as text.
pub(crate) fn put_decimal(cell: Cell<'_>, text: &[u8]) {
    cell.decimal_text(String::from_utf8_lossy(text).trim());
}

/// A truth value as text: drivers write it in several ways.
pub(crate) fn put_truth(cell: Cell<'_>, text: &[u8]) {
    match text.trim_ascii() {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" => cell.bool(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" => cell.bool(false),
        other => cell.fault(CellFaultKind::Type, &String::from_utf8_lossy(other)),
    }
}

/// A date.
pub(crate) fn put_date(cell: Cell<'_>, date: Date) {
    let civil = Civil { year: date.year.into(), month: date.month.into(), day: date.day.into(), micros: 0 };
    cell.date(civil.days(), || format!("{:04}-{:02}-{:02}", date.year, date.month, date.day));
}

/// A date and time of up to nine digits.
pub(crate) fn put_timestamp(cell: Cell<'_>, at: Timestamp) {
    let shown = || {
        let Timestamp { year, month, day, hour, minute, second, fraction } = at;
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:09}")
    };
    if !at.fraction.is_multiple_of(1_000) {
        return cell.fault(CellFaultKind::SubMicrosecond, &shown());
    }
    let seconds = (i64::from(at.hour) * 60 + i64::from(at.minute)) * 60 + i64::from(at.second);
    let micros = seconds * 1_000_000 + i64::from(at.fraction / 1_000);
    let civil = Civil { year: at.year.into(), month: at.month.into(), day: at.day.into(), micros };
    cell.datetime(civil.since_epoch(), shown);
}

/// A date and time as text, of any number of digits.
pub(crate) fn put_fine_timestamp(cell: Cell<'_>, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let Some((at, fraction)) = civil_of(&text) else { return cell.fault(CellFaultKind::DateRange, &text) };
    match micros_of_fraction(fraction) {
        Some(micros) => cell.datetime(Some(micros_of(at) + micros), || text.clone().into_owned()),
        None => cell.fault(CellFaultKind::SubMicrosecond, &text),
    }
}

/// A time of day as text: `23:59:59.999999`, or DB2's `23.59.59`.
pub(crate) fn put_time(cell: Cell<'_>, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let parts: Vec<&str> = text.trim().split([':', '.']).collect();
    let number = |at: usize| parts.get(at).and_then(|part| part.parse::<i64>().ok());
    let (Some(hour), Some(minute), Some(second)) = (number(0), number(1), number(2)) else {
        return cell.fault(CellFaultKind::Type, &text);
    };
    match micros_of_fraction(parts.get(3).copied().unwrap_or_default()) {
        Some(micros) => {
            cell.time(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros, || text.clone().into_owned())
        }
        None => cell.fault(CellFaultKind::SubMicrosecond, &text),
    }
}

/// Microseconds of the digits after a point; `None` where they are finer, or none.
fn micros_of_fraction(digits: &str) -> Option<i64> {
    let digits = digits.trim_end_matches('0');
    if digits.len() > 6 {
        return None;
    }
    format!("{digits:0<6}").parse().ok()
}

/// Reads `2024-02-29 23:59:59.123456789012` and DB2's `2024-02-29-23.59.59.123`: the time to its second, and the digits after.
pub(crate) fn civil_of(text: &str) -> Option<(NaiveDateTime, &str)> {
    let parts: Vec<&str> = text.trim().split(['-', ' ', 'T', ':', '.']).collect();
    let number = |at: usize| parts.get(at).and_then(|part| part.parse::<u32>().ok());
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(0)?).ok()?, number(1)?, number(2)?)?;
    let fraction = parts.get(6).copied().unwrap_or_default();
    if parts.len() > 7 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // The end of a day may be written as its 24th hour.
    let (hour, minute, second) = (number(3)?, number(4)?, number(5)?);
    let at = match (hour, minute, second) {
        (24, 0, 0) => date.succ_opt()?.and_hms_opt(0, 0, 0)?,
        _ => date.and_hms_opt(hour, minute, second)?,
    };
    Some((at, fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_spellings() {
        let at = |text| civil_of(text).map(|(at, fraction)| (at.to_string(), fraction));
        assert_eq!(at("2024-02-29 23:59:59.123456789012"), Some(("2024-02-29 23:59:59".into(), "123456789012")));
        assert_eq!(at("2024-02-29-23.59.59.5"), Some(("2024-02-29 23:59:59".into(), "5")));
        assert_eq!(at("2024-02-29-24.00.00.000000"), Some(("2024-03-01 00:00:00".into(), "000000")));
        for wrong in ["", "2024-02-30 00:00:00", "2024-02-29 25:00:00", "2024-02-29 00:00:00.x", "infinity"] {
            assert_eq!(at(wrong), None, "{wrong:?}");
        }
        assert_eq!(micros_of_fraction("5"), Some(500_000));
        assert_eq!(micros_of_fraction("123456000000"), Some(123_456));
        assert_eq!(micros_of_fraction("1234567"), None);
        assert_eq!(micros_of_fraction(""), Some(0));
    }
}
