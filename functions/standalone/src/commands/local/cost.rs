//! `millstream cost`: what trainings cost on each back-end, by a book of prices.

use std::sync::Arc;

use anyhow::bail;
use millstream_events::names::PipelineName;
use millstream_pipeline::{Pipelines, model::Training};
use millstream_prices::{Book, DEFAULT_BOOK, Work, compare};
use serde_json::{Value, json};

use super::{Ended, named};
use crate::{
    back_ends,
    cli::{Cli, Cost},
    project::Project,
    render::{self, TrainingCost, WorkCost},
};

pub(super) fn run(cli: &Cli, asked: &Cost) -> anyhow::Result<Ended> {
    let Some(pipeline) = &asked.pipeline else {
        let book = Book::open(asked.book.as_deref().unwrap_or(DEFAULT_BOOK))?;
        let costs = Work::seed_comparisons().map(|work| worked(work, &book));
        if cli.json {
            render::json(&json!({"book": told(&book), "comparisons": costs}));
        } else {
            render::work_costs(&book, &costs);
        }
        return Ok(Ended::Well);
    };
    let pipeline: PipelineName = named(pipeline)?;
    let project = Project::find(cli.project.as_deref(), cli.env.as_deref())?;
    let book = match &asked.book {
        Some(named) => Arc::new(Book::open(named)?),
        None => back_ends::price_book(&project.settings, &project.folder)?,
    };
    let pipelines = project.load_pipelines()?;
    let costs: Vec<TrainingCost> = trainings(&pipelines, &pipeline, asked.step.as_deref())?
        .into_iter()
        .map(|training| trained(training, &book))
        .collect();
    if cli.json {
        render::json(&json!({"book": told(&book), "pipeline": pipeline, "trainings": costs}));
    } else if costs.is_empty() {
        render::line(&format!("{pipeline} trains no model, so that there is nothing to compare."));
    } else {
        render::training_costs(&book, &costs);
    }
    Ok(Ended::Well)
}

fn trainings<'p>(
    pipelines: &'p Pipelines,
    pipeline: &PipelineName,
    step: Option<&str>,
) -> anyhow::Result<Vec<&'p Training>> {
    let Some(found) = pipelines.by_name.get(pipeline) else {
        let names: Vec<&str> = pipelines.by_name.keys().map(PipelineName::as_str).collect();
        bail!("there is no pipeline {pipeline}; {}", there_are(&names));
    };
    let Some(step) = step else { return Ok(found.trainings.iter().collect()) };
    // Elsewhere its step is called `train/MODEL`.
    let model = step.strip_prefix("train/").unwrap_or(step);
    match found.trainings.iter().find(|training| training.model.as_str() == model) {
        Some(training) => Ok(vec![training]),
        None => {
            let names: Vec<&str> = found.trainings.iter().map(|training| training.model.as_str()).collect();
            bail!("{pipeline} has no training {model}; {}", there_are(&names))
        }
    }
}

fn there_are(names: &[&str]) -> String {
    if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) }
}

fn trained(training: &Training, book: &Book) -> TrainingCost {
    let compute = &training.compute;
    let seconds = compute.expected_seconds.map_or(training.wall.as_secs_f64(), |seconds| seconds as f64);
    TrainingCost {
        training: training.model.clone(),
        run_on: compute.run_on,
        seconds,
        is_expected: compute.expected_seconds.is_some(),
        max_cost_usd: compute.max_cost_usd,
        lines: compare(compute, seconds, book),
        compute: compute.clone(),
    }
}

fn worked(work: Work, book: &Book) -> WorkCost {
    WorkCost { data_usd: work.data_usd(book), lines: work.compare(book), work }
}

fn told(book: &Book) -> Value {
    json!({"name": book.name, "about": book.about, "region": book.region})
}
