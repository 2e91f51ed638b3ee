//! Translation for DuckDB.
//!
//! In three steps. First every function is given a marked name (`MILLSTREAM_DATE_DIFF`) that the parser takes for an
//! unknown function and leaves alone, or is refused. Then `polyglot-sql` translates what is not a function: names, types,
//! UNNEST, STRUCT, EXCEPT, NULL order. Then each marked call is replaced by what our tables say it becomes.

use polyglot_sql::{Dialect, DialectType, Expression, expressions::Function, traversal};

use crate::{
    error::SqlError,
    expand,
    lex::{self, Lexis},
    mark::{self, MARK},
    select,
};

/// Translates one BigQuery SELECT for DuckDB 1.5 with the session's time zone set to UTC.
///
/// What has no translation is an error that names it: the result means what the statement means, or there is none.
pub fn to_duckdb(text: &str) -> Result<String, SqlError> {
    let read = select::read(text)?;
    let dialect = Dialect::get(DialectType::BigQuery);
    let marked = divisions_marked(&dialect, mark::marked(&read)?)?;
    let mut translated = dialect
        .transpile(&marked, DialectType::DuckDB)
        .map_err(|error| SqlError::new(format!("this has no translation for DuckDB: {error}")))?;
    match (translated.pop(), translated.is_empty()) {
        (Some(statement), true) => expand::expanded(&statement),
        _ => Err(SqlError::new("the translation is not one statement")),
    }
}

/// The statement with every division as a marked call: only its syntax tree tells what is divided by what.
fn divisions_marked(dialect: &Dialect, statement: String) -> Result<String, SqlError> {
    let untranslatable =
        |error: polyglot_sql::Error| SqlError::new(format!("this has no translation for DuckDB: {error}"));
    if !lex::tokens(&statement, Lexis::BigQuery)?.iter().any(|token| token.is_symbol("/")) {
        return Ok(statement);
    }
    let mut parsed = dialect.parse(&statement).map_err(untranslatable)?;
    let Some(query) = parsed.pop() else { return Ok(statement) };
    let marked = traversal::transform_all(query, &|node| {
        Ok(match node {
            Expression::Div(division) => {
                let name = format!("{MARK}DIVIDE");
                Expression::Function(Box::new(Function::new(name, vec![division.left, division.right])))
            }
            other => other,
        })
    });
    marked.and_then(|query| dialect.generate(&query)).map_err(untranslatable)
}

/// Translates one BigQuery expression over a row's columns, such as `amount >= 0`.
pub fn expression_to_duckdb(expression: &str) -> Result<String, SqlError> {
    const START: &str = "SELECT (";
    const END: &str = " AS value";
    let shifted = |error: SqlError| SqlError { offset: error.offset.map(|at| at.saturating_sub(START.len())), ..error };
    let no_expression = || SqlError::new(format!("{expression:?} is not one expression over a row's columns"));
    // Its own parentheses must be paired, so that the ones around it stay a pair.
    let tokens = lex::tokens(expression, Lexis::BigQuery)?;
    if tokens.is_empty() {
        return Err(no_expression());
    }
    let mut depth = 0_i32;
    for token in tokens {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return Err(no_expression());
        }
    }
    // The line's end closes a comment that ends the expression.
    let statement = to_duckdb(&format!("{START}{expression}\n){END}")).map_err(shifted)?;
    match statement.strip_prefix("SELECT ").and_then(|rest| rest.strip_suffix(END)) {
        Some(inner) if inner.starts_with('(') && inner.ends_with(')') => Ok(inner.to_owned()),
        _ => Err(no_expression()),
    }
}
