//! What a job's pods say: its log, when it began, how its program ended.

use chrono::{DateTime, Utc};
use futures::AsyncReadExt;
use k8s_openapi::{
    api::core::v1::{ContainerState, ContainerStateTerminated, Pod},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Api, api::LogParams};
use millstream_ports::error::PortResult;
use serde_json::Value;

use crate::{errors::port_error, jobs::Jobs, kind::Kind};

/// How much is read of a log at a time, in bytes.
const CHUNK: usize = 16 << 10;

/// The end of the log of the job whose object is `object`, at most `limit` bytes; empty while it has said nothing and once
/// its pods are gone.
pub(crate) async fn tail(jobs: &Jobs, kind: Kind, name: &str, object: &Value, limit: usize) -> PortResult<String> {
    let pods = chiefs(kind, jobs.pods_of(&kind.pods(name, object).chief).await?);
    let api = jobs.pods();
    let mut text = Vec::new();
    // A chief that was started again has several pods; the newest is the first.
    for pod in &pods {
        let left = limit - text.len();
        if left == 0 {
            break;
        }
        let mut earlier = pod_log(&api, kind, pod, left).await?;
        earlier.append(&mut text);
        text = earlier;
    }
    Ok(last_text(&text, limit))
}

/// The pods of the chief, the newest first.
fn chiefs(kind: Kind, pods: Vec<Pod>) -> Vec<Pod> {
    let mut chiefs: Vec<_> = pods.into_iter().filter(|pod| is_chief(kind, pod)).collect();
    chiefs.sort_by_key(|pod| std::cmp::Reverse(pod.metadata.creation_timestamp.as_ref().map(|time| time.0)));
    chiefs
}

/// Whether it is the chief's: node 0 of a TrainJob, the master of a PyTorchJob, what submits a RayJob.
fn is_chief(kind: Kind, pod: &Pod) -> bool {
    let label = |key: &str| pod.metadata.labels.as_ref().and_then(|labels| labels.get(key));
    match kind {
        Kind::TrainJob => {
            // Kubernetes before 1.28 has it as an annotation alone.
            const INDEX: &str = "batch.kubernetes.io/job-completion-index";
            let annotation = || pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(INDEX));
            label(INDEX).or_else(annotation).is_none_or(|index| index == "0")
        }
        Kind::PyTorchJob => {
            label("training.kubeflow.org/replica-type").is_none_or(|replica| replica.eq_ignore_ascii_case("master"))
        }
        Kind::RayJob => true,
    }
}

async fn pod_log(api: &Api<Pod>, kind: Kind, pod: &Pod, limit: usize) -> PortResult<Vec<u8>> {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let container = containers.iter().find(|container| kind.containers().contains(&container.name.as_str()));
    let params = LogParams {
        container: container.map(|container| container.name.clone()),
        // A line has at least one byte. (`limitBytes` counts from the beginning, which is not what is asked for.)
        tail_lines: i64::try_from(limit).ok(),
        ..LogParams::default()
    };
    let what = format!("pod {name}: log");
    let mut stream = match api.log_stream(&name, &params).await {
        Ok(stream) => std::pin::pin!(stream),
        // It waits for its node or its image, or is gone.
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 404) => return Ok(Vec::new()),
        Err(error) => return Err(port_error(&what, error)),
    };
    let (mut text, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    loop {
        let read = stream.read(&mut chunk).await.map_err(|error| {
            millstream_ports::error::PortError::unavailable(format!("{what}: it breaks off")).caused_by(error)
        })?;
        if read == 0 {
            break;
        }
        text.extend_from_slice(&chunk[..read]);
        if text.len() > limit + CHUNK {
            text.drain(..text.len() - limit);
        }
    }
    text.drain(..text.len().saturating_sub(limit));
    Ok(text)
}

/// The last characters that fit into `limit` bytes.
fn last_text(bytes: &[u8], limit: usize) -> String {
    let start = bytes.iter().position(|byte| byte & 0xC0 != 0x80).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[start..]);
    let cut = (text.len().saturating_sub(limit)..=text.len()).find(|at| text.is_char_boundary(*at));
    text[cut.unwrap_or(text.len())..].to_owned()
}

/// The end of a text, at most `limit` bytes.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    last_text(&text.as_bytes()[text.floor_char_boundary(text.len().saturating_sub(limit))..], limit)
}

/// When the first of these pods' programs began.
pub(crate) fn started(kind: Kind, pods: &[Pod]) -> Option<DateTime<Utc>> {
    states(kind, pods)
        .filter_map(|state| {
            let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
            running.or_else(|| state.terminated.as_ref().and_then(|ended| ended.started_at.as_ref()))
        })
        .filter_map(time)
        .min()
}

/// When the last of these pods' programs ended.
pub(crate) fn finished(kind: Kind, pods: &[Pod]) -> Option<DateTime<Utc>> {
    states(kind, pods).filter_map(|state| state.terminated.as_ref()?.finished_at.as_ref()).filter_map(time).max()
}

/// How the chief's program ended: `OOMKilled, exit code 137`.
pub(crate) fn exit(kind: Kind, pods: &[Pod]) -> Option<String> {
    let chiefs: Vec<_> = pods.iter().filter(|pod| is_chief(kind, pod)).cloned().collect();
    let ended: Option<ContainerStateTerminated> =
        states(kind, &chiefs).filter_map(|state| state.terminated.clone()).find(|ended| ended.exit_code != 0);
    ended.map(|ended| match ended.reason.as_deref() {
        None | Some("" | "Error") => format!("exit code {}", ended.exit_code),
        Some(reason) => format!("{reason}, exit code {}", ended.exit_code),
    })
}

/// What the programs' containers are doing, and did before they were started again.
fn states(kind: Kind, pods: &[Pod]) -> impl Iterator<Item = &ContainerState> {
    pods.iter()
        .filter_map(|pod| pod.status.as_ref()?.container_statuses.as_deref())
        .flatten()
        .filter(move |status| kind.containers().contains(&status.name.as_str()))
        .flat_map(|status| status.last_state.iter().chain(&status.state))
}

fn time(time: &Time) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.0.as_second(), 0)
}

/// When an object was created, by the cluster's clock.
pub(crate) fn creation(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Option<DateTime<Utc>> {
    metadata.creation_timestamp.as_ref().and_then(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_cut_between_characters() {
        assert_eq!(last_text("añb".as_bytes(), 3), "ñb");
        assert_eq!(last_text("añb".as_bytes(), 2), "b");
        assert_eq!(last_text(&"ñb".as_bytes()[1..], 10), "b");
        assert_eq!(last_text(b"\xFF\xFFab", 4), "ab");
        assert_eq!(last_text(b"", 4), "");
        assert_eq!((cut("añb", 2), cut("ab", 9), cut("ab", 0)), ("b".to_owned(), "ab".to_owned(), String::new()));
    }
}
