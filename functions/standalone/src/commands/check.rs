//! `millstream check`: every mistake of a project's pipelines, or what follows from what in them.

use millstream_pipeline::{advice::advice, spec::graph};
use serde_json::json;

use super::Ended;
use crate::{project::Project, render};

pub(super) fn run(project: &Project, as_json: bool) -> anyhow::Result<Ended> {
    match project.load_pipelines() {
        Ok(pipelines) => {
            let advice = advice(&pipelines);
            let graphs: Vec<_> = pipelines.by_name.values().map(graph).collect();
            if as_json {
                render::json(&json!({"mistakes": [], "warnings": advice, "pipelines": graphs}));
            } else if graphs.is_empty() {
                render::line(&format!(
                    "There are no pipelines in {} yet; `millstream init` writes an example.",
                    project.settings.pipelines_dir.display()
                ));
            } else {
                for graph in graphs {
                    render::line(&graph.to_string());
                }
                for advice in &advice {
                    render::note(&advice.to_string());
                }
                render::line("No mistakes.");
            }
            Ok(Ended::Well)
        }
        Err(mistakes) => {
            if as_json {
                render::json(&json!({"mistakes": mistakes, "warnings": [], "pipelines": []}));
            } else {
                render::mistakes(&mistakes);
            }
            Ok(Ended::NotAsItShould)
        }
    }
}
