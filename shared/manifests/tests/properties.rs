//! Whatever a manifest holds: sanitizing twice is sanitizing once, and what comes out reads as what went in less what had to go.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use millstream_manifests::sanitize;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const OWNED: [&str; 8] = [
    "creationTimestamp",
    "resourceVersion",
    "uid",
    "managedFields",
    "generation",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Strings that a careless writer would make something else of, and any other.
fn text() -> impl Strategy<Value = String> {
    const TRICKY: &[&str] = &[
        "",
        "null",
        "~",
        "yes",
        "no",
        "on",
        "true",
        "1e3",
        "0x1F",
        "0644",
        "12:30",
        "1_000",
        ".inf",
        "2026-11-28",
        "-",
        "- a",
        "a: b",
        "# a",
        " a",
        "a ",
        "a\n",
        "a\n\n",
        "\na",
        "  a\nb",
        "a\n  b\n",
        "a\r\nb",
        "\t",
        "...",
        "---",
        "<<",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "{a",
        "[a",
        "a'b\"c\\d",
        "é😀",
        "\u{7f}\u{85}\u{2028}",
        "\u{feff}a",
        "a:",
        "?",
        ",",
        "null\n",
    ];
    prop_oneof![
        3 => prop::sample::select(TRICKY).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
        1 => any::<String>().prop_map(|text| text.chars().filter(|char| !char.is_control()).take(12).collect()),
        1 => "([a-z#: -]{0,9}\n){0,4}",
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1_000_000i64..1_000_000).prop_map(|value| Value::from(f64::from(i32::try_from(value).unwrap()) / 64.0)),
        text().prop_map(Value::from),
    ]
}

/// What stands for a time, or for none.
fn time() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![Value::Null, json!(""), json!("null"), json!("2026-11-28T09:00:00Z"), json!(0)])
}

/// Names among which are those that the rules look at.
fn key() -> impl Strategy<Value = String> {
    const NAMED: &[&str] = &[
        "metadata",
        "creationTimestamp",
        "status",
        "uid",
        "template",
        "spec",
        "openAPIV3Schema",
        "data",
        "items",
        "labels",
        "null",
        "yes",
        "0x1F",
    ];
    prop_oneof![4 => prop::sample::select(NAMED).prop_map(str::to_owned), 1 => "[a-z]{1,6}", 1 => text()]
        .prop_filter("a merge key is read as one", |key| key != "<<")
}

fn tree() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(6, 256, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::vec((key(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            1 => time().prop_map(|time| json!({"metadata": {"creationTimestamp": time, "name": "t"}})),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    let metadata = prop::collection::vec(
        (prop_oneof![prop::sample::select(&OWNED[..]).prop_map(str::to_owned), key()], scalar()),
        0..6,
    );
    let rest = prop::collection::vec((key(), tree()), 1..6);
    let kind = prop::sample::select(&["Pod", "List", "CustomResourceDefinition", ""][..]);
    (kind, metadata, rest).prop_map(|(kind, metadata, rest)| {
        let mut object: Map<String, Value> = rest.into_iter().collect();
        object.insert("metadata".into(), Value::Object(metadata.into_iter().collect()));
        object.insert("kind".into(), json!(kind));
        object.insert("apiVersion".into(), json!("v1"));
        Value::Object(object)
    })
}

/// The rules once more, as plainly as they can be said.
fn expected(mut root: Value) -> Value {
    if root["kind"].as_str().is_some_and(|kind| !kind.is_empty()) {
        let kind = root["kind"].as_str().unwrap().to_owned();
        whole(&mut root, &kind);
    }
    root
}

fn whole(value: &mut Value, kind: &str) {
    let Value::Object(object) = value else { return };
    // A list's item may say another kind; one without a text says what its list says.
    let kind = object.get("kind").and_then(as_text).unwrap_or_else(|| kind.to_owned());
    object.remove("status");
    for (key, value) in object.iter_mut() {
        match (&**key, value) {
            ("metadata", Value::Object(metadata)) => metadata.retain(|key, _| !OWNED.contains(&&**key)),
            ("items", Value::Array(items)) if kind.ends_with("List") => {
                items.iter_mut().for_each(|item| whole(item, kind.strip_suffix("List").unwrap()));
            }
            ("items", _) if kind.ends_with("List") => {}
            ("data" | "metadata", _) => {}
            (_, value) => templates(value),
        }
    }
}

/// Any scalar's text, as a kind is read.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn templates(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(templates),
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match (&**key, value) {
                    ("openAPIV3Schema", _) => {}
                    ("metadata", Value::Object(metadata)) => metadata.retain(|key, value| {
                        key != "creationTimestamp" || !(value.is_null() || *value == "" || *value == "null")
                    }),
                    ("metadata", _) => {}
                    (_, value) => templates(value),
                }
            }
        }
        _ => {}
    }
}

fn read(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn yaml(objects in prop::collection::vec(object(), 1..4)) {
        let text: String =
            objects.iter().map(|object| format!("---\n{}", serde_saphyr::to_string(object).unwrap())).collect();
        let once = sanitize(&text).unwrap();
        let expected: Vec<Value> = objects.into_iter().map(expected).collect();
        prop_assert_eq!(read(&once.text), expected, "{}\n=>\n{}", text, once.text);
        let twice = sanitize(&once.text).unwrap();
        prop_assert_eq!(&twice.text, &once.text);
        prop_assert!(twice.changes.is_empty());
        prop_assert_eq!(once.changes.is_empty(), once.text == text);
    }

    #[test]
    fn json(object in object(), compact: bool) {
        let text = if compact { object.to_string() } else { serde_json::to_string_pretty(&object).unwrap() };
        let once = sanitize(&text).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&once.text).unwrap(), expected(object));
        prop_assert_eq!(sanitize(&once.text).unwrap().text, once.text);
    }

    #[test]
    fn any_text_at_all_is_answered(text: String) {
        if let Ok(once) = sanitize(&text) {
            prop_assert_eq!(sanitize(&once.text).unwrap().text, once.text);
        }
    }
}
