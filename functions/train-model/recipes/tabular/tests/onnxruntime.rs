//! The models written here say the same under tract and under onnxruntime.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{Outcome, Trained, iris, python, root, sales, train};
use millstream_scoring::{Model, Prediction};
use serde_json::{Value, json};
use tract_onnx::prelude::Framework;

/// Rows of the features: every threshold of the model with its two neighbours, mixed with gaps and extremes.
fn hard_rows(trained: &Trained, features: usize) -> Vec<Vec<f32>> {
    let onnx = tract_onnx::onnx().proto_model_for_read(&mut &trained.file("model.onnx")[..]).unwrap();
    let node = &onnx.graph.as_ref().unwrap().node[0];
    let column = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name).unwrap();
    let thresholds: Vec<f32> = column("nodes_values").floats.clone();
    let of_feature: Vec<i64> = column("nodes_featureids").ints.clone();
    let mut numbers = common::Numbers(3);
    let mut pick = |choices: &[f32]| choices[(numbers.next() * choices.len() as f64) as usize];
    let choices: Vec<Vec<f32>> = (0..features)
        .map(|feature| {
            let own = thresholds.iter().zip(&of_feature).filter(|(_, of)| **of == feature as i64);
            let near = own.flat_map(|(value, _)| [value.next_down(), *value, value.next_up()]);
            // JSON has no infinity to hand to onnxruntime.
            near.filter(|value| value.is_finite()).chain([f32::NAN, f32::MAX, f32::MIN, 0.0, -0.0]).collect()
        })
        .collect();
    (0..3_000).map(|_| choices.iter().map(|choices| pick(choices)).collect()).collect()
}

fn onnxruntime(trained: &Trained, rows: &[Vec<f32>]) -> Value {
    let finite = |value: &f32| if value.is_nan() { Value::Null } else { json!(value) };
    let rows: Value = rows.iter().map(|row| row.iter().map(finite).collect::<Value>()).collect();
    let mut child = Command::new(python())
        .arg(root().join("tests/python/onnx_predict.py"))
        .arg(trained.model_folder().join("model.onnx"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(rows.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "onnxruntime could not run the model");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Compares both runtimes on held-out rows and on hard ones.
fn assert_agreement(trained: &Trained) {
    let model = Model::load(&trained.model_folder()).unwrap();
    let signature = model.signature();
    let features = signature.features.len();
    let holdout = bytes_as_batch(trained.file("holdout.parquet"));
    let held_out = model.encoder().encode_batch(&holdout).unwrap();
    let mut rows: Vec<Vec<f32>> = held_out.chunks(features).map(<[f32]>::to_vec).collect();
    rows.extend(hard_rows(trained, features));
    let theirs = onnxruntime(trained, &rows);
    let ours = model.predict(rows.concat(), rows.len()).unwrap();
    assert_eq!(ours.len(), rows.len());
    for (row, prediction) in ours.iter().enumerate() {
        match prediction {
            Prediction::Value(value) => {
                let other = theirs["value"][row][0].as_f64().unwrap();
                let difference = (f64::from(value) - other).abs();
                assert!(difference <= 1e-5 * other.abs().max(1.0), "row {row}: {value} and {other}");
            }
            Prediction::Class { label, classes, probabilities } => {
                let others: Vec<f64> =
                    theirs["probabilities"][row].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect();
                assert_eq!(others.len(), classes.len());
                for (ours, other) in probabilities.iter().zip(&others) {
                    assert!((f64::from(*ours) - other).abs() <= 1e-5, "row {row}: {probabilities:?} and {others:?}");
                }
                assert_eq!(label, theirs["label"][row].as_str().unwrap(), "row {row}: {probabilities:?}");
            }
        }
    }
}

fn bytes_as_batch(parquet: Vec<u8>) -> arrow::array::RecordBatch {
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(parquet));
    let batches: Vec<_> = reader.unwrap().build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[test]
fn iris_is_learned_well_and_answered_as_onnxruntime_does() {
    let trained = train(&iris(), &["--target", "species"]).unwrap();
    assert_eq!((trained.report.rows.train, trained.report.rows.holdout), (120, 30));
    assert!(trained.report.metrics["accuracy"] >= 0.9, "{:?}", trained.report.metrics);
    assert_agreement(&trained);
}

#[test]
fn two_classes_with_gaps_categories_and_dates_are_answered_as_onnxruntime_does() {
    let trained = train(&sales(2_000, Outcome::Sold), &["--target", "target"]).unwrap();
    assert!(trained.report.metrics["auc_roc"] > 0.85, "{:?}", trained.report.metrics);
    assert_agreement(&trained);
}

#[test]
fn three_classes_with_gaps_categories_and_dates_are_answered_as_onnxruntime_does() {
    let trained = train(&sales(2_000, Outcome::Grade), &["--target", "target"]).unwrap();
    assert!(trained.report.metrics["accuracy"] > 0.7, "{:?}", trained.report.metrics);
    assert_agreement(&trained);
}

#[test]
fn numbers_are_answered_as_onnxruntime_does() {
    let trained = train(&sales(2_000, Outcome::Price), &["--target", "target"]).unwrap();
    assert!(trained.report.metrics["r2"] > 0.7, "{:?}", trained.report.metrics);
    assert_agreement(&trained);
}

#[test]
fn trees_of_one_leaf_are_answered_as_onnxruntime_does() {
    // No leaf may be as small as a split would make it, so nothing is learned but the shares.
    let trained = train(&sales(60, Outcome::Grade), &["--target", "target", "--min-child-rows", "40"]).unwrap();
    assert!(trained.report.feature_importance.values().all(|share| *share == 0.0));
    assert_agreement(&trained);
}
