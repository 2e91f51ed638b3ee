//! Row expectations: what must hold for every row, in BigQuery's SQL.
//!
//! In: a text such as `amount >= 0 AND currency IN ('EUR', 'USD')`, `unique(id)` or `not_null(a, b)`. Out: an [`Expectation`]
//! that can be checked against a table's columns without any data, and run on their values.
//!
//! Operators: `= != <> < <= > >= + - * /`, `AND OR NOT`, `IS [NOT] NULL`, `[NOT] IN (...)`, `[NOT] BETWEEN .. AND ..`,
//! `[NOT] LIKE`. Functions: `LENGTH LOWER UPPER TRIM ABS STARTS_WITH ENDS_WITH REGEXP_CONTAINS`. Literals: numbers, `'text'`,
//! `"text"`, `r'text'`, `TRUE FALSE NULL`, `DATE '2024-01-31'`, `DATETIME`, `TIME`, `TIMESTAMP`. A row whose result is NULL keeps the
//! expectation, as in SQL's CHECK. Division gives FLOAT64; NaN compares as IEEE 754 says.

use millstream_events::contract::Column;

mod compile;
mod eval;
mod lexer;
mod parser;

pub(crate) use compile::{Compiled, Row};
pub use parser::parse;

/// A parsed expectation.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation(pub(crate) Rule);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    Unique(Vec<Name>),
    NotNull(Vec<Name>),
    Row(Expr),
}

/// What is wrong with an expectation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {}: {message}", .offset + 1)]
pub struct ExpectError {
    /// Where in the text, in bytes from its start.
    pub offset: usize,
    /// What is wrong, and the nearest right name where there is one.
    pub message: String,
}

impl ExpectError {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into() }
    }
}

impl Expectation {
    /// Checks names and types against a table's columns.
    ///
    /// # Errors
    ///
    /// An unknown column, or an operator whose sides do not go together.
    pub fn check(&self, columns: &[Column]) -> Result<(), ExpectError> {
        self.compile(columns).map(drop)
    }

    /// The columns that a `unique(..)` names; `None` for another expectation.
    #[must_use]
    pub fn unique_columns(&self) -> Option<Vec<&str>> {
        match &self.0 {
            Rule::Unique(names) => Some(names.iter().map(|name| name.text.as_str()).collect()),
            Rule::NotNull(_) | Rule::Row(_) => None,
        }
    }
}

/// A column's name where it stands in the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) offset: usize,
}

/// An expression, with its place in the text where an error may name it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Column(Name),
    Literal(Literal, usize),
    Not(Box<Expr>, usize),
    Negate(Box<Expr>, usize),
    Binary(Operator, Box<Expr>, Box<Expr>, usize),
    IsNull(Box<Expr>, bool),
    Like(Box<Expr>, Box<Expr>, usize),
    Call(String, Vec<Expr>, usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    /// A keyword and its text, such as `DATE '2024-01-31'`.
    Typed(String, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[cfg(test)]
mod tests;
