//! PyTorchJob, Kubeflow's training operator. Nothing here is newer than operator 1.6 (Kubeflow 1.7): no `suspend`, no
//! `nprocPerNode`; `torchrun` is told by its own variables.

use millstream_events::compute::Capacity;
use millstream_ports::error::PortResult;
use serde_json::{Map, Value, json};

use super::{Job, environment, pod, program};
use crate::kind::Kind;

/// The container that the operator looks for.
const CONTAINER: &str = "pytorch";

/// Where the first node's processes wait for the others.
const RENDEZVOUS_PORT: u16 = 23_456;

pub(super) fn spec(job: &Job<'_>) -> PortResult<Value> {
    let compute = job.compute();
    let mut replicas = Map::new();
    replicas.insert("Master".to_owned(), replica(job, 1)?);
    if compute.nodes > 1 {
        replicas.insert("Worker".to_owned(), replica(job, compute.nodes - 1)?);
    }
    Ok(json!({
        "runPolicy": {
            // The chief's pod stays for its log; workers that still run when it ends are paid for.
            "cleanPodPolicy": "Running",
            "ttlSecondsAfterFinished": job.settings.keep_seconds,
            "activeDeadlineSeconds": job.training.wall_seconds,
            "backoffLimit": compute.retries,
        },
        "pytorchReplicaSpecs": replicas,
    }))
}

fn replica(job: &Job<'_>, replicas: u32) -> PortResult<Value> {
    let compute = job.compute();
    let restart = match (compute.retries, compute.capacity) {
        (0, _) => "Never",
        // A machine that is taken back ends its containers with 128 and more; a program's own failure would come again.
        (_, Capacity::Spot) => "ExitCode",
        _ => "OnFailure",
    };
    let folders = pod::folders(job);
    let runs = program::runs(job, Kind::PyTorchJob)?;
    let mut container = json!({
        "name": CONTAINER,
        "image": runs.image,
        "env": environment::environment(job, &torchrun(job), &[])?,
        "resources": pod::resources(job),
        "securityContext": pod::container_security(),
        "volumeMounts": folders.mounts,
    });
    if !runs.command.is_empty() {
        container["command"] = json!(program::literals(&runs.command));
    }
    if !runs.args.is_empty() {
        container["args"] = json!(program::literals(&runs.args));
    }
    Ok(json!({
        "replicas": replicas,
        "restartPolicy": restart,
        "template": {
            "metadata": pod::metadata(job),
            "spec": {
                "serviceAccountName": pod::service_account(job),
                "automountServiceAccountToken": false,
                "securityContext": pod::security(job),
                "nodeSelector": pod::node_selector(job),
                "tolerations": pod::tolerations(job),
                "volumes": folders.volumes,
                "initContainers": pod::copy_container(job, &folders)?,
                "containers": [container],
            },
        },
    }))
}

/// What `torchrun` reads as its options where it is called without them.
fn torchrun(job: &Job<'_>) -> Vec<(&'static str, String)> {
    let compute = job.compute();
    let mut variables = vec![
        ("HOME", "/tmp".to_owned()),
        ("PET_NNODES", compute.nodes.to_string()),
        ("PET_NPROC_PER_NODE", compute.processes_per_node.to_string()),
    ];
    if compute.nodes > 1 {
        variables.push(("PET_RDZV_BACKEND", "c10d".to_owned()));
        variables.push(("PET_RDZV_ENDPOINT", format!("{}-master-0:{RENDEZVOUS_PORT}", job.name)));
        variables.push(("PET_RDZV_ID", job.name.to_owned()));
    }
    variables
}
