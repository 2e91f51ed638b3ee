//! What the pods of all kinds have in common: where they run, what they may, and which folders they see.

use std::collections::{BTreeMap, BTreeSet};

use millstream_events::compute::Capacity;
use millstream_ports::error::{PortError, PortResult};
use serde_json::{Value, json};

use super::{Job, environment::DATA_FOLDER, program::literal};

/// The resource of NVIDIA's GPUs, and the taint of the nodes that have some.
const GPU: &str = "nvidia.com/gpu";

/// The volume behind [`DATA_FOLDER`].
const DATA_VOLUME: &str = "data";

/// The volume behind `/dev/shm`. The runtime of TrainJobs has one of this name.
const SHARED_MEMORY: &str = "shm";

/// The container that copies the rows.
pub(super) const COPY: &str = "download";

/// The most files, and bytes of their names, that one container is told to copy.
const MOST_FILES: usize = 2_000;
const MOST_BYTES: usize = 100 << 10;

/// A pod's labels and annotations.
pub(super) fn metadata(job: &Job<'_>) -> Value {
    json!({"labels": job.labels, "annotations": {"gke-gcsfuse/volumes": "true"}})
}

/// Which nodes do.
pub(super) fn node_selector(job: &Job<'_>) -> BTreeMap<&'static str, String> {
    let compute = job.compute();
    let mut selector = BTreeMap::new();
    if let Some(accelerator) = compute.accelerator {
        selector.insert("cloud.google.com/gke-accelerator", accelerator.gpu.to_string());
    }
    if let Some(machine) = &compute.machine {
        selector.insert("node.kubernetes.io/instance-type", machine.clone());
    }
    match compute.capacity {
        Capacity::Standard => {}
        Capacity::Spot => drop(selector.insert("cloud.google.com/gke-spot", "true".to_owned())),
        Capacity::FlexStart => drop(selector.insert("cloud.google.com/gke-flex-start", "true".to_owned())),
    }
    selector
}

/// What keeps other pods from such nodes and not these.
pub(super) fn tolerations(job: &Job<'_>) -> Vec<Value> {
    let compute = job.compute();
    let tolerate = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoSchedule"});
    let mut tolerations = Vec::new();
    if compute.accelerator.is_some() {
        tolerations.push(tolerate(GPU));
    }
    match compute.capacity {
        Capacity::Standard => {}
        Capacity::Spot => tolerations.push(tolerate("cloud.google.com/gke-spot")),
        Capacity::FlexStart => tolerations.push(tolerate("cloud.google.com/gke-flex-start")),
    }
    tolerations
}

/// A node's share, asked for and never exceeded.
pub(super) fn resources(job: &Job<'_>) -> Value {
    let compute = job.compute();
    let mut amounts =
        BTreeMap::from([("cpu", compute.cpu.to_string()), ("memory", format!("{}Mi", compute.memory_mib))]);
    if let Some(accelerator) = compute.accelerator {
        amounts.insert(GPU, accelerator.count.to_string());
    }
    json!({"requests": amounts, "limits": amounts})
}

/// A fixed share, for what goes along with a program.
pub(super) fn small(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}})
}

/// The account that the pod is.
pub(super) fn service_account(job: &Job<'_>) -> String {
    job.compute().service_account.clone().unwrap_or_else(|| job.settings.service_account.clone())
}

/// What the pod's programs run as.
pub(super) fn security(job: &Job<'_>) -> Value {
    let user = job.settings.user;
    json!({
        "runAsNonRoot": true,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// What a container may: nothing beyond what any user of a machine may.
pub(super) fn container_security() -> Value {
    json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
}

/// Volumes, and where the program's container sees them.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// The pod's.
    pub(super) volumes: Vec<Value>,
    /// The program's container's.
    pub(super) mounts: Vec<Value>,
    /// The copying container's.
    pub(super) copy_mounts: Vec<Value>,
}

/// `/gcs/BUCKET` for each bucket of the job, `/dev/shm` where its size is said, and the folder of copied rows.
pub(super) fn folders(job: &Job<'_>) -> Folders {
    let training = job.training;
    let mut folders = Folders::default();
    let written: BTreeSet<_> = [training.output.bucket(), training.checkpoints.bucket()].into();
    let read: BTreeSet<_> = training.data.iter().map(|file| file.bucket()).collect();
    for (number, bucket) in written.union(&read).enumerate() {
        let name = format!("gcs-{number}");
        let read_only = !written.contains(bucket);
        let user = job.settings.user;
        folders.volumes.push(json!({
            "name": name,
            "csi": {
                "driver": "gcsfuse.csi.storage.gke.io",
                "readOnly": read_only,
                "volumeAttributes": {
                    "bucketName": bucket,
                    "mountOptions": format!("implicit-dirs,uid={user},gid={user}"),
                },
            },
        }));
        let mount = json!({"name": name, "mountPath": format!("/gcs/{bucket}"), "readOnly": read_only});
        folders.mounts.push(mount.clone());
        folders.copy_mounts.push(mount);
    }
    if let Some(size) = training.compute.shared_memory_mib {
        folders.volumes.push(json!({
            "name": SHARED_MEMORY,
            "emptyDir": {"medium": "Memory", "sizeLimit": format!("{size}Mi")},
        }));
        folders.mounts.push(json!({"name": SHARED_MEMORY, "mountPath": "/dev/shm"}));
    }
    if job.downloads() {
        folders.volumes.push(json!({"name": DATA_VOLUME, "emptyDir": {}}));
        folders.mounts.push(json!({"name": DATA_VOLUME, "mountPath": DATA_FOLDER, "readOnly": true}));
        folders.copy_mounts.push(json!({"name": DATA_VOLUME, "mountPath": DATA_FOLDER}));
    }
    folders
}

/// The rows as files in the mounted buckets, where they are to be copied.
pub(super) fn copied_files(job: &Job<'_>) -> PortResult<Vec<String>> {
    let files: Vec<_> =
        job.training.data.iter().map(|file| format!("/gcs/{}/{}", file.bucket(), file.name())).collect();
    let bytes: usize = files.iter().map(String::len).sum();
    if files.len() > MOST_FILES || bytes > MOST_BYTES {
        return Err(PortError::invalid(format!(
            "compute.data_access: {} files are more than `download` copies; `mount` takes any number",
            files.len()
        )));
    }
    Ok(files)
}

/// The container that copies the rows before the program starts; none where they are only mounted.
pub(super) fn copy_container(job: &Job<'_>, folders: &Folders) -> PortResult<Vec<Value>> {
    if !job.downloads() {
        return Ok(Vec::new());
    }
    let mut command = vec!["cp".to_owned(), "--".to_owned()];
    command.extend(copied_files(job)?.iter().map(|file| literal(file)));
    command.push(format!("{DATA_FOLDER}/"));
    Ok(vec![json!({
        "name": COPY,
        "image": job.settings.copy_image,
        "command": command,
        "resources": small("500m", "256Mi"),
        "securityContext": container_security(),
        "volumeMounts": folders.copy_mounts,
    })])
}
