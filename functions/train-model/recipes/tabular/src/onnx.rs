//! A forest -> an ONNX file: one tree-ensemble node of `ai.onnx.ml`, with the signature in the metadata.
//!
//! A classifier answers `label` (string `[N]`) and `probabilities` (`[N, classes]`), a regression `value` (`[N, 1]`).
//! Two classes get a column of scores each, half the margin with either sign, and a softmax: the one-column form is read
//! differently by different runtimes. The starting scores are added to each column's first tree rather than written as
//! `base_values`, whose meaning for two classes differs as well.

use millstream_scoring::{SIGNATURE_PROPERTY, Signature, SignatureError, Task};
use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

use crate::boost::{Forest, Node, Tree};

const INPUT: &str = "features";

/// The file's bytes.
pub(crate) fn encode(forest: &Forest, signature: &Signature) -> Result<Vec<u8>, SignatureError> {
    let (node, outputs) = match signature.task {
        Task::Regression => (regressor(forest), vec![value_info("value", DataType::Float, &[None, Some(1)])]),
        Task::Binary | Task::Multiclass => {
            let classes = signature.classes.len() as i64;
            let outputs = vec![
                value_info("label", DataType::String, &[None]),
                value_info("probabilities", DataType::Float, &[None, Some(classes)]),
            ];
            (classifier(forest, &signature.classes), outputs)
        }
    };
    let features = signature.features.len() as i64;
    let graph = GraphProto {
        name: signature.target.clone(),
        node: vec![node],
        input: vec![value_info(INPUT, DataType::Float, &[None, Some(features)])],
        output: outputs,
        ..GraphProto::default()
    };
    let operators = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![operators("", 15), operators("ai.onnx.ml", 3)],
        producer_name: "millstream-recipe-tabular".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        metadata_props: vec![StringStringEntryProto { key: SIGNATURE_PROPERTY.into(), value: signature.to_json()? }],
        ..ModelProto::default()
    };
    Ok(model.encode_to_vec())
}

fn classifier(forest: &Forest, classes: &[String]) -> NodeProto {
    let mut attributes = trees(forest, "class", |column, value| match classes.len() {
        2 => vec![(0, -value / 2.0), (1, value / 2.0)],
        _ => vec![(column as i64, value)],
    });
    attributes.push(strings("classlabels_strings", classes.iter().map(String::as_str)));
    attributes.push(string("post_transform", "SOFTMAX"));
    node("TreeEnsembleClassifier", &["label", "probabilities"], attributes)
}

fn regressor(forest: &Forest) -> NodeProto {
    let mut attributes = trees(forest, "target", |column, value| vec![(column as i64, value)]);
    attributes.push(AttributeProto {
        name: "n_targets".into(),
        r#type: AttributeType::Int.into(),
        i: 1,
        ..AttributeProto::default()
    });
    attributes.push(string("post_transform", "NONE"));
    node("TreeEnsembleRegressor", &["value"], attributes)
}

fn node(operator: &str, outputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        name: "trees".into(),
        op_type: operator.into(),
        domain: "ai.onnx.ml".into(),
        input: vec![INPUT.into()],
        output: outputs.iter().map(|name| (*name).to_owned()).collect(),
        attribute,
        ..NodeProto::default()
    }
}

/// The attributes' columns: an entry a node, and an entry for each score a leaf adds to.
#[derive(Default)]
struct Table {
    trees: Vec<i64>,
    nodes: Vec<i64>,
    features: Vec<i64>,
    modes: Vec<&'static str>,
    thresholds: Vec<f32>,
    if_true: Vec<i64>,
    if_false: Vec<i64>,
    missing_is_true: Vec<i64>,
    leaf_trees: Vec<i64>,
    leaf_nodes: Vec<i64>,
    leaf_columns: Vec<i64>,
    leaf_weights: Vec<f32>,
}

/// The trees as attributes; `weights` says what a leaf of a tree's column adds to which scores.
fn trees(forest: &Forest, leaf: &str, weights: impl Fn(usize, f32) -> Vec<(i64, f32)>) -> Vec<AttributeProto> {
    let mut table = Table::default();
    for (id, tree) in forest.trees.iter().enumerate() {
        // The first round has one tree a column: the place for the scores to start from.
        let base = if id < forest.base.len() { forest.base[tree.column] } else { 0.0 };
        table.add(id as i64, tree, |value| weights(tree.column, (f64::from(value) + base) as f32));
    }
    vec![
        ints("nodes_treeids", table.trees),
        ints("nodes_nodeids", table.nodes),
        ints("nodes_featureids", table.features),
        strings("nodes_modes", table.modes.into_iter()),
        floats("nodes_values", table.thresholds),
        ints("nodes_truenodeids", table.if_true),
        ints("nodes_falsenodeids", table.if_false),
        ints("nodes_missing_value_tracks_true", table.missing_is_true),
        ints(&format!("{leaf}_treeids"), table.leaf_trees),
        ints(&format!("{leaf}_nodeids"), table.leaf_nodes),
        ints(&format!("{leaf}_ids"), table.leaf_columns),
        floats(&format!("{leaf}_weights"), table.leaf_weights),
    ]
}

impl Table {
    fn add(&mut self, id: i64, tree: &Tree, weights: impl Fn(f32) -> Vec<(i64, f32)>) {
        for (index, node) in tree.nodes.iter().enumerate() {
            self.trees.push(id);
            self.nodes.push(index as i64);
            let (feature, mode, threshold, if_true, if_false, missing_is_true) = match node {
                Node::Split { feature, threshold, missing_left, left, right, .. } => {
                    (*feature as i64, "BRANCH_LEQ", *threshold, *left as i64, *right as i64, i64::from(*missing_left))
                }
                Node::Leaf(value) => {
                    for (column, weight) in weights(*value) {
                        self.leaf_trees.push(id);
                        self.leaf_nodes.push(index as i64);
                        self.leaf_columns.push(column);
                        self.leaf_weights.push(weight);
                    }
                    (0, "LEAF", 0.0, 0, 0, 0)
                }
            };
            self.features.push(feature);
            self.modes.push(mode);
            self.thresholds.push(threshold);
            self.if_true.push(if_true);
            self.if_false.push(if_false);
            self.missing_is_true.push(missing_is_true);
        }
    }
}

fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Ints.into(), ints, ..AttributeProto::default() }
}

fn floats(name: &str, floats: Vec<f32>) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Floats.into(), floats, ..AttributeProto::default() }
}

fn strings<'a>(name: &str, strings: impl Iterator<Item = &'a str>) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Strings.into(),
        strings: strings.map(|text| text.as_bytes().to_vec()).collect(),
        ..AttributeProto::default()
    }
}

fn string(name: &str, text: &str) -> AttributeProto {
    let s = text.as_bytes().to_vec();
    AttributeProto { name: name.into(), r#type: AttributeType::String.into(), s, ..AttributeProto::default() }
}

/// A graph's input or output; an unknown size is the number of rows.
fn value_info(name: &str, kind: DataType, shape: &[Option<i64>]) -> ValueInfoProto {
    let dimension = |size: &Option<i64>| Dimension {
        value: Some(match size {
            Some(size) => dimension::Value::DimValue(*size),
            None => dimension::Value::DimParam("N".into()),
        }),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: kind.into(),
        shape: Some(TensorShapeProto { dim: shape.iter().map(dimension).collect() }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}
