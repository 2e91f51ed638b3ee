//! A sheet's cell on its way into a column.

use chrono::NaiveDate;
use millstream_events::contract::ColumnType;
use millstream_ports::CellFaultKind;
use millstream_source_columns::{Cell, days_of};
use millstream_tabular::workbook::{Civil, Value, fifteen_digits};

/// Microseconds of a millisecond, and of a day.
const MILLI: i64 = 1_000;
const DAY: i64 = 86_400_000_000;

/// Puts a value into its place.
pub(crate) fn fill(cell: Cell<'_>, value: Value<'_>, kind: &ColumnType) {
    let shown = || value.to_text(&ColumnType::String);
    match value {
        Value::Empty => cell.null(),
        Value::Error(name) => cell.fault(CellFaultKind::Type, name),
        _ if *kind == ColumnType::String => cell.text(&value.to_text(kind)),
        Value::Bool(value) => cell.bool(value),
        Value::Number(number) => match kind {
            ColumnType::Float64 => cell.float64(number),
            ColumnType::Int64 | ColumnType::Numeric { .. } => cell.decimal_text(&fifteen_digits(number)),
            _ => cell.fault(CellFaultKind::Type, &shown()),
        },
        Value::Moment(moment) => match moment.civil(*kind == ColumnType::Time) {
            Some(civil) => moment_cell(cell, civil, kind, shown),
            None => cell.fault(CellFaultKind::DateRange, &shown()),
        },
        Value::Iso(text) => iso_cell(cell, text, kind),
        Value::Text(_) | Value::Span(_) => cell.fault(CellFaultKind::Type, &shown()),
    }
}

fn moment_cell(cell: Cell<'_>, civil: Civil, kind: &ColumnType, shown: impl Fn() -> String) {
    let micros = civil.millis * MILLI;
    match (civil.date, kind) {
        (None, ColumnType::Time) => cell.time(micros, shown),
        (Some((year, month, day)), ColumnType::Date | ColumnType::Datetime) => {
            // No day for 1900-02-29.
            let date = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into()).map(days_of);
            cell.datetime(date.map(|days| days * DAY + micros), shown);
        }
        _ => cell.fault(CellFaultKind::Type, &shown()),
    }
}

fn iso_cell(cell: Cell<'_>, text: &str, kind: &ColumnType) {
    let shown = || text.to_owned();
    let (date, clock) = match text.split_once('T') {
        Some((date, clock)) => (Some(date), Some(clock)),
        None if text.contains('-') => (Some(text), None),
        None => (None, Some(text)),
    };
    let Ok(micros) = clock.map_or(Ok(0), |clock| {
        let read = clock.parse::<chrono::NaiveTime>();
        read.map(|time| time.signed_duration_since(chrono::NaiveTime::MIN).num_microseconds().unwrap_or_default())
    }) else {
        return cell.fault(CellFaultKind::DateRange, text);
    };
    match (date, kind) {
        (None, ColumnType::Time) => cell.time(micros, shown),
        (Some(date), ColumnType::Date | ColumnType::Datetime) => {
            let date = date.parse::<NaiveDate>().ok().map(days_of);
            cell.datetime(date.map(|days| days * DAY + micros), shown);
        }
        _ => cell.fault(CellFaultKind::Type, text),
    }
}
