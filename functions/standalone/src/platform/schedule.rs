//! Cron schedules: which tick is due, and how long until the next.
//!
//! Pure; the clock and the ledger are read by the caller. After a pause, however long, only the latest missed tick is due: a run
//! over the tables as they stand would come to the same each time.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use millstream_events::names::RunKey;

/// A cron expression of a pipeline, which was checked when its file was read; `None` for one that was not.
pub(crate) fn parse(expression: &str) -> Option<Cron> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(expression).ok()
}

/// The latest tick after `last` and not after `now`.
pub(crate) fn due(cron: &Cron, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    cron.find_previous_occurrence(&now, true).ok().filter(|tick| *tick > last)
}

/// How long until the next tick after `now`.
pub(crate) fn until_next(cron: &Cron, now: DateTime<Utc>) -> Option<Duration> {
    (cron.find_next_occurrence(&now, false).ok()? - now).to_std().ok()
}

/// The scheduled time of a run that a tick started, and the source whose own schedule it was.
pub(crate) fn tick_of(key: &RunKey) -> Option<(DateTime<Utc>, Option<String>)> {
    let tick = key.as_str().strip_prefix("tick-")?;
    let (time, source) = match tick.split_once('-') {
        Some((time, source)) => (time, Some(source.to_owned())),
        None => (tick, None),
    };
    NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ").ok().map(|time| (time.and_utc(), source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn after_downtime_only_the_latest_missed_tick_is_due() {
        let hourly = parse("0 * * * *").unwrap();
        let due = due(&hourly, at("2026-11-24T06:00:00Z"), at("2026-11-24T18:30:00Z"));
        assert_eq!(due, Some(at("2026-11-24T18:00:00Z")));
    }

    #[test]
    fn a_tick_that_ran_is_not_due_again() {
        let hourly = parse("0 * * * *").unwrap();
        assert_eq!(due(&hourly, at("2026-11-24T18:00:00Z"), at("2026-11-24T18:59:59Z")), None);
        let on_the_hour = due(&hourly, at("2026-11-24T18:00:00Z"), at("2026-11-24T19:00:00Z"));
        assert_eq!(on_the_hour, Some(at("2026-11-24T19:00:00Z")));
    }

    #[test]
    fn the_next_tick_is_counted_from_now() {
        let daily = parse("0 6 * * *").unwrap();
        assert_eq!(until_next(&daily, at("2026-11-24T05:59:30Z")), Some(Duration::from_secs(30)));
        assert_eq!(until_next(&daily, at("2026-11-24T06:00:00Z")), Some(Duration::from_secs(86_400)));
    }

    #[test]
    fn a_tick_is_read_back_from_its_runs_key() {
        let key = "tick-20261124T060000Z".parse().unwrap();
        assert_eq!(tick_of(&key), Some((at("2026-11-24T06:00:00Z"), None)));
        let key = "tick-20261124T060000Z-big-customers".parse().unwrap();
        assert_eq!(tick_of(&key), Some((at("2026-11-24T06:00:00Z"), Some("big-customers".to_owned()))));
        assert_eq!(tick_of(&"latest".parse().unwrap()), None);
    }
}
