//! What is no mistake and yet may surprise.

use std::fmt;

use millstream_events::{
    compute::Capacity,
    extract::{Changes, Cursor},
    names::PipelineName,
    work::WriteMode,
};
use serde::Serialize;

use crate::model::{Extract, Pipeline, Pipelines, Training};

/// Something to think over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// What it is about in it: `source customers`, `training demand`.
    pub about: String,
    /// What may surprise, and what to do.
    pub message: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "warning: {}, {}: {}", self.pipeline, self.about, self.message)
    }
}

/// All of it, in the order of the pipelines, their sources and their trainings.
#[must_use]
pub fn advice(pipelines: &Pipelines) -> Vec<Advice> {
    let mut all = Vec::new();
    for pipeline in pipelines.by_name.values() {
        let mut tell = |about: String, message: &str| {
            all.push(Advice { pipeline: pipeline.name.clone(), about, message: message.to_owned() });
        };
        for extract in &pipeline.extracts {
            extraction(pipeline, extract).for_each(|message| tell(format!("source {}", extract.name), message));
        }
        for training in &pipeline.trainings {
            of(training).for_each(|message| tell(format!("training {}", training.model), message));
        }
    }
    all
}

fn extraction(pipeline: &Pipeline, extract: &Extract) -> impl Iterator<Item = &'static str> {
    let is_started = pipeline.schedule.is_some() || pipeline.message.is_some() || extract.schedule.is_some();
    let by_hand = (!is_started)
        .then_some("nothing starts its extraction but `millstream run`. Write a `schedule`, here or for the pipeline");
    let stays = matches!(&extract.changes, Changes::Cursor(Cursor { deleted: None, .. }) if extract.write != WriteMode::Append)
        .then_some(
            "a row that is deleted at the source stays in the table: a cursor does not see it. Name the column that marks \
             deleted rows (`deleted`), read a `log`, or run with --full-refresh now and then",
        );
    by_hand.into_iter().chain(stays)
}

fn of(training: &Training) -> impl Iterator<Item = &'static str> {
    let compute = &training.compute;
    let starts_over = (compute.capacity == Capacity::Spot && !compute.resumes).then_some(
        "it runs on spot machines and says nothing of checkpoints: what is taken back starts from the beginning. Write \
         `checkpoints: true` once the program goes on from AIP_CHECKPOINT_DIR",
    );
    let splits_up = (compute.processes_per_node > 1
        && compute.accelerator.is_some_and(|gpus| gpus.count < compute.processes_per_node))
    .then_some("a node has more processes than GPUs: some will share one, or fail");
    starts_over.into_iter().chain(splits_up)
}
