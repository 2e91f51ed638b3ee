//! JSON, arrays and hashes.

use super::{Family, Rule, literal, quoted};
use Rule::{Built, Refused, Renamed, Template};

pub(super) const FUNCTIONS: Family = &[
    ("ARRAY_CONCAT", Built(|arrays| Ok(format!("({})", arrays.join(" || "))))),
    ("ARRAY_FIRST", Template(&[(1, "{0}[1]")])),
    ("ARRAY_LAST", Template(&[(1, "{0}[-1]")])),
    ("ARRAY_LENGTH", Renamed("len")),
    ("ARRAY_REVERSE", Renamed("list_reverse")),
    (
        "ARRAY_TO_STRING",
        Template(&[
            (2, "array_to_string({0}, {1})"),
            (3, "array_to_string(list_transform({0}, lambda element: coalesce(element, {2})), {1})"),
        ]),
    ),
    ("BOOL", Template(&[(1, "CAST({0} AS BOOLEAN)")])),
    ("FLOAT64", Template(&[(1, "CAST({0} AS DOUBLE)")])),
    ("GENERATE_ARRAY", Template(&[(2, "generate_series({0}, {1})"), (3, "generate_series({0}, {1}, {2})")])),
    ("INT64", Template(&[(1, "CAST({0} AS BIGINT)")])),
    ("JSON_ARRAY", Renamed("json_array")),
    ("JSON_EXTRACT", Built(|arguments| json("json_extract", arguments, ""))),
    ("JSON_EXTRACT_ARRAY", Built(|arguments| json("json_extract", arguments, "[*]"))),
    ("JSON_EXTRACT_SCALAR", Built(scalar)),
    ("JSON_EXTRACT_STRING_ARRAY", Built(|arguments| json("json_extract_string", arguments, "[*]"))),
    ("JSON_KEYS", Refused("name the keys with JSON_VALUE")),
    ("JSON_OBJECT", Renamed("json_object")),
    ("JSON_QUERY", Built(|arguments| json("json_extract", arguments, ""))),
    ("JSON_QUERY_ARRAY", Built(|arguments| json("json_extract", arguments, "[*]"))),
    ("JSON_TYPE", Refused("the type names differ; compare JSON_VALUE with NULL")),
    ("JSON_VALUE", Built(scalar)),
    ("JSON_VALUE_ARRAY", Built(|arguments| json("json_extract_string", arguments, "[*]"))),
    ("PARSE_JSON", Template(&[(1, "CAST({0} AS JSON)")])),
    ("TO_JSON", Template(&[(1, "to_json({0})")])),
    ("TO_JSON_STRING", Template(&[(1, "CAST(to_json({0}) AS VARCHAR)")])),
];

/// The path argument in DuckDB's notation.
fn path(arguments: &[&str], suffix: &str) -> Result<String, String> {
    let path = match arguments.get(1) {
        None => "$".to_owned(),
        Some(argument) => literal(argument).ok_or("needs its path as a text literal")?,
    };
    if !path.starts_with('$') || path.contains('*') {
        return Err(format!("has the path {path:?}; write one such as '$.items[0].price'"));
    }
    // BigQuery quotes a key as ['a b'] or ["a b"], DuckDB as ."a b".
    let path = path.replace("['", ".\"").replace("[\"", ".\"").replace("']", "\"").replace("\"]", "\"");
    Ok(quoted(&format!("{path}{suffix}")))
}

fn json(function: &str, arguments: &[&str], suffix: &str) -> Result<String, String> {
    let document = arguments.first().ok_or("needs a JSON document")?;
    let found = format!("{function}({document}, {})", path(arguments, suffix)?);
    if suffix.is_empty() {
        return Ok(found);
    }
    // What is not an array has no elements to list: NULL, where DuckDB gives an empty list.
    Ok(format!("CASE WHEN json_type({document}, {}) = 'ARRAY' THEN {found} END", path(arguments, "")?))
}

/// An object or an array has no scalar value: NULL, where DuckDB's extraction would give its text.
fn scalar(arguments: &[&str]) -> Result<String, String> {
    let document = arguments.first().ok_or("needs a JSON document")?;
    let path = path(arguments, "")?;
    Ok(format!(
        "CASE WHEN json_type({document}, {path}) IN ('OBJECT', 'ARRAY') THEN NULL ELSE json_extract_string({document}, {path}) END"
    ))
}
