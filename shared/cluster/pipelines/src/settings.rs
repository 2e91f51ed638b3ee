//! Which service, and where in it.

use std::sync::Arc;

use crate::token::TokenSource;

/// The experiment of runs whose settings name none.
const EXPERIMENT: &str = "millstream";

/// Where Kubeflow Pipelines is and what runs belong to.
#[derive(Debug, Clone)]
pub struct PipelinesSettings {
    /// The service's base URL, such as `http://ml-pipeline.kubeflow:8888`, or `https://HOST/pipeline` through Kubeflow's
    /// gateway; `/apis/v2beta1` is below it.
    pub url: String,
    /// The Kubernetes namespace of the experiment and its runs, where the service serves several.
    pub namespace: Option<String>,
    /// The name of the experiment that runs belong to; made where it is not there.
    pub experiment: String,
    /// The Kubernetes service account of runs that ask for none; the service's own where it is absent.
    pub service_account: Option<String>,
    /// Says who calls; nobody in particular where it is absent.
    pub token: Option<Arc<dyn TokenSource>>,
}

impl PipelinesSettings {
    /// A service without namespaces and tokens, and its experiment `millstream`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), namespace: None, experiment: EXPERIMENT.to_owned(), service_account: None, token: None }
    }
}
