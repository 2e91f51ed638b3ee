//! The demo: files in, a served model out.

use serde_json::{Value, json};

use crate::support::{Left, program};

#[test]
fn the_demo_serves_a_model_and_said_again_has_nothing_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let demo = || Left::from(program(folder.path()).args(["demo", "--json"]).output().unwrap()).well().json();
    let first = demo();
    assert_eq!(first["uploaded"].as_array().unwrap().len(), 4);
    assert!(first["steps_run"].as_u64().unwrap() > 10, "{first}");
    let rows = |table: &str| {
        let tables = first["tables"].as_array().unwrap();
        tables.iter().find(|view| view["table"] == table).map_or(Value::Null, |view| view["rows"].clone())
    };
    assert_eq!(rows("source.iris"), 150);
    assert_eq!(rows("production.products"), rows("source.dim_product"));
    assert_eq!(first["answer"]["predictions"][0]["label"], first["expected"]);
    assert_eq!(first["models"][0]["endpoints"], json!(["iris"]));

    let project = folder.path().join("demo-project");
    let ask = |arguments: &[&str]| Left::from(program(&project).args(arguments).output().unwrap());
    let log = ask(&["logs", "iris", "--json"]).well().json();
    assert_eq!((&log["step"], &log["state"]), (&json!("train/iris-classifier"), &json!("done")));
    assert!(!log["text"].as_str().unwrap().is_empty());
    assert_eq!(ask(&["logs", "products"]).code, 1, "it trains nothing");

    // It has all the traffic: asked for again, a promotion by hand moves nothing.
    let shifted = ask(&["models", "promote", "iris-classifier", "1", "--json"]).well().json();
    assert_eq!((&shifted[0]["endpoint"], &shifted[0]["to"]), (&json!("iris"), &json!(1)));
    let unknown = ask(&["models", "promote", "iris-classifier", "7"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("has no version 7"), "{}", unknown.stderr);

    let second = demo();
    assert_eq!(second["uploaded"], json!([]));
    assert_eq!(second["steps_run"], 0);
    assert_eq!(second["tables"], first["tables"]);
}
