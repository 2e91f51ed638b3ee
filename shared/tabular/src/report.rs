//! What an ingest did.

use std::collections::BTreeMap;

use millstream_events::contract::Column;
use serde::{Deserialize, Serialize};

/// The account of one ingested file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Good rows, written to the batch.
    pub rows: u64,
    /// Bad rows, sent to quarantine.
    pub bad_rows: u64,
    /// Bytes read from the input, as uploaded (before decompression).
    pub bytes_read: u64,
    /// The batch's columns in order: the contract's, then the added ones.
    pub columns: Vec<Column>,
    /// The file's columns that were left out.
    pub ignored_columns: Vec<String>,
    /// The file's columns that were added to the table.
    pub added_columns: Vec<Column>,
    /// The contract's columns that the file has not; NULL in every row.
    pub missing_columns: Vec<String>,
    /// Bad rows by column and kind of fault; each row counts once, for the first fault found.
    pub reasons: Vec<ReasonCount>,
    /// The first bad rows.
    pub samples: Vec<BadRow>,
    /// Whether the quarantine reached its limit, so that not every bad row is in it.
    pub quarantine_truncated: bool,
}

/// How many rows had one fault in one column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// The column, where one is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The kind of fault, such as `not_int64`.
    pub kind: String,
    /// The rows.
    pub rows: u64,
}

/// One quarantined row: a line of the quarantine's JSON Lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// The physical line where the record starts, the header being line 1; the row number in Parquet, from 1; the sheet's row in
    /// a workbook, as a spreadsheet shows it.
    pub line: u64,
    /// The column at fault, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The kind of fault, such as `not_int64`.
    pub kind: String,
    /// The reason in words.
    pub reason: String,
    /// The value at fault, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The record as it stood in the file, without its line ending (a JSON object for Parquet and
    /// for workbooks).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// The record in base64, instead of `raw`, when it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_base64: Option<String>,
    /// Whether the record was longer than what is kept here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raw_truncated: bool,
}

/// Counts rows by reason; ordered, so that a report of the same file is always the same.
#[derive(Debug, Default)]
pub(crate) struct ReasonCounts(BTreeMap<(Option<String>, &'static str), u64>);

impl ReasonCounts {
    pub(crate) fn add(&mut self, column: Option<&str>, kind: &'static str) {
        *self.0.entry((column.map(str::to_owned), kind)).or_default() += 1;
    }

    pub(crate) fn into_sorted(self) -> Vec<ReasonCount> {
        let mut counts: Vec<_> = self
            .0
            .into_iter()
            .map(|((column, kind), rows)| ReasonCount { column, kind: kind.to_owned(), rows })
            .collect();
        counts.sort_by_key(|count| std::cmp::Reverse(count.rows));
        counts
    }
}
