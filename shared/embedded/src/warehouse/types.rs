//! BigQuery's types in DuckDB.
//!
//! | BigQuery | DuckDB |
//! |---|---|
//! | STRING, BYTES, BOOL, JSON | VARCHAR, BLOB, BOOLEAN, JSON |
//! | INT64, FLOAT64 | BIGINT, DOUBLE |
//! | NUMERIC(p, s) | DECIMAL(p, s) |
//! | BIGNUMERIC(p, s) | DECIMAL(p, s) up to 38 digits, refused beyond |
//! | DATE, TIME | DATE, TIME |
//! | DATETIME | TIMESTAMP |
//! | TIMESTAMP | TIMESTAMP WITH TIME ZONE, the session in UTC |
//! | ARRAY, STRUCT | LIST, STRUCT |

use millstream_events::contract::{Column, ColumnType};

/// The most digits a DuckDB decimal has.
const MAX_DIGITS: u8 = 38;

/// A name as an identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The DuckDB type that holds a column; the error says why there is none.
pub(super) fn to_duckdb(kind: &ColumnType) -> Result<String, String> {
    Ok(match kind {
        ColumnType::String => "VARCHAR".into(),
        ColumnType::Bytes => "BLOB".into(),
        ColumnType::Int64 => "BIGINT".into(),
        ColumnType::Float64 => "DOUBLE".into(),
        ColumnType::Numeric { precision, scale } => format!("DECIMAL({precision}, {scale})"),
        ColumnType::BigNumeric { precision, scale } if *precision <= MAX_DIGITS => {
            format!("DECIMAL({precision}, {scale})")
        }
        ColumnType::BigNumeric { .. } => {
            return Err(format!(
                "{kind} has more than {MAX_DIGITS} digits; write BIGNUMERIC(38, 18) or the digits it needs"
            ));
        }
        ColumnType::Bool => "BOOLEAN".into(),
        ColumnType::Date => "DATE".into(),
        ColumnType::Datetime => "TIMESTAMP".into(),
        ColumnType::Time => "TIME".into(),
        ColumnType::Timestamp => "TIMESTAMP WITH TIME ZONE".into(),
        ColumnType::Json => "JSON".into(),
        ColumnType::Array(inner) => format!("{}[]", to_duckdb(inner)?),
        ColumnType::Struct(fields) => {
            let fields: Result<Vec<String>, String> =
                fields.iter().map(|(name, kind)| Ok(format!("{} {}", identifier(name), to_duckdb(kind)?))).collect();
            format!("STRUCT({})", fields?.join(", "))
        }
    })
}

/// The BigQuery type of a DuckDB one, as `DESCRIBE` writes it; narrower and wider integers all become INT64.
pub(super) fn from_duckdb(text: &str) -> Result<ColumnType, String> {
    if let Some(inner) = text.strip_suffix(']').and_then(|rest| rest.rfind('[').map(|at| &rest[..at])) {
        return Ok(ColumnType::Array(Box::new(from_duckdb(inner)?)));
    }
    if let Some(fields) = parameters(text, "STRUCT") {
        return split(fields).into_iter().map(field).collect::<Result<Vec<_>, _>>().map(ColumnType::Struct);
    }
    if let Some(digits) = parameters(text, "DECIMAL") {
        let numbers: Vec<u8> = digits.split(',').filter_map(|number| number.trim().parse().ok()).collect();
        return match numbers.as_slice() {
            [precision, scale] if *scale <= 9 && precision - scale <= 29 => {
                Ok(ColumnType::Numeric { precision: *precision, scale: *scale })
            }
            [precision, scale] => Ok(ColumnType::BigNumeric { precision: *precision, scale: *scale }),
            _ => Err(format!("{text} is no decimal type")),
        };
    }
    Ok(match text {
        "VARCHAR" | "UUID" | "\"NULL\"" => ColumnType::String,
        "BLOB" => ColumnType::Bytes,
        "BIGINT" | "INTEGER" | "SMALLINT" | "TINYINT" | "HUGEINT" | "UBIGINT" | "UINTEGER" | "USMALLINT"
        | "UTINYINT" | "UHUGEINT" => ColumnType::Int64,
        "DOUBLE" | "FLOAT" => ColumnType::Float64,
        "BOOLEAN" => ColumnType::Bool,
        "DATE" => ColumnType::Date,
        "TIMESTAMP" | "TIMESTAMP_S" | "TIMESTAMP_MS" | "TIMESTAMP_NS" => ColumnType::Datetime,
        "TIME" => ColumnType::Time,
        "TIMESTAMP WITH TIME ZONE" => ColumnType::Timestamp,
        "JSON" => ColumnType::Json,
        _ if text.starts_with("ENUM") => ColumnType::String,
        _ => return Err(format!("BigQuery has no type for DuckDB's {text}")),
    })
}

fn parameters<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')
}

fn field(text: &str) -> Result<(String, ColumnType), String> {
    let (name, kind) = match text.strip_prefix('"') {
        Some(rest) => rest.split_once("\" ").map(|(name, kind)| (name.replace("\"\"", "\""), kind)),
        None => text.split_once(' ').map(|(name, kind)| (name.to_owned(), kind)),
    }
    .ok_or_else(|| format!("{text:?} is no field"))?;
    Ok((name, from_duckdb(kind.trim())?))
}

/// Splits at the commas outside parentheses and quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut quoted, mut start) = (Vec::new(), 0_i32, false, 0);
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// Whether values of `new` fit a column of `old` without losing anything.
pub(super) fn fits(new: &ColumnType, old: &ColumnType) -> bool {
    use ColumnType::{BigNumeric, Float64, Int64, Numeric};
    match (new, old) {
        (Int64, Numeric { .. } | BigNumeric { .. } | Float64) | (Numeric { .. } | BigNumeric { .. }, Float64) => true,
        // A value too long for the column's whole digits is an error when it comes, never cut.
        (
            Numeric { scale: new, .. } | BigNumeric { scale: new, .. },
            Numeric { scale: old, .. } | BigNumeric { scale: old, .. },
        ) => new <= old,
        (ColumnType::Array(new), ColumnType::Array(old)) => fits(new, old),
        _ => new == old,
    }
}

/// `name TYPE` of each column, for `CREATE TABLE`; the error names the column.
pub(super) fn definitions(columns: &[Column]) -> Result<String, String> {
    let definitions: Result<Vec<String>, String> = columns
        .iter()
        .map(|column| {
            let kind = to_duckdb(&column.kind).map_err(|problem| format!("column {}: {problem}", column.name))?;
            Ok(format!("{} {kind}{}", identifier(&column.name), if column.required { " NOT NULL" } else { "" }))
        })
        .collect();
    definitions.map(|definitions| definitions.join(", "))
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
            "BIGNUMERIC(38, 18)",
            "BOOL",
            "DATE",
            "DATETIME",
            "TIME",
            "TIMESTAMP",
            "JSON",
            "ARRAY<STRING>",
            "ARRAY<STRUCT<a INT64, b STRUCT<c NUMERIC(4, 2), d ARRAY<STRING>>>>",
        ] {
            let kind: ColumnType = text.parse().unwrap();
            assert_eq!(from_duckdb(&to_duckdb(&kind).unwrap()).unwrap(), kind);
        }
        assert_eq!(
            from_duckdb("STRUCT(\"a b\" INTEGER, c \"NULL\"[])").unwrap().to_string(),
            "STRUCT<a b INT64, c ARRAY<STRING>>"
        );
        assert!(to_duckdb(&"BIGNUMERIC".parse().unwrap()).unwrap_err().contains("38"));
        assert!(from_duckdb("INTERVAL").is_err());
    }

    #[test]
    fn a_value_fits_where_nothing_is_lost() {
        let fits = |new: &str, old: &str| fits(&new.parse().unwrap(), &old.parse().unwrap());
        assert!(fits("INT64", "NUMERIC") && fits("NUMERIC(10, 2)", "NUMERIC") && fits("DATE", "DATE"));
        assert!(!fits("NUMERIC", "NUMERIC(10, 2)") && !fits("STRING", "INT64") && !fits("FLOAT64", "INT64"));
    }
}
