//! The kinds of object there are, and how one is addressed.

use serde_json::Value;

/// A kind of object.
#[derive(Debug)]
pub(super) struct Resource {
    /// Its group; empty for the core.
    pub(super) group: &'static str,
    /// Its served versions, the stored one first.
    pub(super) versions: &'static [&'static str],
    /// Its name in paths.
    pub(super) plural: &'static str,
    /// Its name in manifests.
    pub(super) kind: &'static str,
    /// Whether its objects are in namespaces.
    pub(super) namespaced: bool,
    /// Whether `status` is a subresource.
    pub(super) has_status: bool,
    /// Whether it is custom: its fields are those of its definition.
    pub(super) custom: bool,
}

/// Every kind.
pub(super) const RESOURCES: &[Resource] = &[
    core("namespaces", "Namespace", false, true),
    core("configmaps", "ConfigMap", true, false),
    core("pods", "Pod", true, true),
    custom("trainer.kubeflow.org", &["v1alpha1"], "trainjobs", "TrainJob"),
    custom("kubeflow.org", &["v1"], "pytorchjobs", "PyTorchJob"),
    custom("ray.io", &["v1"], "rayjobs", "RayJob"),
    custom("kueue.x-k8s.io", &["v1beta2", "v1beta1"], "localqueues", "LocalQueue"),
];

const fn core(plural: &'static str, kind: &'static str, namespaced: bool, has_status: bool) -> Resource {
    Resource { group: "", versions: &["v1"], plural, kind, namespaced, has_status, custom: false }
}

const fn custom(
    group: &'static str,
    versions: &'static [&'static str],
    plural: &'static str,
    kind: &'static str,
) -> Resource {
    Resource { group, versions, plural, kind, namespaced: true, has_status: true, custom: true }
}

impl Resource {
    /// `PLURAL.GROUP`, as messages say it.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `GROUP/VERSION`, as manifests say it.
    pub(super) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }
}

/// Where an object is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Its kind, by plural and group.
    pub(super) resource: String,
    /// Its namespace; empty outside namespaces.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
}

/// A text in an object.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}
