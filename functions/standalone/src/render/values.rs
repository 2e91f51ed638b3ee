//! A query's answer as a table, as CSV and as JSON.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Map, Value, json};

use super::line;
use crate::api::views::Rows;

/// Longer values are cut in tables, not in CSV and JSON.
const LONGEST_CELL: usize = 80;

/// `{"columns": [{"name", "type"}], "rows": [{..}], "truncated"}`.
pub(crate) fn by_name(rows: &Rows) -> Value {
    let named = |row: &Vec<Value>| {
        let fields = rows.columns.iter().map(|column| column.name.clone()).zip(row.iter().cloned());
        Value::Object(Map::from_iter(fields))
    };
    json!({
        "columns": rows.columns,
        "rows": rows.rows.iter().map(named).collect::<Vec<_>>(),
        "truncated": rows.truncated,
    })
}

pub(crate) fn csv(rows: &Rows) {
    line(&rows.columns.iter().map(|column| field(&column.name)).collect::<Vec<_>>().join(","));
    for row in &rows.rows {
        line(&row.iter().map(|value| field(&text(value, ""))).collect::<Vec<_>>().join(","));
    }
}

/// RFC 4180: what could be taken for structure is quoted.
fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

pub(crate) fn rows(rows: &Rows) {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(rows.columns.iter().map(|column| column.name.as_str()));
    for row in &rows.rows {
        table.add_row(row.iter().map(|value| shortened(&text(value, "NULL"))));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        if rows.rows.iter().any(|row| row.get(index).is_some_and(Value::is_number)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    line(&table.to_string());
    let more = if rows.truncated { " (and more: --limit asks for them)" } else { "" };
    line(&format!("{} rows{more}", rows.rows.len()));
}

fn text(value: &Value, null: &str) -> String {
    match value {
        Value::Null => null.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_field_is_quoted_where_it_could_be_taken_for_structure() {
        assert_eq!(field("plain"), "plain");
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("say \"x\""), "\"say \"\"x\"\"\"");
    }
}
