//! MySQL's types and what they become.

use millstream_events::contract::ColumnType;
use millstream_source_columns::numeric_type;
use mysql_async::{
    Column,
    consts::{ColumnFlags, ColumnType as Wire},
};

/// The collation of bytes.
const BINARY: u16 = 63;

/// How the values of a column are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `tinyint(1)`.
    Bool,
    /// `bit`, of so many bits.
    Bit(u32),
    /// Integers that 64 bits with a sign hold, and years.
    Integer,
    /// `bigint unsigned`.
    BigUnsigned,
    /// `decimal`.
    Decimal {
        /// Digits.
        precision: u32,
        /// Digits after the point.
        scale: u32,
    },
    /// `float` and `double`.
    Float,
    /// `date`.
    Date,
    /// `datetime`.
    Datetime,
    /// `timestamp`.
    Timestamp,
    /// `time`.
    Time,
    /// Texts, and what MariaDB writes as a text (`uuid`, `inet6`).
    Text,
    /// `enum` and `set`: texts that are not compared as such.
    Choice,
    /// `json`.
    Json,
    /// Bytes.
    Bytes,
    /// Points, polygons and the like, read as WKT.
    Geometry,
    /// A type that is not known here.
    Unknown,
}

/// How values are ordered and written in positions and ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Whole numbers.
    Integer,
    /// Exact decimals.
    Decimal,
    /// Doubles.
    Float,
    /// Dates.
    Date,
    /// Dates and times.
    Datetime,
    /// Points in time.
    Timestamp,
    /// Texts, by the column's collation.
    Text,
    /// Bytes.
    Bytes,
}

impl Kind {
    /// By a column's type in the catalog: `data_type` and the whole `column_type`, both in lower case.
    pub(crate) fn of_catalog(
        data_type: &str,
        column_type: &str,
        precision: Option<u32>,
        scale: Option<u32>,
        tinyint1_is_bool: bool,
    ) -> Self {
        match data_type {
            "tinyint" if tinyint1_is_bool && column_type.starts_with("tinyint(1)") => Self::Bool,
            "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "year" => Self::Integer,
            "bigint" if column_type.contains("unsigned") => Self::BigUnsigned,
            "bigint" => Self::Integer,
            "bit" => Self::Bit(precision.unwrap_or(1)),
            "decimal" | "numeric" => {
                Self::Decimal { precision: precision.unwrap_or(10), scale: scale.unwrap_or_default() }
            }
            "float" | "double" | "real" => Self::Float,
            "date" => Self::Date,
            "datetime" => Self::Datetime,
            "timestamp" => Self::Timestamp,
            "time" => Self::Time,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Self::Text,
            "uuid" | "inet4" | "inet6" => Self::Text,
            "enum" | "set" => Self::Choice,
            "json" => Self::Json,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "vector" => Self::Bytes,
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
            | "geometrycollection" | "geomcollection" => Self::Geometry,
            _ => Self::Unknown,
        }
    }

    /// By what the server says of a statement's column.
    pub(crate) fn of_result(column: &Column, tinyint1_is_bool: bool) -> Self {
        let unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
        let is_choice = column.flags().intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG);
        match column.column_type() {
            Wire::MYSQL_TYPE_TINY if tinyint1_is_bool && column.column_length() == 1 => Self::Bool,
            Wire::MYSQL_TYPE_LONGLONG if unsigned => Self::BigUnsigned,
            Wire::MYSQL_TYPE_TINY
            | Wire::MYSQL_TYPE_SHORT
            | Wire::MYSQL_TYPE_INT24
            | Wire::MYSQL_TYPE_LONG
            | Wire::MYSQL_TYPE_LONGLONG
            | Wire::MYSQL_TYPE_YEAR => Self::Integer,
            Wire::MYSQL_TYPE_BIT => Self::Bit(column.column_length().max(1)),
            Wire::MYSQL_TYPE_DECIMAL | Wire::MYSQL_TYPE_NEWDECIMAL => {
                // The length counts a sign and a point.
                let scale = u32::from(column.decimals());
                let marks = u32::from(!unsigned) + u32::from(scale > 0);
                Self::Decimal { precision: column.column_length().saturating_sub(marks).max(scale).max(1), scale }
            }
            Wire::MYSQL_TYPE_FLOAT | Wire::MYSQL_TYPE_DOUBLE => Self::Float,
            Wire::MYSQL_TYPE_DATE | Wire::MYSQL_TYPE_NEWDATE => Self::Date,
            Wire::MYSQL_TYPE_DATETIME => Self::Datetime,
            Wire::MYSQL_TYPE_TIMESTAMP => Self::Timestamp,
            Wire::MYSQL_TYPE_TIME => Self::Time,
            Wire::MYSQL_TYPE_JSON => Self::Json,
            Wire::MYSQL_TYPE_GEOMETRY => Self::Geometry,
            Wire::MYSQL_TYPE_VECTOR => Self::Bytes,
            Wire::MYSQL_TYPE_ENUM | Wire::MYSQL_TYPE_SET => Self::Choice,
            Wire::MYSQL_TYPE_NULL => Self::Text,
            Wire::MYSQL_TYPE_VARCHAR
            | Wire::MYSQL_TYPE_VAR_STRING
            | Wire::MYSQL_TYPE_STRING
            | Wire::MYSQL_TYPE_TINY_BLOB
            | Wire::MYSQL_TYPE_MEDIUM_BLOB
            | Wire::MYSQL_TYPE_LONG_BLOB
            | Wire::MYSQL_TYPE_BLOB => match column.character_set() {
                _ if is_choice => Self::Choice,
                BINARY => Self::Bytes,
                _ => Self::Text,
            },
            _ => Self::Unknown,
        }
    }

    /// What it becomes in the warehouse.
    ///
    /// # Errors
    /// Says why it becomes nothing.
    pub(crate) fn column_type(self) -> Result<ColumnType, String> {
        Ok(match self {
            Self::Bool | Self::Bit(1) => ColumnType::Bool,
            Self::Integer | Self::Bit(..64) => ColumnType::Int64,
            Self::BigUnsigned | Self::Bit(_) => ColumnType::Numeric { precision: 20, scale: 0 },
            Self::Decimal { precision, scale } => {
                // More than 38 digits before the point fit nowhere, but few columns that could hold them do.
                let whole = precision.saturating_sub(scale).min(38);
                numeric_type(whole + scale, scale)
                    .ok_or_else(|| format!("{scale} digits after the point are too many"))?
            }
            Self::Float => ColumnType::Float64,
            Self::Date => ColumnType::Date,
            Self::Datetime => ColumnType::Datetime,
            Self::Timestamp => ColumnType::Timestamp,
            Self::Time => ColumnType::Time,
            Self::Text | Self::Choice | Self::Geometry => ColumnType::String,
            Self::Json => ColumnType::Json,
            Self::Bytes => ColumnType::Bytes,
            Self::Unknown => return Err("the type is not known; CAST it in a query, or leave the column out".into()),
        })
    }

    /// How its values are ordered; `None` where ranges and cursors of it would not be what they seem.
    pub(crate) fn scale(self) -> Option<Scale> {
        match self {
            Self::Integer | Self::BigUnsigned => Some(Scale::Integer),
            Self::Decimal { .. } => Some(Scale::Decimal),
            Self::Float => Some(Scale::Float),
            Self::Date => Some(Scale::Date),
            Self::Datetime => Some(Scale::Datetime),
            Self::Timestamp => Some(Scale::Timestamp),
            Self::Text => Some(Scale::Text),
            Self::Bytes => Some(Scale::Bytes),
            Self::Bool | Self::Bit(_) | Self::Time | Self::Choice | Self::Json | Self::Geometry | Self::Unknown => None,
        }
    }
}

/// The type of a statement's column as MySQL writes types, as far as the server tells it.
pub(crate) fn type_of_result(column: &Column) -> String {
    let unsigned = if column.flags().contains(ColumnFlags::UNSIGNED_FLAG) { " unsigned" } else { "" };
    let bytes = column.character_set() == BINARY;
    match column.column_type() {
        _ if column.flags().contains(ColumnFlags::ENUM_FLAG) => "enum".into(),
        _ if column.flags().contains(ColumnFlags::SET_FLAG) => "set".into(),
        Wire::MYSQL_TYPE_TINY if column.column_length() == 1 => format!("tinyint(1){unsigned}"),
        Wire::MYSQL_TYPE_TINY => format!("tinyint{unsigned}"),
        Wire::MYSQL_TYPE_SHORT => format!("smallint{unsigned}"),
        Wire::MYSQL_TYPE_INT24 => format!("mediumint{unsigned}"),
        Wire::MYSQL_TYPE_LONG => format!("int{unsigned}"),
        Wire::MYSQL_TYPE_LONGLONG => format!("bigint{unsigned}"),
        Wire::MYSQL_TYPE_YEAR => "year".into(),
        Wire::MYSQL_TYPE_BIT => format!("bit({})", column.column_length()),
        Wire::MYSQL_TYPE_DECIMAL | Wire::MYSQL_TYPE_NEWDECIMAL => match Kind::of_result(column, false) {
            Kind::Decimal { precision, scale } => format!("decimal({precision},{scale}){unsigned}"),
            _ => "decimal".into(),
        },
        Wire::MYSQL_TYPE_FLOAT => "float".into(),
        Wire::MYSQL_TYPE_DOUBLE => "double".into(),
        Wire::MYSQL_TYPE_DATE | Wire::MYSQL_TYPE_NEWDATE => "date".into(),
        Wire::MYSQL_TYPE_DATETIME => "datetime".into(),
        Wire::MYSQL_TYPE_TIMESTAMP => "timestamp".into(),
        Wire::MYSQL_TYPE_TIME => "time".into(),
        Wire::MYSQL_TYPE_JSON => "json".into(),
        Wire::MYSQL_TYPE_GEOMETRY => "geometry".into(),
        Wire::MYSQL_TYPE_VECTOR => "vector".into(),
        Wire::MYSQL_TYPE_NULL => "null".into(),
        Wire::MYSQL_TYPE_STRING => if bytes { "binary" } else { "char" }.into(),
        Wire::MYSQL_TYPE_VARCHAR | Wire::MYSQL_TYPE_VAR_STRING => if bytes { "varbinary" } else { "varchar" }.into(),
        Wire::MYSQL_TYPE_TINY_BLOB
        | Wire::MYSQL_TYPE_MEDIUM_BLOB
        | Wire::MYSQL_TYPE_LONG_BLOB
        | Wire::MYSQL_TYPE_BLOB => if bytes { "blob" } else { "text" }.into(),
        other => format!("{other:?}").trim_start_matches("MYSQL_TYPE_").to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(column_type: &str, precision: Option<u32>, scale: Option<u32>) -> Kind {
        let data_type = column_type.split(['(', ' ']).next().unwrap();
        Kind::of_catalog(data_type, column_type, precision, scale, true)
    }

    #[test]
    fn numbers_become_the_smallest_type_that_holds_all_of_them() {
        let becomes = |column_type, precision, scale| of(column_type, precision, scale).column_type().unwrap();
        assert_eq!(becomes("tinyint(1)", Some(3), Some(0)), ColumnType::Bool);
        assert_eq!(becomes("tinyint(4)", Some(3), Some(0)), ColumnType::Int64);
        assert_eq!(becomes("int(10) unsigned zerofill", Some(10), Some(0)), ColumnType::Int64);
        assert_eq!(becomes("bigint unsigned", Some(20), Some(0)), ColumnType::Numeric { precision: 20, scale: 0 });
        assert_eq!(becomes("bit(1)", Some(1), None), ColumnType::Bool);
        assert_eq!(becomes("bit(63)", Some(63), None), ColumnType::Int64);
        assert_eq!(becomes("bit(64)", Some(64), None), ColumnType::Numeric { precision: 20, scale: 0 });
        assert_eq!(becomes("decimal(10,2)", Some(10), Some(2)), ColumnType::Numeric { precision: 10, scale: 2 });
        assert_eq!(becomes("decimal(65,30)", Some(65), Some(30)), ColumnType::BigNumeric { precision: 65, scale: 30 });
        assert_eq!(becomes("decimal(65,0)", Some(65), Some(0)), ColumnType::BigNumeric { precision: 38, scale: 0 });
        assert_eq!(becomes("decimal(65,9)", Some(65), Some(9)), ColumnType::BigNumeric { precision: 47, scale: 9 });
    }

    #[test]
    fn truth_values_can_stay_numbers() {
        assert_eq!(Kind::of_catalog("tinyint", "tinyint(1)", Some(3), Some(0), false), Kind::Integer);
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert!(of("xmltype", None, None).column_type().unwrap_err().contains("CAST"));
    }
}
