//! TrainJob, Kubeflow Trainer: the job is said here, the pod's frame by the cluster's ClusterTrainingRuntime.
//!
//! The runtime (`infra/kubernetes/runtimes.yaml`) has one replicated job `node` with the container `node` and the init container
//! `download`; it says how often a job starts again and how long its pods are kept, which a TrainJob cannot.

use millstream_ports::error::{PortError, PortResult};
use serde_json::{Value, json};

use super::{Job, environment, pod, program};
use crate::kind::Kind;

/// The replicated job of the runtime, and its container.
const NODE: &str = "node";

/// Who patches the runtime.
const MANAGER: &str = "millstream.dev/train-model";

/// What the runtime's init container copies, one file a line.
const FILES: &str = "MILLSTREAM_DATA";

pub(super) fn spec(job: &Job<'_>) -> PortResult<Value> {
    let compute = job.compute();
    if compute.retries > 0 {
        return Err(PortError::invalid(
            "compute.retries: a TrainJob has none of its own; its runtime starts it again when its machine goes away",
        ));
    }
    let runs = program::runs(job, Kind::TrainJob)?;
    let mut trainer = json!({
        "image": runs.image,
        "numNodes": compute.nodes,
        "numProcPerNode": compute.processes_per_node,
        "resourcesPerNode": pod::resources(job),
        "env": environment::environment(job, &[("HOME", "/tmp".to_owned())], &[])?,
    });
    if !runs.command.is_empty() {
        trainer["command"] = json!(program::literals(&runs.command));
    }
    if !runs.args.is_empty() {
        trainer["args"] = json!(program::literals(&runs.args));
    }
    Ok(json!({
        "runtimeRef": {"apiGroup": "trainer.kubeflow.org", "kind": "ClusterTrainingRuntime", "name": job.settings.runtime},
        "activeDeadlineSeconds": job.training.wall_seconds,
        "trainer": trainer,
        "runtimePatches": [{
            "manager": MANAGER,
            "trainingRuntimeSpec": {"template": {
                "metadata": {"labels": job.labels},
                "spec": {"replicatedJobs": [{
                    "name": NODE,
                    "template": {
                        "metadata": {"labels": job.labels},
                        "spec": {"template": {"metadata": pod::metadata(job), "spec": pod_patch(job)?}},
                    },
                }]},
            }},
        }],
    }))
}

fn pod_patch(job: &Job<'_>) -> PortResult<Value> {
    let folders = pod::folders(job);
    let mut patch = json!({
        "serviceAccountName": pod::service_account(job),
        "securityContext": pod::security(job),
        "nodeSelector": pod::node_selector(job),
        "tolerations": pod::tolerations(job),
        "volumes": folders.volumes,
        "containers": [{
            "name": NODE,
            "securityContext": pod::container_security(),
            "volumeMounts": folders.mounts,
        }],
    });
    if job.downloads() {
        patch["initContainers"] = json!([{
            "name": pod::COPY,
            "env": [{"name": FILES, "value": program::literal(&pod::copied_files(job)?.join("\n"))}],
            "securityContext": pod::container_security(),
            "volumeMounts": folders.copy_mounts,
        }]);
    }
    Ok(patch)
}
