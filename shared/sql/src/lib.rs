//! A model's SQL: BigQuery's, read and translated.

use millstream_events::names::TableName;

/// SQL that is not usable, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    /// What is wrong.
    pub message: String,
    /// Where in the text, as a byte offset, when it is known.
    pub offset: Option<usize>,
    /// What to do about it.
    pub hint: Option<String>,
}

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
