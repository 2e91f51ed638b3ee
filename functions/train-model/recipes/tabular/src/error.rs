//! What can go wrong, told to the person whose table it is.

use std::path::PathBuf;

use arrow::error::ArrowError;
use millstream_scoring::{ColumnError, HoldoutError, ModelError, SignatureError};

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// A variable of the contract is not set.
    #[error("{name} is not set; the recipe runs under Vertex AI's training contract")]
    Variable {
        /// The variable.
        name: &'static str,
    },
    /// A data format the recipe cannot read.
    #[error("AIP_DATA_FORMAT is {0:?}; this recipe reads parquet, csv, jsonl (export a BigQuery table first)")]
    Format(String),
    /// A place the recipe cannot reach.
    #[error("{0} is not a local path; copy or mount the data and pass a path or a file:// URI")]
    NotLocal(String),
    /// A bucket that is no folder here.
    #[error(
        "{0} is in a bucket that is not mounted here; mount it as /gcs/BUCKET, as Vertex AI and the training cluster do"
    )]
    NotMounted(String),
    /// Nothing matches the data's URI.
    #[error("{uri} has no {format} files")]
    NoFiles {
        /// The URI.
        uri: String,
        /// The format looked for.
        format: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file's content is not of its format.
    #[error("cannot read {path} as {format}")]
    Content {
        /// The file.
        path: PathBuf,
        /// The format.
        format: String,
        /// Why.
        source: ArrowError,
    },
    /// The files' columns differ.
    #[error("{path} has other columns than the first file: {detail}")]
    Columns {
        /// The file.
        path: PathBuf,
        /// What differs.
        detail: String,
    },
    /// The table lacks a named column.
    #[error("there is no column {name:?} for --{option}{hint}; the columns are {columns}")]
    NoColumn {
        /// The option that named it.
        option: &'static str,
        /// The column named.
        name: String,
        /// The nearest column, as a question.
        hint: String,
        /// All columns.
        columns: String,
    },
    /// The target cannot be learned.
    #[error("the target {name:?} {problem}")]
    Target {
        /// The target.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No column can be learned from.
    #[error("no column can be learned from: {0}")]
    NoFeatures(String),
    /// Too few rows.
    #[error("{rows} rows with a target are too few; at least {least} are needed")]
    TooFewRows {
        /// The rows there are.
        rows: usize,
        /// The rows needed.
        least: usize,
    },
    /// A column could not be read as its feature.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// The rows could not be handled.
    #[error("cannot work on the table")]
    Arrow(#[from] ArrowError),
    /// The signature could not be written.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The report could not be written.
    #[error("cannot write the metrics")]
    Json(#[from] serde_json::Error),
    /// The model just written cannot be loaded.
    #[error("the trained model cannot be loaded")]
    Model(#[from] ModelError),
    /// The held-out rows cannot be scored.
    #[error("the held-out rows cannot be scored")]
    Holdout(#[from] HoldoutError),
    /// The log cannot be written.
    #[error("cannot write the log")]
    Log(#[source] std::io::Error),
}

impl RecipeError {
    /// The error with its causes, in one line.
    pub fn chain(self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(&self);
        while let Some(error) = cause {
            // Some libraries repeat their cause in their own words' end.
            let message = error.to_string();
            if !text.ends_with(&message) {
                text = format!("{text}: {message}");
            }
            cause = error.source();
        }
        text
    }
}
