//! The parts of a SELECT.

use crate::{client::Statement, sql_type::SqlType};

/// The WHERE of a statement and the texts of its `?`, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    terms: Vec<String>,
    parameters: Vec<String>,
}

impl Conditions {
    /// Adds a parameter of a type; what stands for it in the term that is added next.
    pub(crate) fn parameter(&mut self, value: impl Into<String>, kind: &SqlType) -> String {
        self.parameters.push(value.into());
        format!("CAST(? AS {kind})")
    }

    /// Rows must also satisfy this.
    pub(crate) fn and(&mut self, term: impl Into<String>) {
        self.terms.push(term.into());
    }

    /// Whether every row satisfies them.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// `select`, with these conditions after it.
    pub(crate) fn after(&self, select: &str) -> Statement {
        let terms = if self.terms.is_empty() { String::new() } else { format!(" WHERE {}", self.terms.join(" AND ")) };
        Statement { sql: format!("{select}{terms}"), parameters: self.parameters.clone(), describe_only: false }
    }
}
