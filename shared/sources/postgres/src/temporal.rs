//! Dates and times as PostgreSQL counts them: from 2000-01-01, with the two ends of the range for infinity.

/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// 2000-01-01 in days since 1970-01-01.
const EPOCH: i64 = 10_957;

/// A date in days since 1970-01-01; `None` for infinity.
pub(crate) fn in_unix_days(days: i32) -> Option<i64> {
    (!matches!(days, i32::MIN | i32::MAX)).then_some(i64::from(days) + EPOCH)
}

/// A date and time in microseconds since 1970-01-01T00:00:00; `None` for infinity.
pub(crate) fn in_unix_micros(micros: i64) -> Option<i64> {
    micros.checked_add(EPOCH * DAY).filter(|_| !matches!(micros, i64::MIN | i64::MAX))
}

/// A date as PostgreSQL writes it.
pub(crate) fn date_text(days: i32) -> String {
    match days {
        i32::MIN => "-infinity".to_owned(),
        i32::MAX => "infinity".to_owned(),
        _ => {
            let (date, era) = civil(days.into());
            format!("{date}{era}")
        }
    }
}

/// A date and time as PostgreSQL writes it, with this zone behind the time.
pub(crate) fn timestamp_text(micros: i64, zone: &str) -> String {
    match micros {
        i64::MIN => "-infinity".to_owned(),
        i64::MAX => "infinity".to_owned(),
        _ => {
            let (date, era) = civil(micros.div_euclid(DAY));
            format!("{date} {}{zone}{era}", time_text(micros.rem_euclid(DAY)))
        }
    }
}

/// A time of day as PostgreSQL writes it: as many decimals as it has.
pub(crate) fn time_text(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{}", fraction.trim_end_matches('0'))
}

/// A zone as PostgreSQL writes it, from the seconds west of UTC that it keeps.
pub(crate) fn time_zone_text(west: i32) -> String {
    let sign = if west > 0 { '-' } else { '+' };
    let seconds = west.unsigned_abs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (minutes, seconds) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// The date and the era of a day since 2000-01-01, of any year that PostgreSQL has. (Years of 400 begin in March, so that the
/// leap day is the last one: Howard Hinnant's `civil_from_days`.)
fn civil(days: i64) -> (String, &'static str) {
    let days = days + EPOCH + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    // There is no year 0.
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_written_as_the_server_writes_them() {
        assert_eq!(date_text(0), "2000-01-01");
        assert_eq!(date_text(-10_957), "1970-01-01");
        assert_eq!(date_text(59), "2000-02-29");
        // '0044-03-15 BC'::date - '2000-01-01', and the last date there is.
        assert_eq!(date_text(-746_117), "0044-03-15 BC");
        assert_eq!(date_text(2_145_031_948), "5874897-12-31");
        assert_eq!(date_text(i32::MAX), "infinity");
        assert_eq!(timestamp_text(-1, "+00"), "1999-12-31 23:59:59.999999+00");
        assert_eq!(timestamp_text(500_000, ""), "2000-01-01 00:00:00.5");
        assert_eq!(timestamp_text(i64::MIN, "+00"), "-infinity");
        assert_eq!(time_text(DAY), "24:00:00");
        assert_eq!(time_zone_text(-19_800), "+05:30");
        assert_eq!(time_zone_text(14_400), "-04");
    }
}
