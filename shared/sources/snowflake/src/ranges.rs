//! A table cut into parts that are read at once.

use millstream_ports::{KeyRange, PortResult};

use crate::{
    catalog::Described,
    client::Session,
    names::quoted,
    results::texts,
    sql_type::SqlType,
    statement::Conditions,
    values::{date_text, moment_text},
};

/// The most parts: each is a statement, and the plan names them all.
const MOST_RANGES: u64 = 10_000;

const DOING: &str = "cutting the table into ranges";

/// The column the parts are of.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) name: String,
    column: String,
    kind: SqlType,
}

impl Split {
    /// A column by its name; `None` for one that cannot be cut evenly.
    ///
    /// # Errors
    /// `Invalid` for a column that is not there.
    pub(crate) fn of(name: &str, described: &Described) -> PortResult<Option<Self>> {
        let column = described.column(name, "the column to split by")?;
        let kind = SqlType::read(&column.source_type);
        let even = matches!(kind, SqlType::Number { .. } | SqlType::Date) || kind.is_time();
        Ok(even.then(|| Self { name: column.name.clone(), column: quoted(&column.name), kind }))
    }

    /// Restricts a reading to a part. Rows without a value are in the first one.
    pub(crate) fn restrict(&self, conditions: &mut Conditions, range: &KeyRange) {
        let column = &self.column;
        if let Some(until) = &range.until {
            let until = format!("{column} < {}", conditions.parameter(until, &self.kind));
            conditions.and(if range.from.is_some() { until } else { format!("({until} OR {column} IS NULL)") });
        }
        if let Some(from) = &range.from {
            let from = conditions.parameter(from, &self.kind);
            conditions.and(format!("{column} >= {from}"));
        }
    }

    /// A value's place in the order, in the smallest steps of its type.
    fn place(&self, text: &str) -> Option<i128> {
        match &self.kind {
            SqlType::Number { scale, .. } => {
                let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
                let digits = format!("{whole}{fraction:0<width$}", width = usize::from(*scale));
                digits.parse().ok()
            }
            SqlType::Date => Some(millstream_source_columns::days_of(text.parse().ok()?).into()),
            _ => {
                let at = text.trim_end_matches("+00:00").parse::<chrono::NaiveDateTime>().ok()?.and_utc();
                Some(i128::from(at.timestamp()) * 1_000_000_000 + i128::from(at.timestamp_subsec_nanos()))
            }
        }
    }

    /// The value at a place.
    fn at(&self, place: i128) -> String {
        match &self.kind {
            SqlType::Number { scale, .. } => crate::values::Value::Number(place, u32::from(*scale)).to_text(&self.kind),
            SqlType::Date => date_text(place as i64),
            kind => moment_text(place, !matches!(kind, SqlType::Ntz { .. })),
        }
    }
}

/// The parts of what satisfies the conditions, and about how many rows that is.
pub(crate) async fn plan(
    session: &Session,
    described: &Described,
    conditions: &Conditions,
    split: Option<&Split>,
    range_rows: u64,
) -> PortResult<(Vec<KeyRange>, Option<u64>)> {
    let whole = vec![KeyRange::whole()];
    let known = described.shape.rows.filter(|_| conditions.is_empty());
    let Some(split) = split else { return Ok((whole, known)) };
    if known.is_some_and(|rows| rows <= range_rows) {
        return Ok((whole, known));
    }
    let (column, from) = (&split.column, &described.from);
    let sql = format!("SELECT COUNT(*) AS n, MIN({column}) AS least, MAX({column}) AS most FROM {from}");
    let outcome = session.run(DOING, &conditions.after(&sql)).await?;
    let (_, rows) = texts(DOING, session, outcome).await?;
    let text = |at: usize| rows.first().and_then(|row| row.get(at)?.as_deref());
    let count = text(0).and_then(|text| text.parse().ok()).unwrap_or_default();
    let (Some(least), Some(most)) =
        (text(1).and_then(|least| split.place(least)), text(2).and_then(|most| split.place(most)))
    else {
        return Ok((whole, Some(count)));
    };
    let parts = count.div_ceil(range_rows.max(1)).min(MOST_RANGES);
    let ends = KeyRange::even_bounds(least, most, parts);
    Ok((KeyRange::between(ends.into_iter().map(|place| split.at(place)).collect()), Some(count)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_is_the_same_again(place in -30_000_000_000_000_000_000_i128..30_000_000_000_000_000_000, kind in 0_usize..4) {
            let kind = ["NUMBER(38,3)", "NUMBER(38,0)", "TIMESTAMP_NTZ(9)", "TIMESTAMP_TZ(9)"][kind];
            let split = Split { name: "c".into(), column: "c".into(), kind: SqlType::read(kind) };
            prop_assert_eq!(split.place(&split.at(place)), Some(place));
        }

        #[test]
        fn a_day_is_the_same_again(day in -700_000_i128..2_900_000) {
            let split = Split { name: "c".into(), column: "c".into(), kind: SqlType::Date };
            prop_assert_eq!(split.place(&split.at(day)), Some(day));
        }
    }
}
