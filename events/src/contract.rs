//! What a file must look like: column types by BigQuery's names, and how rows that do not fit are treated.
//!
//! These types travel inside commands, so that a function never reads a pipeline file.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::files::{FileFormat, FileOptions};

/// A BigQuery column type, written as BigQuery writes it: `INT64`, `NUMERIC(10, 2)`, `ARRAY<STRING>`.
///
/// Source: <https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// Binary; base64 in CSV and JSON, as BigQuery loads it.
    Bytes,
    /// 64-bit signed integer.
    Int64,
    /// 64-bit IEEE 754.
    Float64,
    /// Exact decimal, at most 38 digits of which `scale` (at most 9) after the point; plain `NUMERIC` is (38, 9).
    Numeric {
        /// Total digits, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to 9.
        scale: u8,
    },
    /// Exact decimal, at most 76 digits of which `scale` (at most 38) after the point; plain `BIGNUMERIC` is (76, 38).
    BigNumeric {
        /// Total digits, 1 to 76.
        precision: u8,
        /// Digits after the point, 0 to 38.
        scale: u8,
    },
    /// `true`/`false` in any case, also `t f yes no y n 1 0` as BigQuery's CSV loader takes them.
    Bool,
    /// A calendar date, 0001-01-01 to 9999-12-31.
    Date,
    /// Date and time of day without a zone, microseconds.
    Datetime,
    /// Time of day, microseconds.
    Time,
    /// A point in time, microseconds since the epoch, UTC.
    Timestamp,
    /// A JSON document kept as text.
    Json,
    /// A repeated value. BigQuery has no array of arrays and no NULL inside a stored array.
    Array(Box<ColumnType>),
    /// Named fields.
    Struct(Vec<(String, ColumnType)>),
}

/// Why a type's text is not a BigQuery type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a BigQuery type: {reason}")]
pub struct ColumnTypeError {
    /// The text as written.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Names accepted besides the canonical ones (BigQuery's own aliases).
const ALIASES: &[(&str, &str)] = &[
    ("INT", "INT64"),
    ("INTEGER", "INT64"),
    ("BIGINT", "INT64"),
    ("SMALLINT", "INT64"),
    ("TINYINT", "INT64"),
    ("BYTEINT", "INT64"),
    ("FLOAT", "FLOAT64"),
    ("DECIMAL", "NUMERIC"),
    ("BIGDECIMAL", "BIGNUMERIC"),
    ("BOOLEAN", "BOOL"),
];

/// The canonical type names, for suggestions.
pub const TYPE_NAMES: &[&str] = &[
    "STRING",
    "BYTES",
    "INT64",
    "FLOAT64",
    "NUMERIC",
    "BIGNUMERIC",
    "BOOL",
    "DATE",
    "DATETIME",
    "TIME",
    "TIMESTAMP",
    "JSON",
    "ARRAY",
    "STRUCT",
];

impl FromStr for ColumnType {
    type Err = ColumnTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_type(text.trim()).map_err(|reason| ColumnTypeError { text: text.to_owned(), reason })
    }
}

fn parse_type(text: &str) -> Result<ColumnType, String> {
    let split = text.find(['(', '<']).unwrap_or(text.len());
    let (head, arguments) = text.split_at(split);
    let upper = head.trim().to_ascii_uppercase();
    let name = ALIASES.iter().find(|(alias, _)| *alias == upper).map_or(upper.as_str(), |(_, name)| name);
    let arguments = arguments.trim();
    if !arguments.is_empty() && !matches!(name, "NUMERIC" | "BIGNUMERIC" | "STRING" | "BYTES" | "ARRAY" | "STRUCT") {
        return Err(format!("{name} takes no parameters"));
    }
    Ok(match name {
        // A length limit is accepted and left to BigQuery: it is not part of the value's type.
        "STRING" => ColumnType::String,
        "BYTES" => ColumnType::Bytes,
        "INT64" => ColumnType::Int64,
        "FLOAT64" => ColumnType::Float64,
        "NUMERIC" => {
            let (precision, scale) = decimal_parameters(arguments, 38, 9, 29)?;
            ColumnType::Numeric { precision, scale }
        }
        "BIGNUMERIC" => {
            let (precision, scale) = decimal_parameters(arguments, 76, 38, 38)?;
            ColumnType::BigNumeric { precision, scale }
        }
        "BOOL" => ColumnType::Bool,
        "DATE" => ColumnType::Date,
        "DATETIME" => ColumnType::Datetime,
        "TIME" => ColumnType::Time,
        "TIMESTAMP" => ColumnType::Timestamp,
        "JSON" => ColumnType::Json,
        "ARRAY" => match parse_type(between_angles(arguments)?)? {
            ColumnType::Array(_) => {
                return Err("BigQuery has no array of arrays; wrap the inner one in a STRUCT".into());
            }
            inner => ColumnType::Array(Box::new(inner)),
        },
        "STRUCT" => ColumnType::Struct(struct_fields(between_angles(arguments)?)?),
        "" => return Err("the type is empty".into()),
        _ => return Err(format!("expected one of {}", TYPE_NAMES.join(", "))),
    })
}

fn between_angles(text: &str) -> Result<&str, String> {
    text.strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .map(str::trim)
        .filter(|inner| !inner.is_empty())
        .ok_or_else(|| "expected an element type in angle brackets, such as ARRAY<STRING>".to_owned())
}

fn struct_fields(text: &str) -> Result<Vec<(String, ColumnType)>, String> {
    let mut fields = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, character) in text.char_indices().chain([(text.len(), ',')]) {
        match character {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                let field = text[start..at].trim();
                let (name, kind) = field
                    .split_once(char::is_whitespace)
                    .ok_or_else(|| format!("the STRUCT field {field:?} needs a name and a type"))?;
                fields.push((name.to_owned(), parse_type(kind.trim())?));
                start = at + 1;
            }
            _ => {}
        }
    }
    Ok(fields)
}

fn decimal_parameters(text: &str, max: u8, default_scale: u8, max_whole: u8) -> Result<(u8, u8), String> {
    if text.is_empty() {
        return Ok((max, default_scale));
    }
    let inner =
        text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or("expected parameters such as (10, 2)")?;
    let mut parts = inner.split(',').map(|part| part.trim().parse::<u8>());
    let precision = parts.next().and_then(Result::ok).ok_or("the precision is not a number")?;
    let scale = match parts.next() {
        None => 0,
        Some(scale) => scale.map_err(|_| "the scale is not a number")?,
    };
    if parts.next().is_some() {
        return Err("expected at most a precision and a scale".into());
    }
    if scale > default_scale || precision == 0 || precision < scale || precision - scale > max_whole {
        return Err(format!(
            "scale is at most {default_scale}, precision at least the scale and at most {max_whole} more than it"
        ));
    }
    Ok((precision, scale))
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("STRING"),
            Self::Bytes => f.write_str("BYTES"),
            Self::Int64 => f.write_str("INT64"),
            Self::Float64 => f.write_str("FLOAT64"),
            Self::Numeric { precision: 38, scale: 9 } => f.write_str("NUMERIC"),
            Self::Numeric { precision, scale } => write!(f, "NUMERIC({precision}, {scale})"),
            Self::BigNumeric { precision: 76, scale: 38 } => f.write_str("BIGNUMERIC"),
            Self::BigNumeric { precision, scale } => write!(f, "BIGNUMERIC({precision}, {scale})"),
            Self::Bool => f.write_str("BOOL"),
            Self::Date => f.write_str("DATE"),
            Self::Datetime => f.write_str("DATETIME"),
            Self::Time => f.write_str("TIME"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::Json => f.write_str("JSON"),
            Self::Array(inner) => write!(f, "ARRAY<{inner}>"),
            Self::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (index, (name, kind)) in fields.iter().enumerate() {
                    write!(f, "{}{name} {kind}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str(">")
            }
        }
    }
}

impl Serialize for ColumnType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for ColumnType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ColumnType".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A BigQuery type name, such as INT64, NUMERIC(10, 2) or ARRAY<STRING>.",
            "examples": ["INT64", "STRING", "NUMERIC(10, 2)", "ARRAY<STRING>"]
        })
    }
}

/// One column of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The column's name in the table; matched to the file's header without regard to case.
    pub name: String,
    /// Its BigQuery type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether a row without a value is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The column's description in the warehouse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What to do with a column that a file has and the contract has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnNewColumn {
    /// Load it too, as `STRING` (CSV) or as the file types it (JSON Lines, Parquet).
    Add,
    /// Leave it out of the table and say so in the batch's report.
    #[default]
    Ignore,
    /// Reject the whole file.
    Reject,
}

/// How many rows may break the contract before the whole file is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxBad {
    /// At most this many rows.
    Rows(u64),
    /// At most this share of all rows, 0.0 to 1.0, judged at the end of the file.
    Share(f64),
}

impl Default for MaxBad {
    fn default() -> Self {
        Self::Share(0.1)
    }
}

/// A source's contract: what its rows must be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The columns, in table order.
    pub columns: Vec<Column>,
    /// Row expectations: `amount >= 0`, `species IN ('setosa', 'virginica')`, `unique(id)`, `not_null(id)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<String>,
    /// What a new column does.
    #[serde(default)]
    pub on_new_column: OnNewColumn,
    /// When the whole file is rejected.
    #[serde(default)]
    pub max_bad: MaxBad,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_back_as_they_are_written() {
        for text in [
            "STRING",
            "BYTES",
            "INT64",
            "FLOAT64",
            "NUMERIC",
            "NUMERIC(10, 2)",
            "BIGNUMERIC",
            "BOOL",
            "DATE",
            "DATETIME",
            "TIME",
            "TIMESTAMP",
            "JSON",
            "ARRAY<STRING>",
            "STRUCT<a INT64, b ARRAY<STRUCT<c NUMERIC(4, 2), d STRING>>>",
        ] {
            assert_eq!(text.parse::<ColumnType>().unwrap().to_string(), text);
        }
        assert_eq!("integer".parse::<ColumnType>().unwrap(), ColumnType::Int64);
    }

    #[test]
    fn what_is_no_type_is_refused_with_the_reason() {
        for (text, reason) in [
            ("INT46", "expected one of"),
            ("INT64(3)", "takes no parameters"),
            ("NUMERIC(5, 10)", "scale is at most"),
            ("ARRAY<ARRAY<INT64>>", "no array of arrays"),
            ("ARRAY", "angle brackets"),
            ("STRUCT<INT64>", "needs a name and a type"),
        ] {
            let error = text.parse::<ColumnType>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
