//! The driver's values as cells of a batch.

use millstream_ports::CellFaultKind;
use millstream_source_columns::{Cell, Civil};
use mysql_async::Value;

use crate::kind::Kind;

/// Puts a value into its column.
pub(crate) fn put(cell: Cell<'_>, kind: Kind, value: &Value) {
    match value {
        Value::NULL => cell.null(),
        Value::Int(number) => match kind {
            Kind::Bool => truth(cell, i128::from(*number)),
            _ => cell.int64(*number),
        },
        Value::UInt(number) => match kind {
            Kind::Bool => truth(cell, i128::from(*number)),
            _ => cell.uint64(*number),
        },
        Value::Float(number) => cell.float64(f64::from(*number)),
        Value::Double(number) => cell.float64(*number),
        Value::Bytes(bytes) => match kind {
            Kind::Bytes => cell.binary(bytes),
            Kind::Bit(bits) => {
                // Most significant byte first, at most 8.
                let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
                if bits == 1 { truth(cell, i128::from(number)) } else { cell.uint64(number) }
            }
            Kind::Decimal { .. } => match std::str::from_utf8(bytes) {
                Ok(digits) => cell.decimal_text(digits),
                Err(_) => cell.fault(CellFaultKind::Type, &String::from_utf8_lossy(bytes)),
            },
            _ => cell.text_bytes(bytes),
        },
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let seconds = i64::from(*hour) * 3_600 + i64::from(*minute) * 60 + i64::from(*second);
            let civil = Civil {
                year: i32::from(*year),
                month: u32::from(*month),
                day: u32::from(*day),
                micros: seconds * 1_000_000 + i64::from(*micros),
            };
            let shown_date = || format!("{year:04}-{month:02}-{day:02}");
            let shown = || format!("{} {hour:02}:{minute:02}:{second:02}.{micros:06}", shown_date());
            match kind {
                Kind::Date => cell.date(civil.days(), shown_date),
                Kind::Timestamp => cell.timestamp(civil.since_epoch(), shown),
                _ => cell.datetime(civil.since_epoch(), shown),
            }
        }
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let hours = i64::from(*days) * 24 + i64::from(*hours);
            let whole = (hours * 3_600 + i64::from(*minutes) * 60 + i64::from(*seconds)) * 1_000_000;
            let span = (whole + i64::from(*micros)) * if *negative { -1 } else { 1 };
            let sign = if *negative { "-" } else { "" };
            cell.time(span, || format!("{sign}{hours:02}:{minutes:02}:{seconds:02}.{micros:06}"));
        }
    }
}

/// 0 and 1 are truth values; what else an integer may be would be lost by calling it true.
fn truth(cell: Cell<'_>, number: i128) {
    match number {
        0 => cell.bool(false),
        1 => cell.bool(true),
        _ => cell.fault(CellFaultKind::Type, &number.to_string()),
    }
}
