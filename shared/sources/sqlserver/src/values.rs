//! The driver's values into a batch.

use chrono::NaiveDate;
use millstream_ports::CellFaultKind;
use millstream_source_columns::Cell;
use tiberius::{ColumnData, time::Time};

use crate::target::FineTimes;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// 1900-01-01, which `datetime` counts from, as days since 1970-01-01.
const DAYS_OF_1900: i64 = -25_567;
/// 0001-01-01, which `date` and `datetime2` count from.
const DAYS_OF_YEAR_1: i64 = -719_162;
/// A unit of the finest times, 100 ns, in microseconds' terms.
const TICKS: i64 = 10;

/// Puts a value into its place.
pub(crate) fn put(cell: Cell<'_>, value: &ColumnData<'_>, fine: FineTimes) {
    match value {
        ColumnData::U8(Some(value)) => cell.int64((*value).into()),
        ColumnData::I16(Some(value)) => cell.int64((*value).into()),
        ColumnData::I32(Some(value)) => cell.int64((*value).into()),
        ColumnData::I64(Some(value)) => cell.int64(*value),
        ColumnData::F32(Some(value)) => cell.float64((*value).into()),
        ColumnData::F64(Some(value)) => cell.float64(*value),
        ColumnData::Bit(Some(value)) => cell.bool(*value),
        // What the driver puts in the place of half a surrogate pair.
        ColumnData::String(Some(value)) if value.contains('\u{fffd}') => cell.fault(CellFaultKind::Text, value),
        ColumnData::String(Some(value)) => cell.text(value),
        ColumnData::Guid(Some(value)) => cell.text(value.hyphenated().encode_upper(&mut [0; 36])),
        ColumnData::Binary(Some(value)) => cell.binary(value),
        ColumnData::Numeric(Some(value)) => cell.decimal(value.value(), value.scale().into()),
        ColumnData::Xml(Some(value)) => cell.text(AsRef::<str>::as_ref(value.as_ref())),
        ColumnData::DateTime(Some(value)) => {
            // Three hundredths of a second are shown, and compared, as whole milliseconds.
            let millis = (i64::from(value.seconds_fragments()) * 10 + 1) / 3;
            datetime(cell, DAYS_OF_1900 + i64::from(value.days()), millis * 1_000);
        }
        ColumnData::SmallDateTime(Some(value)) => {
            let minutes = i64::from(value.seconds_fragments());
            datetime(cell, DAYS_OF_1900 + i64::from(value.days()), minutes * 60_000_000);
        }
        ColumnData::Date(Some(value)) => {
            let days = DAYS_OF_YEAR_1 + i64::from(value.days());
            cell.date(Some(days), || shown_date(days));
        }
        ColumnData::Time(Some(value)) => {
            let ticks = ticks(*value);
            match micros(ticks, fine) {
                Some(micros) => cell.time(micros, || shown_time(ticks)),
                None => cell.fault(CellFaultKind::SubMicrosecond, &shown_time(ticks)),
            }
        }
        ColumnData::DateTime2(Some(value)) => {
            let (days, ticks) = (DAYS_OF_YEAR_1 + i64::from(value.date().days()), ticks(value.time()));
            match micros(ticks, fine) {
                Some(micros) => datetime(cell, days, micros),
                None => cell.fault(CellFaultKind::SubMicrosecond, &shown(days, ticks)),
            }
        }
        ColumnData::DateTimeOffset(Some(value)) => {
            // The wire has the time in UTC, and the offset beside it.
            let at = value.datetime2();
            let (days, ticks) = (DAYS_OF_YEAR_1 + i64::from(at.date().days()), ticks(at.time()));
            match micros(ticks, fine) {
                Some(micros) => cell.timestamp(Some(days * DAY + micros), || format!("{}Z", shown(days, ticks))),
                None => cell.fault(CellFaultKind::SubMicrosecond, &format!("{}Z", shown(days, ticks))),
            }
        }
        _ => cell.null(),
    }
}

fn datetime(cell: Cell<'_>, days: i64, micros: i64) {
    cell.datetime(Some(days * DAY + micros), || shown(days, micros * TICKS));
}

/// A time of day in units of 100 ns.
fn ticks(time: Time) -> i64 {
    let unit = 10_i64.pow(u32::from(7_u8.saturating_sub(time.scale())));
    i64::try_from(time.increments()).unwrap_or(i64::MAX).saturating_mul(unit)
}

/// Its microseconds, if it has no more digits than that, or they may be cut.
fn micros(ticks: i64, fine: FineTimes) -> Option<i64> {
    (fine == FineTimes::Cut || ticks % TICKS == 0).then_some(ticks / TICKS)
}

fn shown(days: i64, ticks: i64) -> String {
    format!("{} {}", shown_date(days), shown_time(ticks))
}

/// Days since 1970-01-01 as a date.
fn shown_date(days: i64) -> String {
    let date = i32::try_from(days - DAYS_OF_YEAR_1 + 1).ok().and_then(NaiveDate::from_num_days_from_ce_opt);
    date.map_or_else(|| format!("day {days}"), |date| date.to_string())
}

fn shown_time(ticks: i64) -> String {
    let seconds = ticks / 10_000_000;
    format!("{:02}:{:02}:{:02}.{:07}", seconds / 3_600, seconds / 60 % 60, seconds % 60, ticks % 10_000_000)
}
