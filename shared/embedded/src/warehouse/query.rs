//! Ad-hoc queries: a translated SELECT, its values as JSON.

use duckdb::Connection;
use millstream_events::contract::ColumnType;
use millstream_ports::{PortError, PortResult, QueryAnswer};

use super::{
    errors::Mapped,
    transform,
    types::{identifier, literal},
};

/// See `Warehouse::query`. One row more than asked for tells whether there were more.
pub(super) fn answer(connection: &Connection, sql: &str, limit: usize) -> PortResult<QueryAnswer> {
    let prepared = transform::prepare(connection, sql)?;
    // Columns may share a name: they are told apart by their place.
    let names: Vec<String> = (0..prepared.columns.len()).map(|place| format!("c{place}")).collect();
    let values: Vec<String> =
        names.iter().zip(&prepared.columns).map(|(name, column)| json(name, &column.kind, 0)).collect();
    let doing = "run this query";
    let mut statement = connection
        .prepare(&format!(
            "SELECT CAST(json_array({}) AS VARCHAR) FROM ({}) AS answer({}) LIMIT {}",
            values.join(", "),
            prepared.statement,
            names.join(", "),
            limit.saturating_add(1)
        ))
        .mapped(doing)?;
    let texts: Vec<String> = statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).mapped(doing)?;
    let truncated = texts.len() > limit;
    let rows: Result<Vec<Vec<serde_json::Value>>, _> =
        texts.iter().take(limit).map(|text| serde_json::from_str(text)).collect();
    let rows = rows.map_err(|error| PortError::internal("a row is not readable as JSON").caused_by(error))?;
    Ok(QueryAnswer { columns: prepared.columns, rows, truncated })
}

/// An expression whose value is `value` as JSON: numbers and booleans as JSON's own, exact decimals, dates and times as text.
/// `depth` names the lambdas apart.
fn json(value: &str, kind: &ColumnType, depth: usize) -> String {
    match kind {
        ColumnType::Int64 | ColumnType::Bool | ColumnType::String | ColumnType::Json => value.to_owned(),
        // JSON has no NaN and no infinity: BigQuery writes them as text.
        ColumnType::Float64 => {
            format!("CASE WHEN isfinite({value}) THEN to_json({value}) ELSE to_json(CAST({value} AS VARCHAR)) END")
        }
        ColumnType::Bytes => format!("to_base64({value})"),
        ColumnType::Timestamp => {
            format!("replace(replace(CAST({value} AS VARCHAR), ' ', 'T'), '+00', 'Z')")
        }
        ColumnType::Datetime => format!("replace(CAST({value} AS VARCHAR), ' ', 'T')"),
        ColumnType::Numeric { .. } | ColumnType::BigNumeric { .. } | ColumnType::Date | ColumnType::Time => {
            format!("CAST({value} AS VARCHAR)")
        }
        ColumnType::Array(inner) => {
            let element = format!("element{depth}");
            format!("list_transform({value}, lambda {element}: to_json({}))", json(&element, inner, depth + 1))
        }
        ColumnType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, kind)| {
                    let field = format!("({value}).{}", identifier(name));
                    format!("{}, {}", literal(name), json(&field, kind, depth))
                })
                .collect();
            format!("CASE WHEN {value} IS NOT NULL THEN json_object({}) END", fields.join(", "))
        }
    }
}
