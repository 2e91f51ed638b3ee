//! Reads a tree-ensemble node's attributes into an [`Ensemble`], refusing what cannot be run safely.

use std::collections::HashMap;

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::{Branch, Ensemble, Layout, Node, Transform, Weight};

/// The labels a classifier names its columns by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Labels {
    Strings(Vec<String>),
    Integers(Vec<i64>),
}

impl Labels {
    fn len(&self) -> usize {
        match self {
            Self::Strings(labels) => labels.len(),
            Self::Integers(labels) => labels.len(),
        }
    }
}

pub(super) fn classifier(node: &NodeProto) -> TractResult<(Ensemble, Labels)> {
    let labels = match node.get_attr_opt_vec::<String>("classlabels_strings")? {
        Some(labels) => Labels::Strings(labels),
        None => Labels::Integers(node.get_attr_vec::<i64>("classlabels_int64s")?),
    };
    let mut ensemble = ensemble(node, "class", labels.len())?;
    if labels.len() == 2 && one_column_only(&ensemble.weights) {
        ensemble.weights.iter_mut().for_each(|weight| weight.column = 0);
        ensemble.base = vec![ensemble.base.iter().sum(), 0.0];
        ensemble.layout = match ensemble.transform {
            Transform::Logistic => Layout::Complement,
            Transform::None if ensemble.weights.iter().all(|weight| weight.value >= 0.0) => Layout::Complement,
            Transform::None => Layout::Margin,
            Transform::Softmax => bail!("node {}: SOFTMAX over the single score of two classes", node.name),
        };
    }
    Ok((ensemble, labels))
}

pub(super) fn regressor(node: &NodeProto) -> TractResult<Ensemble> {
    let targets = node.get_attr_opt::<usize>("n_targets")?.unwrap_or(1);
    let mut ensemble = ensemble(node, "target", targets)?;
    match node.get_attr_opt::<&str>("aggregate_function")?.unwrap_or("SUM") {
        "SUM" => {}
        "AVERAGE" => ensemble.divisor = ensemble.roots.len() as f32,
        other => bail!("node {}: aggregate_function {other} is not supported (SUM, AVERAGE)", node.name),
    }
    Ok(ensemble)
}

fn one_column_only(weights: &[Weight]) -> bool {
    weights.first().is_some_and(|first| weights.iter().all(|weight| weight.column == first.column))
}

/// The node table as ONNX lays it out: one entry a node in each attribute.
struct Table<'a> {
    node: &'a NodeProto,
    modes: Vec<&'a str>,
    features: Vec<usize>,
    thresholds: Vec<f32>,
    if_true: Vec<usize>,
    if_false: Vec<usize>,
    missing_is_true: Vec<bool>,
    /// Where a tree's node stands in the attributes.
    rows: HashMap<(usize, usize), usize>,
    /// A leaf's weights by tree and node.
    weights: HashMap<(usize, usize), Vec<Weight>>,
}

fn ensemble(node: &NodeProto, leaf: &str, columns: usize) -> TractResult<Ensemble> {
    let trees = node.get_attr_vec::<usize>("nodes_treeids")?;
    let ids = column::<usize>(node, "nodes_nodeids", trees.len())?;
    let table = Table {
        node,
        modes: column(node, "nodes_modes", trees.len())?,
        features: column(node, "nodes_featureids", trees.len())?,
        thresholds: column(node, "nodes_values", trees.len())?,
        if_true: column(node, "nodes_truenodeids", trees.len())?,
        if_false: column(node, "nodes_falsenodeids", trees.len())?,
        missing_is_true: match node.get_attr_opt_vec::<bool>("nodes_missing_value_tracks_true")? {
            Some(flags) if flags.len() == trees.len() => flags,
            _ => vec![false; trees.len()],
        },
        rows: trees.iter().copied().zip(ids.iter().copied()).zip(0..).collect(),
        weights: leaf_weights(node, leaf, columns)?,
    };
    let mut ensemble = Ensemble {
        nodes: Vec::with_capacity(trees.len()),
        roots: vec![],
        weights: vec![],
        base: base(node, columns)?,
        divisor: 1.0,
        columns,
        features_used: table.features.iter().max().map_or(0, |last| last + 1),
        transform: match node.get_attr_opt::<&str>("post_transform")?.unwrap_or("NONE") {
            "NONE" => Transform::None,
            "SOFTMAX" => Transform::Softmax,
            "LOGISTIC" => Transform::Logistic,
            other => bail!("node {}: post_transform {other} is not supported (NONE, SOFTMAX, LOGISTIC)", node.name),
        },
        layout: Layout::Columns,
    };
    let mut roots = Vec::new();
    for (&tree, &id) in trees.iter().zip(&ids) {
        // The first node of a tree in the attributes is its root.
        if roots.last().is_none_or(|&(last, _)| last != tree) {
            roots.push((tree, id));
        }
    }
    for (tree, id) in roots {
        let root = table.copy_tree(tree, id, &mut ensemble)?;
        ensemble.roots.push(root);
    }
    Ok(ensemble)
}

impl Table<'_> {
    /// Copies a tree depth first. A node reached twice would be a cycle (an endless walk) or a shared subtree; ONNX
    /// has neither, so both are refused by bounding the copies by the nodes there are.
    fn copy_tree(&self, tree: usize, root: usize, into: &mut Ensemble) -> TractResult<u32> {
        let first = into.nodes.len() as u32;
        let mut pending = vec![(root, None)];
        while let Some((id, parent)) = pending.pop() {
            let Some(&row) = self.rows.get(&(tree, id)) else {
                bail!("node {}: tree {tree} refers to node {id}, which it does not have", self.node.name);
            };
            let index = into.nodes.len() as u32;
            ensure!(into.nodes.len() < self.modes.len(), "node {}: tree {tree} has a cycle", self.node.name);
            if let Some((parent, side)) = parent {
                link(&mut into.nodes, parent, side, index);
            }
            if self.modes[row] == "LEAF" {
                let leaf = self.weights.get(&(tree, id)).map_or(&[][..], Vec::as_slice);
                let first = into.weights.len() as u32;
                into.weights.extend_from_slice(leaf);
                into.nodes.push(Node::Leaf { first, end: into.weights.len() as u32 });
                continue;
            }
            into.nodes.push(Node::Split {
                branch: branch(self.node, self.modes[row])?,
                missing_is_true: self.missing_is_true[row],
                feature: self.features[row] as u32,
                threshold: self.thresholds[row],
                if_true: index,
                if_false: index,
            });
            pending.push((self.if_false[row], Some((index, false))));
            pending.push((self.if_true[row], Some((index, true))));
        }
        Ok(first)
    }
}

fn link(nodes: &mut [Node], parent: u32, side: bool, child: u32) {
    if let Some(Node::Split { if_true, if_false, .. }) = nodes.get_mut(parent as usize) {
        *(if side { if_true } else { if_false }) = child;
    }
}

fn branch(node: &NodeProto, mode: &str) -> TractResult<Branch> {
    Ok(match mode {
        "BRANCH_LEQ" => Branch::LessOrEqual,
        "BRANCH_LT" => Branch::Less,
        "BRANCH_GTE" => Branch::GreaterOrEqual,
        "BRANCH_GT" => Branch::Greater,
        "BRANCH_EQ" => Branch::Equal,
        "BRANCH_NEQ" => Branch::NotEqual,
        other => bail!("node {}: unknown mode {other}", node.name),
    })
}

fn leaf_weights(node: &NodeProto, leaf: &str, columns: usize) -> TractResult<HashMap<(usize, usize), Vec<Weight>>> {
    let trees = node.get_attr_vec::<usize>(&format!("{leaf}_treeids"))?;
    let ids = column::<usize>(node, &format!("{leaf}_nodeids"), trees.len())?;
    let targets = column::<usize>(node, &format!("{leaf}_ids"), trees.len())?;
    let values = column::<f32>(node, &format!("{leaf}_weights"), trees.len())?;
    let mut weights: HashMap<_, Vec<Weight>> = HashMap::new();
    for (index, &target) in targets.iter().enumerate() {
        ensure!(target < columns, "node {}: a leaf adds to column {target} of {columns}", node.name);
        let weight = Weight { column: target as u32, value: values[index] };
        weights.entry((trees[index], ids[index])).or_default().push(weight);
    }
    Ok(weights)
}

fn base(node: &NodeProto, columns: usize) -> TractResult<Vec<f32>> {
    Ok(match node.get_attr_opt_vec::<f32>("base_values")? {
        None => vec![0.0; columns],
        Some(values) if values.len() == columns => values,
        // Two classes with one score have one base value.
        Some(values) if values.len() == 1 && columns == 2 => vec![values[0], 0.0],
        Some(values) => bail!("node {}: {} base values for {columns} columns", node.name, values.len()),
    })
}

fn column<'a, T>(node: &'a NodeProto, name: &str, length: usize) -> TractResult<Vec<T>>
where
    T: tract_onnx::pb_helpers::AttrTVecType<'a>,
{
    let values = node.get_attr_vec::<T>(name)?;
    ensure!(values.len() == length, "node {}: {name} has {} entries, not {length}", node.name, values.len());
    Ok(values)
}
