//! Which rows a cursor covers.

use millstream_events::extract::{Changes, Lookback};
use millstream_ports::{PortError, PortResult, Read, Ties};

use crate::{
    catalog::Described,
    names::quoted,
    session::{Session, text},
    sql_type::{Order, SqlType},
    statement::Conditions,
};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// More days than there are from the year 1 to 9999: looking back so far is reading everything.
const ALL_DAYS: u64 = 3_652_059;

/// The column that grows.
#[derive(Debug)]
pub(crate) struct Window {
    name: String,
    column: String,
    kind: SqlType,
    order: Order,
    is_unique: bool,
    lookback: Option<Lookback>,
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
                return Err(PortError::invalid(
                    "SQL Server's log of changes is not read: use a cursor, best a rowversion column, which the server raises itself",
                ));
            }
        };
        let name = &cursor.column;
        let kind = described.kind_of(name, "the cursor")?;
        let order = kind.order().ok_or_else(|| {
            PortError::invalid(format!(
                "the cursor {name} is of type {}, whose values have no order to go by",
                kind.as_str()
            ))
        })?;
        let lookback = cursor.lookback.filter(|_| read.ties == Ties::Again);
        let fits = matches!(
            (order, lookback),
            (_, None)
                | (Order::Time | Order::Date, Some(Lookback::Seconds(_)))
                | (
                    Order::Integer { .. } | Order::RowVersion | Order::Decimal | Order::Money | Order::Float,
                    Some(Lookback::Count(_)),
                )
        );
        if !fits {
            return Err(PortError::invalid(format!(
                "the lookback does not fit the cursor {name} of type {}: it is seconds for a time and a number for a number",
                kind.as_str()
            )));
        }
        let is_unique = described.unique.contains(name);
        Ok(Some(Self { name: name.clone(), column: quoted(name), kind, order, is_unique, lookback }))
    }

    /// The newest value there is, but never one before `since`.
    pub(crate) async fn newest(
        &self,
        session: &mut Session,
        from: &str,
        since: Option<&str>,
    ) -> PortResult<Option<String>> {
        let mut conditions = Conditions::default();
        let column = &self.column;
        conditions.and(format!("{column} IS NOT NULL"));
        if let Some(since) = since {
            let parameter = conditions.parameter(since);
            conditions.and(format!("{column} >= {}", self.kind.value(self.order, &parameter)));
        }
        if self.order == Order::RowVersion {
            // A transaction that is still open has lower values than some that are committed, and they come later.
            conditions.and(format!("{column} < MIN_ACTIVE_ROWVERSION()"));
        }
        let newest = self.kind.written(self.order, column);
        let sql =
            format!("SELECT TOP (1) {newest} AS [position] FROM {from}{} ORDER BY {column} DESC", conditions.sql());
        let doing = format!("looking for the newest {}", self.name);
        let rows = session.rows(&doing, &sql, conditions.parameters()).await?;
        let found = rows.first().and_then(|row| text(row, 0)).map(str::to_owned);
        Ok(found.or_else(|| since.map(str::to_owned)))
    }

    /// Restricts a reading to what lies between `since` and the plan's position.
    ///
    /// # Errors
    /// `Invalid` for a position that this column cannot have had.
    pub(crate) fn restrict(&self, conditions: &mut Conditions, read: &Read, position: Option<&str>) -> PortResult<()> {
        let column = &self.column;
        let waits = read.ties == Ties::Once && !self.is_unique;
        match (position, &read.since) {
            (None, _) => conditions.and(format!("{column} IS NULL")),
            (Some(position), since) => {
                let parameter = conditions.parameter(position);
                let until =
                    format!("{column} {} {}", if waits { "<" } else { "<=" }, self.kind.value(self.order, &parameter));
                // Rows without a value have no place in the order: they are read once, with the first reading.
                conditions.and(if since.is_some() { until } else { format!("({until} OR {column} IS NULL)") });
            }
        }
        if let Some(since) = &read.since
            && let Some(first) = self.first(conditions, since)?
        {
            let after = read.ties == Ties::Once && self.is_unique;
            conditions.and(format!("{column} {} {first}", if after { ">" } else { ">=" }));
        }
        Ok(())
    }

    /// The first value to read, as SQL; `None` where there is none that is too early.
    fn first(&self, conditions: &mut Conditions, since: &str) -> PortResult<Option<String>> {
        let strange = || {
            PortError::invalid(format!("{since:?} is no position of the cursor {}: read everything again", self.name))
        };
        let (count, seconds) = match self.lookback {
            Some(Lookback::Count(count)) => (count, 0),
            Some(Lookback::Seconds(seconds)) => (0, seconds),
            None => (0, 0),
        };
        let earlier = match self.order {
            Order::Integer { least, .. } if count > 0 => {
                let since: i128 = since.parse().map_err(|_| strange())?;
                (since - i128::from(count)).max(least).to_string()
            }
            Order::RowVersion if count > 0 => {
                let digits = since.strip_prefix("0x").ok_or_else(strange)?;
                let since = u64::from_str_radix(digits, 16).map_err(|_| strange())?;
                format!("0x{:016X}", since.saturating_sub(count))
            }
            _ => since.to_owned(),
        };
        let parameter = conditions.parameter(earlier);
        let value = self.kind.value(self.order, &parameter);
        let days = match self.order {
            Order::Date => seconds.div_ceil(DAY),
            _ => seconds / DAY,
        };
        Ok(match self.order {
            Order::Time | Order::Date if days >= ALL_DAYS => None,
            Order::Date if days > 0 => Some(format!("DATEADD(day, -{days}, {value})")),
            Order::Time if seconds > 0 => {
                Some(format!("DATEADD(second, -{}, DATEADD(day, -{days}, {value}))", seconds % DAY))
            }
            Order::Decimal | Order::Money | Order::Float if count > 0 => Some(format!("({value} - {count})")),
            _ => Some(value),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millstream_events::extract::{Cursor, Selection};
    use millstream_ports::{BatchSize, Shape, SourceColumn};

    use super::*;

    fn restricted(
        kind: &str,
        unique: bool,
        ties: Ties,
        lookback: Option<Lookback>,
        since: Option<&str>,
        position: Option<&str>,
    ) -> (String, Vec<String>) {
        let kind = SqlType::read(kind);
        let column = SourceColumn {
            name: "c".into(),
            source_type: kind.as_str().into(),
            kind: kind.kind(),
            required: false,
            description: None,
        };
        let shape = Shape { columns: vec![column], key: vec![], cursors: vec![], rows: None, bytes: None };
        let unique = if unique { vec!["c".to_owned()] } else { vec![] };
        let described = Described { shape, unique, from: "[t]".into() };
        let read = Read {
            select: Selection::Table("t".into()),
            only: vec![],
            changes: Changes::Cursor(Cursor { column: "c".into(), lookback, deleted: None }),
            since: since.map(str::to_owned),
            ties,
            split_by: None,
            range_rows: 1,
            statement_timeout: Duration::from_secs(1),
            batch: BatchSize::default(),
        };
        let mut conditions = Conditions::default();
        Window::of(&read, &described).unwrap().unwrap().restrict(&mut conditions, &read, position).unwrap();
        (conditions.sql(), conditions.parameters().to_vec())
    }

    #[test]
    fn ties_are_read_again_or_wait() {
        let time = "datetime2(7)";
        let (first, last) = (Some("2024-01-01T00:00:00.1234567"), Some("2024-01-02T00:00:00"));
        let value = |number| format!("CAST(@P{number} AS datetime2(7))");
        let (sql, parameters) = restricted(time, false, Ties::Again, None, first, last);
        assert_eq!(sql, format!(" WHERE [c] <= {} AND [c] >= {}", value(1), value(2)));
        assert_eq!(parameters, ["2024-01-02T00:00:00", "2024-01-01T00:00:00.1234567"]);
        let (sql, _) = restricted(time, false, Ties::Once, None, first, last);
        assert_eq!(sql, format!(" WHERE [c] < {} AND [c] >= {}", value(1), value(2)));
        let (sql, _) = restricted(time, true, Ties::Once, None, first, last);
        assert_eq!(sql, format!(" WHERE [c] <= {} AND [c] > {}", value(1), value(2)));
        let (sql, _) = restricted(time, false, Ties::Again, None, None, last);
        assert_eq!(sql, format!(" WHERE ([c] <= {} OR [c] IS NULL)", value(1)));
        assert_eq!(restricted(time, false, Ties::Again, None, None, None).0, " WHERE [c] IS NULL");
    }

    #[test]
    fn the_lookback_is_taken_in_the_cursors_own_measure() {
        let of = |kind, lookback, since| restricted(kind, false, Ties::Again, Some(lookback), Some(since), Some(since));
        let (sql, _) = of("datetime", Lookback::Seconds(90_000), "2024-01-01T00:00:00");
        assert!(sql.ends_with(">= DATEADD(second, -3600, DATEADD(day, -1, CAST(@P2 AS datetime)))"), "{sql}");
        let (sql, _) = of("date", Lookback::Seconds(90_000), "2024-01-01");
        assert!(sql.ends_with(">= DATEADD(day, -2, CAST(@P2 AS date))"), "{sql}");
        assert_eq!(of("tinyint", Lookback::Count(9), "7").1, ["7", "0"]);
        assert_eq!(
            of("timestamp", Lookback::Count(2), "0x0000000000000011").1,
            ["0x0000000000000011", "0x000000000000000F"]
        );
        let (sql, _) = of("decimal(10,2)", Lookback::Count(3), "7.50");
        assert!(sql.ends_with(">= (CAST(@P2 AS decimal(10,2)) - 3)"), "{sql}");
        assert_eq!(
            of("datetime", Lookback::Seconds(u64::MAX), "2024-01-01T00:00:00").0,
            " WHERE [c] <= CAST(@P1 AS datetime)"
        );
    }

    #[test]
    fn a_rowversion_is_compared_as_bytes() {
        let (sql, parameters) = restricted("timestamp", true, Ties::Once, None, Some("0x01"), Some("0x02"));
        assert_eq!(sql, " WHERE [c] <= CONVERT(binary(8), @P1, 1) AND [c] > CONVERT(binary(8), @P2, 1)");
        assert_eq!(parameters, ["0x02", "0x01"]);
    }
}
