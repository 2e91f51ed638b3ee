//! The parts of a SELECT.

/// The WHERE of a statement and the parameters of its `?`, all of them texts, in the order that they stand in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    terms: Vec<String>,
    parameters: Vec<String>,
}

impl Conditions {
    /// Rows must also satisfy this; its parameters in their order.
    pub(crate) fn and(&mut self, term: impl Into<String>, parameters: impl IntoIterator<Item = String>) {
        self.terms.push(term.into());
        self.parameters.extend(parameters);
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
