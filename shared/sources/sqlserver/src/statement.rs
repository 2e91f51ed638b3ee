//! The parts of a SELECT.

/// The WHERE of a statement and the parameters it takes, all of them texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    terms: Vec<String>,
    parameters: Vec<String>,
}

impl Conditions {
    /// Adds a parameter; the name it has in the statement.
    pub(crate) fn parameter(&mut self, value: impl Into<String>) -> String {
        self.parameters.push(value.into());
        format!("@P{}", self.parameters.len())
    }

    /// Rows must also satisfy this.
    pub(crate) fn and(&mut self, term: impl Into<String>) {
        self.terms.push(term.into());
    }

    /// Whether every row satisfies them.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// What the parameters are.
    pub(crate) fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// ` WHERE ..`, or nothing.
    pub(crate) fn sql(&self) -> String {
        if self.terms.is_empty() { String::new() } else { format!(" WHERE {}", self.terms.join(" AND ")) }
    }
}
