//! What is wrong with a statement, where, and what to do about it.

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

impl SqlError {
    /// An error whose place in the text is not known.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), offset: None, hint: None }
    }

    /// An error at a byte offset of the text.
    pub(crate) fn at(offset: usize, message: impl Into<String>) -> Self {
        Self { offset: Some(offset), ..Self::new(message) }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A parser's error, its place turned from characters into bytes.
    pub(crate) fn from_parser(error: &polyglot_sql::Error, text: &str) -> Self {
        use polyglot_sql::Error::{Parse, Syntax, Tokenize};
        let message = match error {
            Tokenize { message, .. } | Parse { message, .. } | Syntax { message, .. } => {
                format!("this is not valid BigQuery SQL: {message}")
            }
            other => format!("this is not valid BigQuery SQL: {other}"),
        };
        Self { offset: error.start().map(|start| byte_offset(text, start)), ..Self::new(message) }
    }
}

/// The byte offset of a character offset.
pub(crate) fn byte_offset(text: &str, characters: usize) -> usize {
    text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
}
