//! Translation for DuckDB.
//!
//! In three steps. First every function is given a marked name (`MILLSTREAM_DATE_DIFF`) that the parser takes for an
//! unknown function and leaves alone, or is refused. Then `polyglot-sql` translates what is not a function: names, types,
//! UNNEST, STRUCT, EXCEPT, NULL order. Then each marked call is replaced by what our tables say it becomes.

use crate::{error::SqlError, expand, mark, select};
use polyglot_sql::{Dialect, DialectType};

/// Translates one BigQuery SELECT for DuckDB 1.5 with the session's time zone set to UTC.
///
/// What has no translation is an error that names it: the result means what the statement means, or there is none.
pub fn to_duckdb(text: &str) -> Result<String, SqlError> {
    let read = select::read(text)?;
    let marked = mark::marked(&read)?;
    let dialect = Dialect::get(DialectType::BigQuery);
    let mut translated = dialect
        .transpile(&marked, DialectType::DuckDB)
        .map_err(|error| SqlError::new(format!("this has no translation for DuckDB: {error}")))?;
    match (translated.pop(), translated.is_empty()) {
        (Some(statement), true) => expand::expanded(&statement),
        _ => Err(SqlError::new("the translation is not one statement")),
    }
}

/// Translates one BigQuery expression over a row's columns, such as `amount >= 0`.
pub fn expression_to_duckdb(expression: &str) -> Result<String, SqlError> {
    let prefix = "SELECT ";
    let shifted =
        |error: SqlError| SqlError { offset: error.offset.map(|at| at.saturating_sub(prefix.len())), ..error };
    let statement = to_duckdb(&format!("{prefix}({expression}) AS value")).map_err(shifted)?;
    let inner = statement.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(" AS value"));
    match inner {
        Some(inner) => Ok(inner.to_owned()),
        None => Err(SqlError::new(format!("{expression:?} is not one expression over a row's columns"))),
    }
}
