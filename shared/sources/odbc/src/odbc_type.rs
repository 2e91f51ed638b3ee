//! ODBC's types and those that drivers add: what each becomes, how it is fetched, and how its values are positions.

use std::fmt;

use millstream_events::contract::ColumnType;
use millstream_source_columns::numeric_type;

/// The longest text or bytes of a column, in characters or bytes, that is fetched in blocks: DB2's longest VARCHAR.
const LONGEST_IN_BLOCKS: usize = 32_704;

/// The digits of a DECFLOAT's exponent and sign besides its own.
const DECFLOAT_TEXT: usize = 60;

/// Concise types by their codes: the standard's, then DB2's own.
mod code {
    pub(super) const CHAR: i16 = 1;
    pub(super) const NUMERIC: i16 = 2;
    pub(super) const DECIMAL: i16 = 3;
    pub(super) const INTEGER: i16 = 4;
    pub(super) const SMALLINT: i16 = 5;
    pub(super) const FLOAT: i16 = 6;
    pub(super) const REAL: i16 = 7;
    pub(super) const DOUBLE: i16 = 8;
    pub(super) const VARCHAR: i16 = 12;
    pub(super) const DATE: i16 = 91;
    pub(super) const TIME: i16 = 92;
    pub(super) const TIMESTAMP: i16 = 93;
    pub(super) const LONG_VARCHAR: i16 = -1;
    pub(super) const BINARY: i16 = -2;
    pub(super) const VARBINARY: i16 = -3;
    pub(super) const LONG_VARBINARY: i16 = -4;
    pub(super) const BIGINT: i16 = -5;
    pub(super) const TINYINT: i16 = -6;
    pub(super) const BIT: i16 = -7;
    pub(super) const WCHAR: i16 = -8;
    pub(super) const WVARCHAR: i16 = -9;
    pub(super) const WLONG_VARCHAR: i16 = -10;
    pub(super) const GUID: i16 = -11;
    pub(super) const BOOLEAN: i16 = 16;
    pub(super) const GRAPHIC: i16 = -95;
    pub(super) const VARGRAPHIC: i16 = -96;
    pub(super) const LONG_VARGRAPHIC: i16 = -97;
    pub(super) const BLOB: i16 = -98;
    pub(super) const CLOB: i16 = -99;
    pub(super) const ROWID: i16 = -100;
    pub(super) const DBCLOB: i16 = -350;
    pub(super) const DECFLOAT: i16 = -360;
    pub(super) const XML: i16 = -370;
}

/// A column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OdbcType {
    /// ODBC's concise type, or one of the driver's own.
    pub(crate) code: i16,
    /// As the source names it; empty where the driver does not tell, as of a query's columns.
    pub(crate) name: String,
    /// Characters, bytes or digits; 0 where the driver does not tell.
    pub(crate) size: usize,
    /// Digits after the point.
    pub(crate) digits: i16,
}

/// How a value is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Integer,
    Single,
    Double,
    /// ASCII of at most so many bytes.
    Decimal(usize),
    Truth,
    /// UTF-16 of at most so many units.
    Text(usize),
    LongText,
    /// At most so many bytes.
    Bytes(usize),
    LongBytes,
    Date,
    /// As text: ODBC's own form of a time has no fraction.
    Time,
    Timestamp,
    /// As text: ODBC's own form ends with the ninth digit.
    FineTimestamp,
}

/// What kind of order a type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Integer,
    Decimal,
    Date,
    Time,
    Text,
}

/// As the source writes it, as far as it is told.
impl fmt::Display for OdbcType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, size, digits, .. } = self;
        if name.is_empty() {
            f.write_str(self.standard_name())?;
        } else {
            f.write_str(name)?;
        }
        if name.contains('(') && !name.contains("()") {
            return Ok(());
        }
        match self.code {
            code::NUMERIC | code::DECIMAL => write!(f, "({size},{digits})"),
            code::TIMESTAMP if *digits > 0 => write!(f, "({digits})"),
            code::CHAR
            | code::VARCHAR
            | code::WCHAR
            | code::WVARCHAR
            | code::BINARY
            | code::VARBINARY
            | code::GRAPHIC
            | code::VARGRAPHIC
                if *size > 0 =>
            {
                write!(f, "({size})")
            }
            _ => Ok(()),
        }
    }
}

impl OdbcType {
    /// What it is mapped to, or why it cannot be.
    pub(crate) fn kind(&self) -> Result<ColumnType, String> {
        let name = self.name.to_ascii_lowercase();
        if name.contains("timestamptz") || name.contains("with time zone") {
            return Err(
                "ODBC hands it over without its zone: read a query that converts it, such as column AT TIME ZONE 'UTC'"
                    .to_owned(),
            );
        }
        if self.is_truth() {
            return Ok(ColumnType::Bool);
        }
        Ok(match self.code {
            code::BIGINT if name.contains("unsigned") => ColumnType::Numeric { precision: 20, scale: 0 },
            code::BIGINT | code::INTEGER | code::SMALLINT | code::TINYINT => ColumnType::Int64,
            code::NUMERIC | code::DECIMAL => {
                let (digits, scale) =
                    (u32::try_from(self.size).unwrap_or(u32::MAX), u32::from(self.digits.unsigned_abs()));
                numeric_type(digits, scale).ok_or_else(|| format!("BIGNUMERIC does not hold {self}"))?
            }
            code::DECFLOAT => ColumnType::BigNumeric { precision: 76, scale: 38 },
            code::REAL | code::FLOAT | code::DOUBLE => ColumnType::Float64,
            code::DATE => ColumnType::Date,
            code::TIME => ColumnType::Time,
            code::TIMESTAMP => ColumnType::Datetime,
            code::BINARY | code::VARBINARY | code::LONG_VARBINARY | code::BLOB | code::ROWID => ColumnType::Bytes,
            _ if name == "json" || name == "jsonb" => ColumnType::Json,
            code::CHAR
            | code::VARCHAR
            | code::LONG_VARCHAR
            | code::WCHAR
            | code::WVARCHAR
            | code::WLONG_VARCHAR
            | code::GUID
            | code::GRAPHIC
            | code::VARGRAPHIC
            | code::LONG_VARGRAPHIC
            | code::CLOB
            | code::DBCLOB
            | code::XML => ColumnType::String,
            other => {
                return Err(format!(
                    "{self} is a type of the driver's own (code {other}): read a query that converts it, such as CAST(column AS VARCHAR(100))"
                ));
            }
        })
    }

    /// How its values are fetched; `None` for what is mapped to nothing.
    pub(crate) fn wire(&self) -> Option<Wire> {
        if self.is_truth() {
            return Some(Wire::Truth);
        }
        let long = self.size == 0 || self.size > LONGEST_IN_BLOCKS;
        Some(match self.code {
            code::BIGINT if self.name.to_ascii_lowercase().contains("unsigned") => Wire::Decimal(20),
            code::BIGINT | code::INTEGER | code::SMALLINT | code::TINYINT => Wire::Integer,
            // A sign, a point, a zero before it, and one more that would be too much.
            code::NUMERIC | code::DECIMAL => Wire::Decimal(self.size.clamp(38, 1_000) + 4),
            code::DECFLOAT => Wire::Decimal(DECFLOAT_TEXT),
            code::REAL => Wire::Single,
            // Its size is in binary digits with one driver and in decimal ones with the next.
            code::FLOAT | code::DOUBLE => Wire::Double,
            code::DATE => Wire::Date,
            code::TIME => Wire::Time,
            code::TIMESTAMP if self.digits > 9 => Wire::FineTimestamp,
            code::TIMESTAMP => Wire::Timestamp,
            code::LONG_VARBINARY | code::BLOB => Wire::LongBytes,
            code::BINARY | code::VARBINARY if long => Wire::LongBytes,
            code::BINARY | code::VARBINARY => Wire::Bytes(self.size),
            code::ROWID => Wire::Bytes(self.size.max(40)),
            code::GUID => Wire::Text(40),
            code::LONG_VARCHAR
            | code::WLONG_VARCHAR
            | code::LONG_VARGRAPHIC
            | code::CLOB
            | code::DBCLOB
            | code::XML => Wire::LongText,
            code::CHAR | code::VARCHAR | code::WCHAR | code::WVARCHAR | code::GRAPHIC | code::VARGRAPHIC if long => {
                Wire::LongText
            }
            // A character has up to two units.
            code::CHAR | code::VARCHAR | code::WCHAR | code::WVARCHAR | code::GRAPHIC | code::VARGRAPHIC => {
                Wire::Text(self.size * 2)
            }
            _ => return None,
        })
    }

    /// How its values are positions of a cursor and ends of ranges; `None` for a type that has no order or no exact text.
    pub(crate) fn order(&self) -> Option<Order> {
        Some(match (self.wire()?, self.code) {
            (Wire::Integer, _) => Order::Integer,
            (Wire::Decimal(_), code::NUMERIC | code::DECIMAL | code::BIGINT) => Order::Decimal,
            (Wire::Date, _) => Order::Date,
            (Wire::Timestamp | Wire::FineTimestamp, _) => Order::Time,
            (Wire::Text(_), code::CHAR | code::VARCHAR | code::WCHAR | code::WVARCHAR) => Order::Text,
            _ => return None,
        })
    }

    /// The value of a parameter that is a text, as SQL: of a type whose comparison with the column is exact.
    pub(crate) fn value(&self, order: Order) -> String {
        match order {
            Order::Integer => "CAST(? AS BIGINT)".into(),
            Order::Decimal if self.code == code::BIGINT => "CAST(? AS DECIMAL(20,0))".into(),
            Order::Decimal => format!("CAST(? AS DECIMAL({},{}))", self.size, self.digits),
            Order::Date => "CAST(? AS DATE)".into(),
            Order::Time => format!("CAST(? AS TIMESTAMP({}))", self.digits),
            Order::Text => format!("CAST(? AS VARCHAR({}))", self.size.clamp(1, LONGEST_IN_BLOCKS)),
        }
    }

    fn is_truth(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        matches!(self.code, code::BIT | code::BOOLEAN) && !name.contains("varbit")
            || matches!(name.as_str(), "bool" | "boolean")
    }

    fn standard_name(&self) -> &'static str {
        match self.code {
            code::CHAR => "CHAR",
            code::NUMERIC => "NUMERIC",
            code::DECIMAL => "DECIMAL",
            code::INTEGER => "INTEGER",
            code::SMALLINT => "SMALLINT",
            code::FLOAT => "FLOAT",
            code::REAL => "REAL",
            code::DOUBLE => "DOUBLE",
            code::VARCHAR => "VARCHAR",
            code::DATE => "DATE",
            code::TIME => "TIME",
            code::TIMESTAMP => "TIMESTAMP",
            code::LONG_VARCHAR => "LONG VARCHAR",
            code::BINARY => "BINARY",
            code::VARBINARY => "VARBINARY",
            code::LONG_VARBINARY => "LONG VARBINARY",
            code::BIGINT => "BIGINT",
            code::TINYINT => "TINYINT",
            code::BIT => "BIT",
            code::WCHAR => "WCHAR",
            code::WVARCHAR => "WVARCHAR",
            code::WLONG_VARCHAR => "WLONG VARCHAR",
            code::GUID => "GUID",
            code::BOOLEAN => "BOOLEAN",
            code::GRAPHIC => "GRAPHIC",
            code::VARGRAPHIC => "VARGRAPHIC",
            code::LONG_VARGRAPHIC => "LONG VARGRAPHIC",
            code::BLOB => "BLOB",
            code::CLOB => "CLOB",
            code::ROWID => "ROWID",
            code::DBCLOB => "DBCLOB",
            code::DECFLOAT => "DECFLOAT",
            code::XML => "XML",
            _ => "unknown type",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i16, name: &str, size: usize, digits: i16) -> OdbcType {
        OdbcType { code, name: name.into(), size, digits }
    }

    #[test]
    fn every_type_of_db2_is_mapped_and_fetched() {
        let string = ColumnType::String;
        for (code, name, size, digits, kind, wire, text) in [
            (5, "SMALLINT", 5, 0, ColumnType::Int64, Wire::Integer, "SMALLINT"),
            (4, "INTEGER", 10, 0, ColumnType::Int64, Wire::Integer, "INTEGER"),
            (-5, "BIGINT", 19, 0, ColumnType::Int64, Wire::Integer, "BIGINT"),
            (3, "DECIMAL", 31, 9, ColumnType::Numeric { precision: 31, scale: 9 }, Wire::Decimal(42), "DECIMAL(31,9)"),
            (
                3,
                "DECIMAL",
                31,
                31,
                ColumnType::BigNumeric { precision: 31, scale: 31 },
                Wire::Decimal(42),
                "DECIMAL(31,31)",
            ),
            (
                -360,
                "DECFLOAT",
                34,
                0,
                ColumnType::BigNumeric { precision: 76, scale: 38 },
                Wire::Decimal(60),
                "DECFLOAT",
            ),
            (7, "REAL", 7, 0, ColumnType::Float64, Wire::Single, "REAL"),
            (8, "DOUBLE", 15, 0, ColumnType::Float64, Wire::Double, "DOUBLE"),
            (1, "CHAR", 10, 0, string.clone(), Wire::Text(20), "CHAR(10)"),
            (12, "VARCHAR", 32_672, 0, string.clone(), Wire::Text(65_344), "VARCHAR(32672)"),
            (-99, "CLOB", 1_048_576, 0, string.clone(), Wire::LongText, "CLOB"),
            (-95, "GRAPHIC", 10, 0, string.clone(), Wire::Text(20), "GRAPHIC(10)"),
            (-96, "VARGRAPHIC", 10, 0, string.clone(), Wire::Text(20), "VARGRAPHIC(10)"),
            (-350, "DBCLOB", 1_000, 0, string.clone(), Wire::LongText, "DBCLOB"),
            (-370, "XML", 0, 0, string, Wire::LongText, "XML"),
            (-2, "CHAR () FOR BIT DATA", 8, 0, ColumnType::Bytes, Wire::Bytes(8), "CHAR () FOR BIT DATA(8)"),
            (-3, "VARBINARY", 100, 0, ColumnType::Bytes, Wire::Bytes(100), "VARBINARY(100)"),
            (-98, "BLOB", 1_048_576, 0, ColumnType::Bytes, Wire::LongBytes, "BLOB"),
            (-100, "ROWID", 40, 0, ColumnType::Bytes, Wire::Bytes(40), "ROWID"),
            (91, "DATE", 10, 0, ColumnType::Date, Wire::Date, "DATE"),
            (92, "TIME", 8, 0, ColumnType::Time, Wire::Time, "TIME"),
            (93, "TIMESTAMP", 26, 6, ColumnType::Datetime, Wire::Timestamp, "TIMESTAMP(6)"),
            (93, "TIMESTAMP", 32, 12, ColumnType::Datetime, Wire::FineTimestamp, "TIMESTAMP(12)"),
            (16, "BOOLEAN", 1, 0, ColumnType::Bool, Wire::Truth, "BOOLEAN"),
        ] {
            let found = of(code, name, size, digits);
            assert_eq!((found.kind(), found.wire(), found.to_string().as_str()), (Ok(kind), Some(wire), text));
        }
    }

    #[test]
    fn what_cannot_be_mapped_says_what_to_do() {
        assert!(of(93, "timestamptz", 26, 6).kind().unwrap_err().contains("AT TIME ZONE"));
        assert!(of(-104, "INTERVAL", 8, 0).kind().unwrap_err().contains("CAST"));
        assert!(of(2, "NUMERIC", 90, 10).kind().unwrap_err().contains("NUMERIC(90,10)"));
    }

    #[test]
    fn positions_are_compared_in_the_columns_own_type() {
        let value = |kind: OdbcType| kind.order().map(|order| kind.value(order));
        assert_eq!(value(of(93, "TIMESTAMP", 32, 12)).as_deref(), Some("CAST(? AS TIMESTAMP(12))"));
        assert_eq!(value(of(3, "DECIMAL", 10, 2)).as_deref(), Some("CAST(? AS DECIMAL(10,2))"));
        assert_eq!(value(of(5, "SMALLINT", 5, 0)).as_deref(), Some("CAST(? AS BIGINT)"));
        assert_eq!(value(of(12, "VARCHAR", 40, 0)).as_deref(), Some("CAST(? AS VARCHAR(40))"));
        assert_eq!(value(of(8, "DOUBLE", 15, 0)), None);
        assert_eq!(value(of(-99, "CLOB", 15, 0)), None);
    }
}
