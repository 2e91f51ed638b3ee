//! Dates and times within BigQuery's range: the years 1 to 9999.

use chrono::{Datelike, NaiveDate, NaiveDateTime};

/// 0001-01-01 as days since 1970-01-01.
pub(crate) const FIRST_DAY: i64 = -719_162;
/// 9999-12-31 as days since 1970-01-01.
pub(crate) const LAST_DAY: i64 = 2_932_896;
/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// A date or date and time that a driver gives as parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// The year.
    pub year: i32,
    /// The month, 1 to 12.
    pub month: u32,
    /// The day, 1 to 31.
    pub day: u32,
    /// Microseconds since midnight.
    pub micros: i64,
}

/// The days since 1970-01-01 of a calendar date.
#[must_use]
pub fn days_of(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) - 719_163
}

/// The microseconds since 1970-01-01T00:00:00 of a date and time; finer digits are cut.
#[must_use]
pub fn micros_of(at: NaiveDateTime) -> i64 {
    at.and_utc().timestamp_micros()
}

impl Civil {
    /// Its days since 1970-01-01; `None` for what is no date, such as MySQL's 0000-00-00.
    #[must_use]
    pub fn days(self) -> Option<i64> {
        NaiveDate::from_ymd_opt(self.year, self.month, self.day).map(days_of)
    }

    /// Its microseconds since 1970-01-01T00:00:00; `None` for what is no date.
    #[must_use]
    pub fn since_epoch(self) -> Option<i64> {
        self.days()?.checked_mul(DAY)?.checked_add(self.micros)
    }
}
