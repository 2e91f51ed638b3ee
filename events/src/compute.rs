//! Where a training runs, and on what.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text that is none of the choices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is none of {choices}")]
pub struct UnknownChoice {
    /// What was written.
    pub text: String,
    /// What there is, separated by commas.
    pub choices: String,
}

/// An enum whose variants are written as fixed texts, in files and in JSON alike.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every choice.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownChoice;

            fn from_str(text: &str) -> Result<Self, UnknownChoice> {
                let choices = || Self::ALL.iter().map(|choice| choice.as_str()).collect::<Vec<_>>().join(", ");
                Self::ALL
                    .iter()
                    .copied()
                    .find(|choice| choice.as_str() == text)
                    .ok_or_else(|| UnknownChoice { text: text.to_owned(), choices: choices() })
            }
        }
    };
}

choices! {
    /// What runs a training.
    RunOn {
        /// A process on the machine that asks.
        Local => "local",
        /// Kubeflow Trainer: a TrainJob (`trainer.kubeflow.org/v1alpha1`).
        Kubeflow => "kubeflow",
        /// The training operator of Kubeflow 1.7 and later: a PyTorchJob (`kubeflow.org/v1`).
        KubeflowV1 => "kubeflow-v1",
        /// A run of a compiled Kubeflow pipeline (the `v2beta1` API).
        KubeflowPipeline => "kubeflow-pipeline",
        /// KubeRay: a RayJob with a cluster of its own (`ray.io/v1`).
        Ray => "ray",
        /// The Jobs API of a Ray cluster that is there already.
        RayCluster => "ray-cluster",
        /// A Vertex AI CustomJob.
        Vertex => "vertex",
    }
}

choices! {
    /// A kind of GPU, by GKE's name for it.
    GpuType {
        /// NVIDIA L4, 24 GB.
        L4 => "nvidia-l4",
        /// NVIDIA T4, 16 GB.
        T4 => "nvidia-tesla-t4",
        /// NVIDIA A100, 40 GB.
        A100 => "nvidia-tesla-a100",
        /// NVIDIA A100, 80 GB.
        A100With80Gb => "nvidia-a100-80gb",
        /// NVIDIA H100, 80 GB.
        H100 => "nvidia-h100-80gb",
        /// NVIDIA H200, 141 GB.
        H200 => "nvidia-h200-141gb",
        /// NVIDIA B200.
        B200 => "nvidia-b200",
    }
}

impl GpuType {
    /// Vertex AI's `acceleratorType`.
    #[must_use]
    pub const fn vertex_name(self) -> &'static str {
        match self {
            Self::L4 => "NVIDIA_L4",
            Self::T4 => "NVIDIA_TESLA_T4",
            Self::A100 => "NVIDIA_TESLA_A100",
            Self::A100With80Gb => "NVIDIA_A100_80GB",
            Self::H100 => "NVIDIA_H100_80GB",
            Self::H200 => "NVIDIA_H200_141GB",
            Self::B200 => "NVIDIA_B200",
        }
    }
}

choices! {
    /// How machines are bought.
    Capacity {
        /// At the list price, until the job ends.
        Standard => "standard",
        /// Cheaper, and taken back at any moment.
        Spot => "spot",
        /// Waited for until all are there at once, then kept for up to seven days.
        FlexStart => "flex-start",
    }
}

choices! {
    /// How a program in a container reaches objects.
    DataAccess {
        /// Buckets are folders, `/gcs/BUCKET`, as on Vertex AI.
        Mount => "mount",
        /// The rows are copied onto the node before the program starts; the rest is as with `mount`.
        Download => "download",
    }
}

/// GPUs of one kind, for each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Accelerator {
    /// Which.
    #[serde(rename = "type")]
    pub gpu: GpuType,
    /// How many a node, at least 1.
    pub count: u32,
}

/// Where a training runs and what each of its nodes has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Compute {
    /// What runs it.
    pub run_on: RunOn,
    /// How many machines (pods); the first one is the chief.
    pub nodes: u32,
    /// Processes on each.
    pub processes_per_node: u32,
    /// A Google machine type, such as `g2-standard-4`; chosen from the rest where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// vCPUs of each node.
    pub cpu: u32,
    /// Memory of each node in MiB.
    pub memory_mib: u64,
    /// GPUs of each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<Accelerator>,
    /// How the machines are bought.
    pub capacity: Capacity,
    /// The Kueue queue that admits it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The account it runs as: of Kubernetes there, an email address on Vertex AI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// How its containers reach objects.
    pub data_access: DataAccess,
    /// The size of `/dev/shm` in MiB; the container runtime's own where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_memory_mib: Option<u64>,
    /// Whether the program goes on from what it finds in `AIP_CHECKPOINT_DIR`.
    pub resumes: bool,
    /// How often the back-end starts it again by itself when it fails.
    pub retries: u32,
    /// How long it is expected to run, in seconds, for the estimate of its cost; its wall limit where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_seconds: Option<u64>,
    /// What it may cost in US dollars: not started when its estimate is above, ended when what it ran costs more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
}

impl Default for Compute {
    /// One process here: 1 vCPU, 2 GiB.
    fn default() -> Self {
        Self {
            run_on: RunOn::Local,
            nodes: 1,
            processes_per_node: 1,
            machine: None,
            cpu: 1,
            memory_mib: 2 << 10,
            accelerator: None,
            capacity: Capacity::Standard,
            queue: None,
            service_account: None,
            data_access: DataAccess::Mount,
            shared_memory_mib: None,
            resumes: false,
            retries: 0,
            expected_seconds: None,
            max_cost_usd: None,
        }
    }
}

impl Compute {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a job costs, or is estimated to, under a dated book of prices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// US dollars before it was started, for the time it was expected to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_usd: Option<f64>,
    /// US dollars for the time it ran.
    pub usd: f64,
    /// The book's name, such as `list-2026-07`.
    pub book: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for run_on in RunOn::ALL {
            assert_eq!(run_on.as_str().parse::<RunOn>(), Ok(*run_on));
            assert_eq!(serde_json::to_value(run_on).unwrap(), run_on.as_str());
        }
        let error = "gpu".parse::<GpuType>().unwrap_err().to_string();
        assert!(error.contains("`gpu`") && error.contains("nvidia-l4, nvidia-tesla-t4"), "{error}");
    }

    #[test]
    fn what_is_left_out_is_the_default() {
        let compute: Compute = serde_json::from_str(r#"{"run_on": "vertex", "nodes": 2}"#).unwrap();
        assert_eq!(compute, Compute { run_on: RunOn::Vertex, nodes: 2, ..Compute::default() });
        assert!(!compute.is_default() && Compute::default().is_default());
    }
}
