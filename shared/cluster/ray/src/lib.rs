//! Training on a Ray cluster that is there already, through its Jobs API.
//!
//! In: a [`TrainingJob`](millstream_ports::TrainingJob) that asks for `ray-cluster`. Out: its state, read from the cluster
//! each time: nothing is kept here that the cluster does not know, so that any process may ask next. The job's id is the
//! submission's, which the cluster takes once; a job that it does not know any more is submitted again.

mod api;
mod info;
mod log;
mod settings;
mod submission;
mod trainer;

pub use settings::{Paths, RaySettings};
pub use trainer::RayTrainer;
