//! What changed, by a column that every change raises.

use millstream_events::extract::{Cursor, Lookback};
use millstream_ports::{PortError, PortResult, Ties};

use crate::{
    described::{Column, Described},
    session::Session,
    sql::literal,
    types::sql_type,
};

/// The farthest look back, in seconds: some 6,000 years, after which a time would be none of the server's.
const FARTHEST: u64 = 190_000_000_000;

/// A cursor over a table or query.
#[derive(Debug)]
pub(crate) struct CursorColumn {
    column: String,
    name: String,
    /// The type as SQL writes it.
    sql_type: String,
    family: Family,
    /// Whether no value is there twice.
    unique: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Integer,
    Decimal,
    /// A date or a time: there are infinite ones.
    Time,
    /// A text or a UUID.
    Other,
}

impl CursorColumn {
    /// The column of a cursor.
    ///
    /// # Errors
    /// `Invalid` for a column that is not there or whose type has no order that changes could raise it in.
    pub(crate) fn new(described: &Described, cursor: &Cursor) -> PortResult<Self> {
        let column = described.column(&cursor.column)?;
        let family = family(described, column).ok_or_else(|| {
            let Column { name, source_type, .. } = column;
            PortError::invalid(format!(
                "{name} of type {source_type} cannot be a cursor: name a time, a number, a text or a UUID that grows with \
                 every change"
            ))
        })?;
        let (schema, name) = described.base_type(column).unwrap_or_default();
        let unique = described.relation.as_ref().is_some_and(|relation| relation.unique.contains(&column.name));
        Ok(Self {
            column: column.quoted(),
            name: column.name.clone(),
            sql_type: sql_type(schema, name),
            family,
            unique,
        })
    }

    /// The newest value there is, as text; not before `since`. `None` when there is no value.
    pub(crate) async fn newest(
        &self,
        session: &Session,
        described: &Described,
        since: Option<&str>,
    ) -> PortResult<Option<String>> {
        let Self { column, .. } = self;
        let finite = self.finite().map(|finite| format!(" AND {finite}")).unwrap_or_default();
        let newest = format!(
            "(SELECT {column} FROM {} WHERE {column} IS NOT NULL{finite} ORDER BY {column} DESC LIMIT 1)",
            described.from
        );
        let sql = match since {
            Some(since) => format!("SELECT GREATEST({newest}, {})::pg_catalog.text", self.value(since)?),
            None => format!("SELECT {newest}::pg_catalog.text"),
        };
        let doing = format!("looking for the newest {} of {}", self.name, described.name);
        Ok(session.row(&sql, &[], &doing).await?.get(0))
    }

    /// The condition of the rows that are after `since` and up to `position`, which is not before it.
    pub(crate) fn condition(
        &self,
        cursor: &Cursor,
        since: Option<&str>,
        position: Option<&str>,
        ties: Ties,
    ) -> PortResult<String> {
        let Self { column, .. } = self;
        let waits = ties == Ties::Once && !self.unique;
        let until = match position {
            Some(position) => format!("{column} {} {}", if waits { "<" } else { "<=" }, self.value(position)?),
            None => "false".to_owned(),
        };
        let Some(since) = since else {
            // Rows without a value have no place in the order: they come with the first ones that have.
            if position.is_none() && ties == Ties::Once {
                return Ok(until);
            }
            let endless = self.finite().map(|finite| format!(" OR NOT {finite}")).unwrap_or_default();
            return Ok(format!("({until} OR {column} IS NULL{endless})"));
        };
        let from = match ties {
            Ties::Again => format!("{column} >= {}", self.looked_back(since, cursor.lookback)?),
            Ties::Once if self.unique => format!("{column} > {}", self.value(since)?),
            Ties::Once => format!("{column} >= {}", self.value(since)?),
        };
        Ok(format!("({from} AND {until})"))
    }

    /// The place a lookback leads to.
    fn looked_back(&self, since: &str, lookback: Option<Lookback>) -> PortResult<String> {
        let value = self.value(since)?;
        match (lookback, self.family) {
            (None | Some(Lookback::Seconds(0) | Lookback::Count(0)), _) => Ok(value),
            (Some(Lookback::Seconds(seconds)), Family::Time) => {
                Ok(format!("({value} - INTERVAL '{} seconds')", seconds.min(FARTHEST)))
            }
            (Some(Lookback::Count(count)), Family::Integer) => {
                let from: i64 = since.parse().map_err(|_| {
                    PortError::invalid(format!(
                        "{since:?} is no place of the cursor {}: extract everything again",
                        self.name
                    ))
                })?;
                Ok(format!("'{}'::pg_catalog.int8", from.saturating_sub_unsigned(count)))
            }
            (Some(Lookback::Count(count)), Family::Decimal) => Ok(format!("({value} - {count})")),
            (Some(Lookback::Seconds(_)), Family::Integer | Family::Decimal) => Err(PortError::invalid(format!(
                "{} is a number: write its lookback as a number, not as a time",
                self.name
            ))),
            (Some(Lookback::Count(_)), Family::Time) => {
                Err(PortError::invalid(format!("{} is a time: write its lookback as one, such as 10m", self.name)))
            }
            (Some(_), Family::Other) => {
                Err(PortError::invalid(format!("{} is no time or number: it has no lookback", self.name)))
            }
        }
    }

    fn value(&self, text: &str) -> PortResult<String> {
        Ok(format!("{}::{}", literal(text)?, self.sql_type))
    }

    /// What tells endless times, which are after everything, from others.
    fn finite(&self) -> Option<String> {
        (self.family == Family::Time).then(|| format!("pg_catalog.isfinite({})", self.column))
    }
}

fn family(described: &Described, column: &Column) -> Option<Family> {
    match described.base_type(column)? {
        ("pg_catalog", "int2" | "int4" | "int8") => Some(Family::Integer),
        ("pg_catalog", "numeric") => Some(Family::Decimal),
        ("pg_catalog", "date" | "timestamp" | "timestamptz") => Some(Family::Time),
        ("pg_catalog", "text" | "varchar" | "uuid") => Some(Family::Other),
        _ => None,
    }
}
