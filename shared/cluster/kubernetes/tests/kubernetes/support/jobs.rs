//! Jobs of each kind, and what their operators make of them.

use std::collections::BTreeMap;

use kube::core::{ApiResource, GroupVersionKind};
use millstream_events::{
    Fingerprint, StepRef,
    compute::{Compute, RunOn},
    work::{DataFormat, Program},
};
use millstream_ports::trainer::TrainingJob;
use serde_json::{Value, json};

/// A kind of training job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "these are the kinds' names")]
pub(crate) enum Kind {
    TrainJob,
    PyTorchJob,
    RayJob,
}

/// All kinds.
pub(crate) const KINDS: [Kind; 3] = [Kind::TrainJob, Kind::PyTorchJob, Kind::RayJob];

/// A pod of a job: its name, its container, its labels.
#[derive(Debug, Clone)]
pub(crate) struct JobPod {
    pub(crate) name: String,
    pub(crate) container: &'static str,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Kind {
    pub(crate) fn run_on(self) -> RunOn {
        match self {
            Self::TrainJob => RunOn::Kubeflow,
            Self::PyTorchJob => RunOn::KubeflowV1,
            Self::RayJob => RunOn::Ray,
        }
    }

    pub(crate) fn resource(self) -> ApiResource {
        ApiResource::from_gvk(&match self {
            Self::TrainJob => GroupVersionKind::gvk("trainer.kubeflow.org", "v1alpha1", "TrainJob"),
            Self::PyTorchJob => GroupVersionKind::gvk("kubeflow.org", "v1", "PyTorchJob"),
            Self::RayJob => GroupVersionKind::gvk("ray.io", "v1", "RayJob"),
        })
    }

    /// The chief's pod: the one whose log is the job's.
    pub(crate) fn chief(self, job: &str) -> JobPod {
        match self {
            Self::TrainJob => self.node(job, 0),
            Self::PyTorchJob => self.node(job, 0),
            Self::RayJob => pod(format!("{job}-submitter"), "ray-job-submitter", &[("job-name", job)]),
        }
    }

    /// The pod of a node, by its number.
    pub(crate) fn node(self, job: &str, number: u32) -> JobPod {
        let index = number.to_string();
        match self {
            Self::TrainJob => pod(
                format!("{job}-node-0-{number}"),
                "node",
                &[
                    ("jobset.sigs.k8s.io/jobset-name", job),
                    ("jobset.sigs.k8s.io/replicatedjob-name", "node"),
                    ("batch.kubernetes.io/job-completion-index", &index),
                ],
            ),
            Self::PyTorchJob => {
                let replica = if number == 0 { "master" } else { "worker" };
                pod(
                    format!("{job}-{replica}-{}", number.saturating_sub(1)),
                    "pytorch",
                    &[("training.kubeflow.org/job-name", job), ("training.kubeflow.org/replica-type", replica)],
                )
            }
            Self::RayJob => pod(
                format!("{job}-worker-{number}"),
                "ray-worker",
                &[("ray.io/cluster", &cluster_of(job)), ("ray.io/node-type", "worker")],
            ),
        }
    }

    /// The status of a job that waits for its machines.
    pub(crate) fn waiting(self) -> Value {
        match self {
            Self::TrainJob => json!({"conditions": [condition("Suspended", "True", "Suspended", T0)]}),
            Self::PyTorchJob => {
                json!({"conditions": [condition("Created", "True", "PyTorchJobCreated", T0)], "startTime": T0})
            }
            Self::RayJob => json!({"jobDeploymentStatus": "Initializing", "startTime": T0}),
        }
    }

    /// The status of a job that runs.
    pub(crate) fn running(self, job: &str) -> Value {
        match self {
            Self::TrainJob => json!({"jobsStatus": [
                {"name": "node", "active": 1, "ready": 1, "failed": 0, "succeeded": 0, "suspended": 0},
            ]}),
            Self::PyTorchJob => json!({"startTime": T0, "conditions": [
                condition("Created", "True", "PyTorchJobCreated", T0),
                condition("Running", "True", "PyTorchJobRunning", T1),
            ]}),
            Self::RayJob => json!({
                "jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "startTime": T0, "rayClusterName": cluster_of(job),
            }),
        }
    }

    /// The status of a job that ended well at `ended`.
    pub(crate) fn succeeded(self, job: &str, ended: &str) -> Value {
        match self {
            Self::TrainJob => json!({"conditions": [condition("Complete", "True", "JobsCompleted", ended)]}),
            Self::PyTorchJob => json!({"startTime": T0, "completionTime": ended, "conditions": [
                condition("Running", "False", "PyTorchJobRunning", ended),
                condition("Succeeded", "True", "PyTorchJobSucceeded", ended),
            ]}),
            Self::RayJob => json!({
                "jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED", "startTime": T0, "endTime": ended,
                "rayClusterName": cluster_of(job),
            }),
        }
    }

    /// The status of a job that ended badly at `ended`.
    pub(crate) fn failed(self, job: &str, reason: &str, message: &str, ended: &str) -> Value {
        match self {
            Self::TrainJob => {
                let mut failed = condition("Failed", "True", reason, ended);
                failed["message"] = json!(message);
                json!({"conditions": [failed]})
            }
            Self::PyTorchJob => {
                let mut failed = condition("Failed", "True", reason, ended);
                failed["message"] = json!(message);
                json!({"startTime": T0, "completionTime": ended, "conditions": [failed]})
            }
            Self::RayJob => json!({
                "jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "startTime": T0, "endTime": ended,
                "reason": reason, "message": message, "rayClusterName": cluster_of(job),
            }),
        }
    }

    /// The program's arguments and environment in a manifest.
    pub(crate) fn program(self, object: &Value) -> (Vec<String>, BTreeMap<String, String>) {
        let (args, env) = match self {
            Self::TrainJob => (&object["spec"]["trainer"]["args"], &object["spec"]["trainer"]["env"]),
            Self::PyTorchJob => {
                let container = &object["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0];
                (&container["args"], &container["env"])
            }
            Self::RayJob => {
                let workers = &object["spec"]["rayClusterSpec"]["workerGroupSpecs"][0];
                (&Value::Null, &workers["template"]["spec"]["containers"][0]["env"])
            }
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().replace("$$", "$");
        let env: BTreeMap<_, _> = env
            .as_array()
            .into_iter()
            .flatten()
            .map(|variable| (text(&variable["name"]), text(&variable["value"])))
            .collect();
        let args = match env.get("MILLSTREAM_ARGUMENTS") {
            Some(run) => serde_json::from_str::<Vec<String>>(run).unwrap()[1..].to_vec(),
            None => args.as_array().into_iter().flatten().map(text).collect(),
        };
        (args, env)
    }

    /// How long it may run, in seconds.
    pub(crate) fn deadline(self, object: &Value) -> u64 {
        let pointer = match self {
            Self::TrainJob | Self::RayJob => "/spec/activeDeadlineSeconds",
            Self::PyTorchJob => "/spec/runPolicy/activeDeadlineSeconds",
        };
        object.pointer(pointer).and_then(Value::as_u64).unwrap()
    }
}

/// When the jobs of these tests are said to have been admitted, and to have begun.
const T0: &str = "2026-11-28T10:00:00Z";
const T1: &str = "2026-11-28T10:01:00Z";

fn cluster_of(job: &str) -> String {
    format!("{job}-abcde")
}

fn pod(name: String, container: &'static str, labels: &[(&str, &str)]) -> JobPod {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    JobPod { name, container, labels }
}

fn condition(kind: &str, status: &str, reason: &str, since: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": "so it is", "lastTransitionTime": since})
}

/// An image by a digest that stands for nothing.
pub(crate) fn image() -> String {
    format!("example.com/train@sha256:{}", "0123456789abcdef".repeat(4))
}

/// A job of this kind whose step is called so.
pub(crate) fn training(kind: Kind, step: &str) -> TrainingJob {
    TrainingJob {
        step: StepRef {
            run: "fraud/date=2026-11-24".parse().unwrap(),
            step: format!("train/{step}").parse().unwrap(),
            fingerprint: Fingerprint::of("test", [step.as_bytes()]),
            attempt: 1,
        },
        model: "fraud".parse().unwrap(),
        program: Program::Image { image: image(), command: vec!["python3".to_owned(), "train.py".to_owned()] },
        args: vec!["--epochs".to_owned(), "3".to_owned()],
        env: BTreeMap::new(),
        data: vec!["gs://lake/fraud/rows.parquet".parse().unwrap()],
        data_format: DataFormat::Parquet,
        output: "gs://models/fraud/v1".parse().unwrap(),
        checkpoints: "gs://models/fraud/checkpoints".parse().unwrap(),
        compute: Compute { run_on: kind.run_on(), ..Compute::default() },
        wall_seconds: 3_600,
    }
}

/// The id of a job.
pub(crate) fn job_id(training: &TrainingJob) -> String {
    training.step.job_id()
}

/// The name of its object and of its record.
pub(crate) fn name_of(training: &TrainingJob) -> String {
    format!("ms-{}", training.step.job_id())
}
