//! Values as PostgreSQL writes them in text, which is how the log tells them.
//!
//! The session that reads the log has `DateStyle` ISO, `TimeZone` UTC, `bytea_output` hex and `extra_float_digits` 1, so that
//! a value has one form.

use std::borrow::Cow;

use chrono::NaiveDate;
use millstream_events::contract::ColumnType;
use millstream_ports::CellFaultKind;
use millstream_source_columns::{Cell, days_of};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Puts a value that the source wrote as `text` into a cell of this type.
pub(crate) fn put(cell: Cell<'_>, kind: &ColumnType, text: &[u8]) {
    match std::str::from_utf8(text) {
        Ok(text) => put_text(cell, kind, text),
        Err(_) => cell.fault(CellFaultKind::Text, &String::from_utf8_lossy(text)),
    }
}

fn put_text(cell: Cell<'_>, kind: &ColumnType, text: &str) {
    let shown = || text.to_owned();
    match kind {
        ColumnType::String => cell.text(text),
        ColumnType::Json => cell.json(text),
        ColumnType::Int64 => match text.parse() {
            Ok(value) => cell.int64(value),
            Err(_) => cell.decimal_text(text),
        },
        ColumnType::Float64 => match text.parse() {
            Ok(value) => cell.float64(value),
            Err(_) => cell.fault(CellFaultKind::Type, text),
        },
        ColumnType::Numeric { .. } | ColumnType::BigNumeric { .. } => cell.decimal_text(&plain_number(text)),
        ColumnType::Bool => match text {
            "t" | "true" => cell.bool(true),
            "f" | "false" => cell.bool(false),
            _ => cell.fault(CellFaultKind::Type, text),
        },
        ColumnType::Date => cell.date(date(text), shown),
        ColumnType::Datetime => cell.datetime(moment(text), shown),
        ColumnType::Timestamp => cell.timestamp(moment(text), shown),
        ColumnType::Time => match time(text) {
            Some((micros, "")) => cell.time(micros, shown),
            _ => cell.fault(CellFaultKind::Type, text),
        },
        ColumnType::Bytes => match hex(text) {
            Some(bytes) => cell.binary(&bytes),
            None => cell.fault(CellFaultKind::Type, text),
        },
        ColumnType::Array(item) => match array(text) {
            Some(items) => cell.array(
                items.len(),
                |at, cell| match &items[at] {
                    Some(value) => {
                        put_text(cell, item, value);
                        true
                    }
                    None => {
                        cell.null();
                        false
                    }
                },
                shown,
            ),
            None => cell.fault(CellFaultKind::Array, text),
        },
        ColumnType::Struct(fields) => match composite(text) {
            Some(values) if values.len() == fields.len() => cell.structure(
                |at, _, cell| match &values[at] {
                    Some(value) => put_text(cell, &fields[at].1, value),
                    None => cell.null(),
                },
                shown,
            ),
            _ => cell.fault(CellFaultKind::Type, text),
        },
    }
}

/// `money` in the locale C: `-$1,234.56`. Any other number as it is.
fn plain_number(text: &str) -> Cow<'_, str> {
    if text.contains('$') { Cow::Owned(text.replace(['$', ','], "")) } else { Cow::Borrowed(text) }
}

/// The days since 1970-01-01; `None` for `infinity` and for a year that no calendar here has.
fn date(text: &str) -> Option<i64> {
    let (text, before_christ) = era(text);
    calendar(text, before_christ)
}

/// The microseconds since 1970-01-01T00:00:00, in UTC where the text has an offset.
fn moment(text: &str) -> Option<i64> {
    let (text, before_christ) = era(text);
    let (day, clock) = text.split_once(' ')?;
    let (micros, offset) = time(clock)?;
    let shift = if offset.is_empty() { 0 } else { seconds_of_offset(offset)? };
    calendar(day, before_christ)?.checked_mul(DAY)?.checked_add(micros - shift * SECOND)
}

fn era(text: &str) -> (&str, bool) {
    text.strip_suffix(" BC").map_or((text, false), |text| (text, true))
}

fn calendar(text: &str, before_christ: bool) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let year: i32 = parts.next()?.parse().ok()?;
    let month = parts.next()?.parse().ok()?;
    let day = parts.next()?.parse().ok()?;
    // 1 BC is the year 0.
    let year = if before_christ { 1 - year } else { year };
    NaiveDate::from_ymd_opt(year, month, day).map(days_of)
}

/// The microseconds of `12:34:56.789` and what comes after it.
fn time(text: &str) -> Option<(i64, &str)> {
    let end = text.find(['+', '-']).unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = whole.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    if fraction.len() > 6 {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
    Some((((hours * 60 + minutes) * 60 + seconds) * SECOND + micros, rest))
}

/// The seconds of `+02`, `-03:30` or `+00:19:32`.
fn seconds_of_offset(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let mut seconds = 0;
    let mut unit = 3_600;
    for part in text.get(1..)?.split(':') {
        seconds += part.parse::<i64>().ok()? * unit;
        unit /= 60;
    }
    Some(sign * seconds)
}

/// The bytes of `\x0aff`.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()).collect()
}

/// Items or fields; `None` for NULL.
type Items = Vec<Option<String>>;

/// The items of `{1,"two, three",NULL}`; `None` for several dimensions and for what is no array.
fn array(text: &str) -> Option<Items> {
    // Where the first index is not 1, the bounds come first: `[0:1]={1,2}`.
    let text = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let mut items = Vec::new();
    let mut rest = inner.chars();
    loop {
        let (item, quoted, end) = element(&mut rest, |c| c == '{')?;
        items.push((quoted || !item.eq_ignore_ascii_case("null")).then_some(item));
        if end {
            return Some(items);
        }
    }
}

/// The fields of `(1,"two ""three""",)`, where nothing at all is NULL.
fn composite(text: &str) -> Option<Items> {
    let mut rest = text.strip_prefix('(')?.strip_suffix(')')?.chars();
    let mut fields = Vec::new();
    loop {
        let (field, quoted, end) = element(&mut rest, |_| false)?;
        fields.push((quoted || !field.is_empty()).then_some(field));
        if end {
            return Some(fields);
        }
    }
}

/// The next of several values parted by commas, whether it was quoted, and whether it was the last.
fn element(rest: &mut std::str::Chars<'_>, refused: impl Fn(char) -> bool) -> Option<(String, bool, bool)> {
    let mut value = String::new();
    let mut quoted = false;
    let mut inside = false;
    loop {
        let Some(c) = rest.next() else {
            return (!inside).then_some((value, quoted, true));
        };
        match c {
            '\\' => value.push(rest.next()?),
            // Within quotes, two of them are one.
            '"' if inside && rest.as_str().starts_with('"') => {
                rest.next();
                value.push('"');
            }
            '"' => {
                inside = !inside;
                quoted = true;
            }
            ',' if !inside => return Some((value, quoted, false)),
            c if !inside && refused(c) => return None,
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(values: &[Option<&str>]) -> Option<Items> {
        Some(values.iter().map(|value| value.map(str::to_owned)).collect())
    }

    #[test]
    fn arrays_are_read_with_their_quotes_and_nulls() {
        assert_eq!(array("{}"), items(&[]));
        assert_eq!(array("{1,-2}"), items(&[Some("1"), Some("-2")]));
        assert_eq!(array(r#"{"a, b",NULL,"NULL","c\"\\d",""}"#), {
            items(&[Some("a, b"), None, Some("NULL"), Some(r#"c"\d"#), Some("")])
        });
        assert_eq!(array("[0:1]={5,6}"), items(&[Some("5"), Some("6")]));
        assert_eq!(array("{{1,2},{3,4}}"), None);
        assert_eq!(array(r#"{"open}"#), None);
    }

    #[test]
    fn composites_are_read_with_their_quotes_and_nulls() {
        assert_eq!(composite(r#"(1,"two ""three"", four",,"")"#), {
            items(&[Some("1"), Some(r#"two "three", four"#), None, Some("")])
        });
        assert_eq!(composite(r#"("a\\b")"#), items(&[Some(r"a\b")]));
    }

    #[test]
    fn moments_are_read_in_utc() {
        assert_eq!(moment("1970-01-02 00:00:01.5+00"), Some(DAY + 1_500_000));
        assert_eq!(moment("1970-01-01 02:00:00+02"), Some(0));
        assert_eq!(moment("1969-12-31 20:30:00-03:30"), Some(0));
        assert_eq!(moment("0001-01-01 00:00:00 BC"), Some(-719_528 * DAY));
        assert_eq!(moment("infinity"), None);
        assert_eq!(date("9999-12-31"), Some(2_932_896));
        assert_eq!(date("-infinity"), None);
        assert_eq!(time("24:00:00"), Some((DAY, "")));
    }

    #[test]
    fn bytes_and_money_are_read() {
        assert_eq!(hex(r"\x00ff7a"), Some(vec![0, 255, 122]));
        assert_eq!(hex(r"\x0"), None);
        assert_eq!(hex("plain"), None);
        assert_eq!(plain_number("-$1,234.56"), "-1234.56");
        assert_eq!(plain_number("12.50"), "12.50");
    }
}
