//! The values that are written as one text, how each is read, and how its schema describes it.

mod compute;
mod extract;

use std::{str::FromStr, time::Duration};

use croner::parser::{CronParser, Seconds, Year};
use millstream_events::{
    cell_range::{CellRange, SHEET_ROWS},
    contract::{ColumnType, FileFormat, MaxBad, OnNewColumn, TYPE_NAMES},
    names::{ModelName, NameError, PipelineName, TableName},
    work::DataFormat,
};
use schemars::{Schema, json_schema};

pub(crate) use self::{
    compute::{AccountName, Count, ImageRef, MachineType, MemorySize, ResourceName, Retries, Usd},
    extract::RowCount,
};
use super::{
    decode::{Flaw, Scalar},
    nearest::nearest,
};
use crate::{gate::Gate, pattern::UploadPattern};

impl Scalar for String {
    const EXPECTED: &'static str = "a text";

    fn read(text: &str) -> Result<Self, Flaw> {
        Ok(text.to_owned())
    }

    fn schema() -> Schema {
        json_schema!({"type": ["string", "number", "boolean"]})
    }
}

impl Scalar for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn read(text: &str) -> Result<Self, Flaw> {
        match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => Err(Flaw::invalid(format!("`{text}` is neither true nor false"), Self::EXPECTED)),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "boolean"})
    }
}

fn name<T: FromStr<Err = NameError>>(text: &str) -> Result<T, Flaw> {
    text.parse().map_err(|error: NameError| {
        Flaw::invalid(format!("`{text}` is not a valid {}", error.what), format!("a name by the rule: {}", error.rule))
    })
}

impl Scalar for PipelineName {
    const EXPECTED: &'static str = "a pipeline name";

    fn read(text: &str) -> Result<Self, Flaw> {
        name(text)
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"})
    }
}

impl Scalar for ModelName {
    const EXPECTED: &'static str = "a model or endpoint name";

    fn read(text: &str) -> Result<Self, Flaw> {
        name(text)
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"})
    }
}

impl Scalar for TableName {
    const EXPECTED: &'static str = "a table, `dataset.table`";

    fn read(text: &str) -> Result<Self, Flaw> {
        name(text)
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*\\.[A-Za-z_][A-Za-z0-9_]*$"})
    }
}

/// A topic's name.
#[derive(Debug, Clone)]
pub(crate) struct Topic(pub(crate) String);

impl Scalar for Topic {
    const EXPECTED: &'static str = "a topic name";

    fn read(text: &str) -> Result<Self, Flaw> {
        let valid = (1..=120).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(Flaw::invalid(
                format!("`{text}` is not a valid topic name"),
                "1 to 120 of letters, digits and - _ . starting with a letter",
            ))
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9._-]*$"})
    }
}

/// A cron expression of five fields.
#[derive(Debug, Clone)]
pub(crate) struct Cron(pub(crate) String);

impl Scalar for Cron {
    const EXPECTED: &'static str = "a cron expression, such as \"0 6 * * *\"";

    fn read(text: &str) -> Result<Self, Flaw> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        match parser.parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(Flaw {
                hint: Some("the fields are minute, hour, day of the month, month and day of the week, in UTC".into()),
                ..Flaw::invalid(
                    format!("`{text}` is not a cron expression: {error}"),
                    "five fields, such as `0 6 * * *`",
                )
            }),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "examples": ["0 6 * * *", "*/15 * * * *"]})
    }
}

impl Scalar for UploadPattern {
    const EXPECTED: &'static str = "an upload pattern, such as sales/{date}/*.csv";

    fn read(text: &str) -> Result<Self, Flaw> {
        text.parse().map_err(|error: crate::pattern::PatternError| Flaw {
            offset: Some(error.offset),
            ..Flaw::invalid(format!("`{text}` is not an upload pattern: {}", error.message), Self::EXPECTED)
        })
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "examples": ["iris/*.csv", "fraud/{date}/transactions*.csv"]})
    }
}

impl Scalar for ColumnType {
    const EXPECTED: &'static str = "a BigQuery type, such as INT64";

    fn read(text: &str) -> Result<Self, Flaw> {
        text.parse().map_err(|error: millstream_events::contract::ColumnTypeError| {
            let head = text.split(['(', '<']).next().unwrap_or(text).trim();
            let known = TYPE_NAMES.iter().any(|name| name.eq_ignore_ascii_case(head));
            let hint = (!known).then(|| nearest(head, TYPE_NAMES.iter().copied())).flatten();
            Flaw {
                hint: hint.map(|name| format!("did you mean `{name}`?")),
                ..Flaw::invalid(
                    format!("`{text}` is not a BigQuery type"),
                    error.reason.trim_start_matches("expected "),
                )
            }
        })
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "examples": ["INT64", "STRING required", "NUMERIC(10, 2)", "ARRAY<STRING>"]})
    }
}

impl Scalar for Duration {
    const EXPECTED: &'static str = "a duration, such as 90s, 15m or 4h";

    fn read(text: &str) -> Result<Self, Flaw> {
        match humantime::parse_duration(text) {
            Ok(duration) if duration.as_secs() >= 1 => Ok(duration),
            Ok(_) => Err(Flaw::invalid(format!("`{text}` is less than a second"), Self::EXPECTED)),
            Err(_) => Err(Flaw::invalid(format!("`{text}` is not a duration"), Self::EXPECTED)),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "examples": ["90s", "15m", "4h"]})
    }
}

impl Scalar for MaxBad {
    const EXPECTED: &'static str = "a share such as 10%, or a number of rows";

    fn read(text: &str) -> Result<Self, Flaw> {
        let read = match text.strip_suffix('%') {
            Some(percent) => {
                let percent = percent.trim().parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
                percent.map(|percent| Self::Share(percent / 100.0))
            }
            None => text.parse().ok().map(Self::Rows),
        };
        read.ok_or_else(|| Flaw::invalid(format!("`{text}` is neither a share nor a number of rows"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"anyOf": [{"type": "string", "pattern": "^[0-9.]+ *%$"}, {"type": "integer", "minimum": 0}]})
    }
}

/// A share, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share(pub(crate) f64);

impl Scalar for Share {
    const EXPECTED: &'static str = "a number from 0 to 1";

    fn read(text: &str) -> Result<Self, Flaw> {
        let number = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
        number.map(Self).ok_or_else(|| Flaw::invalid(format!("`{text}` is not a share"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"type": "number", "minimum": 0, "maximum": 1})
    }
}

/// The longest that an answer may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency(pub(crate) Duration);

impl Scalar for Latency {
    const EXPECTED: &'static str = "a time such as 200ms or 1s";

    fn read(text: &str) -> Result<Self, Flaw> {
        match humantime::parse_duration(text) {
            Ok(duration) if !duration.is_zero() => Ok(Self(duration)),
            Ok(_) => Err(Flaw::invalid(format!("no answer takes `{text}`"), Self::EXPECTED)),
            Err(_) => Err(Flaw::invalid(format!("`{text}` is not a time"), Self::EXPECTED)),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "examples": ["200ms", "1s"]})
    }
}

/// How far a mean score may move, in the score's own unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScoreShift(pub(crate) f64);

impl Scalar for ScoreShift {
    const EXPECTED: &'static str = "a number above 0";

    fn read(text: &str) -> Result<Self, Flaw> {
        let number = text.parse::<f64>().ok().filter(|shift| shift.is_finite() && *shift > 0.0);
        number.map(Self).ok_or_else(|| Flaw {
            hint: Some("a classification's score is a probability, a regression's the value itself".into()),
            ..Flaw::invalid(format!("`{text}` is no shift of a score"), Self::EXPECTED)
        })
    }

    fn schema() -> Schema {
        json_schema!({"type": "number", "exclusiveMinimum": 0})
    }
}

/// A percentage of traffic, 1 to 100.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Percent(pub(crate) u8);

impl Scalar for Percent {
    const EXPECTED: &'static str = "a whole percentage from 1 to 100";

    fn read(text: &str) -> Result<Self, Flaw> {
        let number = text.parse::<u8>().ok().filter(|percent| (1..=100).contains(percent));
        number.map(Self).ok_or_else(|| Flaw::invalid(format!("`{text}` is not a percentage"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": 100})
    }
}

/// Cells of a sheet.
#[derive(Debug, Clone)]
pub(crate) struct RangeText(pub(crate) String);

impl Scalar for RangeText {
    const EXPECTED: &'static str = "cells such as B3:F200, or columns such as B:F";

    fn read(text: &str) -> Result<Self, Flaw> {
        match text.parse::<CellRange>() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(problem) => Err(Flaw::invalid(problem, Self::EXPECTED)),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": r"^\$?[A-Za-z]{1,3}\$?[0-9]*:\$?[A-Za-z]{1,3}\$?[0-9]*$"})
    }
}

/// A row of a sheet, from 1; 0 where there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SheetRow(pub(crate) u32);

impl Scalar for SheetRow {
    const EXPECTED: &'static str = "a row's number from 1, or 0 for none";

    fn read(text: &str) -> Result<Self, Flaw> {
        let number = text.parse::<u32>().ok().filter(|row| *row <= SHEET_ROWS);
        number.map(Self).ok_or_else(|| Flaw::invalid(format!("`{text}` is no row of a sheet"), Self::EXPECTED))
    }

    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": 0, "maximum": SHEET_ROWS})
    }
}

/// CSV's separator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delimiter(pub(crate) char);

impl Scalar for Delimiter {
    const EXPECTED: &'static str = "one ASCII character, such as \";\" or \"\\t\"";

    fn read(text: &str) -> Result<Self, Flaw> {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(only), None) if only.is_ascii() && !matches!(only, '"' | '\n' | '\r') => Ok(Self(only)),
            _ => Err(Flaw::invalid(format!("{text:?} cannot separate fields"), Self::EXPECTED)),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": 1})
    }
}

/// An expression of a gate, with its text.
#[derive(Debug, Clone)]
pub(crate) struct GateText(pub(crate) String);

impl Scalar for GateText {
    const EXPECTED: &'static str = "a condition on metrics, such as auc_pr >= 0.75";

    fn read(text: &str) -> Result<Self, Flaw> {
        Gate::parse(text).map(|_| Self(text.to_owned())).map_err(|error| Flaw {
            offset: Some(error.offset),
            ..Flaw::invalid(format!("`{text}` is not a gate: {}", error.message), Self::EXPECTED)
        })
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "examples": ["auc_pr >= 0.75", "auc_pr >= champion.auc_pr - 0.002"]})
    }
}

/// Reads one of a few words.
macro_rules! choices {
    ($($type:ty: $expected:literal { $($word:literal => $value:expr),* $(,)? })*) => {
        $(impl Scalar for $type {
            const EXPECTED: &'static str = $expected;

            fn read(text: &str) -> Result<Self, Flaw> {
                match text {
                    $($word => Ok($value),)*
                    _ => Err(Flaw::unknown(text, [$($word),*])),
                }
            }

            fn schema() -> Schema {
                json_schema!({"type": "string", "enum": [$($word),*]})
            }
        })*
    };
}

/// How rows get into a table, without a merge's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Replace,
    Append,
    Merge,
}

/// The version of the file's format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApiVersion;

/// A built-in training recipe.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Recipe {
    Tabular,
}

choices! {
    ApiVersion: "the format's version" { "millstream.dev/v1" => ApiVersion }
    Mode: "a way to write" { "replace" => Mode::Replace, "append" => Mode::Append, "merge" => Mode::Merge }
    Recipe: "a recipe" { "tabular" => Recipe::Tabular }
    OnNewColumn: "what a new column does" {
        "add" => OnNewColumn::Add, "ignore" => OnNewColumn::Ignore, "reject" => OnNewColumn::Reject,
    }
    FileFormat: "a file format" {
        "csv" => FileFormat::Csv, "jsonl" => FileFormat::JsonLines, "parquet" => FileFormat::Parquet,
        "workbook" => FileFormat::Workbook,
    }
    DataFormat: "a data format" {
        "csv" => DataFormat::Csv, "jsonl" => DataFormat::Jsonl, "parquet" => DataFormat::Parquet,
    }
}
