//! Why a file was not ingested: the file is at fault (permanent), or reading and writing failed (try again).

use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// The outcome of an ingest that made no batch.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The file, or its contract, is at fault: the same bytes will be refused again.
    #[error(transparent)]
    Rejected(#[from] Box<Rejection>),
    /// Reading the input or writing an output failed; the same call may succeed later.
    #[error("reading or writing failed")]
    Io(#[from] io::Error),
}

impl From<Rejection> for IngestError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(Box::new(rejection))
    }
}

/// What was wrong with a rejected file, for a program to branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectionKind {
    /// The contract or the options cannot be applied to any file.
    Contract,
    /// There is nothing in it, not even a header.
    Empty,
    /// Not the kind of file it was taken for.
    WrongFormat,
    /// Not UTF-8 where it has to be.
    Encoding,
    /// The compressed stream, the Parquet file or the workbook is damaged.
    Corrupt,
    /// It decompresses to more than the limits allow.
    DecompressionLimit,
    /// A record longer than the limit.
    RecordTooLong,
    /// A quoted field that never ends.
    UnclosedQuote,
    /// More columns than the limit.
    TooManyColumns,
    /// Two columns with one name.
    DuplicateColumn,
    /// A required column is not in the file.
    MissingColumn,
    /// A column the contract has not, under `on_new_column: reject`, or one that cannot be added.
    NewColumn,
    /// A Parquet column that cannot hold the contract's type.
    TypeMismatch,
    /// A workbook that is protected by a password.
    Encrypted,
    /// A workbook that has not the sheet.
    MissingSheet,
    /// A value of a workbook in a column that its header does not name.
    UnnamedColumn,
    /// More bad rows than `max_bad` allows.
    TooManyBadRows,
}

/// Why a file was rejected, for the person who uploaded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The kind of fault.
    pub kind: RejectionKind,
    /// What is wrong, in a sentence.
    pub message: String,
    /// The line of the file where it shows, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Rejection {
    pub(crate) fn new(kind: RejectionKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), line: None, column: None, hint: None }
    }

    pub(crate) fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    pub(crate) fn in_column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Rejection {}
