//! Why a text cannot be looked through.

use thiserror::Error;

use crate::{MAX_BYTES, MAX_DEPTH, MAX_NODES};

/// A text that cannot be looked through, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// It is not YAML.
    #[error("line {line}, column {column}: this is not YAML: {reason}; a template has to be rendered first")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// An alias stands within what it names.
    #[error("line {line}: this alias stands within what it names")]
    Cycle {
        /// Counted from 1.
        line: usize,
    },
    /// More bytes than are read.
    #[error("larger than {} MiB: split it", MAX_BYTES >> 20)]
    TooLarge,
    /// Deeper than is read.
    #[error("nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// More values than are read.
    #[error("more than {MAX_NODES} values, aliases counted as all that they stand for")]
    TooMany,
    /// A value that the writer cannot write.
    #[error("this cannot be written as YAML: {0}")]
    Unwritable(String),
}
