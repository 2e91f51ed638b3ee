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

    let second = demo();
    assert_eq!(second["uploaded"], json!([]));
    assert_eq!(second["steps_run"], 0);
    assert_eq!(second["tables"], first["tables"]);
}
