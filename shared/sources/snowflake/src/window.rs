//! Which rows a cursor covers.

use millstream_events::extract::{Changes, Lookback};
use millstream_ports::{PortError, PortResult, Read, Ties};

use crate::{
    catalog::Described, client::Session, names::quoted, results::texts, sql_type::SqlType, statement::Conditions,
};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// More seconds than there are from the year 1 to 9999: looking back so far is reading everything.
const ALL_SECONDS: u64 = 3_652_060 * DAY;

/// The column that grows.
#[derive(Debug)]
pub(crate) struct Window {
    name: String,
    column: String,
    kind: SqlType,
    ties: Ties,
    lookback: Option<Lookback>,
    since: Option<String>,
}

impl Window {
    /// Of what is read; `None` where everything is.
    ///
    /// # Errors
    /// `Invalid` for a column that is not there or that has no order, and for a log.
    pub(crate) fn of(read: &Read, described: &Described) -> PortResult<Option<Self>> {
        let cursor = match &read.changes {
            Changes::Everything => return Ok(None),
            Changes::Cursor(cursor) => cursor,
            Changes::Log(_) => {
                return Err(PortError::invalid("Snowflake's streams of changes are not read: use a cursor"));
            }
        };
        let column = described.column(&cursor.column, "the cursor")?;
        let kind = SqlType::read(&column.source_type);
        let name = column.name.clone();
        if !kind.is_ordered() {
            return Err(PortError::invalid(format!(
                "the cursor {name} is of type {kind}, whose values have no order to go by"
            )));
        }
        let lookback = cursor.lookback.filter(|_| read.ties == Ties::Again);
        let fits = match (&kind, lookback) {
            (_, None) => true,
            (SqlType::Number { .. }, Some(Lookback::Count(_))) => true,
            (kind, Some(Lookback::Seconds(_))) => kind.is_time() || *kind == SqlType::Date,
            _ => false,
        };
        if !fits {
            return Err(PortError::invalid(format!(
                "the lookback does not fit the cursor {name} of type {kind}: it is seconds for a time and a number for a number"
            )));
        }
        Ok(Some(Self { column: quoted(&name), name, kind, ties: read.ties, lookback, since: read.since.clone() }))
    }

    /// The newest value there is, but never one before where the reading starts.
    pub(crate) async fn newest(&self, session: &Session, from: &str) -> PortResult<Option<String>> {
        let mut conditions = Conditions::default();
        if let Some(since) = &self.since {
            let since = conditions.parameter(since, &self.kind);
            conditions.and(format!("{} >= {since}", self.column));
        }
        let doing = format!("looking for the newest {}", self.name);
        let statement = conditions.after(&format!("SELECT MAX({}) AS newest FROM {from}", self.column));
        let outcome = session.run(&doing, &statement).await?;
        let (_, rows) = texts(&doing, session, outcome).await?;
        let newest = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        Ok(newest.or_else(|| self.since.clone()))
    }

    /// Restricts a reading to what lies between where it starts and the plan's position.
    pub(crate) fn restrict(&self, conditions: &mut Conditions, position: Option<&str>) {
        let column = &self.column;
        let Some(position) = position else { return conditions.and(format!("{column} IS NULL")) };
        let before = if self.ties == Ties::Once { "<" } else { "<=" };
        let until = format!("{column} {before} {}", conditions.parameter(position, &self.kind));
        // Rows without a value have no place in the order: they are read once, with the first reading.
        conditions.and(if self.since.is_some() { until } else { format!("({until} OR {column} IS NULL)") });
        let Some(since) = &self.since else { return };
        let seconds = match self.lookback {
            Some(Lookback::Seconds(seconds)) => seconds,
            _ => 0,
        };
        if seconds >= ALL_SECONDS {
            return;
        }
        let value = conditions.parameter(since, &self.kind);
        conditions.and(match (self.lookback, &self.kind) {
            (Some(Lookback::Count(count)), _) => format!("{column} >= {value} - {count}"),
            (Some(Lookback::Seconds(seconds)), SqlType::Date) => {
                format!("{column} >= DATEADD(day, -{}, {value})", seconds.div_ceil(DAY))
            }
            (Some(Lookback::Seconds(seconds)), _) => format!("{column} >= DATEADD(second, -{seconds}, {value})"),
            (None, _) => format!("{column} >= {value}"),
        });
    }
}
