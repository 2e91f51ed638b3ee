//! How Vertex AI is used.

use std::time::Duration;

use millstream_ports::{PortError, PortResult};

/// How Vertex AI is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VertexSettings {
    /// The region, such as `us-central1`. Buckets, images and endpoints are in it.
    pub location: String,
    /// The bucket that keeps what Vertex AI has no place for: a version's record, verdicts, an endpoint's history.
    pub bucket: String,
    /// The account that jobs and serving containers run as, unless a job names another. Google's own agent where absent.
    pub service_account: Option<String>,
    /// The image that serves a version: `serve-model`'s, or any under Vertex AI's prediction contract.
    pub serving_image: String,
    /// The path of `serving_image` that answers predictions.
    pub predict_route: String,
    /// The path of `serving_image` that answers 200 once its model is loaded.
    pub health_route: String,
    /// The port that `serving_image` listens on.
    pub serving_port: u16,
    /// The machines that serve.
    pub serving_machine: String,
    /// The fewest of them for one version, at least 1.
    pub min_replicas: u32,
    /// The most of them for one version.
    pub max_replicas: u32,
    /// The image of the recipe `tabular`; trainings with that recipe are refused where it is absent.
    pub tabular_image: Option<String>,
    /// The network that jobs are peered with, `projects/NUMBER/global/networks/NAME`.
    pub network: Option<String>,
    /// How long one call waits for long operations before it answers `Unavailable` and leaves them to the next call.
    pub patience: Duration,
    /// The pause between two looks at an operation.
    pub pause: Duration,
}

impl VertexSettings {
    /// With this region and this image that serves; one to two machines a version, nothing else set.
    #[must_use]
    pub fn new(location: impl Into<String>, serving_image: impl Into<String>) -> Self {
        Self {
            location: location.into(),
            bucket: "models".to_owned(),
            service_account: None,
            serving_image: serving_image.into(),
            predict_route: "/predict".to_owned(),
            health_route: "/health".to_owned(),
            serving_port: 8080,
            serving_machine: "n1-standard-2".to_owned(),
            min_replicas: 1,
            max_replicas: 2,
            tabular_image: None,
            network: None,
            patience: Duration::from_secs(20),
            pause: Duration::from_secs(1),
        }
    }

    /// What cannot be right, found before the first call.
    pub(crate) fn check(&self) -> PortResult<()> {
        let is_region = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_region(&self.location) {
            let message = format!("{:?} is not a region of Vertex AI: set one such as us-central1", self.location);
            return Err(PortError::invalid(message));
        }
        if self.min_replicas == 0 || self.max_replicas < self.min_replicas {
            return Err(PortError::invalid(format!(
                "{} to {} machines cannot serve: set at least 1, and no fewer at most than at least",
                self.min_replicas, self.max_replicas
            )));
        }
        Ok(())
    }
}
