//! The settings of training and of serving elsewhere than on this machine: each back-end is there once its place is said.

use std::num::{NonZeroU32, NonZeroU64};

use serde::Deserialize;

/// Training.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Programs at once on this machine.
    pub max_running: NonZeroU64,
    /// The price book: a built-in one's name, or a file from the project's folder.
    pub price_book: String,
    /// The platform's own image, by digest: what the recipe `tabular` runs in elsewhere.
    pub image: Option<String>,
}

/// A Kubernetes cluster with Kubeflow's trainer, its training operator or KubeRay.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// The API server's address.
    pub url: Option<String>,
    /// The context of a kubeconfig, instead of an address.
    pub context: Option<String>,
    /// The authority that signed the API server's certificate: PEM in base64, as GKE shows it.
    pub certificate_authority: Option<String>,
    /// Where jobs are made.
    pub namespace: String,
    /// The account of jobs that name none.
    pub service_account: String,
    /// The Kueue queue of jobs that name none.
    pub queue: Option<String>,
    /// The ClusterTrainingRuntime of TrainJobs.
    pub runtime: String,
    /// The image, by digest, of the recipe `tabular` on Ray.
    pub ray_image: Option<String>,
}

/// A Ray cluster that is there already.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ray {
    /// The dashboard's base address.
    pub address: Option<String>,
    /// The secret with the token that the cluster asks for, `secret:NAME`.
    pub token: Option<String>,
}

/// Kubeflow Pipelines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubeflowPipelines {
    /// The service's base address.
    pub url: Option<String>,
    /// The namespace of runs, where the service has several.
    pub namespace: Option<String>,
    /// The experiment that runs belong to.
    pub experiment: String,
    /// The account of runs that name none.
    pub service_account: Option<String>,
    /// The secret with the token that the service asks for, `secret:NAME`.
    pub token: Option<String>,
}

/// Vertex AI.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vertex {
    /// The region.
    pub location: Option<String>,
    /// The account that jobs and serving containers run as.
    pub service_account: Option<String>,
    /// The network that jobs are peered with.
    pub network: Option<String>,
    /// Whether versions are registered and served there.
    pub serves: bool,
    /// The image that serves, by digest.
    pub serving_image: Option<String>,
    /// The machines that serve.
    pub serving_machine: String,
    /// The fewest machines of one version.
    pub min_replicas: NonZeroU32,
    /// The most machines of one version.
    pub max_replicas: NonZeroU32,
}
