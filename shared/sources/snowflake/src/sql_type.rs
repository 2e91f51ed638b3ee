//! The types of columns: how the service writes them, and what they become.

use std::fmt;

use millstream_events::contract::ColumnType;
use millstream_source_columns::numeric_type;

use crate::answer::RowType;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SqlType {
    Number {
        precision: u8,
        scale: u8,
    },
    Float,
    Text,
    Binary,
    Boolean,
    Date,
    Time {
        scale: u8,
    },
    /// Without a zone.
    Ntz {
        scale: u8,
    },
    /// In the session's zone, which is UTC.
    Ltz {
        scale: u8,
    },
    /// With an offset of its own.
    Tz {
        scale: u8,
    },
    /// VARIANT, OBJECT, ARRAY, MAP, GEOGRAPHY, GEOMETRY: by its name.
    Json(String),
    /// Of whole numbers, or of others.
    Vector {
        whole: bool,
    },
    Other(String),
}

impl SqlType {
    /// Of a result's column.
    pub(crate) fn of(column: &RowType) -> Self {
        let scale = u8::try_from(column.scale.unwrap_or_default()).unwrap_or_default();
        let kind = column.kind.to_ascii_lowercase();
        match kind.as_str() {
            "fixed" => Self::Number { precision: u8::try_from(column.precision.unwrap_or(38)).unwrap_or(38), scale },
            "real" => Self::Float,
            "text" => Self::Text,
            "binary" => Self::Binary,
            "boolean" => Self::Boolean,
            "date" => Self::Date,
            "time" => Self::Time { scale },
            "timestamp_ntz" => Self::Ntz { scale },
            "timestamp_ltz" => Self::Ltz { scale },
            "timestamp_tz" => Self::Tz { scale },
            "variant" | "object" | "array" | "map" | "geography" | "geometry" => {
                Self::Json(column.ext_type_name.as_deref().unwrap_or(&kind).to_ascii_uppercase())
            }
            "vector" => {
                let item = column.fields.as_deref().and_then(<[_]>::first);
                Self::Vector { whole: item.is_some_and(|item| item.kind.eq_ignore_ascii_case("fixed")) }
            }
            other => Self::Other(other.to_ascii_uppercase()),
        }
    }

    /// As [`Display`](fmt::Display) writes it.
    pub(crate) fn read(text: &str) -> Self {
        let (name, numbers) =
            text.split_once('(').map_or((text, ""), |(name, rest)| (name, rest.trim_end_matches(')')));
        let mut numbers = numbers.split(',').map(|number| number.parse().unwrap_or_default());
        let first = numbers.next().unwrap_or_default();
        match name {
            "NUMBER" => Self::Number { precision: first, scale: numbers.next().unwrap_or_default() },
            "FLOAT" => Self::Float,
            "VARCHAR" => Self::Text,
            "BINARY" => Self::Binary,
            "BOOLEAN" => Self::Boolean,
            "DATE" => Self::Date,
            "TIME" => Self::Time { scale: first },
            "TIMESTAMP_NTZ" => Self::Ntz { scale: first },
            "TIMESTAMP_LTZ" => Self::Ltz { scale: first },
            "TIMESTAMP_TZ" => Self::Tz { scale: first },
            "VECTOR" => Self::Vector { whole: text == "VECTOR(INT)" },
            "VARIANT" | "OBJECT" | "ARRAY" | "MAP" | "GEOGRAPHY" | "GEOMETRY" => Self::Json(name.to_owned()),
            other => Self::Other(other.to_owned()),
        }
    }

    /// What it becomes.
    pub(crate) fn kind(&self) -> Result<ColumnType, String> {
        Ok(match self {
            // INTEGER, BIGINT and INT are names of NUMBER(38,0).
            Self::Number { precision: 38 | 0..=18, scale: 0 } => ColumnType::Int64,
            Self::Number { precision, scale } => {
                numeric_type((*precision).into(), (*scale).into()).ok_or_else(|| {
                    format!("no decimal of BigQuery has {precision} digits, {scale} of them after the point")
                })?
            }
            Self::Float => ColumnType::Float64,
            Self::Text => ColumnType::String,
            Self::Binary => ColumnType::Bytes,
            Self::Boolean => ColumnType::Bool,
            Self::Date => ColumnType::Date,
            Self::Time { .. } => ColumnType::Time,
            Self::Ntz { .. } => ColumnType::Datetime,
            Self::Ltz { .. } | Self::Tz { .. } => ColumnType::Timestamp,
            Self::Json(_) => ColumnType::Json,
            Self::Vector { whole: true } => ColumnType::Array(Box::new(ColumnType::Int64)),
            Self::Vector { whole: false } => ColumnType::Array(Box::new(ColumnType::Float64)),
            Self::Other(_) => return Err("it is not known here: cast it in a query, for example to VARCHAR".into()),
        })
    }

    /// Whether its values have an exact order, so that rows can be cut by them and a cursor can be one.
    pub(crate) fn is_ordered(&self) -> bool {
        matches!(
            self,
            Self::Number { .. } | Self::Text | Self::Date | Self::Ntz { .. } | Self::Ltz { .. } | Self::Tz { .. }
        )
    }

    /// Whether its values are points of time.
    pub(crate) fn is_time(&self) -> bool {
        matches!(self, Self::Ntz { .. } | Self::Ltz { .. } | Self::Tz { .. })
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { precision, scale } => write!(f, "NUMBER({precision},{scale})"),
            Self::Float => f.write_str("FLOAT"),
            Self::Text => f.write_str("VARCHAR"),
            Self::Binary => f.write_str("BINARY"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Date => f.write_str("DATE"),
            Self::Time { scale } => write!(f, "TIME({scale})"),
            Self::Ntz { scale } => write!(f, "TIMESTAMP_NTZ({scale})"),
            Self::Ltz { scale } => write!(f, "TIMESTAMP_LTZ({scale})"),
            Self::Tz { scale } => write!(f, "TIMESTAMP_TZ({scale})"),
            Self::Vector { whole } => f.write_str(if *whole { "VECTOR(INT)" } else { "VECTOR(FLOAT)" }),
            Self::Json(name) | Self::Other(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_they_are_written_and_become_what_holds_them() {
        for (text, becomes) in [
            ("NUMBER(10,0)", Some("INT64")),
            ("NUMBER(38,0)", Some("INT64")),
            ("NUMBER(20,0)", Some("NUMERIC(20, 0)")),
            ("NUMBER(12,2)", Some("NUMERIC(12, 2)")),
            ("NUMBER(38,37)", Some("BIGNUMERIC(38, 37)")),
            ("FLOAT", Some("FLOAT64")),
            ("VARCHAR", Some("STRING")),
            ("BINARY", Some("BYTES")),
            ("BOOLEAN", Some("BOOL")),
            ("DATE", Some("DATE")),
            ("TIME(9)", Some("TIME")),
            ("TIMESTAMP_NTZ(9)", Some("DATETIME")),
            ("TIMESTAMP_LTZ(3)", Some("TIMESTAMP")),
            ("TIMESTAMP_TZ(0)", Some("TIMESTAMP")),
            ("VARIANT", Some("JSON")),
            ("GEOGRAPHY", Some("JSON")),
            ("VECTOR(INT)", Some("ARRAY<INT64>")),
            ("VECTOR(FLOAT)", Some("ARRAY<FLOAT64>")),
            ("DECFLOAT", None),
        ] {
            let read = SqlType::read(text);
            assert_eq!(read.to_string(), text);
            assert_eq!(read.kind().ok().map(|kind| kind.to_string()).as_deref(), becomes, "{text}");
        }
    }
}
