//! From a job to the object that runs it: pure, so that the same job is the same manifest wherever and whenever it is made.

mod environment;
mod pod;
mod program;
mod pytorch_job;
mod ray_job;
mod train_job;

use std::collections::BTreeMap;

use millstream_events::compute::{Capacity, Compute, DataAccess};
use millstream_ports::{
    error::{PortError, PortResult},
    trainer::TrainingJob,
};
use serde_json::{Map, Value, json};

use crate::{
    KubernetesSettings,
    kind::Kind,
    names::{self, MANIFEST_HASH, OUTPUT},
};

/// The longest that flex-start machines are kept, in seconds.
const FLEX_START_SECONDS: u64 = 7 * 24 * 3_600;

/// The most of each thing that one job may ask for; far above any machine, far below any overflow.
const MOST: u64 = 1 << 20;

/// The object that runs a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
    /// The Kueue queue that has to be there.
    pub(crate) queue: Option<String>,
    /// What it is, hashed.
    pub(crate) hash: String,
    /// All of it, without a status.
    pub(crate) object: Value,
}

/// What every builder needs.
struct Job<'a> {
    settings: &'a KubernetesSettings,
    training: &'a TrainingJob,
    name: &'a str,
    labels: BTreeMap<String, String>,
}

impl Job<'_> {
    fn compute(&self) -> &Compute {
        &self.training.compute
    }

    /// The rows are copied onto the node before the program starts.
    fn downloads(&self) -> bool {
        self.compute().data_access == DataAccess::Download && !self.training.data.is_empty()
    }
}

/// The object called `name` for a job.
///
/// # Errors
/// `Invalid`, naming the field that the kind does not take.
pub(crate) fn build(settings: &KubernetesSettings, name: &str, training: &TrainingJob) -> PortResult<Manifest> {
    let kind = Kind::of(training.compute.run_on)?;
    let job = Job { settings, training, name, labels: names::labels(training) };
    check(&job)?;
    let spec = match kind {
        Kind::TrainJob => train_job::spec(&job),
        Kind::PyTorchJob => pytorch_job::spec(&job),
        Kind::RayJob => ray_job::spec(&job),
    }?;
    let queue = training.compute.queue.clone().or_else(|| settings.queue.clone());
    let (mut labels, mut annotations) = (job.labels.clone(), names::annotations(training));
    if let Some(queue) = &queue {
        labels.insert("kueue.x-k8s.io/queue-name".to_owned(), queue.clone());
        if training.compute.capacity == Capacity::FlexStart {
            // Kueue hands it on to the ProvisioningRequest: how long the machines are asked for.
            let seconds = training.wall_seconds.to_string();
            annotations.insert("provreq.kueue.x-k8s.io/maxRunDurationSeconds".to_owned(), seconds);
        }
    }
    let mut object = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.as_str(),
        "metadata": {
            "name": name,
            "namespace": settings.namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": spec,
    });
    let hash = blake3::hash(canonical(&object).to_string().as_bytes()).to_hex().to_string();
    object["metadata"]["annotations"][MANIFEST_HASH] = json!(hash);
    object["metadata"]["annotations"][OUTPUT] = json!(training.output.to_string());
    Ok(Manifest { kind, name: name.to_owned(), queue, hash, object })
}

/// What no kind takes.
fn check(job: &Job<'_>) -> PortResult<()> {
    let compute = job.compute();
    let invalid = |message: String| Err(PortError::invalid(message));
    let within = |field: &str, value: u64| {
        if (1..=MOST).contains(&value) {
            Ok(())
        } else {
            Err(PortError::invalid(format!("compute.{field}: {value} is not 1 to {MOST}")))
        }
    };
    within("nodes", compute.nodes.into())?;
    within("processes_per_node", compute.processes_per_node.into())?;
    within("cpu", compute.cpu.into())?;
    if compute.memory_mib == 0 || compute.memory_mib > MOST << 10 {
        return invalid(format!("compute.memory: {} MiB is no size of a machine", compute.memory_mib));
    }
    if let Some(accelerator) = compute.accelerator {
        within("accelerator.count", accelerator.count.into())?;
    }
    if compute.shared_memory_mib.is_some_and(|size| size == 0 || size > compute.memory_mib) {
        return invalid(
            "compute.shared_memory: it is part of the memory, so more than nothing and at most that".to_owned(),
        );
    }
    if let Some(queue) = compute.queue.as_ref().or(job.settings.queue.as_ref())
        && !names::is_dns_label(queue)
    {
        return invalid(format!("compute.queue: {queue:?} is no LocalQueue's name: use up to 63 of a-z, 0-9 and -"));
    }
    if let Some(account) = &compute.service_account
        && !names::is_dns_subdomain(account)
    {
        return invalid(format!(
            "compute.service_account: {account:?} is no service account of Kubernetes: use up to 253 of a-z, 0-9, - and ."
        ));
    }
    if let Some(machine) = &compute.machine
        && !names::is_dns_label(machine)
    {
        return invalid(format!("compute.machine: {machine:?} is no machine type, such as g2-standard-4"));
    }
    if job.training.wall_seconds == 0 || job.training.wall_seconds > u64::from(u32::MAX) {
        return invalid(format!("limits.wall: {} s is no time that a job may take", job.training.wall_seconds));
    }
    if compute.capacity == Capacity::FlexStart && job.training.wall_seconds > FLEX_START_SECONDS {
        return invalid("limits.wall: flex-start machines are kept for at most 7 days".to_owned());
    }
    Ok(())
}

/// The same value with sorted keys, whatever the map that `serde_json` was built with.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().map(|(key, value)| (key.clone(), canonical(value))).collect();
            Value::Object(sorted.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
