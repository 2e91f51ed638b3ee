//! Columns as BigQuery's field definitions, and back.

use millstream_events::contract::{Column, ColumnType};
use millstream_ports::{PortError, PortResult};

use crate::model::{Field, Schema};

/// The digits that the plain types have; BigQuery leaves them out.
const NUMERIC: (u8, u8) = (38, 9);
const BIGNUMERIC: (u8, u8) = (76, 38);

/// Definitions of these columns.
pub(crate) fn schema(columns: &[Column]) -> Schema {
    Schema { fields: columns.iter().map(field).collect() }
}

fn field(column: &Column) -> Field {
    let mut field = typed(&column.name, &column.kind);
    field.description.clone_from(&column.description);
    if column.required && field.mode.is_none() {
        field.mode = Some("REQUIRED".into());
    }
    field
}

fn typed(name: &str, kind: &ColumnType) -> Field {
    let plain = |text: &str| Field { name: name.to_owned(), r#type: text.to_owned(), ..Field::default() };
    let decimal = |text: &str, digits: (u8, u8), usual: (u8, u8)| {
        let given = (digits != usual).then_some(digits);
        Field {
            precision: given.map(|(precision, _)| precision.to_string()),
            scale: given.map(|(_, scale)| scale.to_string()),
            ..plain(text)
        }
    };
    match kind {
        ColumnType::String => plain("STRING"),
        ColumnType::Bytes => plain("BYTES"),
        ColumnType::Int64 => plain("INTEGER"),
        ColumnType::Float64 => plain("FLOAT"),
        ColumnType::Numeric { precision, scale } => decimal("NUMERIC", (*precision, *scale), NUMERIC),
        ColumnType::BigNumeric { precision, scale } => decimal("BIGNUMERIC", (*precision, *scale), BIGNUMERIC),
        ColumnType::Bool => plain("BOOLEAN"),
        ColumnType::Date => plain("DATE"),
        ColumnType::Datetime => plain("DATETIME"),
        ColumnType::Time => plain("TIME"),
        ColumnType::Timestamp => plain("TIMESTAMP"),
        ColumnType::Json => plain("JSON"),
        ColumnType::Array(inner) => Field { mode: Some("REPEATED".into()), ..typed(name, inner) },
        ColumnType::Struct(fields) => {
            Field { fields: fields.iter().map(|(name, kind)| typed(name, kind)).collect(), ..plain("RECORD") }
        }
    }
}

/// The columns of definitions; a type that no contract can have, such as GEOGRAPHY, is an error.
pub(crate) fn columns(fields: &[Field]) -> PortResult<Vec<Column>> {
    fields.iter().map(column).collect()
}

fn column(field: &Field) -> PortResult<Column> {
    Ok(Column {
        name: field.name.clone(),
        kind: kind(field)?,
        required: field.mode.as_deref() == Some("REQUIRED"),
        description: field.description.clone().filter(|text| !text.is_empty()),
    })
}

/// The type of a field.
pub(crate) fn kind(field: &Field) -> PortResult<ColumnType> {
    let digits = |usual: (u8, u8)| {
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        // A precision without a scale has none of its digits after the point.
        number(&field.precision).map_or(usual, |precision| (precision, number(&field.scale).unwrap_or_default()))
    };
    let kind = match field.r#type.as_str() {
        "STRING" => ColumnType::String,
        "BYTES" => ColumnType::Bytes,
        "INTEGER" | "INT64" => ColumnType::Int64,
        "FLOAT" | "FLOAT64" => ColumnType::Float64,
        "NUMERIC" => {
            let (precision, scale) = digits(NUMERIC);
            ColumnType::Numeric { precision, scale }
        }
        "BIGNUMERIC" => {
            let (precision, scale) = digits(BIGNUMERIC);
            ColumnType::BigNumeric { precision, scale }
        }
        "BOOLEAN" | "BOOL" => ColumnType::Bool,
        "DATE" => ColumnType::Date,
        "DATETIME" => ColumnType::Datetime,
        "TIME" => ColumnType::Time,
        "TIMESTAMP" => ColumnType::Timestamp,
        "JSON" => ColumnType::Json,
        "RECORD" | "STRUCT" => {
            let fields = field.fields.iter().map(|inner| Ok((inner.name.clone(), kind(inner)?)));
            ColumnType::Struct(fields.collect::<PortResult<_>>()?)
        }
        other => {
            return Err(PortError::invalid(format!(
                "column {} is of type {other}, which has no use here; cast it, such as to STRING",
                field.name
            )));
        }
    };
    Ok(if field.mode.as_deref() == Some("REPEATED") { ColumnType::Array(Box::new(kind)) } else { kind })
}

/// What a table's columns become when rows of these columns are added: the old ones in their order, then the new ones,
/// which older rows lack and so nobody can require. A column of another type is refused.
pub(crate) fn grown(table: &str, old: &[Field], new: &[Column]) -> PortResult<Schema> {
    let mut fields = old.to_vec();
    for column in new {
        match fields.iter_mut().find(|old| old.name.eq_ignore_ascii_case(&column.name)) {
            Some(old) => {
                let known = kind(old)?;
                if known != column.kind {
                    return Err(PortError::invalid(format!(
                        "column {} of {table} is {known} and the new rows have {}; write another column, or replace the table",
                        old.name, column.kind
                    )));
                }
                if !column.required && old.mode.as_deref() == Some("REQUIRED") {
                    old.mode = Some("NULLABLE".into());
                }
            }
            None => fields.push(field(&Column { required: false, ..column.clone() })),
        }
    }
    // A required column that the new rows lack has no value in them.
    for old in &mut fields {
        if old.mode.as_deref() == Some("REQUIRED") && !new.iter().any(|new| new.name.eq_ignore_ascii_case(&old.name)) {
            old.mode = Some("NULLABLE".into());
        }
    }
    Ok(Schema { fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: &str, required: bool) -> Column {
        Column { name: name.into(), kind: kind.parse().unwrap(), required, description: None }
    }

    #[test]
    fn columns_come_back_as_they_were_declared() {
        let declared: Vec<Column> = [
            "STRING",
            "BYTES",
            "INT64",
            "FLOAT64",
            "NUMERIC",
            "NUMERIC(10, 2)",
            "NUMERIC(10)",
            "BIGNUMERIC",
            "BIGNUMERIC(50, 20)",
            "BOOL",
            "DATE",
            "DATETIME",
            "TIME",
            "TIMESTAMP",
            "JSON",
            "ARRAY<STRING>",
            "ARRAY<STRUCT<a INT64, b ARRAY<NUMERIC(4, 2)>>>",
        ]
        .into_iter()
        .enumerate()
        .map(|(at, kind)| column(&format!("c{at}"), kind, at == 0))
        .collect();
        assert_eq!(columns(&schema(&declared).fields).unwrap(), declared);
    }

    #[test]
    fn a_table_grows_at_its_end_and_requires_nothing_of_older_rows() {
        let old = schema(&[column("id", "INT64", true), column("name", "STRING", true)]).fields;
        let grown = grown("d.t", &old, &[column("note", "STRING", true), column("ID", "INT64", true)]).unwrap();
        let shape: Vec<_> = grown
            .fields
            .iter()
            .map(|field| (field.name.as_str(), field.mode.as_deref().unwrap_or("NULLABLE")))
            .collect();
        assert_eq!(shape, [("id", "REQUIRED"), ("name", "NULLABLE"), ("note", "NULLABLE")]);
    }

    #[test]
    fn a_column_of_another_type_is_refused_by_name() {
        let old = schema(&[column("amount", "INT64", false)]).fields;
        let error = grown("d.t", &old, &[column("amount", "STRING", false)]).unwrap_err().to_string();
        assert!(error.contains("amount") && error.contains("INT64") && error.contains("STRING"), "{error}");
    }
}
