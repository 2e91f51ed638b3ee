//! Ranges of a column that have about the same number of rows.

use millstream_ports::{KeyRange, PortError, PortResult};

use crate::{
    described::{Column, Described},
    session::Session,
    sql::literal,
    types::sql_type,
};

/// Ranges, at most: more would only be more connections.
const MOST_RANGES: u64 = 10_000;

/// Rows that are sampled for each range, and at least.
const SAMPLED_OF_RANGE: u64 = 500;
const SAMPLED: u64 = 20_000;

/// A column that rows are read by in ranges. Its values are compared as its index compares them, in its own collation, here and
/// when a range is read.
#[derive(Debug)]
pub(crate) struct SplitColumn {
    column: String,
    sql_type: String,
    is_integer: bool,
    required: bool,
}

impl SplitColumn {
    /// The column, if its type has an order that ranges can be made of.
    pub(crate) fn new(described: &Described, column: &Column) -> Option<Self> {
        let (schema, name) = described.base_type(column)?;
        let is_integer = schema == "pg_catalog" && matches!(name, "int2" | "int4" | "int8");
        let is_ordered = match schema {
            "pg_catalog" => matches!(
                name,
                "oid"
                    | "numeric"
                    | "date"
                    | "timestamp"
                    | "timestamptz"
                    | "uuid"
                    | "text"
                    | "varchar"
                    | "bpchar"
                    | "name"
            ),
            _ => name == "citext",
        };
        (is_integer || is_ordered).then(|| Self {
            column: column.quoted(),
            sql_type: sql_type(schema, name),
            is_integer,
            required: column.required,
        })
    }

    /// The condition of the rows of a range; `None` for all of them.
    pub(crate) fn condition(&self, range: &KeyRange) -> PortResult<Option<String>> {
        let Self { column, sql_type, .. } = self;
        let value = |text: &String| Ok::<_, PortError>(format!("{}::{sql_type}", literal(text)?));
        let from = range.from.as_ref().map(value).transpose()?.map(|from| format!("{column} >= {from}"));
        let until = range.until.as_ref().map(value).transpose()?.map(|until| format!("{column} < {until}"));
        Ok(match (from, until) {
            (Some(from), Some(until)) => Some(format!("({from} AND {until})")),
            (Some(from), None) => Some(from),
            // Where the column has always a value, asking for those without would only keep the index from being used.
            (None, Some(until)) if self.required => Some(until),
            (None, Some(until)) => Some(format!("({until} OR {column} IS NULL)")),
            (None, None) => None,
        })
    }

    /// Ranges of about `range_rows` of the rows that meet `condition`, of which there are about `rows`.
    pub(crate) async fn ranges(
        &self,
        session: &Session,
        described: &Described,
        condition: Option<&str>,
        rows: u64,
        range_rows: u64,
    ) -> PortResult<Vec<KeyRange>> {
        let sampled = described.relation.as_ref().is_some_and(|relation| relation.is_sampled);
        // What the planner expects of a view or a query is often far off, and counting takes no longer than reading a range.
        let rows = if sampled { rows } else { counted(session, described, condition).await? };
        let count = rows.div_ceil(range_rows.max(1)).min(MOST_RANGES);
        if count < 2 {
            return Ok(vec![KeyRange::whole()]);
        }
        let bounds = if sampled || !self.is_integer {
            self.percentiles(session, described, condition, rows, count, sampled).await?
        } else {
            // Each look at a view or a query runs all of it: the ends are cheaper than an order.
            self.even(session, described, condition, count).await?
        };
        Ok(KeyRange::between(bounds))
    }

    /// Values that as many rows lie between, in a sample of the pages, or in all rows.
    async fn percentiles(
        &self,
        session: &Session,
        described: &Described,
        condition: Option<&str>,
        rows: u64,
        count: u64,
        sampled: bool,
    ) -> PortResult<Vec<String>> {
        let Self { column, .. } = self;
        let wanted = (count * SAMPLED_OF_RANGE).max(SAMPLED);
        let sample = if sampled && rows > wanted {
            format!(" TABLESAMPLE SYSTEM ({:.6})", 100.0 * wanted as f64 / rows as f64)
        } else {
            String::new()
        };
        let condition = condition.map(|condition| format!(" AND {condition}")).unwrap_or_default();
        let sql = format!(
            "SELECT (pg_catalog.percentile_disc($1::pg_catalog.float8[]) WITHIN GROUP (ORDER BY {column}))::pg_catalog.text[]
            FROM {}{sample} WHERE {column} IS NOT NULL{condition}",
            described.from
        );
        let fractions: Vec<f64> = (1..count).map(|part| part as f64 / count as f64).collect();
        let row = session.row(&sql, &[&fractions], &format!("splitting {} into ranges", described.name)).await?;
        Ok(row.get::<_, Option<Vec<String>>>(0).unwrap_or_default())
    }

    /// Integers at even distances from the smallest to the largest one.
    async fn even(
        &self,
        session: &Session,
        described: &Described,
        condition: Option<&str>,
        count: u64,
    ) -> PortResult<Vec<String>> {
        let Self { column, .. } = self;
        let condition = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
        let sql = format!(
            "SELECT pg_catalog.min({column})::pg_catalog.int8, pg_catalog.max({column})::pg_catalog.int8 FROM {}{condition}",
            described.from
        );
        let row = session.row(&sql, &[], &format!("splitting {} into ranges", described.name)).await?;
        let (Some(first), Some(last)) = (row.get::<_, Option<i64>>(0), row.get::<_, Option<i64>>(1)) else {
            return Ok(Vec::new());
        };
        let (first, span) = (i128::from(first), i128::from(last) - i128::from(first) + 1);
        let bound = |part: u64| first + span * i128::from(part) / i128::from(count);
        Ok((1..count).map(bound).filter(|bound| *bound > first).map(|bound| bound.to_string()).collect())
    }
}

async fn counted(session: &Session, described: &Described, condition: Option<&str>) -> PortResult<u64> {
    let filter = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
    let sql = format!("SELECT pg_catalog.count(*) FROM {}{filter}", described.from);
    let rows: i64 = session.row(&sql, &[], &format!("counting the rows of {}", described.name)).await?.get(0);
    Ok(rows.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_a_value_are_in_the_first_range() {
        let column = |required| SplitColumn {
            column: "t.k".into(),
            sql_type: "pg_catalog.text".into(),
            is_integer: false,
            required,
        };
        let range = KeyRange { from: None, until: Some("it's".into()) };
        let condition = column(false).condition(&range).unwrap().unwrap();
        assert_eq!(condition, "(t.k < 'it''s'::pg_catalog.text OR t.k IS NULL)");
        assert_eq!(column(true).condition(&range).unwrap().unwrap(), "t.k < 'it''s'::pg_catalog.text");
        let range = KeyRange { from: Some("a".into()), until: None };
        assert_eq!(column(false).condition(&range).unwrap().unwrap(), "t.k >= 'a'::pg_catalog.text");
    }
}
