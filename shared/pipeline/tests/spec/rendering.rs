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
    assert_eq!(
        mistakes().render(100),
        r#"unknown-value

  × `rejct` is not one of the choices
    ╭─[pipelines/fraud.yaml:17:20]
 16 │     expect: ["amount >= 0", unique(transaction_id)]
 17 │     on_new_column: rejct
    ·                    ──┬──
    ·                      ╰── here
 18 │     max_bad: 5%
    ╰────
  help: expected one of `add`, `ignore` and `reject`
        did you mean `reject`?

unknown-table

  × no pipeline fills staging.claen
   ╭─[pipelines/production/features.sql:3:6]
 2 │ SELECT t.transaction_id, t.amount, t.is_fraud
 3 │ FROM staging.claen AS t
   ·      ──────┬──────
   ·            ╰── here
 4 │ LEFT JOIN source.refunds AS r ON r.transaction_id = t.transaction_id
   ╰────
  help: did you mean `staging.clean`?

2 mistakes
"#
    );
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
