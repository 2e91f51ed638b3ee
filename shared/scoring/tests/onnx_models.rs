//! ONNX files as other programs write them: what is scored, and what is refused with a reason.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::fs;

use millstream_scoring::{Feature, FeatureKind, Model, SIGNATURE_PROPERTY, Signature, Task};
use prost::Message;
use serde_json::json;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

fn signature(task: Task, features: usize, classes: &[&str]) -> Signature {
    let feature = |at| Feature { name: format!("x{at}"), kind: FeatureKind::Numeric, required: false };
    Signature {
        task,
        target: "y".into(),
        features: (0..features).map(feature).collect(),
        classes: classes.iter().map(ToString::to_string).collect(),
        model: None,
        fingerprint: None,
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints.into(),
        ints: values.to_vec(),
        ..Default::default()
    }
}

fn floats(name: &str, values: &[f32]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Floats.into(),
        floats: values.to_vec(),
        ..Default::default()
    }
}

fn strings(name: &str, values: &[&str]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Strings.into(),
        strings: values.iter().map(|text| text.as_bytes().to_vec()).collect(),
        ..Default::default()
    }
}

fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String.into(),
        s: value.as_bytes().to_vec(),
        ..Default::default()
    }
}

/// Two stumps on the first feature, split at 1 and at 2 by `mode`.
fn stumps(mode: &str, leaf: &str, weights: [f32; 4]) -> Vec<AttributeProto> {
    vec![
        ints("nodes_treeids", &[0, 0, 0, 1, 1, 1]),
        ints("nodes_nodeids", &[0, 1, 2, 0, 1, 2]),
        ints("nodes_featureids", &[0; 6]),
        strings("nodes_modes", &[mode, "LEAF", "LEAF", mode, "LEAF", "LEAF"]),
        floats("nodes_values", &[1.0, 0.0, 0.0, 2.0, 0.0, 0.0]),
        ints("nodes_truenodeids", &[1, 0, 0, 1, 0, 0]),
        ints("nodes_falsenodeids", &[2, 0, 0, 2, 0, 0]),
        ints(&format!("{leaf}_treeids"), &[0, 0, 1, 1]),
        ints(&format!("{leaf}_nodeids"), &[1, 2, 1, 2]),
        ints(&format!("{leaf}_ids"), &[0; 4]),
        floats(&format!("{leaf}_weights"), &weights),
    ]
}

fn value_info(name: &str, kind: DataType, sizes: &[Option<i64>]) -> ValueInfoProto {
    let dimension = |size: &Option<i64>| Dimension {
        value: Some(size.map_or(dimension::Value::DimParam("N".into()), dimension::Value::DimValue)),
        ..Default::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: kind.into(),
        shape: Some(TensorShapeProto { dim: sizes.iter().map(dimension).collect() }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() }),
        ..Default::default()
    }
}

fn model(operator: &str, attribute: Vec<AttributeProto>, outputs: Vec<ValueInfoProto>, features: i64) -> ModelProto {
    let node = NodeProto {
        op_type: operator.into(),
        domain: "ai.onnx.ml".into(),
        input: vec!["x".into()],
        output: outputs.iter().map(|output| output.name.clone()).collect(),
        attribute,
        ..Default::default()
    };
    ModelProto {
        ir_version: 8,
        opset_import: [("", 15), ("ai.onnx.ml", 3)]
            .map(|(domain, version)| OperatorSetIdProto { domain: domain.into(), version })
            .to_vec(),
        graph: Some(GraphProto {
            name: "g".into(),
            node: vec![node],
            input: vec![value_info("x", DataType::Float, &[None, Some(features)])],
            output: outputs,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn regressor(mode: &str, more: Vec<AttributeProto>) -> ModelProto {
    let mut attributes = stumps(mode, "target", [1.0, 2.0, 10.0, 20.0]);
    attributes.push(AttributeProto {
        name: "n_targets".into(),
        r#type: AttributeType::Int.into(),
        i: 1,
        ..Default::default()
    });
    attributes.extend(more);
    model("TreeEnsembleRegressor", attributes, vec![value_info("y", DataType::Float, &[None, Some(1)])], 1)
}

fn classifier(labels: AttributeProto, kind: DataType, transform: &str, weights: [f32; 4]) -> ModelProto {
    let mut attributes = stumps("BRANCH_LEQ", "class", weights);
    attributes.extend([labels, string("post_transform", transform)]);
    let outputs = vec![value_info("label", kind, &[None]), value_info("p", DataType::Float, &[None, Some(2)])];
    model("TreeEnsembleClassifier", attributes, outputs, 1)
}

fn values(proto: &ModelProto, signature: Signature, rows: &[f32]) -> Vec<f32> {
    let model = Model::from_bytes(&proto.encode_to_vec(), Some(signature)).unwrap();
    model.predict(rows.to_vec(), rows.len()).unwrap().values().to_vec()
}

#[test]
fn a_regressor_sums_or_averages_its_trees_under_every_comparison() {
    let signature = signature(Task::Regression, 1, &[]);
    let rows = [0.0, 1.0, 1.5, 2.0, 3.0];
    let score = |mode, more| values(&regressor(mode, more), signature.clone(), &rows);
    assert_eq!(score("BRANCH_LEQ", vec![]), [11.0, 11.0, 12.0, 12.0, 22.0]);
    assert_eq!(score("BRANCH_LT", vec![]), [11.0, 12.0, 12.0, 22.0, 22.0]);
    assert_eq!(score("BRANCH_GTE", vec![]), [22.0, 21.0, 21.0, 11.0, 11.0]);
    assert_eq!(score("BRANCH_GT", vec![]), [22.0, 22.0, 21.0, 21.0, 11.0]);
    let average = vec![string("aggregate_function", "AVERAGE"), floats("base_values", &[100.0])];
    assert_eq!(score("BRANCH_LEQ", average), [105.5, 105.5, 106.0, 106.0, 111.0]);
}

#[test]
fn a_binary_classifier_with_one_score_spells_both_probabilities() {
    // The form scikit-learn, XGBoost and LightGBM export: all leaves add to one score, the second class's.
    let labels = ints("classlabels_int64s", &[0, 1]);
    let logistic = classifier(labels.clone(), DataType::Int64, "LOGISTIC", [-1.0, 1.0, -1.0, 1.0]);
    let signature = signature(Task::Binary, 1, &["0", "1"]);
    let scored = values(&logistic, signature.clone(), &[0.0, 1.5, 3.0]);
    let positive = |score: f32| 1.0 / (1.0 + (-score).exp());
    let expected = [-2.0, 0.0, 2.0].map(positive).map(|p| [1.0 - p, p]).concat();
    assert_eq!(scored, expected);
    let shares = classifier(labels, DataType::Int64, "NONE", [0.1, 0.4, 0.05, 0.5]);
    assert_eq!(values(&shares, signature, &[0.0, 3.0]), [0.85, 0.15, 0.100_000_024, 0.9]);
}

#[test]
fn a_missing_value_takes_the_false_side_unless_the_node_says_otherwise() {
    let signature = signature(Task::Regression, 1, &[]);
    assert_eq!(values(&regressor("BRANCH_LEQ", vec![]), signature.clone(), &[f32::NAN]), [22.0]);
    let flags = vec![ints("nodes_missing_value_tracks_true", &[1, 0, 0, 0, 0, 0])];
    assert_eq!(values(&regressor("BRANCH_LEQ", flags), signature, &[f32::NAN]), [21.0]);
}

#[test]
fn a_folder_s_signature_goes_before_the_one_inside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut proto = regressor("BRANCH_LEQ", vec![]);
    let mut signature = signature(Task::Regression, 1, &[]);
    fs::write(folder.path().join("model.onnx"), proto.encode_to_vec()).unwrap();
    let error = Model::load(folder.path()).unwrap_err().to_string();
    assert!(error.starts_with("the model has no signature: put signature.json beside model.onnx"), "{error}");

    let json = signature.to_json().unwrap();
    proto.metadata_props = vec![StringStringEntryProto { key: SIGNATURE_PROPERTY.into(), value: json }];
    fs::write(folder.path().join("model.onnx"), proto.encode_to_vec()).unwrap();
    assert_eq!(Model::load(folder.path()).unwrap().signature().target, "y");

    signature.target = "beside".into();
    fs::write(folder.path().join("signature.json"), signature.to_json().unwrap()).unwrap();
    assert_eq!(Model::load(folder.path()).unwrap().signature().target, "beside");
}

#[test]
fn a_graph_that_does_not_fit_its_signature_is_refused_when_loaded() {
    let proto = regressor("BRANCH_LEQ", vec![]).encode_to_vec();
    let refusal = |signature| Model::from_bytes(&proto, Some(signature)).unwrap_err().to_string();
    assert!(refusal(signature(Task::Regression, 2, &[])).contains("takes 1 features, but the signature has 2"));
    let classes = signature(Task::Multiclass, 1, &["a", "b", "c"]);
    assert!(refusal(classes).contains("no float32 output of 3 probabilities a row"));
}

#[test]
fn bytes_that_are_no_model_and_trees_with_a_cycle_are_refused() {
    let signature = signature(Task::Regression, 1, &[]);
    assert!(Model::from_bytes(b"not onnx", Some(signature.clone())).is_err());
    let mut looped = regressor("BRANCH_LEQ", vec![]);
    let attributes = &mut looped.graph.as_mut().unwrap().node[0].attribute;
    attributes.iter_mut().find(|attribute| attribute.name == "nodes_truenodeids").unwrap().ints[0] = 0;
    let error = Model::from_bytes(&looped.encode_to_vec(), Some(signature)).unwrap_err().to_string();
    assert!(error.contains("has a cycle"), "{error}");
}

#[test]
fn one_model_answers_many_threads_alike() {
    let proto = regressor("BRANCH_LEQ", vec![]).encode_to_vec();
    let model = Model::from_bytes(&proto, Some(signature(Task::Regression, 1, &[]))).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for rows in 1..50 {
                    let instances = vec![json!({"x0": 1.5}); rows];
                    assert_eq!(model.predict_instances(&instances).unwrap().values(), vec![12.0; rows]);
                }
            });
        }
    });
    assert!(model.predict_instances(&[]).unwrap().is_empty());
}
