//! A table cut into parts that are read at once.

use millstream_ports::{KeyRange, PortResult};

use crate::{
    catalog::Described,
    names::quoted,
    session::{Session, integer, text},
    sql_type::{Order, SqlType},
    statement::Conditions,
};

/// The most parts: each is a connection and a statement, and the plan names them all.
const MOST_RANGES: u64 = 10_000;

const DOING: &str = "cutting the table into ranges";

/// The column the parts are of.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) name: String,
    column: String,
    kind: SqlType,
    order: Order,
}

impl Split {
    /// A column by its name; `None` for one whose values have no exact order.
    ///
    /// # Errors
    /// `Invalid` for a column that is not there.
    pub(crate) fn of(name: &str, described: &Described) -> PortResult<Option<Self>> {
        let kind = described.kind_of(name, "the column to split by")?;
        let order = kind.order().filter(|order| *order != Order::Float);
        Ok(order.map(|order| Self { name: name.to_owned(), column: quoted(name), kind, order }))
    }

    /// Restricts a reading to a part. Rows without a value are in the first one.
    pub(crate) fn restrict(&self, conditions: &mut Conditions, range: &KeyRange) {
        let column = &self.column;
        if let Some(until) = &range.until {
            let parameter = conditions.parameter(until);
            let until = format!("{column} < {}", self.kind.value(self.order, &parameter));
            conditions.and(if range.from.is_some() { until } else { format!("({until} OR {column} IS NULL)") });
        }
        if let Some(from) = &range.from {
            let parameter = conditions.parameter(from);
            conditions.and(format!("{column} >= {}", self.kind.value(self.order, &parameter)));
        }
    }
}

/// The parts of what satisfies the conditions, and about how many rows that is.
pub(crate) async fn plan(
    session: &mut Session,
    described: &Described,
    conditions: &Conditions,
    split: Option<&Split>,
    range_rows: u64,
) -> PortResult<(Vec<KeyRange>, Option<u64>)> {
    let estimate = described.shape.rows.filter(|_| conditions.is_empty());
    let range_rows = range_rows.max(1);
    let Some(split) = split else { return Ok((vec![KeyRange::whole()], estimate)) };
    let rows = match estimate {
        Some(rows) => rows,
        None => count(session, described, conditions).await?,
    };
    if rows <= range_rows {
        return Ok((vec![KeyRange::whole()], Some(rows)));
    }
    let ends = match split.order {
        Order::Integer { .. } => even_ends(session, described, conditions, split, rows.div_ceil(range_rows)).await?,
        _ => counted_ends(session, described, conditions, split, range_rows.max(rows.div_ceil(MOST_RANGES))).await?,
    };
    Ok((KeyRange::between(ends), Some(rows)))
}

async fn count(session: &mut Session, described: &Described, conditions: &Conditions) -> PortResult<u64> {
    let sql = format!("SELECT COUNT_BIG(*) AS n FROM {}{}", described.from, conditions.sql());
    let rows = session.rows(DOING, &sql, conditions.parameters()).await?;
    Ok(rows.first().and_then(|row| integer(row, 0)).and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
}

/// Whole numbers are cut evenly between the first and the last, which an index gives at once.
async fn even_ends(
    session: &mut Session,
    described: &Described,
    conditions: &Conditions,
    split: &Split,
    parts: u64,
) -> PortResult<Vec<String>> {
    let written = |value: String| split.kind.written(split.order, &value);
    let column = &split.column;
    let (least, most) = (written(format!("MIN({column})")), written(format!("MAX({column})")));
    let sql = format!("SELECT {least} AS least, {most} AS most FROM {}{}", described.from, conditions.sql());
    let rows = session.rows(DOING, &sql, conditions.parameters()).await?;
    let value = |at| rows.first().and_then(|row| text(row, at)).and_then(|value| value.parse::<i128>().ok());
    let (Some(least), Some(most)) = (value(0), value(1)) else { return Ok(Vec::new()) };
    let bounds = KeyRange::even_bounds(least, most, parts.min(MOST_RANGES));
    Ok(bounds.into_iter().map(|bound| bound.to_string()).collect())
}

/// Other values are counted off by the server.
async fn counted_ends(
    session: &mut Session,
    described: &Described,
    conditions: &Conditions,
    split: &Split,
    range_rows: u64,
) -> PortResult<Vec<String>> {
    let mut conditions = conditions.clone();
    let column = &split.column;
    conditions.and(format!("{column} IS NOT NULL"));
    let written = split.kind.written(split.order, "[value]");
    let sql = format!(
        "SELECT {written} AS [end] FROM (SELECT {column} AS [value], ROW_NUMBER() OVER (ORDER BY {column}) AS [number] \
         FROM {}{}) AS [numbered] WHERE [number] > 1 AND [number] % {range_rows} = {} ORDER BY [number]",
        described.from,
        conditions.sql(),
        1 % range_rows
    );
    let rows = session.rows(DOING, &sql, conditions.parameters()).await?;
    Ok(rows.iter().filter_map(|row| text(row, 0).map(str::to_owned)).collect())
}
