//! How a source's files are read: their kind, what CSV leaves open, and which cells of a workbook are the table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::extract::Cells;

/// The kind of file. Compression (gzip, zstd) is recognised by its magic bytes, not named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// Comma (or otherwise) separated values with a header line, RFC 4180.
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
    /// A sheet of an Excel or OpenDocument workbook.
    Workbook,
}

/// How to read a source's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FileOptions {
    /// The kind of file; by default from the object's name (`.csv .tsv .txt .jsonl .ndjson .json .parquet`, before `.gz`/`.zst`,
    /// and `.xlsx .xlsm .xlsb .xls .ods`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
    /// CSV's field separator, one ASCII character; by default a comma, a tab for `.tsv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Texts that mean NULL in a CSV field besides the empty unquoted field, or in a workbook's cell, such as `NA`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub null_values: Vec<String>,
    /// Whether a CSV file has no header line: the contract's column order is then the file's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_header: bool,
    /// Which cells of a workbook are the table; by default those of its first sheet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells: Option<Cells>,
}

impl FileFormat {
    /// The format an object's name stands for: `.csv .tsv .tab .txt .jsonl .ndjson .json .parquet .pq`, before a `.gz`,
    /// `.gzip`, `.zst` or `.zstd`; `.xlsx .xlsm .xlsb .xls .ods` as they are. `None` when the name says nothing.
    #[must_use]
    pub fn of_name(object_name: &str) -> Option<Self> {
        let file = object_name.rsplit('/').next()?.to_ascii_lowercase();
        if let Some((_, "xlsx" | "xlsm" | "xlsb" | "xls" | "ods")) = file.rsplit_once('.') {
            return Some(Self::Workbook);
        }
        let stem =
            [".gz", ".gzip", ".zst", ".zstd"].iter().find_map(|suffix| file.strip_suffix(suffix)).unwrap_or(&file);
        match stem.rsplit_once('.')?.1 {
            "csv" | "tsv" | "tab" | "txt" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            "parquet" | "pq" => Some(Self::Parquet),
            _ => None,
        }
    }
}
