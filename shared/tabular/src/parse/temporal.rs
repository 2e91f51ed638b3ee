//! DATE, TIME, DATETIME and TIMESTAMP, in the forms BigQuery's CSV loader takes.
//!
//! Dates are `YYYY-[M]M-[D]D` (or with slashes), years 1 to 9999; times `[H]H:MM:SS[.ffffff]`; a space, `T` or `t` joins
//! the two. A zone is `Z`, `UTC` or an offset (`+05`, `+05:30`, `+0530`); a TIMESTAMP without one is UTC. Digits finer than a
//! microsecond must be zeros.

use super::take_digits;
use crate::fault::Fault;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Days since 1970-01-01.
pub(crate) fn date(text: &[u8]) -> Result<i32, Fault> {
    match read_date(text.trim_ascii()) {
        Some((days, [])) => Ok(days),
        _ => Err(Fault::NotDate),
    }
}

/// Microseconds since midnight.
pub(crate) fn time(text: &[u8]) -> Result<i64, Fault> {
    match read_time(text.trim_ascii(), Fault::NotTime)? {
        (micros, []) => Ok(micros),
        _ => Err(Fault::NotTime),
    }
}

/// Microseconds since 1970-01-01 00:00:00, without a zone. A date alone is its midnight.
pub(crate) fn datetime(text: &[u8]) -> Result<i64, Fault> {
    match read_datetime(text.trim_ascii(), Fault::NotDatetime)? {
        (micros, []) => Ok(micros),
        _ => Err(Fault::NotDatetime),
    }
}

/// Microseconds since the epoch, UTC.
pub(crate) fn timestamp(text: &[u8]) -> Result<i64, Fault> {
    let (micros, zone) = read_datetime(text.trim_ascii(), Fault::NotTimestamp)?;
    if zone.is_empty() {
        return Ok(micros);
    }
    let offset = zone_offset_minutes(zone).ok_or(Fault::NotTimestamp)?;
    let micros = micros - offset * 60 * MICROS_PER_SECOND;
    // An offset must not carry the point in time out of the years that a warehouse stores.
    const FIRST: i64 = days_from_civil(1, 1, 1) as i64 * MICROS_PER_DAY;
    const END: i64 = days_from_civil(10_000, 1, 1) as i64 * MICROS_PER_DAY;
    if (FIRST..END).contains(&micros) { Ok(micros) } else { Err(Fault::NotTimestamp) }
}

fn read_datetime(text: &[u8], fault: Fault) -> Result<(i64, &[u8]), Fault> {
    let (days, rest) = read_date(text).ok_or(fault)?;
    let midnight = i64::from(days) * MICROS_PER_DAY;
    match rest {
        [] => Ok((midnight, rest)),
        [b' ' | b'T' | b't', clock @ ..] => {
            let (micros, rest) = read_time(clock, fault)?;
            Ok((midnight + micros, rest))
        }
        _ => Err(fault),
    }
}

fn read_date(text: &[u8]) -> Option<(i32, &[u8])> {
    let (year, month, day, rest) = match text {
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, rest @ ..]
            if [y1, y2, y3, y4, m1, m2, d1, d2].iter().all(|byte| byte.is_ascii_digit()) =>
        {
            let two = |tens: &u8, ones: &u8| u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
            (two(y1, y2) * 100 + two(y3, y4), two(m1, m2), two(d1, d2), rest)
        }
        _ => {
            let (year, 4, rest) = take_digits(text, 4) else { return None };
            let [separator @ (b'-' | b'/'), rest @ ..] = rest else { return None };
            let (month, 1..=2, rest) = take_digits(rest, 2) else { return None };
            let rest = rest.strip_prefix(&[*separator])?;
            let (day, 1..=2, rest) = take_digits(rest, 2) else { return None };
            (year, month, day, rest)
        }
    };
    let year = i32::try_from(year).ok()?;
    (year >= 1 && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day))
        .then(|| (days_from_civil(year, month, day), rest))
}

fn read_time(text: &[u8], fault: Fault) -> Result<(i64, &[u8]), Fault> {
    let (hours, 1..=2, rest) = take_digits(text, 2) else { return Err(fault) };
    let [b':', rest @ ..] = rest else { return Err(fault) };
    let (minutes, 1..=2, rest) = take_digits(rest, 2) else { return Err(fault) };
    let [b':', rest @ ..] = rest else { return Err(fault) };
    let (seconds, 1..=2, rest) = take_digits(rest, 2) else { return Err(fault) };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return Err(fault);
    }
    let whole = i64::from(hours * 3600 + minutes * 60 + seconds) * MICROS_PER_SECOND;
    let [b'.', rest @ ..] = rest else { return Ok((whole, rest)) };
    let (fraction, digits, rest) = take_digits(rest, 6);
    if digits == 0 {
        return Err(fault);
    }
    let micros = i64::from(fraction) * 10_i64.pow(6 - digits as u32);
    let finer = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    if rest[..finer].iter().any(|byte| *byte != b'0') {
        return Err(Fault::SubMicrosecond);
    }
    Ok((whole + micros, &rest[finer..]))
}

/// `Z`, `UTC`, `GMT` or an offset, a space before it allowed; minutes east of UTC.
fn zone_offset_minutes(zone: &[u8]) -> Option<i64> {
    let zone = zone.trim_ascii_start();
    if zone.eq_ignore_ascii_case(b"Z") || zone.eq_ignore_ascii_case(b"UTC") || zone.eq_ignore_ascii_case(b"GMT") {
        return Some(0);
    }
    let (sign, rest) = match zone {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, 1..=2, rest) = take_digits(rest, 2) else { return None };
    let minutes = match rest {
        [] => 0,
        _ => match take_digits(rest.strip_prefix(b":").unwrap_or(rest), 2) {
            (minutes, 2, []) => minutes,
            _ => return None,
        },
    };
    (hours <= 14 && minutes <= 59).then(|| sign * i64::from(hours * 60 + minutes))
}

const fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 => 28 + is_leap(year) as u32,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counting years from March so that the leap day is
/// the last of its year.
const fn days_from_civil(year: i32, month: u32, day: u32) -> i32 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let month_from_march = (month as i32 + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i32 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn timestamps_are_read_in_every_form_the_loader_takes() {
        let expected = 1_704_164_645_123_456;
        for text in [
            "2024-01-02 03:04:05.123456+00",
            "2024-01-02T03:04:05.123456Z",
            "2024-01-02t03:04:05.123456 UTC",
            "2024-1-2 3:4:5.123456",
            "2024/01/02 03:04:05.123456",
            "2024-01-02 05:34:05.123456+02:30",
            "2024-01-01 22:04:05.123456-0500",
            " 2024-01-02 03:04:05.123456000 +00:00 ",
        ] {
            assert_eq!(timestamp(text.as_bytes()), Ok(expected), "{text:?}");
        }
        assert_eq!(timestamp(b"1969-12-31 23:59:59.5"), Ok(-500_000));
        assert_eq!(timestamp(b"2024-01-02"), Ok(1_704_153_600_000_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2024",
            "2024-02-30 00:00:00",
            "2023-02-29 00:00:00",
            "2024-01-02 24:00:00",
            "2024-01-02 03:04",
            "2024-01-02 03:04:05.",
            "2024-01-02 03:04:05 Europe/Berlin",
            "2024-01-02 03:04:05+15",
            "2024-01-02 03:04:05+1",
            "0001-01-01 00:00:00+01",
            "9999-12-31 23:59:59-01",
            "0000-01-01 00:00:00",
            "10000-01-01 00:00:00",
            "1704164645",
        ] {
            let read = timestamp(text.as_bytes());
            assert_eq!(
                read,
                if text.ends_with("+1") { Ok(1_704_161_045_000_000) } else { Err(Fault::NotTimestamp) },
                "{text:?}"
            );
        }
        assert_eq!(timestamp(b"2024-01-02 03:04:05.1234567"), Err(Fault::SubMicrosecond));
        assert_eq!(datetime(b"2024-01-02 03:04:05Z"), Err(Fault::NotDatetime));
        assert_eq!(date(b"2024-01/02"), Err(Fault::NotDate));
        assert_eq!(date(b"2024-01-02 "), Ok(19_724));
        assert_eq!(time(b"23:59:59.999999"), Ok(MICROS_PER_DAY - 1));
        assert_eq!(time(b"23:59:60"), Err(Fault::NotTime));
    }

    proptest! {
        #[test]
        fn dates_agree_with_chrono(days in -719_162_i32..=2_932_896) {
            let text = date32_to_datetime(days).unwrap().format("%Y-%m-%d").to_string();
            prop_assert_eq!(date(text.as_bytes()), Ok(days));
        }

        #[test]
        fn timestamps_agree_with_chrono(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let text = timestamp_us_to_datetime(micros).unwrap().format("%Y-%m-%d %H:%M:%S%.6f+00").to_string();
            prop_assert_eq!(timestamp(text.as_bytes()), Ok(micros));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (date(&text), time(&text), datetime(&text), timestamp(&text));
        }
    }
}
