//! One SELECT, read.

use std::str::FromStr;

use millstream_events::names::TableName;
use polyglot_sql::{Dialect, DialectType, Expression, ast_transforms};

use crate::{
    error::SqlError,
    inputs::{self, Inputs},
    lex::{self, Lexis, Token},
};

/// A BigQuery SELECT as read from its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The text as written.
    pub text: String,
    /// The tables it reads, in name order; CTE names are not tables.
    pub inputs: Vec<TableName>,
    /// The text without comments and with canonical spacing: what the fingerprint is taken of.
    pub canonical: String,
}

impl Select {
    /// Reads exactly one `SELECT` (or `WITH .. SELECT`); anything else is refused.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        let read = read(text)?;
        Ok(Self {
            text: text.to_owned(),
            inputs: read.inputs.tables.into_keys().collect(),
            canonical: lex::canonical(&read.tokens),
        })
    }

    /// The names of the columns it gives, when its text tells: `None` with a `*` in the list.
    #[must_use]
    pub fn columns(&self) -> Option<Vec<String>> {
        let query = read(&self.text).ok()?.query;
        let names = ast_transforms::get_output_column_names_for_dialect(&query, Some(DialectType::BigQuery));
        let known = !names.is_empty() && names.iter().all(|name| !name.is_empty() && name != "*");
        known.then_some(names)
    }
}

impl FromStr for Select {
    type Err = SqlError;

    fn from_str(text: &str) -> Result<Self, SqlError> {
        Self::parse(text)
    }
}

/// A statement in the forms the other modules need.
pub(crate) struct Read<'a> {
    /// Its tokens, without a closing semicolon.
    pub(crate) tokens: Vec<Token<'a>>,
    /// Its syntax tree.
    pub(crate) query: Expression,
    /// The tables it reads.
    pub(crate) inputs: Inputs,
}

/// Reads a statement and checks that it is one SELECT over tables.
pub(crate) fn read(text: &str) -> Result<Read<'_>, SqlError> {
    let mut tokens = lex::tokens(text, Lexis::BigQuery)?;
    while tokens.last().is_some_and(|token| token.is_symbol(";")) {
        tokens.pop();
    }
    one_select(&tokens)?;
    let dialect = Dialect::get(DialectType::BigQuery);
    let end = tokens.last().map_or(0, |token| token.offset + token.text.len());
    let mut statements = dialect.parse(&text[..end]).map_err(|error| SqlError::from_parser(&error, text))?;
    let query = match (statements.pop(), statements.is_empty()) {
        (Some(query), true) if is_query(&query) => query,
        _ => return Err(SqlError::at(0, "this is not one SELECT")),
    };
    let inputs = inputs::of(&query, text)?;
    Ok(Read { tokens, query, inputs })
}

fn is_query(expression: &Expression) -> bool {
    match expression {
        Expression::Select(select) => select.into.is_none(),
        Expression::Union(_) | Expression::Intersect(_) | Expression::Except(_) => true,
        Expression::Subquery(query) => is_query(&query.this),
        Expression::Paren(paren) => is_query(&paren.this),
        _ => false,
    }
}

fn one_select(tokens: &[Token<'_>]) -> Result<(), SqlError> {
    const HINT: &str = "write one SELECT; the pipeline says which table it fills and how";
    let Some(first) = tokens.first() else {
        return Err(SqlError::at(0, "the statement is empty").hint(HINT));
    };
    if first.is_word("FROM") {
        return Err(SqlError::at(first.offset, "pipe syntax (FROM .. |> ..) is not supported").hint(HINT));
    }
    if !(first.is_word("SELECT") || first.is_word("WITH") || first.is_symbol("(")) {
        let word = first.text.to_uppercase();
        return Err(SqlError::at(first.offset, format!("expected a SELECT, found {word}")).hint(HINT));
    }
    if let Some(semicolon) = tokens.iter().find(|token| token.is_symbol(";")) {
        return Err(SqlError::at(semicolon.offset, "there is a second statement after this semicolon").hint(HINT));
    }
    let sampled = tokens.windows(2).find(|pair| {
        (pair[0].is_word("TABLESAMPLE") && pair[1].is_word("SYSTEM"))
            || (pair[0].is_word("FOR") && pair[1].is_word("SYSTEM_TIME"))
    });
    if let Some([first, second]) = sampled {
        let clause = if first.is_word("FOR") { second } else { first }.text.to_uppercase();
        return Err(SqlError::at(first.offset, format!("{clause} cannot be used in a model"))
            .hint("a model must give the same rows each time it runs"));
    }
    if let Some(parameter) = tokens.iter().find(|token| token.text.starts_with('@') || token.is_symbol("?")) {
        return Err(SqlError::at(
            parameter.offset,
            format!("{} is a query parameter, and a model has none", parameter.text),
        )
        .hint("write the value itself"));
    }
    Ok(())
}
