//! The fields of custom resources, and what they hold: `schemas.json`.
//!
//! A schema is `"string"`, `"string<=63"`, `"integer"`, `"integer>=1"`, `"number"`, `"boolean"`, `"quantity"` or `"any"`; a list
//! of one schema; an object of fields, of which `name!` is required and `*` stands for any name; or `"$name"`, one that is
//! written once and used several times.

use std::sync::LazyLock;

use serde_json::Value;

static SCHEMAS: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("schemas.json")).unwrap());

/// What is wrong with an object of this kind; nothing of a kind that has no schema.
pub(super) fn problem(kind: &str, object: &Value) -> Option<String> {
    let schema = SCHEMAS.get(kind)?;
    let Value::Object(fields) = object else { return Some("it is no object".to_owned()) };
    fields
        .iter()
        .filter(|(key, _)| !["apiVersion", "kind", "metadata"].contains(&key.as_str()))
        .find_map(|(key, value)| field(schema, "", key, value))
        .or_else(|| {
            schema.get("spec!").filter(|_| !fields.contains_key("spec")).map(|_| "spec: Required value".to_owned())
        })
}

fn field(schema: &Value, path: &str, key: &str, value: &Value) -> Option<String> {
    let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let inner = schema.get(key).or_else(|| schema.get(format!("{key}!"))).or_else(|| schema.get("*"));
    match inner {
        Some(inner) => check(inner, &path, value),
        None => Some(format!("strict decoding error: unknown field \"{path}\"")),
    }
}

fn check(schema: &Value, path: &str, value: &Value) -> Option<String> {
    match schema {
        Value::String(named) => match named.strip_prefix('$') {
            Some(name) => check(&SCHEMAS["shared"][name], path, value),
            None => plain(named, path, value),
        },
        Value::Array(items) => match value {
            Value::Array(values) => {
                values.iter().enumerate().find_map(|(at, value)| check(&items[0], &format!("{path}[{at}]"), value))
            }
            _ => Some(format!("{path}: must be of type array")),
        },
        Value::Object(known) => match value {
            Value::Object(fields) => {
                let missing =
                    known.keys().filter_map(|key| key.strip_suffix('!')).find(|key| !fields.contains_key(*key));
                missing
                    .map(|key| format!("{path}.{key}: Required value"))
                    .or_else(|| fields.iter().find_map(|(key, value)| field(schema, path, key, value)))
            }
            _ => Some(format!("{path}: must be of type object")),
        },
        _ => None,
    }
}

fn plain(kind: &str, path: &str, value: &Value) -> Option<String> {
    let (kind, bound) = kind.split_once("<=").or_else(|| kind.split_once(">=")).unwrap_or((kind, ""));
    let bound = bound.parse::<i64>().ok();
    let fits = match kind {
        "string" => value.as_str().is_some_and(|text| bound.is_none_or(|most| text.len() as i64 <= most)),
        "integer" => value.as_i64().is_some_and(|number| bound.is_none_or(|least| number >= least)),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "quantity" => value.is_i64() || value.as_str().is_some_and(is_quantity),
        _ => true,
    };
    (!fits).then(|| format!("{path}: Invalid value: {value}: must be {kind}"))
}

/// `500m`, `4Gi`, `1.5`.
fn is_quantity(text: &str) -> bool {
    const UNITS: [&str; 14] = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti"];
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    number.parse::<f64>().is_ok() && UNITS.contains(&unit)
}
