//! What is no mistake and yet may surprise.

use std::fmt;

use millstream_events::{
    compute::Capacity,
    names::{ModelName, PipelineName},
};
use serde::Serialize;

use crate::model::{Pipelines, Training};

/// Something to think over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The training in it.
    pub training: ModelName,
    /// What may surprise, and what to do.
    pub message: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "warning: {}, training {}: {}", self.pipeline, self.training, self.message)
    }
}

/// All of it, in the order of the pipelines and their trainings.
#[must_use]
pub fn advice(pipelines: &Pipelines) -> Vec<Advice> {
    let trainings = pipelines
        .by_name
        .values()
        .flat_map(|pipeline| pipeline.trainings.iter().map(move |training| (&pipeline.name, training)));
    let told = trainings.flat_map(|(pipeline, training)| {
        of(training).map(|message| Advice {
            pipeline: pipeline.clone(),
            training: training.model.clone(),
            message: message.to_owned(),
        })
    });
    told.collect()
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
