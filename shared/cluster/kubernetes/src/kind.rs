//! The three kinds of object that train, and where their pods are.

use kube::core::{ApiResource, GroupVersionKind};
use millstream_events::compute::RunOn;
use millstream_ports::error::{PortError, PortResult};
use serde_json::Value;

/// A kind of training job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::enum_variant_names, reason = "these are the kinds' names")]
pub(crate) enum Kind {
    /// Kubeflow Trainer's, `trainer.kubeflow.org/v1alpha1`.
    TrainJob,
    /// The training operator's, `kubeflow.org/v1`.
    PyTorchJob,
    /// KubeRay's, `ray.io/v1`.
    RayJob,
}

/// Label selectors of a job's pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pods {
    /// Those that compute: what they run is paid for.
    pub(crate) nodes: Option<String>,
    /// Those among which the chief is; its log is the job's.
    pub(crate) chief: String,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 3] = [Self::TrainJob, Self::PyTorchJob, Self::RayJob];

    /// The kind for a back-end.
    pub(crate) fn of(run_on: RunOn) -> PortResult<Self> {
        match run_on {
            RunOn::Kubeflow => Ok(Self::TrainJob),
            RunOn::KubeflowV1 => Ok(Self::PyTorchJob),
            RunOn::Ray => Ok(Self::RayJob),
            other => Err(PortError::invalid(format!(
                "compute.run_on: `{other}` is no job of Kubernetes; `kubeflow`, `kubeflow-v1` and `ray` are"
            ))),
        }
    }

    /// Its name in manifests.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TrainJob => "TrainJob",
            Self::PyTorchJob => "PyTorchJob",
            Self::RayJob => "RayJob",
        }
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// `GROUP/VERSION`, as in manifests.
    pub(crate) const fn api_version(self) -> &'static str {
        match self {
            Self::TrainJob => "trainer.kubeflow.org/v1alpha1",
            Self::PyTorchJob => "kubeflow.org/v1",
            Self::RayJob => "ray.io/v1",
        }
    }

    /// What has to be installed for it.
    pub(crate) const fn operator(self) -> &'static str {
        match self {
            Self::TrainJob => "Kubeflow Trainer",
            Self::PyTorchJob => "Kubeflow's training operator",
            Self::RayJob => "KubeRay",
        }
    }

    /// Where its objects are.
    pub(crate) fn resource(self) -> ApiResource {
        let (group, version) = self.api_version().split_once('/').unwrap_or(("", self.api_version()));
        ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, self.as_str()))
    }

    /// The containers of its pods that run the program, or submit it.
    pub(crate) const fn containers(self) -> &'static [&'static str] {
        match self {
            Self::TrainJob => &["node"],
            Self::PyTorchJob => &["pytorch"],
            Self::RayJob => &["ray-job-submitter", "ray-worker"],
        }
    }

    /// The pods of the job `object`, called `name`.
    pub(crate) fn pods(self, name: &str, object: &Value) -> Pods {
        match self {
            Self::TrainJob => Pods::of(format!("jobset.sigs.k8s.io/jobset-name={name}")),
            Self::PyTorchJob => Pods::of(format!("training.kubeflow.org/job-name={name}")),
            // The program's output comes back to the pod that submitted it, which outlives the cluster.
            Self::RayJob => Pods {
                nodes: object
                    .pointer("/status/rayClusterName")
                    .and_then(Value::as_str)
                    .filter(|cluster| !cluster.is_empty())
                    .map(|cluster| format!("ray.io/cluster={cluster},ray.io/node-type=worker")),
                chief: format!("job-name={name}"),
            },
        }
    }
}

impl Pods {
    fn of(selector: String) -> Self {
        Self { nodes: Some(selector.clone()), chief: selector }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_by_its_name_and_has_its_address() {
        for (kind, plural) in
            [(Kind::TrainJob, "trainjobs"), (Kind::PyTorchJob, "pytorchjobs"), (Kind::RayJob, "rayjobs")]
        {
            assert_eq!(Kind::named(kind.as_str()), Some(kind));
            assert_eq!(kind.resource().plural, plural);
            assert_eq!(kind.resource().api_version, kind.api_version());
        }
        assert_eq!(Kind::named("Pod"), None);
    }

    #[test]
    fn other_back_ends_are_refused_by_name() {
        let error = Kind::of(RunOn::Vertex).unwrap_err().to_string();
        assert!(error.starts_with("compute.run_on: `vertex`"), "{error}");
    }
}
