//! The server's types: what each becomes, how it is selected, and how its values are positions.

use millstream_events::contract::ColumnType;
use millstream_source_columns::numeric_type;

/// A type as the server writes it, such as `decimal(10,2)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlType {
    base: String,
    arguments: Vec<u32>,
    text: String,
}

impl SqlType {
    /// Reads `decimal(10,2)`, `nvarchar(max)`.
    pub(crate) fn read(text: &str) -> Self {
        let (base, arguments) = text.split_once('(').unwrap_or((text, ""));
        // `max` is no number, and nothing that is asked of a text's length.
        let arguments = arguments.trim_end_matches(')').split(',').filter_map(|argument| argument.trim().parse().ok());
        Self { base: base.trim().to_ascii_lowercase(), arguments: arguments.collect(), text: text.to_owned() }
    }

    /// Of `sys.columns`: lengths are bytes, -1 for the longest.
    pub(crate) fn of_column(name: &str, max_length: i64, precision: i64, scale: i64) -> Self {
        let length = |unit: i64| if max_length < 0 { "max".to_owned() } else { (max_length / unit).to_string() };
        let text = match name.to_ascii_lowercase().as_str() {
            "decimal" | "numeric" => format!("{name}({precision},{scale})"),
            "char" | "varchar" | "binary" | "varbinary" => format!("{name}({})", length(1)),
            "nchar" | "nvarchar" => format!("{name}({})", length(2)),
            "datetime2" | "datetimeoffset" | "time" => format!("{name}({scale})"),
            _ => name.to_owned(),
        };
        Self::read(&text)
    }

    /// As the server writes it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What it is mapped to, or why it cannot be.
    pub(crate) fn kind(&self) -> Result<ColumnType, String> {
        Ok(match self.base.as_str() {
            "tinyint" | "smallint" | "int" | "bigint" => ColumnType::Int64,
            "bit" => ColumnType::Bool,
            "decimal" | "numeric" => {
                let (precision, scale) = self.decimal_digits();
                numeric_type(precision, scale).ok_or_else(|| format!("BIGNUMERIC does not hold {}", self.text))?
            }
            "money" => ColumnType::Numeric { precision: 19, scale: 4 },
            "smallmoney" => ColumnType::Numeric { precision: 10, scale: 4 },
            "real" | "float" => ColumnType::Float64,
            "date" => ColumnType::Date,
            "time" => ColumnType::Time,
            "datetime" | "smalldatetime" | "datetime2" => ColumnType::Datetime,
            "datetimeoffset" => ColumnType::Timestamp,
            "char" | "varchar" | "text" | "nchar" | "nvarchar" | "ntext" | "sysname" | "uniqueidentifier" | "xml"
            | "sql_variant" | "hierarchyid" | "geography" | "geometry" => ColumnType::String,
            "binary" | "varbinary" | "image" | "timestamp" | "rowversion" => ColumnType::Bytes,
            "json" | "vector" => ColumnType::Json,
            other => {
                return Err(format!(
                    "{other} is a type of this database's own: read a query that converts it, such as CAST(column AS nvarchar(max))"
                ));
            }
        })
    }

    /// How a column is selected so that its values come as they are.
    pub(crate) fn selected(&self, column: &str) -> String {
        match self.base.as_str() {
            // The driver makes doubles of money.
            "money" | "smallmoney" => format!("CAST({column} AS decimal(19,4))"),
            // It reads texts by the code page of their language, also those whose collation is of UTF-8.
            "char" | "varchar" => match self.arguments[..] {
                [length @ 1..=4_000] => format!("CAST({column} AS nvarchar({length}))"),
                _ => format!("CAST({column} AS nvarchar(max))"),
            },
            "text" => format!("CAST({column} AS nvarchar(max))"),
            "sql_variant" => format!(
                "CASE WHEN SQL_VARIANT_PROPERTY({column}, 'BaseType') IN ('money', 'smallmoney') \
                 THEN CAST(CAST({column} AS decimal(19,4)) AS sql_variant) \
                 WHEN SQL_VARIANT_PROPERTY({column}, 'BaseType') IN ('char', 'varchar') \
                 THEN CAST(CAST({column} AS nvarchar(4000)) AS sql_variant) ELSE {column} END"
            ),
            "hierarchyid" => format!("{column}.ToString()"),
            // With the third and fourth coordinate, which STAsText leaves out.
            "geography" | "geometry" => format!("{column}.AsTextZM()"),
            "json" | "vector" => format!("CAST({column} AS nvarchar(max))"),
            _ => column.to_owned(),
        }
    }

    /// How its values are positions of a cursor and ends of ranges; `None` for a type that has no order or no exact text.
    pub(crate) fn order(&self) -> Option<Order> {
        Some(match self.base.as_str() {
            "tinyint" => Order::Integer { least: 0, most: 255 },
            "smallint" => Order::Integer { least: i16::MIN.into(), most: i16::MAX.into() },
            "int" => Order::Integer { least: i32::MIN.into(), most: i32::MAX.into() },
            "bigint" => Order::Integer { least: i64::MIN.into(), most: i64::MAX.into() },
            "decimal" | "numeric" => Order::Decimal,
            "money" | "smallmoney" => Order::Money,
            "real" | "float" => Order::Float,
            "date" => Order::Date,
            "datetime" | "smalldatetime" | "datetime2" | "datetimeoffset" => Order::Time,
            "char" | "varchar" | "nchar" | "nvarchar" | "sysname" => Order::Text,
            "uniqueidentifier" => Order::Guid,
            "timestamp" | "rowversion" => Order::RowVersion,
            "binary" | "varbinary" => Order::Bytes,
            _ => return None,
        })
    }

    /// Whether the server itself raises it with every change.
    pub(crate) fn is_row_version(&self) -> bool {
        matches!(self.order(), Some(Order::RowVersion))
    }

    /// A value as text that gives the same value back.
    pub(crate) fn written(&self, order: Order, value: &str) -> String {
        match order {
            Order::Money => format!("CONVERT(nvarchar(40), CAST({value} AS decimal(19,4)))"),
            // Seventeen digits: every double comes back.
            Order::Float => format!("CONVERT(nvarchar(40), {value}, 3)"),
            Order::Date => format!("CONVERT(nvarchar(40), {value}, 23)"),
            // ISO 8601, with every digit the type has.
            Order::Time => format!("CONVERT(nvarchar(40), {value}, 126)"),
            Order::RowVersion => format!("CONVERT(nvarchar(18), CAST({value} AS binary(8)), 1)"),
            Order::Bytes => format!("CONVERT(nvarchar(max), {value}, 1)"),
            Order::Text => format!("CAST({value} AS nvarchar(4000))"),
            Order::Integer { .. } | Order::Decimal | Order::Guid => format!("CONVERT(nvarchar(40), {value})"),
        }
    }

    /// The value of such a text: of the column's own type, so that an index of the column is used.
    pub(crate) fn value(&self, order: Order, text: &str) -> String {
        match order {
            Order::RowVersion => format!("CONVERT(binary(8), {text}, 1)"),
            Order::Bytes => format!("CONVERT(varbinary(8000), {text}, 1)"),
            Order::Float => format!("CAST({text} AS float)"),
            Order::Text if matches!(self.base.as_str(), "char" | "varchar") => format!("CAST({text} AS varchar(8000))"),
            Order::Text => format!("CAST({text} AS nvarchar(4000))"),
            _ => format!("CAST({text} AS {})", self.text),
        }
    }

    fn decimal_digits(&self) -> (u32, u32) {
        match self.arguments[..] {
            [precision, scale] => (precision, scale),
            [precision] => (precision, 0),
            _ => (18, 0),
        }
    }
}

/// What kind of order a type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Integer { least: i128, most: i128 },
    Decimal,
    Money,
    Float,
    Date,
    Time,
    Text,
    Guid,
    RowVersion,
    Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Result<ColumnType, String> {
        SqlType::read(text).kind()
    }

    #[test]
    fn types_are_written_as_the_server_does() {
        let text =
            |name, length, precision, scale| SqlType::of_column(name, length, precision, scale).as_str().to_owned();
        assert_eq!(text("decimal", 9, 10, 2), "decimal(10,2)");
        assert_eq!(text("nvarchar", 100, 0, 0), "nvarchar(50)");
        assert_eq!(text("nvarchar", -1, 0, 0), "nvarchar(max)");
        assert_eq!(text("varbinary", -1, 0, 0), "varbinary(max)");
        assert_eq!(text("datetime2", 8, 27, 7), "datetime2(7)");
        assert_eq!(text("int", 4, 10, 0), "int");
    }

    #[test]
    fn every_type_is_mapped_or_says_why_not() {
        assert_eq!(kind("decimal(38,9)"), Ok(ColumnType::Numeric { precision: 38, scale: 9 }));
        assert_eq!(kind("decimal(38,38)"), Ok(ColumnType::BigNumeric { precision: 38, scale: 38 }));
        assert_eq!(kind("numeric(38,0)"), Ok(ColumnType::BigNumeric { precision: 38, scale: 0 }));
        assert_eq!(kind("money"), Ok(ColumnType::Numeric { precision: 19, scale: 4 }));
        assert_eq!(kind("nvarchar(max)"), Ok(ColumnType::String));
        assert_eq!(kind("image"), Ok(ColumnType::Bytes));
        assert_eq!(kind("timestamp"), Ok(ColumnType::Bytes));
        assert_eq!(kind("datetimeoffset(7)"), Ok(ColumnType::Timestamp));
        assert!(kind("Address").unwrap_err().contains("CAST"));
    }

    #[test]
    fn what_the_driver_would_round_or_not_read_is_converted_by_the_server() {
        let selected = |text: &str| SqlType::read(text).selected("[c]");
        assert_eq!(selected("money"), "CAST([c] AS decimal(19,4))");
        assert_eq!(selected("hierarchyid"), "[c].ToString()");
        assert_eq!(selected("geometry"), "[c].AsTextZM()");
        assert_eq!(selected("json"), "CAST([c] AS nvarchar(max))");
        assert_eq!(selected("varchar(20)"), "CAST([c] AS nvarchar(20))");
        assert_eq!(selected("char(8000)"), "CAST([c] AS nvarchar(max))");
        assert_eq!(selected("varchar(max)"), "CAST([c] AS nvarchar(max))");
        assert_eq!(selected("nvarchar(max)"), "[c]");
        assert_eq!(selected("varbinary(max)"), "[c]");
    }

    #[test]
    fn positions_keep_every_digit() {
        let both = |text: &str| {
            let kind = SqlType::read(text);
            let order = kind.order().unwrap();
            (kind.written(order, "[c]"), kind.value(order, "@P1"))
        };
        assert_eq!(
            both("datetime2(7)"),
            ("CONVERT(nvarchar(40), [c], 126)".into(), "CAST(@P1 AS datetime2(7))".into())
        );
        assert_eq!(
            both("timestamp"),
            ("CONVERT(nvarchar(18), CAST([c] AS binary(8)), 1)".into(), "CONVERT(binary(8), @P1, 1)".into())
        );
        assert_eq!(both("money").0, "CONVERT(nvarchar(40), CAST([c] AS decimal(19,4)))");
        assert_eq!(both("varchar(20)").1, "CAST(@P1 AS varchar(8000))");
        assert_eq!(both("float"), ("CONVERT(nvarchar(40), [c], 3)".into(), "CAST(@P1 AS float)".into()));
        assert_eq!(SqlType::read("xml").order(), None);
        assert_eq!(SqlType::read("bit").order(), None);
    }
}
