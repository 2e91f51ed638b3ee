//! What a person and a program see of a mistake.

use millstream_pipeline::spec::Diagnostics;

use crate::{fraud, load_files};

fn mistakes() -> Diagnostics {
    let mut files = fraud();
    let text = files.get_mut("pipelines/fraud.yaml").unwrap();
    *text = text.replace("on_new_column: reject", "on_new_column: rejct");
    let sql = files.get_mut("pipelines/production/features.sql").unwrap();
    *sql = sql.replace("staging.clean", "staging.claen");
    load_files(&files).unwrap_err()
}

#[test]
fn a_person_sees_the_source_and_what_to_do() {
    assert_eq!(mistakes().render(100), "");
}

#[test]
fn a_program_gets_plain_fields() {
    assert_eq!(
        serde_json::to_value(mistakes()).unwrap()[0],
        serde_json::json!({
            "code": "unknown-value",
            "message": "`rejct` is not one of the choices",
            "expected": "one of `add`, `ignore` and `reject`",
            "hint": "did you mean `reject`?",
            "file": "pipelines/fraud.yaml",
            "line": 17,
            "column": 20,
        })
    );
}
