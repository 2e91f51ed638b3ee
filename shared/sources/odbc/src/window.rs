//! Which rows a cursor covers.

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use millstream_events::extract::{Changes, Lookback};
use millstream_ports::{PortError, PortResult, Read, Ties};

use crate::{
    catalog::Described,
    cells::civil_of,
    odbc_type::{OdbcType, Order},
    session::Session,
    statement::Conditions,
};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// The longest position that is kept, in UTF-16 units.
pub(crate) const LONGEST: usize = 1_024;

/// The column that grows.
#[derive(Debug)]
pub(crate) struct Window {
    name: String,
    column: String,
    kind: OdbcType,
    order: Order,
    is_unique: bool,
    lookback: Option<Lookback>,
}

impl Window {
    /// Of what is read; `None` where everything is.
    ///
    /// # Errors
    /// `Invalid` for a column that is not there or that has no order, and for a log.
    pub(crate) fn of(session: &Session, read: &Read, described: &Described) -> PortResult<Option<Self>> {
        let cursor = match &read.changes {
            Changes::Everything => return Ok(None),
            Changes::Cursor(cursor) => cursor,
            Changes::Log(_) => {
                return Err(PortError::invalid(
                    "a log of changes is not read through ODBC: use a cursor, such as a time of the last update",
                ));
            }
        };
        let name = &cursor.column;
        let (column, kind) = described.column(name, "the cursor")?;
        let order = kind.order().ok_or_else(|| {
            let kind = &column.source_type;
            PortError::invalid(format!("the cursor {name} is of type {kind}, whose values have no order to go by"))
        })?;
        let lookback = cursor.lookback.filter(|_| read.ties == Ties::Again);
        let fits = matches!(
            (order, lookback),
            (_, None)
                | (Order::Time | Order::Date, Some(Lookback::Seconds(_)))
                | (Order::Integer | Order::Decimal, Some(Lookback::Count(_)))
        );
        if !fits {
            return Err(PortError::invalid(format!(
                "the lookback does not fit the cursor {name} of type {}: it is seconds for a time and a number for a number",
                column.source_type
            )));
        }
        let is_unique = described.key == std::slice::from_ref(name);
        Ok(Some(Self {
            name: name.clone(),
            column: session.quoted(name)?,
            kind: kind.clone(),
            order,
            is_unique,
            lookback,
        }))
    }

    /// The newest value there is, but never one before `since`.
    pub(crate) fn newest(&self, session: &Session, from: &str, since: Option<&str>) -> PortResult<Option<String>> {
        let mut conditions = Conditions::default();
        let column = &self.column;
        if let Some(since) = since {
            conditions.and(format!("{column} >= {}", self.kind.value(self.order)), [since.to_owned()]);
        }
        let sql = format!("SELECT MAX({column}) FROM {from}{}", conditions.sql());
        let doing = format!("looking for the newest {}", self.name);
        let rows = session.texts(&doing, &sql, conditions.parameters(), LONGEST)?;
        let found = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        Ok(found.or_else(|| since.map(str::to_owned)))
    }

    /// Restricts a reading to what lies between `since` and the plan's position.
    ///
    /// # Errors
    /// `Invalid` for a position that this column cannot have had.
    pub(crate) fn restrict(&self, conditions: &mut Conditions, read: &Read, position: Option<&str>) -> PortResult<()> {
        let (column, value) = (&self.column, self.kind.value(self.order));
        let waits = read.ties == Ties::Once && !self.is_unique;
        match position {
            None => conditions.and(format!("{column} IS NULL"), []),
            Some(position) => {
                let until = format!("{column} {} {value}", if waits { "<" } else { "<=" });
                // Rows without a value have no place in the order: they are read once, with the first reading.
                let until = if read.since.is_some() { until } else { format!("({until} OR {column} IS NULL)") };
                conditions.and(until, [position.to_owned()]);
            }
        }
        if let Some(since) = &read.since {
            let after = read.ties == Ties::Once && self.is_unique;
            if let Some(first) = self.first(since)? {
                conditions.and(format!("{column} {} {value}", if after { ">" } else { ">=" }), [first]);
            }
        }
        Ok(())
    }

    /// The first value to read; `None` where there is none that is too early.
    fn first(&self, since: &str) -> PortResult<Option<String>> {
        let strange = || {
            PortError::invalid(format!("{since:?} is no position of the cursor {}: read everything again", self.name))
        };
        match (self.order, self.lookback) {
            (_, None | Some(Lookback::Count(0) | Lookback::Seconds(0))) => Ok(Some(since.to_owned())),
            (Order::Integer, Some(Lookback::Count(count))) => {
                let since: i64 = since.trim().parse().map_err(|_| strange())?;
                Ok(since.checked_sub_unsigned(count).map(|first| first.to_string()))
            }
            (Order::Decimal, Some(Lookback::Count(count))) => {
                let (whole, fraction) = since.trim().split_once('.').unwrap_or((since.trim(), ""));
                let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| strange())?;
                let unit = u32::try_from(fraction.len())
                    .ok()
                    .and_then(|digits| 10_i128.checked_pow(digits))
                    .ok_or_else(strange)?;
                let first = i128::from(count)
                    .checked_mul(unit)
                    .and_then(|back| digits.checked_sub(back))
                    .ok_or_else(strange)?;
                let sign = if first < 0 { "-" } else { "" };
                let digits = format!("{:0width$}", first.unsigned_abs(), width = fraction.len() + 1);
                let (whole, fraction) = digits.split_at(digits.len() - fraction.len());
                Ok(Some(if fraction.is_empty() {
                    format!("{sign}{whole}")
                } else {
                    format!("{sign}{whole}.{fraction}")
                }))
            }
            (Order::Date, Some(Lookback::Seconds(seconds))) => {
                let date: NaiveDate = since.trim().parse().map_err(|_| strange())?;
                let days = i64::try_from(seconds.div_ceil(DAY)).unwrap_or(i64::MAX);
                Ok(TimeDelta::try_days(days)
                    .and_then(|back| date.checked_sub_signed(back))
                    .filter(|date| is_a_year(*date))
                    .map(|date| date.to_string()))
            }
            (Order::Time, Some(Lookback::Seconds(seconds))) => {
                let (at, fraction) = civil_of(since).ok_or_else(strange)?;
                let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
                let first = TimeDelta::try_seconds(seconds).and_then(|back| at.checked_sub_signed(back));
                let point = if fraction.is_empty() { "" } else { "." };
                let written = |at: NaiveDateTime| format!("{}{point}{fraction}", at.format("%Y-%m-%d %H:%M:%S"));
                Ok(first.filter(|at| is_a_year(at.date())).map(written))
            }
            _ => Err(strange()),
        }
    }
}

/// Whether a date is one that sources can have.
fn is_a_year(date: NaiveDate) -> bool {
    use chrono::Datelike;
    (1..=9_999).contains(&date.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(code: i16, digits: i16, lookback: Lookback, since: &str) -> Option<String> {
        let kind = OdbcType { code, name: String::new(), size: 26, digits };
        let order = kind.order().unwrap();
        let window = Window {
            name: "c".into(),
            column: "\"c\"".into(),
            kind,
            order,
            is_unique: false,
            lookback: Some(lookback),
        };
        window.first(since).unwrap()
    }

    #[test]
    fn the_lookback_is_taken_in_the_cursors_own_measure() {
        let back = |seconds| first(93, 12, Lookback::Seconds(seconds), "2024-03-01 00:00:01.123456789012");
        assert_eq!(back(2).as_deref(), Some("2024-02-29 23:59:59.123456789012"));
        assert_eq!(back(u64::MAX), None);
        assert_eq!(
            first(93, 6, Lookback::Seconds(1), "2024-03-01-00.00.00.500000").as_deref(),
            Some("2024-02-29 23:59:59.500000")
        );
        assert_eq!(first(91, 0, Lookback::Seconds(1), "2024-03-01").as_deref(), Some("2024-02-29"));
        assert_eq!(first(-5, 0, Lookback::Count(9), "-9223372036854775807"), None);
        assert_eq!(first(4, 0, Lookback::Count(9), "7").as_deref(), Some("-2"));
        assert_eq!(first(3, 2, Lookback::Count(3), "2.05").as_deref(), Some("-0.95"));
        assert_eq!(first(3, 0, Lookback::Count(3), "12").as_deref(), Some("9"));
    }
}
