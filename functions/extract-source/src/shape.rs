//! What a source's columns are like: whether they are those of the last reading, and in what they differ. Pure.

use std::collections::BTreeMap;

use millstream_events::fingerprint::Fingerprint;
use millstream_ports::SourceColumn;

/// The hash of the columns' names, types at the source and in the warehouse, in their order.
pub(crate) fn fingerprint<'a>(columns: impl IntoIterator<Item = &'a SourceColumn>) -> Fingerprint {
    let mut parts = Vec::new();
    for SourceColumn { name, source_type, kind, .. } in columns {
        let kind = kind.as_ref().map(ToString::to_string).unwrap_or_default();
        parts.extend([name.clone(), source_type.clone(), kind]);
    }
    Fingerprint::of("source-shape", parts.iter().map(String::as_bytes))
}

/// What changed, for a person. Without the earlier columns it can only be said that something did.
pub(crate) fn difference(earlier: Option<&[SourceColumn]>, now: &[SourceColumn]) -> String {
    let Some(earlier) = earlier else { return "other columns than the last reading's".into() };
    let by_name = |columns: &[SourceColumn]| -> BTreeMap<String, String> {
        let typed = |column: &SourceColumn| match &column.kind {
            Ok(kind) => format!("{} as {kind}", column.source_type),
            Err(_) => column.source_type.clone(),
        };
        columns.iter().map(|column| (column.name.clone(), typed(column))).collect()
    };
    let (before, after) = (by_name(earlier), by_name(now));
    let added = after.iter().filter(|(name, _)| !before.contains_key(*name)).map(|(name, _)| format!("{name} is new"));
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("{name} is gone"));
    let changed = before.iter().filter_map(|(name, was)| {
        let is = after.get(name).filter(|is| *is != was)?;
        Some(format!("{name} was {was} and is {is}"))
    });
    let differences: Vec<String> = added.chain(gone).chain(changed).collect();
    if differences.is_empty() { "the columns' order".into() } else { differences.join(", ") }
}

#[cfg(test)]
mod tests {
    use millstream_events::contract::ColumnType;

    use super::*;

    fn column(name: &str, source_type: &str, kind: Result<ColumnType, String>) -> SourceColumn {
        SourceColumn { name: name.into(), source_type: source_type.into(), kind, required: false, description: None }
    }

    #[test]
    fn names_types_and_order_are_the_shape_and_a_comment_is_not() {
        let a = || column("a", "int4", Ok(ColumnType::Int64));
        let b = || column("b", "text", Ok(ColumnType::String));
        let shape = fingerprint(&[a(), b()]);
        let commented = SourceColumn { description: Some("a number".into()), required: true, ..a() };
        assert_eq!(fingerprint(&[commented, b()]), shape);
        for other in [
            vec![a()],
            vec![b(), a()],
            vec![a(), column("c", "text", Ok(ColumnType::String))],
            vec![a(), column("b", "json", Ok(ColumnType::String))],
            vec![a(), column("b", "text", Ok(ColumnType::Json))],
            vec![a(), column("b", "text", Err("no".into()))],
        ] {
            assert_ne!(fingerprint(&other), shape, "{other:?}");
        }
    }

    #[test]
    fn what_changed_is_named() {
        let before = [column("a", "int4", Ok(ColumnType::Int64)), column("b", "text", Ok(ColumnType::String))];
        let after = [column("a", "int8", Ok(ColumnType::Int64)), column("c", "text", Ok(ColumnType::String))];
        assert_eq!(difference(Some(&before), &after), "c is new, b is gone, a was int4 as INT64 and is int8 as INT64");
        let turned = [before[1].clone(), before[0].clone()];
        assert_eq!(difference(Some(&before), &turned), "the columns' order");
        assert_eq!(difference(None, &after), "other columns than the last reading's");
    }
}
