//! A cluster to test on, jobs to run on it, and who plays its operators.

mod cluster;
mod jobs;
mod operator;

pub(crate) use cluster::{Cluster, client};
pub(crate) use jobs::{KINDS, Kind, image, job_id, name_of, training};
pub(crate) use operator::Operator;
