//! A table cut into parts that are read at once.

use millstream_ports::{KeyRange, PortResult};

use crate::{
    catalog::Described,
    odbc_type::{OdbcType, Order},
    session::Session,
    statement::Conditions,
    window::LONGEST,
};

/// The most parts: each is a connection and a statement, and the plan names them all.
const MOST_RANGES: u64 = 10_000;

const DOING: &str = "cutting the table into ranges";

/// The column the parts are of.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) name: String,
    column: String,
    kind: OdbcType,
    order: Order,
}

impl Split {
    /// A column by its name; `None` for one whose values have no exact order.
    ///
    /// # Errors
    /// `Invalid` for a column that is not there.
    pub(crate) fn of(session: &Session, name: &str, described: &Described) -> PortResult<Option<Self>> {
        let (_, kind) = described.column(name, "the column to split by")?;
        let column = session.quoted(name)?;
        Ok(kind.order().map(|order| Self { name: name.to_owned(), column, kind: kind.clone(), order }))
    }

    /// Restricts a reading to a part. Rows without a value are in the first one.
    pub(crate) fn restrict(&self, conditions: &mut Conditions, range: &KeyRange) {
        let (column, value) = (&self.column, self.kind.value(self.order));
        if let Some(until) = &range.until {
            let term = format!("{column} < {value}");
            let term = if range.from.is_some() { term } else { format!("({term} OR {column} IS NULL)") };
            conditions.and(term, [until.clone()]);
        }
        if let Some(from) = &range.from {
            conditions.and(format!("{column} >= {value}"), [from.clone()]);
        }
    }
}

/// The parts of what satisfies the conditions, and how many rows that is.
pub(crate) fn plan(
    session: &Session,
    described: &Described,
    conditions: &Conditions,
    split: Option<&Split>,
    range_rows: u64,
) -> PortResult<(Vec<KeyRange>, Option<u64>)> {
    let range_rows = range_rows.max(1);
    let Some(split) = split else { return Ok((vec![KeyRange::whole()], None)) };
    let rows = count(session, described, conditions)?;
    if rows <= range_rows {
        return Ok((vec![KeyRange::whole()], Some(rows)));
    }
    let ends = match split.order {
        Order::Integer => even_ends(session, described, conditions, split, rows.div_ceil(range_rows))?,
        _ => counted_ends(session, described, conditions, split, range_rows.max(rows.div_ceil(MOST_RANGES)))?,
    };
    Ok((KeyRange::between(ends), Some(rows)))
}

fn count(session: &Session, described: &Described, conditions: &Conditions) -> PortResult<u64> {
    // DB2's COUNT ends at 2^31.
    let count = if session.is_db2 { "COUNT_BIG(*)" } else { "COUNT(*)" };
    let sql = format!("SELECT {count} FROM {}{}", described.from, conditions.sql());
    let rows = session.texts(DOING, &sql, conditions.parameters(), LONGEST)?;
    let text = rows.first().and_then(|row| row.first()).cloned().flatten().unwrap_or_default();
    // A decimal, where it is one, ends with a point.
    Ok(text.trim().trim_end_matches('.').parse().unwrap_or(0))
}

/// Whole numbers are cut evenly between the first and the last, which an index gives at once.
fn even_ends(
    session: &Session,
    described: &Described,
    conditions: &Conditions,
    split: &Split,
    parts: u64,
) -> PortResult<Vec<String>> {
    let column = &split.column;
    let sql = format!("SELECT MIN({column}), MAX({column}) FROM {}{}", described.from, conditions.sql());
    let rows = session.texts(DOING, &sql, conditions.parameters(), LONGEST)?;
    let value = |at: usize| rows.first()?.get(at)?.as_ref()?.trim().parse::<i128>().ok();
    let (Some(least), Some(most)) = (value(0), value(1)) else { return Ok(Vec::new()) };
    let bounds = KeyRange::even_bounds(least, most, parts.min(MOST_RANGES));
    Ok(bounds.into_iter().map(|bound| bound.to_string()).collect())
}

/// Other values are counted off by the source.
fn counted_ends(
    session: &Session,
    described: &Described,
    conditions: &Conditions,
    split: &Split,
    range_rows: u64,
) -> PortResult<Vec<String>> {
    let mut conditions = conditions.clone();
    let column = &split.column;
    conditions.and(format!("{column} IS NOT NULL"), []);
    let (value, number, numbered) =
        (session.quoted("end_value")?, session.quoted("row_number")?, session.quoted("numbered")?);
    let sql = format!(
        "SELECT {value} FROM (SELECT {column} AS {value}, ROW_NUMBER() OVER (ORDER BY {column}) AS {number} FROM {}{}) AS {numbered} \
         WHERE {number} > 1 AND MOD({number}, {range_rows}) = {} ORDER BY {number}",
        described.from,
        conditions.sql(),
        1 % range_rows
    );
    let rows = session.texts(DOING, &sql, conditions.parameters(), LONGEST)?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}
