//! The inferred graph of a pipeline: what follows from what, as data and as a tree of text.

use std::{collections::BTreeSet, fmt};

use millstream_events::{
    compute::RunOn,
    extract::{Changes, Selection},
    work::{Program, WriteMode},
};
use serde::Serialize;

use crate::model::Pipeline;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A table that another pipeline, or nobody here, fills.
    External,
    /// Uploads or messages and the table they are loaded into.
    Source,
    /// A SELECT and its table.
    Model,
    /// A copy in the lake.
    Export,
    /// A model being learned.
    Training,
    /// A trained model's promotion to its endpoint.
    Serving,
}

/// One step, or a table from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name in the graph: the table it fills, or `export/NAME`, `training/MODEL`, `serving/MODEL`.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// What it does, in a few words.
    pub does: String,
}

/// `to` follows from `from`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// A node's id.
    pub from: String,
    /// A node's id.
    pub to: String,
}

/// A pipeline's graph. Displayed, it is a tree: each step once, below the last of what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// The pipeline.
    pub pipeline: String,
    /// What starts runs.
    pub runs: String,
    /// The nodes, each after those it follows from.
    pub nodes: Vec<Node>,
    /// The edges.
    pub edges: Vec<Edge>,
}

/// What is read of a source, for a person.
fn selected(select: &Selection) -> &str {
    match select {
        Selection::Table(table) => table,
        Selection::Query(_) => "a query",
        Selection::Sheet(sheet) => sheet.object.name(),
    }
}

/// How its changes are found, for a person.
fn changed(changes: &Changes) -> String {
    match changes {
        Changes::Everything => String::new(),
        Changes::Cursor(cursor) => format!(" by {}", cursor.column),
        Changes::Log(log) => format!(" from its log {}", log.slot),
    }
}

/// The graph of a pipeline.
#[must_use]
pub fn graph(pipeline: &Pipeline) -> Graph {
    let mut graph =
        Graph { pipeline: pipeline.name.to_string(), runs: runs(pipeline), nodes: Vec::new(), edges: Vec::new() };
    for source in &pipeline.sources {
        let from =
            source.topic.as_ref().map_or_else(|| source.upload.to_string(), |topic| format!("messages on {topic}"));
        let does = format!("{} {from}", write(&source.write));
        graph.add(source.table.to_string(), NodeKind::Source, does, &[]);
    }
    for extract in &pipeline.extracts {
        let (from, what) = (extract.connection.from, selected(&extract.select));
        let when = extract.schedule.as_ref().map(|cron| format!(", at {cron}")).unwrap_or_default();
        let does = format!("{} {what} of {from}{}{when}", write(&extract.write), changed(&extract.changes));
        graph.add(extract.table.to_string(), NodeKind::Source, does, &[]);
    }
    for model in &pipeline.models {
        let inputs: Vec<String> = model.select.inputs.iter().map(ToString::to_string).collect();
        graph.add(model.table.to_string(), NodeKind::Model, format!("{} a SELECT", write(&model.write)), &inputs);
    }
    for export in &pipeline.exports {
        let inputs = [export.table.to_string()];
        graph.add(format!("export/{}", export.name), NodeKind::Export, format!("to {}", export.to), &inputs);
    }
    for training in &pipeline.trainings {
        let program = match &training.program {
            Program::Tabular => "recipe tabular".to_owned(),
            Program::Command(command) => command.join(" "),
            Program::Image { image, .. } => image.split('@').next().unwrap_or(image).to_owned(),
            Program::KubeflowPipeline { .. } => "a Kubeflow pipeline".to_owned(),
        };
        let predicts = training.target.as_ref().map(|target| format!(", predicts {target}")).unwrap_or_default();
        let place = match training.compute.run_on {
            RunOn::Local => String::new(),
            elsewhere => format!(", on {elsewhere}"),
        };
        let does = format!("{program}{predicts}{place}");
        let id = format!("training/{}", training.model);
        graph.add(id.clone(), NodeKind::Training, does, &[training.data.to_string()]);
        if let Some(serving) = &training.serving {
            let gate = match serving.promote_when.as_slice() {
                [] => String::new(),
                gate => format!(" when {}", gate.join(" and ")),
            };
            let does = format!("on endpoint {}{gate}", serving.endpoint);
            graph.add(format!("serving/{}", training.model), NodeKind::Serving, does, &[id]);
        }
    }
    graph
}

fn write(mode: &WriteMode) -> String {
    match mode {
        WriteMode::Replace => "is".to_owned(),
        WriteMode::Append => "grows by".to_owned(),
        WriteMode::Merge { key } => format!("merges on {}", key.join(", ")),
    }
}

fn runs(pipeline: &Pipeline) -> String {
    let captures: BTreeSet<&str> = pipeline.sources.iter().flat_map(|source| source.upload.capture_names()).collect();
    let mut starts = Vec::new();
    if !pipeline.sources.is_empty() {
        starts.push(match captures.is_empty() {
            true => "its uploads".to_owned(),
            false => format!("its uploads, one run a {}", captures.into_iter().collect::<Vec<_>>().join(" and ")),
        });
    }
    starts.extend(pipeline.schedule.iter().map(|cron| format!("cron {cron}")));
    starts.extend(pipeline.message.iter().map(|topic| format!("messages on {topic}")));
    if starts.is_empty() { "nothing but `millstream run`".to_owned() } else { starts.join("; ") }
}

impl Graph {
    fn add(&mut self, id: String, kind: NodeKind, does: String, inputs: &[String]) {
        for input in inputs {
            if !self.nodes.iter().any(|node| node.id == *input) {
                let does = "filled elsewhere".to_owned();
                self.nodes.push(Node { id: input.clone(), kind: NodeKind::External, does });
            }
            self.edges.push(Edge { from: input.clone(), to: id.clone() });
        }
        self.nodes.push(Node { id, kind, does });
    }

    fn inputs(&self, id: &str) -> impl Iterator<Item = &str> {
        self.edges.iter().filter(move |edge| edge.to == id).map(|edge| edge.from.as_str())
    }

    /// The node that `id` hangs below: the last of its inputs.
    fn parent(&self, id: &str) -> Option<&str> {
        let position = |input: &&str| self.nodes.iter().position(|node| node.id == *input);
        self.inputs(id).max_by_key(position)
    }

    fn branch(&self, f: &mut fmt::Formatter<'_>, node: &Node, first: &str, rest: &str) -> fmt::Result {
        let parent = self.parent(&node.id);
        let others: Vec<&str> = self.inputs(&node.id).filter(|input| Some(*input) != parent).collect();
        let also = if others.is_empty() { String::new() } else { format!(" (also reads {})", others.join(", ")) };
        writeln!(f, "{first}{}  {}{also}", node.id, node.does)?;
        let children: Vec<&Node> = self.nodes.iter().filter(|child| self.parent(&child.id) == Some(&node.id)).collect();
        for (index, child) in children.iter().enumerate() {
            let (elbow, line) = if index + 1 == children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.branch(f, child, &format!("{rest}{elbow}"), &format!("{rest}{line}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  runs on {}", self.pipeline, self.runs)?;
        for root in self.nodes.iter().filter(|node| self.inputs(&node.id).next().is_none()) {
            self.branch(f, root, "", "")?;
        }
        Ok(())
    }
}
