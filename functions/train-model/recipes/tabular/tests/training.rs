//! What a training leaves behind, what it does with odd tables, and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod common;

use common::{Outcome, sales, train, train_with};
use millstream_scoring::{FeatureKind, Model, Signature, Task, score_holdout};
use serde_json::Value;

fn refusal(csv: &str, arguments: &[&str]) -> String {
    match train(csv, arguments) {
        Ok(trained) => panic!("it was trained: {}", trained.log),
        Err(error) => error.chain(),
    }
}

#[test]
fn the_model_folder_holds_the_model_its_signature_the_held_out_rows_and_the_metrics() {
    let trained = train(&sales(400, Outcome::Sold), &["--target", "target"]).unwrap();
    let metrics: Value = serde_json::from_slice(&trained.file("metrics.json")).unwrap();
    assert_eq!(metrics["task"], "binary");
    assert_eq!(metrics["rows"]["train"], 320);
    assert_eq!(metrics["rows"]["holdout"], 80);
    let names: Vec<&String> = metrics["metrics"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["accuracy", "auc_pr", "auc_roc", "f1", "log_loss"]);
    let counts = metrics["confusion_matrix"]["counts"].as_array().unwrap();
    let total: u64 = counts.iter().flat_map(|row| row.as_array().unwrap()).map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(total, 80);
    let importance: f64 = trained.report.feature_importance.values().sum();
    assert!((importance - 1.0).abs() < 1e-9, "{:?}", trained.report.feature_importance);

    // Scored again from the files, as promotion does, the model has the same metrics.
    let model = Model::load(&trained.model_folder()).unwrap();
    let again = score_holdout(&model, &trained.model_folder().join("holdout.parquet")).unwrap();
    assert_eq!((again.metrics, again.rows), (trained.report.metrics.clone(), 80));
    // The ONNX file alone is enough: it carries the signature.
    let inside = Model::from_bytes(&trained.file("model.onnx"), None).unwrap();
    let beside = Signature::from_json(&trained.file("signature.json")).unwrap();
    assert_eq!(*inside.signature(), beside);
    assert!(trained.log.contains("320 rows to learn from, 0 to stop by, 80 held out"), "{}", trained.log);
    assert!(trained.log.contains("round 200/200: training loss"), "{}", trained.log);
}

#[test]
fn the_signature_tells_each_feature_s_kind_and_whether_it_is_required() {
    let csv = "a,b,c,d,y\n".to_owned()
        + &(0..40)
            .map(|i| {
                format!(
                    "{i},{},{},2026-01-{:02},{}\n",
                    i % 3 == 0,
                    ["u", "v"][i % 2],
                    i % 28 + 1,
                    if i == 7 { String::new() } else { (i % 2).to_string() }
                )
            })
            .collect::<String>();
    let trained = train(&csv.replace("\n5,", "\n,"), &["--target", "y"]).unwrap();
    let signature = Signature::from_json(&trained.file("signature.json")).unwrap();
    assert_eq!((signature.task, signature.classes), (Task::Binary, vec!["0".into(), "1".into()]));
    let kinds: Vec<(&FeatureKind, bool)> = signature.features.iter().map(|f| (&f.kind, f.required)).collect();
    let colours = FeatureKind::Category { values: vec!["u".into(), "v".into()] };
    assert_eq!(
        kinds,
        [
            (&FeatureKind::Numeric, false),
            (&FeatureKind::Boolean, true),
            (&colours, true),
            (&FeatureKind::Timestamp, true)
        ]
    );
    assert_eq!(trained.report.rows.without_target, 1);
}

#[test]
fn the_same_rows_in_another_order_train_the_same_bytes() {
    let csv = sales(700, Outcome::Grade);
    let (header, rows) = csv.split_once('\n').unwrap();
    let mut lines: Vec<&str> = rows.lines().collect();
    lines.reverse();
    lines.rotate_left(100);
    let shuffled = format!("{header}\n{}\n", lines.join("\n"));
    let [first, second] = [csv.clone(), shuffled].map(|csv| train(&csv, &["--target", "target"]).unwrap());
    for name in ["model.onnx", "signature.json", "holdout.parquet", "metrics.json"] {
        assert!(first.file(name) == second.file(name), "{name} differs");
    }
    let other_seed = train(&csv, &["--target", "target", "--seed", "7"]).unwrap();
    assert!(first.file("holdout.parquet") != other_seed.file("holdout.parquet"));
}

#[test]
fn every_class_is_held_out_by_the_same_share() {
    let csv = "x,y\n".to_owned()
        + &(0..300).map(|i| format!("{i},{}\n", if i % 10 == 0 { "rare" } else { "common" })).collect::<String>();
    let trained = train(&csv, &["--target", "y", "--test-share", "0.3"]).unwrap();
    let confusion = trained.report.confusion_matrix.unwrap();
    let held: Vec<u64> = confusion.counts.iter().map(|row| row.iter().sum()).collect();
    assert_eq!((confusion.labels, held), (vec!["common".into(), "rare".into()], vec![81, 9]));
}

#[test]
fn given_test_and_validation_data_replace_the_splits() {
    let arguments = ["--target", "target"];
    let (test, validation) = (sales(50, Outcome::Price), sales(90, Outcome::Price));
    let more = [("AIP_TEST_DATA_URI", test.as_str()), ("AIP_VALIDATION_DATA_URI", &validation)];
    let trained = train_with(&sales(600, Outcome::Price), &arguments, &more).unwrap();
    let rows = trained.report.rows;
    assert_eq!((rows.train, rows.validation, rows.holdout), (600, 90, 50));
    assert!(trained.log.contains("validation loss"), "{}", trained.log);
}

#[test]
fn columns_that_cannot_teach_are_left_out_with_the_reason() {
    let csv = "x,name,same,empty,key,y\n".to_owned()
        + &(0..60).map(|i| format!("{i},n{i},5,,k{i},{}\n", i % 2 == 0)).collect::<String>();
    let trained = train(&csv, &["--target", "y", "--exclude", "key"]).unwrap();
    let dropped: Vec<String> =
        trained.report.dropped.iter().map(|dropped| format!("{}: {}", dropped.column, dropped.reason)).collect();
    let expected = [
        "name: has 60 different texts in 60 rows: a name or a key, not a category",
        "same: has the same value in every row",
        "empty: has no values",
        "key: excluded",
    ];
    assert_eq!(dropped, expected);
    assert!(trained.log.contains("column name is not learned from: has 60 different texts"), "{}", trained.log);
}

#[test]
fn a_table_that_cannot_be_learned_is_refused_with_what_to_do() {
    let csv = "x,kind,y\n".to_owned() + &(0..20).map(|i| format!("{i},a,{}\n", i % 2)).collect::<String>();
    let missing = refusal(&csv, &["--target", "knd"]);
    assert_eq!(missing, r#"there is no column "knd" for --target; did you mean "kind"?; the columns are x, kind, y"#);
    assert!(refusal(&csv, &["--target", "y", "--exclude", "z"]).contains(r#"no column "z" for --exclude"#));
    assert!(refusal(&csv, &["--target", "kind"]).contains(r#"is "a" in every row; two classes are needed"#));
    let nothing = refusal(&csv, &["--target", "y", "--exclude", "x"]);
    assert_eq!(nothing, "no column can be learned from: x excluded; kind has the same value in every row");
    assert!(refusal("x,y\n1,\n2,\n", &["--target", "y"]).contains("has no value in any row"));
    assert_eq!(
        refusal("x,y\n1,0\n2,1\n", &["--target", "y"]),
        "2 rows with a target are too few; at least 10 are needed"
    );
}
