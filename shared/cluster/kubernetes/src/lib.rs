//! Training on Kubernetes: Kubeflow's TrainJob and PyTorchJob, and KubeRay's RayJob.
//!
//! In: a [`TrainingJob`](millstream_ports::trainer::TrainingJob) whose `compute.run_on` is `kubeflow`, `kubeflow-v1` or `ray`.
//! Out: one object of that kind in one namespace, and beside it a record: a ConfigMap that says that the job was started
//! and, in the end, how it ended. What the records are for stands in the README.

mod cleanup;
mod connect;
mod errors;
mod jobs;
mod kind;
mod logs;
mod manifest;
mod names;
mod record;
mod settings;
mod state;
mod trainer;

pub use settings::{KubernetesSettings, TokenSource};
pub use trainer::KubernetesTrainer;
