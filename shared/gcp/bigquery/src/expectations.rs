//! Conditions that every row of a result must meet before it gets in.

use millstream_events::names::TableName;
use millstream_ports::{PortError, PortResult};

use crate::{
    BigQueryWarehouse,
    queries::invalid_sql,
    statements::{identifier, path},
};

impl BigQueryWarehouse {
    /// Checks staged rows against expectations, and a merge's against doubled keys, in one query; the first that is broken
    /// is the error, with an example.
    pub(crate) async fn check_expectations(
        &self,
        table: &TableName,
        stage: &TableName,
        expectations: &[String],
        key: Option<&[String]>,
    ) -> PortResult<()> {
        let mut breaches = expectations.iter().map(|text| breach(text)).collect::<PortResult<Vec<_>>>()?;
        breaches.extend(key.map(|key| doubled(&key.iter().map(|name| identifier(name)).collect::<Vec<_>>())));
        if breaches.is_empty() {
            return Ok(());
        }
        let answer =
            self.select(&format!("check the rows for {table}"), &question(stage, &breaches), breaches.len()).await?;
        for row in answer.rows {
            let [place, broken, example] = row.as_slice() else { continue };
            let (Some(place), Some(broken @ 1..)) = (place.as_u64(), broken.as_u64()) else { continue };
            let example = example.as_str().unwrap_or_default();
            let rows = if broken == 1 { "1 row".to_owned() } else { format!("{broken} rows") };
            let expectation = usize::try_from(place).ok().and_then(|place| expectations.get(place));
            return Err(PortError::invalid(match (expectation, key) {
                (Some(expectation), _) => {
                    format!(
                        "the expectation `{expectation}` is broken by {rows}, such as {example}; nothing was written"
                    )
                }
                (None, key) => format!(
                    "several new rows of {table} have the same key ({}), such as {example}; make them one, such as with \
                     QUALIFY ROW_NUMBER() .. = 1",
                    key.unwrap_or_default().join(", ")
                ),
            }));
        }
        Ok(())
    }
}

/// A row for each breach: its place, the rows that have it, one of them. First breach first.
fn question(stage: &TableName, breaches: &[String]) -> String {
    let parts: Vec<String> = breaches
        .iter()
        .enumerate()
        .map(|(place, breach)| {
            format!(
                "SELECT {place} AS place, COUNT(*) AS broken, MIN(example) AS example FROM (\n\
                 SELECT TO_JSON_STRING(row) AS example FROM {} AS row {breach})",
                path(stage)
            )
        })
        .collect();
    format!("{}\nORDER BY place", parts.join("\nUNION ALL\n"))
}

/// The clause that leaves the rows an expectation is broken by.
fn breach(expectation: &str) -> PortResult<String> {
    if let Some(columns) = arguments(expectation, "unique") {
        return Ok(doubled(&columns));
    }
    if let Some(columns) = arguments(expectation, "not_null") {
        let missing: Vec<String> = columns.iter().map(|column| format!("{column} IS NULL")).collect();
        return Ok(format!("WHERE {}", missing.join(" OR ")));
    }
    // Its translation is not used: that there is one says that the text is one expression over a row, and nothing else.
    millstream_sql::expression_to_duckdb(expectation).map_err(|error| invalid_sql(&error))?;
    // Like a CHECK constraint: what is not known to be false holds.
    Ok(format!("WHERE NOT ({expectation}\n)"))
}

/// Every row but one of those that share these columns' values. NULLs are no duplicates of each other.
fn doubled(columns: &[String]) -> String {
    let known: Vec<String> = columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
    format!("WHERE {} QUALIFY ROW_NUMBER() OVER (PARTITION BY {}) > 1", known.join(" AND "), columns.join(", "))
}

/// The columns of `function(a, b)`, as identifiers.
fn arguments(expectation: &str, function: &str) -> Option<Vec<String>> {
    let rest = expectation.trim();
    let head = rest.get(..function.len()).filter(|head| head.eq_ignore_ascii_case(function))?;
    let inner = rest[head.len()..].trim().strip_prefix('(')?.strip_suffix(')')?;
    Some(inner.split(',').map(|column| identifier(column.trim().trim_matches('`'))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expectation_becomes_the_clause_that_finds_its_breaches() {
        assert_eq!(
            breach("Unique(`a`, b)").unwrap(),
            "WHERE `a` IS NOT NULL AND `b` IS NOT NULL QUALIFY ROW_NUMBER() OVER (PARTITION BY `a`, `b`) > 1"
        );
        assert_eq!(breach("not_null(a)").unwrap(), "WHERE `a` IS NULL");
        assert_eq!(breach("a > 0").unwrap(), "WHERE NOT (a > 0\n)");
    }

    #[test]
    fn what_is_more_than_an_expression_is_refused() {
        for text in ["a > 0) OR (TRUE", "a >", "1); DROP TABLE d.t"] {
            assert!(breach(text).is_err(), "{text}");
        }
    }
}
