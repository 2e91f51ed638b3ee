//! Pipeline files: what a user writes, read and checked.
//!
//! In go a project's files; out come the [`Pipelines`] that the rest of Millstream works with, or every mistake that can be
//! told apart in one go, each with its file, line and column, what was expected there and the nearest right name.
//!
//! The way of a file: text, a tree of nodes with places (`yaml`), typed records (`decode`, `file`), their meaning one by
//! one (`resolve`), and what they are to each other (`wiring`). See the crate's README for the format itself.

mod decode;
mod diagnostic;
mod file;
mod graph;
mod nearest;
mod order;
mod project;
mod resolve;
mod scalars;
mod schema;
mod wiring;
mod yaml;

pub use diagnostic::{Code, Diagnostic, Diagnostics};
pub use graph::{Edge, Graph, Node, NodeKind, graph};
pub use project::{Checks, Files, NoChecks, Problem, Project, is_pipeline_file};
pub use schema::schema;

use crate::model::{Pipeline, Pipelines};
use decode::{Decode, Decoder};
use diagnostic::{SourceFile, source_file};
use file::PipelineFile;
use resolve::Draft;

/// Reads every pipeline file of a project.
pub fn load(project: &Project<'_>) -> Result<Pipelines, Diagnostics> {
    let mut mistakes = Vec::new();
    let mut drafts = Vec::new();
    let mut all_read = true;
    for path in project.files.list().into_iter().filter(|path| is_pipeline_file(path)) {
        match read(&path, project, &mut mistakes) {
            Some((file, spec)) => drafts.push(Draft::of(&file, &spec, project, &mut mistakes)),
            None => all_read = false,
        }
    }
    if !all_read {
        // A file that could not be read may declare what the others need.
        drafts.iter_mut().for_each(|draft| draft.incomplete = true);
    }
    wiring::check(&drafts, project, &mut mistakes);
    if !mistakes.is_empty() {
        mistakes.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        return Err(Diagnostics(mistakes));
    }
    let by_name = drafts.into_iter().map(|draft| (draft.name.value.clone(), finished(draft))).collect();
    Ok(Pipelines { buckets: project.buckets.clone(), direct_loads: false, by_name })
}

fn read(path: &str, project: &Project<'_>, mistakes: &mut Vec<Diagnostic>) -> Option<(SourceFile, PipelineFile)> {
    let bytes = project.files.read(path).unwrap_or_default();
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let file = source_file(path, String::from_utf8_lossy(error.as_bytes()).into_owned());
            mistakes.push(Diagnostic::new(&file, valid..valid + 1, Code::Yaml, "this is not UTF-8 text"));
            return None;
        }
    };
    let file = source_file(path, text);
    let before = mistakes.len();
    let Some(root) = yaml::read(&file, mistakes) else {
        if mistakes.len() == before {
            let mut mistake = Diagnostic::new(&file, 0..0, Code::MissingField, "this file is empty");
            mistake.expected("a pipeline: `apiVersion: millstream.dev/v1` and a `name`");
            mistakes.push(mistake);
        }
        return None;
    };
    let spec = PipelineFile::decode(&root, &mut Decoder { source: &file, mistakes })?;
    Some((file, spec))
}

fn finished(draft: Draft) -> Pipeline {
    Pipeline {
        name: draft.name.value,
        description: draft.description,
        schedule: draft.schedule,
        message: draft.message,
        sources: draft.sources.into_iter().map(|placed| placed.value).collect(),
        extracts: draft.extracts.into_iter().map(|placed| placed.value).collect(),
        models: order::sorted(draft.models.into_iter().map(|draft| draft.model).collect()),
        exports: draft.exports.into_iter().map(|placed| placed.value).collect(),
        trainings: draft.trainings.into_iter().map(|placed| placed.value).collect(),
    }
}
