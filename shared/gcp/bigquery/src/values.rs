//! A result's values as the port's JSON: INT64, FLOAT64 and BOOL as JSON's own, exact decimals, dates and times as text.

use chrono::DateTime;
use gcp_bigquery_client::model::table_row::TableRow;
use millstream_events::contract::{Column, ColumnType};
use millstream_ports::{PortError, PortResult};
use serde_json::{Map, Value};

/// A row's values, in column order.
pub(crate) fn row(columns: &[Column], row: TableRow) -> PortResult<Vec<Value>> {
    let cells = row.columns.unwrap_or_default();
    columns.iter().zip(cells).map(|(column, cell)| value(&column.kind, cell.value.unwrap_or_default())).collect()
}

/// BigQuery writes every scalar as text, a list as `[{"v": ..}]`, a struct as `{"f": [{"v": ..}]}`.
fn value(kind: &ColumnType, cell: Value) -> PortResult<Value> {
    let unreadable = |cell: &Value| PortError::internal(format!("BigQuery answered {cell} for a value of type {kind}"));
    match (kind, cell) {
        (_, Value::Null) => Ok(Value::Null),
        (ColumnType::Array(inner), Value::Array(elements)) => {
            elements.into_iter().map(|element| value(inner, wrapped(element))).collect()
        }
        (ColumnType::Struct(fields), Value::Object(mut object)) => {
            let Some(Value::Array(cells)) = object.remove("f") else { return Err(unreadable(&Value::Object(object))) };
            let values = fields.iter().zip(cells);
            values
                .map(|((name, kind), cell)| Ok((name.clone(), value(kind, wrapped(cell))?)))
                .collect::<PortResult<Map<String, Value>>>()
                .map(Value::Object)
        }
        (_, Value::String(text)) => scalar(kind, &text).ok_or_else(|| unreadable(&Value::String(text.clone()))),
        (_, other) => Err(unreadable(&other)),
    }
}

fn wrapped(cell: Value) -> Value {
    match cell {
        Value::Object(mut object) => object.remove("v").unwrap_or_default(),
        other => other,
    }
}

fn scalar(kind: &ColumnType, text: &str) -> Option<Value> {
    Some(match kind {
        ColumnType::Int64 => text.parse::<i64>().ok()?.into(),
        ColumnType::Float64 => {
            let number: f64 = text.parse().ok()?;
            // JSON has no NaN and no infinity: they stay text.
            serde_json::Number::from_f64(number).map_or_else(|| text.into(), Value::Number)
        }
        ColumnType::Bool => text.parse::<bool>().ok()?.into(),
        ColumnType::Json => serde_json::from_str(text).ok()?,
        ColumnType::Timestamp => {
            let time =
                DateTime::from_timestamp_micros(microseconds(text)?)?.format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
            format!("{}Z", short(&time)).into()
        }
        ColumnType::Time | ColumnType::Datetime | ColumnType::Numeric { .. } | ColumnType::BigNumeric { .. } => {
            short(text).into()
        }
        _ => text.into(),
    })
}

/// A time or a decimal without the zeros at the end of its fraction, as BigQuery itself writes decimals.
fn short(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Whole microseconds, as asked for; seconds with a point from a server that does not know the option.
fn microseconds(text: &str) -> Option<i64> {
    if let Ok(whole) = text.parse() {
        return Some(whole);
    }
    let micros = (text.parse::<f64>().ok()? * 1e6).round();
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (micros.abs() < 9e18).then_some(micros as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_answered_as_json_by_type() {
        let nested = json!({ "f": [{ "v": "1" }, { "v": [{ "v": "2.5" }] }] });
        for (kind, cell, expected) in [
            ("INT64", json!("9007199254740993"), json!(9_007_199_254_740_993_i64)),
            ("FLOAT64", json!("0.5"), json!(0.5)),
            ("FLOAT64", json!("NaN"), json!("NaN")),
            ("BOOL", json!("true"), json!(true)),
            ("NUMERIC", json!("1.25"), json!("1.25")),
            ("NUMERIC", json!("820.000000000"), json!("820")),
            ("BIGNUMERIC", json!("100"), json!("100")),
            ("TIMESTAMP", json!("1709168523500000"), json!("2024-02-29T01:02:03.5Z")),
            ("TIMESTAMP", json!("1709168523.5"), json!("2024-02-29T01:02:03.5Z")),
            ("TIMESTAMP", json!("0"), json!("1970-01-01T00:00:00Z")),
            ("TIME", json!("23:59:59.500000"), json!("23:59:59.5")),
            ("JSON", json!("{\"k\": [1]}"), json!({ "k": [1] })),
            ("STRING", Value::Null, Value::Null),
            ("STRUCT<a INT64, b ARRAY<NUMERIC>>", nested, json!({ "a": 1, "b": ["2.5"] })),
        ] {
            assert_eq!(value(&kind.parse().unwrap(), cell).unwrap(), expected, "{kind}");
        }
    }

    #[test]
    fn a_value_that_is_not_of_its_type_is_an_error() {
        assert!(value(&ColumnType::Int64, json!("one")).is_err());
        assert!(value(&ColumnType::Struct(vec![("a".into(), ColumnType::Int64)]), json!({})).is_err());
    }
}
