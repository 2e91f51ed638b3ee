//! Training as a run of a compiled Kubeflow pipeline, through the `v2beta1` API of Kubeflow Pipelines.
//!
//! In: a [`TrainingJob`](millstream_ports::TrainingJob) whose program is a compiled pipeline. Out: the state of its run, read
//! from the service each time. A run's name is the job's id; names are not unique there, so that a run is looked for before
//! one is made, and of several the oldest counts.

mod api;
mod experiment;
mod request;
mod run;
mod settings;
mod token;
mod trainer;

pub use settings::PipelinesSettings;
pub use token::{FixedToken, TokenFile, TokenSource};
pub use trainer::PipelinesTrainer;
