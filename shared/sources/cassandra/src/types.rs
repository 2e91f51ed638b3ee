//! CQL's types and what they become.

use std::collections::HashSet;

use millstream_events::contract::ColumnType;
use scylla::cluster::metadata::{CollectionType, ColumnType as CqlType, NativeType};

/// The deepest STRUCT or ARRAY that BigQuery stores.
const DEPTH: usize = 15;

/// The field of a STRUCT that stands for an array inside of an array.
pub(crate) const ITEMS: &str = "items";

/// What a type is mapped to, or why it cannot be.
pub(crate) fn column_type(cql: &CqlType<'_>) -> Result<ColumnType, String> {
    nested(cql, 0)
}

fn nested(cql: &CqlType<'_>, depth: usize) -> Result<ColumnType, String> {
    if depth > DEPTH {
        return Err(format!("it is nested deeper than the {DEPTH} levels that BigQuery stores"));
    }
    let list = |item: &CqlType<'_>| {
        let item = match nested(item, depth + 1)? {
            // BigQuery has no arrays of arrays.
            inner @ ColumnType::Array(_) => ColumnType::Struct(vec![(ITEMS.into(), inner)]),
            item => item,
        };
        Ok(ColumnType::Array(Box::new(item)))
    };
    match cql {
        CqlType::Native(native) => native_type(native),
        CqlType::Collection { typ: CollectionType::List(item) | CollectionType::Set(item), .. } => list(item),
        CqlType::Vector { typ: item, .. } => list(item),
        CqlType::Collection { typ: CollectionType::Map(key, value), .. } => {
            let fields = vec![("key".into(), nested(key, depth + 1)?), ("value".into(), nested(value, depth + 1)?)];
            Ok(ColumnType::Array(Box::new(ColumnType::Struct(fields))))
        }
        CqlType::Tuple(items) => {
            let field =
                |(index, item): (usize, &CqlType<'_>)| Ok((format!("field{}", index + 1), nested(item, depth + 1)?));
            items.iter().enumerate().map(field).collect::<Result<_, String>>().map(ColumnType::Struct)
        }
        CqlType::UserDefinedType { definition, .. } => {
            let mut names = HashSet::new();
            let field = |(name, kind): &(std::borrow::Cow<'_, str>, CqlType<'_>)| {
                if !is_field_name(name) || !names.insert(name.to_ascii_lowercase()) {
                    return Err(format!(
                        "the field {name} of the type {} is no name of BigQuery's, or another one differs in case only",
                        definition.name
                    ));
                }
                Ok((name.to_string(), nested(kind, depth + 1)?))
            };
            definition.field_types.iter().map(field).collect::<Result<_, _>>().map(ColumnType::Struct)
        }
        _ => Err("the driver does not know this type".into()),
    }
}

fn native_type(native: &NativeType) -> Result<ColumnType, String> {
    Ok(match native {
        NativeType::Ascii | NativeType::Text | NativeType::Uuid | NativeType::Timeuuid | NativeType::Inet => {
            ColumnType::String
        }
        NativeType::Boolean => ColumnType::Bool,
        NativeType::Blob => ColumnType::Bytes,
        NativeType::TinyInt | NativeType::SmallInt | NativeType::Int | NativeType::BigInt | NativeType::Counter => {
            ColumnType::Int64
        }
        NativeType::Varint => ColumnType::BigNumeric { precision: 38, scale: 0 },
        NativeType::Decimal => ColumnType::BigNumeric { precision: 76, scale: 38 },
        NativeType::Float | NativeType::Double => ColumnType::Float64,
        NativeType::Date => ColumnType::Date,
        NativeType::Time => ColumnType::Time,
        NativeType::Timestamp => ColumnType::Timestamp,
        NativeType::Duration => ColumnType::Struct(
            ["months", "days", "nanoseconds"].map(|part| (part.to_owned(), ColumnType::Int64)).into(),
        ),
        _ => return Err("the driver does not know this type".into()),
    })
}

/// A type as CQL writes it.
pub(crate) fn cql_text(cql: &CqlType<'_>) -> String {
    let frozen = |frozen: bool, text: String| if frozen { format!("frozen<{text}>") } else { text };
    match cql {
        CqlType::Native(native) => native_text(native).to_owned(),
        CqlType::Collection { frozen: is_frozen, typ } => frozen(
            *is_frozen,
            match typ {
                CollectionType::List(item) => format!("list<{}>", cql_text(item)),
                CollectionType::Set(item) => format!("set<{}>", cql_text(item)),
                CollectionType::Map(key, value) => format!("map<{}, {}>", cql_text(key), cql_text(value)),
                _ => "collection".into(),
            },
        ),
        CqlType::Vector { typ, dimensions } => format!("vector<{}, {dimensions}>", cql_text(typ)),
        CqlType::Tuple(items) => format!("tuple<{}>", items.iter().map(cql_text).collect::<Vec<_>>().join(", ")),
        CqlType::UserDefinedType { frozen: is_frozen, definition } => frozen(*is_frozen, definition.name.to_string()),
        _ => "unknown".into(),
    }
}

fn native_text(native: &NativeType) -> &'static str {
    match native {
        NativeType::Ascii => "ascii",
        NativeType::Boolean => "boolean",
        NativeType::Blob => "blob",
        NativeType::Counter => "counter",
        NativeType::Date => "date",
        NativeType::Decimal => "decimal",
        NativeType::Double => "double",
        NativeType::Duration => "duration",
        NativeType::Float => "float",
        NativeType::Int => "int",
        NativeType::BigInt => "bigint",
        NativeType::Text => "text",
        NativeType::Timestamp => "timestamp",
        NativeType::Inet => "inet",
        NativeType::SmallInt => "smallint",
        NativeType::TinyInt => "tinyint",
        NativeType::Time => "time",
        NativeType::Timeuuid => "timeuuid",
        NativeType::Uuid => "uuid",
        NativeType::Varint => "varint",
        _ => "unknown",
    }
}

/// Whether BigQuery takes it as the name of a field.
fn is_field_name(name: &str) -> bool {
    name.len() <= 300
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use scylla::cluster::metadata::UserDefinedType;

    use super::*;

    fn list(item: CqlType<'static>) -> CqlType<'static> {
        CqlType::Collection { frozen: true, typ: CollectionType::List(Box::new(item)) }
    }

    fn udt(names: &[&str]) -> CqlType<'static> {
        let field_types =
            names.iter().map(|name| ((*name).to_owned().into(), CqlType::Native(NativeType::Int))).collect();
        let definition = UserDefinedType { name: "point".into(), keyspace: "shop".into(), field_types };
        CqlType::UserDefinedType { frozen: true, definition: Arc::new(definition) }
    }

    #[test]
    fn nested_types_become_arrays_and_structures() {
        let int = || CqlType::Native(NativeType::Int);
        let kind = |cql: &CqlType<'_>| column_type(cql).map(|kind| kind.to_string());
        let map = CqlType::Collection {
            frozen: false,
            typ: CollectionType::Map(Box::new(CqlType::Native(NativeType::Text)), Box::new(list(int()))),
        };
        for (cql, text, bigquery) in [
            (list(int()), "frozen<list<int>>", "ARRAY<INT64>"),
            (list(list(int())), "frozen<list<frozen<list<int>>>>", "ARRAY<STRUCT<items ARRAY<INT64>>>"),
            (map, "map<text, frozen<list<int>>>", "ARRAY<STRUCT<key STRING, value ARRAY<INT64>>>"),
            (
                CqlType::Tuple(vec![int(), udt(&["x"])]),
                "tuple<int, frozen<point>>",
                "STRUCT<field1 INT64, field2 STRUCT<x INT64>>",
            ),
            (
                CqlType::Vector { typ: Box::new(CqlType::Native(NativeType::Float)), dimensions: 3 },
                "vector<float, 3>",
                "ARRAY<FLOAT64>",
            ),
        ] {
            assert_eq!(cql_text(&cql), text);
            assert_eq!(kind(&cql).as_deref(), Ok(bigquery));
        }
    }

    #[test]
    fn what_bigquery_cannot_store_says_why() {
        assert!(column_type(&udt(&["a", "A"])).unwrap_err().contains("case"));
        assert!(column_type(&udt(&["a b"])).unwrap_err().contains("a b"));
        let deep = (0..20).fold(CqlType::Native(NativeType::Int), |inner, _| list(inner));
        assert!(column_type(&deep).unwrap_err().contains("deeper"));
    }
}
