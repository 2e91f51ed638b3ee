//! Conditions that every row of a result must meet before it gets in.

use duckdb::Connection;
use millstream_ports::{PortError, PortResult};

use super::{
    errors::{self, Mapped},
    types::identifier,
};

/// Checks rows in a table against expectations; the first that is broken is the error, with an example.
pub(super) fn check(connection: &Connection, path: &str, expectations: &[String]) -> PortResult<()> {
    for expectation in expectations {
        let breach = breach(expectation)?;
        let source = format!("FROM {path} {breach}");
        let broken: u64 = connection
            .query_row(&format!("SELECT count(*) FROM (SELECT 1 {source})"), [], |row| row.get(0))
            .mapped(&format!("check `{expectation}`"))?;
        if broken > 0 {
            let example: String = connection
                .query_row(
                    &format!("SELECT CAST(to_json(broken) AS VARCHAR) FROM (SELECT * {source} LIMIT 1) AS broken"),
                    [],
                    |row| row.get(0),
                )
                .mapped(&format!("find a row that breaks `{expectation}`"))?;
            return Err(PortError::invalid(format!(
                "the expectation `{expectation}` is broken by {broken} row{}, such as {example}; nothing was written",
                if broken == 1 { "" } else { "s" }
            )));
        }
    }
    Ok(())
}

/// The clause that leaves the rows an expectation is broken by.
fn breach(expectation: &str) -> PortResult<String> {
    if let Some(columns) = arguments(expectation, "unique") {
        // NULLs are no duplicates of each other, as in a UNIQUE constraint.
        let known: Vec<String> = columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
        return Ok(format!(
            "WHERE {} QUALIFY row_number() OVER (PARTITION BY {}) > 1",
            known.join(" AND "),
            columns.join(", ")
        ));
    }
    if let Some(columns) = arguments(expectation, "not_null") {
        let missing: Vec<String> = columns.iter().map(|column| format!("{column} IS NULL")).collect();
        return Ok(format!("WHERE {}", missing.join(" OR ")));
    }
    let condition = millstream_sql::expression_to_duckdb(expectation).map_err(|error| errors::sql(&error))?;
    // Like a CHECK constraint: what is not known to be false holds.
    Ok(format!("WHERE NOT ({condition})"))
}

/// The columns of `function(a, b)`, as identifiers.
fn arguments(expectation: &str, function: &str) -> Option<Vec<String>> {
    let rest = expectation.trim();
    let head = rest.get(..function.len()).filter(|head| head.eq_ignore_ascii_case(function))?;
    let inner = rest[head.len()..].trim().strip_prefix('(')?.strip_suffix(')')?;
    let columns: Vec<String> = inner.split(',').map(|column| identifier(column.trim().trim_matches('`'))).collect();
    Some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_expectation_is_named_with_how_many_rows_and_one_of_them() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t AS SELECT * FROM (VALUES (1, 'a'), (2, 'a'), (-3, NULL)) AS t(id, name)")
            .unwrap();
        for (expectation, rows) in [("id > 0", "1 row,"), ("unique(name)", "1 row,"), ("NOT_NULL(`name`)", "1 row,")] {
            let message = check(&connection, "t", &[expectation.to_owned()]).unwrap_err().to_string();
            assert!(
                message.contains(expectation) && message.contains(rows) && message.contains("\"id\":"),
                "{message}"
            );
        }
        let held = ["id > -10", "unique(id)", "name = 'a'", "STARTS_WITH(name, 'a')"].map(str::to_owned);
        check(&connection, "t", &held).unwrap();
        assert!(check(&connection, "t", &["id >".to_owned()]).is_err());
    }
}
