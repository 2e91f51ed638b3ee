//! Dates and times.
//!
//! DATE is DATE, DATETIME is TIMESTAMP and TIMESTAMP is TIMESTAMPTZ in DuckDB, whose session must be in UTC.

use super::{Family, Rule, formats::date_format};
use Rule::{Built, Template};

pub(super) const FUNCTIONS: Family = &[
    ("CURRENT_DATE", Template(&[(0, "current_date"), (1, "CAST(now() AT TIME ZONE {0} AS DATE)")])),
    ("CURRENT_DATETIME", Template(&[(0, "(now() AT TIME ZONE 'UTC')"), (1, "(now() AT TIME ZONE {0})")])),
    (
        "CURRENT_TIME",
        Template(&[(0, "CAST(now() AT TIME ZONE 'UTC' AS TIME)"), (1, "CAST(now() AT TIME ZONE {0} AS TIME)")]),
    ),
    ("CURRENT_TIMESTAMP", Template(&[(0, "now()")])),
    (
        "DATE",
        Template(&[
            (1, "CAST({0} AS DATE)"),
            (2, "CAST({0} AT TIME ZONE {1} AS DATE)"),
            (3, "make_date({0}, {1}, {2})"),
        ]),
    ),
    ("DATETIME", Built(datetime)),
    ("DATETIME_ADD", Template(&[(2, "(CAST({0} AS TIMESTAMP) + {1})")])),
    ("DATETIME_DIFF", Built(|arguments| boundaries("TIMESTAMP", arguments))),
    ("DATETIME_SUB", Template(&[(2, "(CAST({0} AS TIMESTAMP) - {1})")])),
    ("DATETIME_TRUNC", Built(|arguments| truncated("TIMESTAMP", arguments))),
    ("DATE_ADD", Template(&[(2, "CAST(CAST({0} AS DATE) + {1} AS DATE)")])),
    ("DATE_DIFF", Built(|arguments| boundaries("DATE", arguments))),
    ("DATE_FROM_UNIX_DATE", Template(&[(1, "(DATE '1970-01-01' + CAST({0} AS INTEGER))")])),
    ("DATE_SUB", Template(&[(2, "CAST(CAST({0} AS DATE) - {1} AS DATE)")])),
    ("DATE_TRUNC", Built(|arguments| truncated("DATE", arguments))),
    ("FORMAT_DATE", Built(|arguments| formatted("DATE", arguments))),
    ("FORMAT_DATETIME", Built(|arguments| formatted("TIMESTAMP", arguments))),
    ("FORMAT_TIMESTAMP", Built(|arguments| formatted("TIMESTAMPTZ", arguments))),
    ("GENERATE_DATE_ARRAY", Built(date_array)),
    (
        "GENERATE_TIMESTAMP_ARRAY",
        Template(&[(3, "generate_series(CAST({0} AS TIMESTAMPTZ), CAST({1} AS TIMESTAMPTZ), {2})")]),
    ),
    ("LAST_DAY", Built(last_day)),
    ("PARSE_DATE", Built(|arguments| parsed("CAST({} AS DATE)", arguments))),
    ("PARSE_DATETIME", Built(|arguments| parsed("{}", arguments))),
    ("PARSE_TIME", Built(|arguments| parsed("CAST({} AS TIME)", arguments))),
    ("PARSE_TIMESTAMP", Built(parse_timestamp)),
    (
        "TIME",
        Template(&[
            (1, "CAST(CAST({0} AS TIMESTAMP) AS TIME)"),
            (2, "CAST({0} AT TIME ZONE {1} AS TIME)"),
            (3, "make_time({0}, {1}, {2})"),
        ]),
    ),
    ("TIMESTAMP", Template(&[(1, "CAST({0} AS TIMESTAMPTZ)"), (2, "(CAST({0} AS TIMESTAMP) AT TIME ZONE {1})")])),
    ("TIMESTAMP_ADD", Template(&[(2, "(CAST({0} AS TIMESTAMPTZ) + {1})")])),
    ("TIMESTAMP_DIFF", Built(whole_units)),
    ("TIMESTAMP_MICROS", Template(&[(1, "(make_timestamp(CAST({0} AS BIGINT)) AT TIME ZONE 'UTC')")])),
    ("TIMESTAMP_MILLIS", Template(&[(1, "(make_timestamp(CAST({0} AS BIGINT) * 1000) AT TIME ZONE 'UTC')")])),
    ("TIMESTAMP_SECONDS", Template(&[(1, "(make_timestamp(CAST({0} AS BIGINT) * 1000000) AT TIME ZONE 'UTC')")])),
    ("TIMESTAMP_SUB", Template(&[(2, "(CAST({0} AS TIMESTAMPTZ) - {1})")])),
    ("TIMESTAMP_TRUNC", Built(|arguments| truncated("TIMESTAMPTZ", arguments))),
    ("TIME_ADD", Template(&[(2, "(CAST({0} AS TIME) + {1})")])),
    ("TIME_DIFF", Built(|arguments| boundaries("TIME", arguments))),
    ("TIME_SUB", Template(&[(2, "(CAST({0} AS TIME) - {1})")])),
    ("TIME_TRUNC", Built(time_trunc)),
    ("UNIX_DATE", Template(&[(1, "date_diff('day', DATE '1970-01-01', CAST({0} AS DATE))")])),
    ("UNIX_MICROS", Template(&[(1, "epoch_us({0})")])),
    ("UNIX_MILLIS", Template(&[(1, "CAST(floor(epoch_us({0}) / 1000) AS BIGINT)")])),
    ("UNIX_SECONDS", Template(&[(1, "CAST(floor(epoch_us({0}) / 1000000) AS BIGINT)")])),
];

/// Days of the week and how many days after Monday they are.
const DAYS: [(&str, i32); 7] =
    [("MONDAY", 0), ("TUESDAY", 1), ("WEDNESDAY", 2), ("THURSDAY", 3), ("FRIDAY", 4), ("SATURDAY", 5), ("SUNDAY", 6)];

/// A part of a date as BigQuery names it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// A week, by how many days after Monday it starts.
    Week(i32),
    IsoYear,
    /// One that means the same in DuckDB.
    Plain(String),
}

impl Part {
    /// Reads a part; `WEEK(MONDAY)` comes marked as `WEEK_MONDAY`.
    fn of(argument: &str) -> Result<Self, String> {
        let name = argument.trim_matches(['"', '\'']).to_ascii_uppercase();
        if let Some(day) = name.strip_prefix("WEEK_") {
            return DAYS
                .iter()
                .find(|(known, _)| *known == day)
                .map(|(_, days)| Self::Week(*days))
                .ok_or_else(|| format!("has the week start {day}; use MONDAY to SUNDAY"));
        }
        match name.as_str() {
            "WEEK" => Ok(Self::Week(6)),
            "ISOWEEK" => Ok(Self::Week(0)),
            "ISOYEAR" => Ok(Self::IsoYear),
            "MICROSECOND" | "MILLISECOND" | "SECOND" | "MINUTE" | "HOUR" | "DAY" | "MONTH" | "QUARTER" | "YEAR" => {
                Ok(Self::Plain(name.to_ascii_lowercase()))
            }
            _ => Err(format!("has the part {name}, which has no translation")),
        }
    }
}

/// How many boundaries of a part lie between two values.
fn boundaries(kind: &str, arguments: &[&str]) -> Result<String, String> {
    let [end, start, part] = arguments else { return Err("takes two values and a part".into()) };
    let (end, start) = (format!("CAST({end} AS {kind})"), format!("CAST({start} AS {kind})"));
    Ok(match Part::of(part)? {
        Part::Plain(part) => format!("date_diff('{part}', {start}, {end})"),
        // DuckDB's weeks start on Monday: shifting both days so that theirs does too keeps the boundaries between them.
        Part::Week(days) => {
            let week = |day: &str| format!("date_trunc('week', {day} - INTERVAL {days} DAY)");
            format!("(date_diff('day', {}, {}) // 7)", week(&start), week(&end))
        }
        Part::IsoYear => format!("(isoyear({end}) - isoyear({start}))"),
    })
}

/// How many whole units lie between two timestamps.
fn whole_units(arguments: &[&str]) -> Result<String, String> {
    let [end, start, part] = arguments else { return Err("takes two timestamps and a part".into()) };
    match Part::of(part)? {
        Part::Plain(part) if !matches!(part.as_str(), "month" | "quarter" | "year") => {
            Ok(format!("date_sub('{part}', CAST({start} AS TIMESTAMPTZ), CAST({end} AS TIMESTAMPTZ))"))
        }
        _ => Err(format!("takes a part up to DAY, not {part}; turn the timestamps into dates for longer ones")),
    }
}

fn truncated(kind: &str, arguments: &[&str]) -> Result<String, String> {
    let (value, part, zone) = match arguments {
        [value, part] => (value, part, None),
        [value, part, zone] if kind == "TIMESTAMPTZ" => (value, part, Some(zone)),
        _ => return Err("takes a value and a part".into()),
    };
    // A literal is text until something gives it a type; every other value brings its own.
    let value = if value.starts_with('\'') { format!("CAST({value} AS {kind})") } else { format!("({value})") };
    let local = zone.map_or_else(|| value.clone(), |zone| format!("({value} AT TIME ZONE {zone})"));
    // A bucket keeps its value's type, where date_trunc would make a TIMESTAMP of a DATE.
    let bucket = |width: &str| format!("time_bucket(INTERVAL {width}, {local})");
    let start = match Part::of(part)? {
        Part::Plain(part) => match part.as_str() {
            "day" => bucket("1 DAY"),
            "month" => bucket("1 MONTH"),
            "quarter" => bucket("3 MONTH"),
            "year" => bucket("12 MONTH"),
            _ => format!("date_trunc('{part}', {local})"),
        },
        Part::Week(days) => format!("time_bucket(INTERVAL 7 DAY, {local}, INTERVAL {days} DAY)"),
        Part::IsoYear if kind == "DATE" => format!("CAST(date_trunc('isoyear', {local}) AS DATE)"),
        Part::IsoYear => format!("date_trunc('isoyear', {local})"),
    };
    Ok(match zone {
        Some(zone) => format!("({start} AT TIME ZONE {zone})"),
        None => start,
    })
}

/// Every step is counted from the first day: stepping by months from day to day would lose the 31st after a February.
fn date_array(arguments: &[&str]) -> Result<String, String> {
    let (first, last, step) = match arguments {
        [first, last] => (first, last, "INTERVAL 1 DAY"),
        [first, last, step] => (first, last, *step),
        _ => return Err("takes a first day, a last day and an INTERVAL".into()),
    };
    let (first, last) = (format!("CAST({first} AS DATE)"), format!("CAST({last} AS DATE)"));
    let longest = ["MONTH", "QUARTER", "YEAR"].iter().any(|unit| step.to_uppercase().contains(unit));
    let count = format!("abs(date_diff('{}', {first}, {last}))", if longest { "month" } else { "day" });
    let days =
        format!("list_transform(generate_series(0, {count}), lambda step: CAST({first} + step * ({step}) AS DATE))");
    let within =
        format!("list_filter({days}, lambda day: day BETWEEN least({first}, {last}) AND greatest({first}, {last}))");
    Ok(format!(
        "CASE WHEN {first} = {last} OR ({first} + ({step}) > {first}) = ({last} > {first}) THEN {within} ELSE [] END"
    ))
}

fn time_trunc(arguments: &[&str]) -> Result<String, String> {
    let [value, part] = arguments else { return Err("takes a time and a part".into()) };
    match Part::of(part)? {
        Part::Plain(part) => {
            Ok(format!("CAST(date_trunc('{part}', DATE '1970-01-01' + CAST({value} AS TIME)) AS TIME)"))
        }
        _ => Err(format!("takes a part up to HOUR, not {part}")),
    }
}

fn last_day(arguments: &[&str]) -> Result<String, String> {
    let (value, part) = match arguments {
        [value] => (value, "MONTH"),
        [value, part] => (value, *part),
        _ => return Err("takes a date and a part".into()),
    };
    let start = truncated("DATE", &[format!("CAST({value} AS DATE)").as_str(), part])?;
    let length = match Part::of(part)? {
        Part::Plain(part) if part == "quarter" => "3 MONTH".to_owned(),
        Part::Plain(part) => format!("1 {}", part.to_uppercase()),
        Part::Week(_) => "7 DAY".to_owned(),
        Part::IsoYear => return Err("has the part ISOYEAR, which has no translation".into()),
    };
    Ok(format!("CAST({start} + INTERVAL {length} - INTERVAL 1 DAY AS DATE)"))
}

fn datetime(arguments: &[&str]) -> Result<String, String> {
    match arguments {
        [value] => Ok(format!("CAST({value} AS TIMESTAMP)")),
        [value, zone] if zone.starts_with('\'') => Ok(format!("({value} AT TIME ZONE {zone})")),
        [date, time] => Ok(format!("(CAST({date} AS DATE) + {time})")),
        [_, _, _, _, _, _] => Ok(format!("make_timestamp({})", arguments.join(", "))),
        _ => Err("takes 1, 2 or 6 arguments".into()),
    }
}

fn formatted(kind: &str, arguments: &[&str]) -> Result<String, String> {
    let (format, value, zone) = match arguments {
        [format, value] => (format, value, "'UTC'"),
        [format, value, zone] if kind == "TIMESTAMPTZ" => (format, value, *zone),
        _ => return Err("takes a format and a value".into()),
    };
    let format = date_format(format)?;
    if format.contains("%z") {
        return Err("has the format element %z, which has no translation".into());
    }
    let zone = if kind == "TIMESTAMPTZ" { format!(" AT TIME ZONE {zone}") } else { String::new() };
    Ok(format!("strftime(CAST({value} AS {kind}){zone}, {format})"))
}

/// Parses by a format into `shape`, whose `{}` is a TIMESTAMP.
fn parsed(shape: &str, arguments: &[&str]) -> Result<String, String> {
    let [format, text] = arguments else { return Err("takes a format and a text".into()) };
    Ok(shape.replace("{}", &format!("strptime({text}, {})", date_format(format)?)))
}

fn parse_timestamp(arguments: &[&str]) -> Result<String, String> {
    match arguments {
        // With an offset in the text, DuckDB already gives a point in time.
        [format, _] if format.contains("%z") => parsed("CAST({} AS TIMESTAMPTZ)", arguments),
        [format, text] => parsed("({} AT TIME ZONE 'UTC')", &[format, text]),
        [format, text, zone] => parsed(&format!("({{}} AT TIME ZONE {zone})"), &[format, text]),
        _ => Err("takes a format, a text and a time zone".into()),
    }
}

/// `EXTRACT(part FROM value)`, called by its marked name.
pub(super) fn extracted(part: &str, value: &str) -> Result<String, String> {
    Ok(match part {
        "DATE" => format!("CAST({value} AS DATE)"),
        "TIME" => format!("CAST(CAST({value} AS TIMESTAMP) AS TIME)"),
        // BigQuery counts Sunday as 1, DuckDB as 0.
        "DAYOFWEEK" => format!("(extract(dow FROM {value}) + 1)"),
        "DAYOFYEAR" => format!("extract(doy FROM {value})"),
        // BigQuery gives the part within its second, DuckDB from the start of the minute.
        "MILLISECOND" | "MICROSECOND" => {
            let within = if part == "MILLISECOND" { 1_000 } else { 1_000_000 };
            format!("(extract({} FROM {value}) % {within})", part.to_lowercase())
        }
        "ISOWEEK" => format!("extract(week FROM {value})"),
        "ISOYEAR" => format!("extract(isoyear FROM {value})"),
        "WEEK" | "WEEK_SUNDAY" => format!("CAST(strftime({value}, '%U') AS BIGINT)"),
        "WEEK_MONDAY" => format!("CAST(strftime({value}, '%W') AS BIGINT)"),
        "SECOND" | "MINUTE" | "HOUR" | "DAY" | "MONTH" | "QUARTER" | "YEAR" => {
            format!("extract({} FROM {value})", part.to_lowercase())
        }
        _ => return Err(format!("has the part {part}, which has no translation")),
    })
}
