//! RayJob, KubeRay: a cluster for one job, gone when the job ends.
//!
//! The head is small and runs no task. Each of the job's nodes is a worker; the program itself (Ray's driver) runs on one of
//! them. With one node it is given that node's GPUs, as a program that knows nothing of Ray expects; with more it leaves them
//! to its tasks.

use std::collections::BTreeMap;

use millstream_ports::error::{PortError, PortResult};
use serde_json::{Value, json};

use super::{Job, environment, pod, program};
use crate::kind::Kind;

/// Runs the argument list that stands in [`ARGUMENTS`]. KubeRay and Ray hand an entry point through two shells, and between
/// them it is quoted in ways that differ by release; this text means the same in each, and the list sees none.
const ENTRYPOINT: &str =
    "python -c \"import json, os; run = json.loads(os.environ['MILLSTREAM_ARGUMENTS']); os.execvp(run[0], run)\"";

/// The program and its arguments, as JSON.
const ARGUMENTS: &str = "MILLSTREAM_ARGUMENTS";

/// A resource of Ray's that workers have and the head has not: it keeps the program from the head and costs no CPU.
const WORKER: &str = "millstream_worker";

/// As KubeRay takes custom resources: JSON in the quotes of a shell.
fn worker_resource() -> String {
    format!("'{{\"{WORKER}\": 1}}'")
}

pub(super) fn spec(job: &Job<'_>) -> PortResult<Value> {
    let compute = job.compute();
    let runs = program::runs(job, Kind::RayJob)?;
    if runs.command.is_empty() {
        return Err(PortError::invalid("command: it is missing; a RayJob has to be told the program in its image"));
    }
    let arguments = serde_json::to_string(&[runs.command, runs.args].concat())
        .map_err(|error| PortError::internal("a list of arguments is no JSON").caused_by(error))?;
    let env = environment::environment(job, &[], &[(ARGUMENTS, arguments)])?;
    let mut cluster = json!({
        "headGroupSpec": head(job, &runs.image),
        "workerGroupSpecs": [workers(job, &runs.image, &env)?],
    });
    if let Some(version) = &job.settings.ray_version {
        cluster["rayVersion"] = json!(version);
    }
    let mut spec = json!({
        "entrypoint": ENTRYPOINT,
        "entrypointResources": format!("{{\"{WORKER}\": 0.001}}"),
        "jobId": job.name,
        "submissionMode": "K8sJobMode",
        "activeDeadlineSeconds": job.training.wall_seconds,
        "backoffLimit": compute.retries,
        // The machines go at once; what is left for whoever wants to look is the submitter's pod with the log.
        "shutdownAfterJobFinishes": true,
        "ttlSecondsAfterFinished": 0,
        "rayClusterSpec": cluster,
        "submitterPodTemplate": submitter(job, &runs.image),
    });
    if let Some(accelerator) = compute.accelerator.filter(|_| compute.nodes == 1) {
        spec["entrypointNumGpus"] = json!(accelerator.count);
    }
    Ok(spec)
}

fn head(job: &Job<'_>, image: &str) -> Value {
    json!({
        "rayStartParams": {"num-cpus": "0", "num-gpus": "0", "dashboard-host": "0.0.0.0"},
        "template": {
            "metadata": {"labels": job.labels},
            "spec": frame(job, json!([{
                "name": "ray-head",
                "image": image,
                "resources": pod::small("1", "4Gi"),
                "securityContext": pod::container_security(),
            }])),
        },
    })
}

fn workers(job: &Job<'_>, image: &str, env: &[Value]) -> PortResult<Value> {
    let compute = job.compute();
    let folders = pod::folders(job);
    let start = BTreeMap::from([("num-cpus", compute.cpu.to_string()), ("resources", worker_resource())]);
    let mut spec = frame(
        job,
        json!([{
            "name": "ray-worker",
            "image": image,
            "env": env,
            "resources": pod::resources(job),
            "securityContext": pod::container_security(),
            "volumeMounts": folders.mounts,
        }]),
    );
    spec["nodeSelector"] = json!(pod::node_selector(job));
    spec["tolerations"] = json!(pod::tolerations(job));
    spec["initContainers"] = json!(pod::copy_container(job, &folders)?);
    spec["volumes"] = json!(folders.volumes);
    Ok(json!({
        "groupName": "node",
        "replicas": compute.nodes,
        "minReplicas": compute.nodes,
        "maxReplicas": compute.nodes,
        "rayStartParams": start,
        "template": {"metadata": pod::metadata(job), "spec": spec},
    }))
}

/// Sends the job to the cluster and prints what comes back.
fn submitter(job: &Job<'_>, image: &str) -> Value {
    let mut spec = frame(
        job,
        json!([{
            "name": "ray-job-submitter",
            "image": image,
            "resources": pod::small("500m", "512Mi"),
            "securityContext": pod::container_security(),
        }]),
    );
    spec["restartPolicy"] = json!("Never");
    json!({"metadata": {"labels": job.labels}, "spec": spec})
}

fn frame(job: &Job<'_>, containers: Value) -> Value {
    json!({
        "serviceAccountName": pod::service_account(job),
        "automountServiceAccountToken": false,
        "securityContext": pod::security(job),
        "containers": containers,
    })
}
