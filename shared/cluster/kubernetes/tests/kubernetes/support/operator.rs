//! Plays an operator and a kubelet: what becomes of a job follows from its program's first argument.
//!
//! `succeeds` writes `metrics.json` into `AIP_MODEL_DIR`; `fails` says `no such column`; `hangs` runs into its deadline.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::SecondsFormat;
use kube::api::ListParams;
use millstream_ports::{
    Clock, SystemClock,
    object_store::{ObjectStore, ObjectStoreExt, Precondition},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Cluster, Kind};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A running operator, ended with this value.
pub(crate) struct Operator {
    task: JoinHandle<()>,
}

impl Operator {
    /// Looks after all jobs of this kind.
    pub(crate) fn start(cluster: &Arc<Cluster>, kind: Kind, store: Arc<dyn ObjectStore>) -> Self {
        let cluster = Arc::clone(cluster);
        Self { task: tokio::spawn(async move { reconcile(&cluster, kind, &*store).await }) }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn reconcile(cluster: &Cluster, kind: Kind, store: &dyn ObjectStore) {
    let mut running: Vec<(String, Instant, u64)> = Vec::new();
    let mut seen = BTreeSet::new();
    loop {
        let objects = cluster.jobs(kind).list(&ListParams::default()).await.unwrap().items;
        let names: BTreeSet<String> = objects.iter().filter_map(|object| object.metadata.name.clone()).collect();
        for gone in seen.difference(&names) {
            for pod in pods(kind, gone) {
                cluster.delete_pod(&pod.name).await;
            }
        }
        running.retain(|(name, ..)| names.contains(name));
        for object in objects {
            let name = object.metadata.name.clone().unwrap();
            if seen.insert(name.clone()) {
                let object = serde_json::to_value(object).unwrap();
                let hangs = begin(cluster, kind, &name, &object, store).await;
                if hangs {
                    running.push((name, Instant::now(), kind.deadline(&object)));
                }
            }
        }
        seen.retain(|name| names.contains(name));
        let mut past = Vec::new();
        running.retain(|(name, since, deadline)| {
            let is_past = since.elapsed() > Duration::from_secs(*deadline);
            if is_past {
                past.push(name.clone());
            }
            !is_past
        });
        for name in past {
            let failed = kind.failed(&name, "DeadlineExceeded", "it was active longer than its deadline", &now());
            cluster.set_status(kind, &name, failed).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Starts the job's pods and does what its program would; whether it goes on running.
async fn begin(cluster: &Cluster, kind: Kind, name: &str, object: &Value, store: &dyn ObjectStore) -> bool {
    let (args, env) = kind.program(object);
    let chief = kind.chief(name);
    let started = now();
    for pod in pods(kind, name) {
        cluster.create_pod(&pod, json!({"running": {"startedAt": started}})).await;
    }
    cluster.set_log(&chief, "started\n");
    cluster.set_status(kind, name, kind.running(name)).await;
    let exit = |code: i32| json!({"terminated": {"exitCode": code, "reason": "Error", "startedAt": started, "finishedAt": now()}});
    match args.first().map(String::as_str) {
        Some("succeeds") => {
            let model: millstream_events::names::ObjectPath = env["AIP_MODEL_DIR"].parse().unwrap();
            let metrics = model.join("metrics.json").unwrap();
            store.put(&metrics, &br#"{"rows": 3}"#[..], Precondition::None).await.unwrap();
            cluster.set_pod(&chief, exit(0)).await;
            cluster.set_status(kind, name, kind.succeeded(name, &now())).await;
            false
        }
        Some("fails") => {
            cluster.set_log(&chief, "started\nno such column\n");
            cluster.set_pod(&chief, exit(1)).await;
            cluster
                .set_status(kind, name, kind.failed(name, "BackoffLimitExceeded", "too many failures", &now()))
                .await;
            false
        }
        Some("hangs") => true,
        other => panic!("{name}: no behaviour in {other:?}"),
    }
}

fn pods(kind: Kind, name: &str) -> Vec<super::jobs::JobPod> {
    let mut pods = vec![kind.chief(name)];
    if kind == Kind::RayJob {
        pods.push(kind.node(name, 0));
    }
    pods
}

fn now() -> String {
    SystemClock.now().to_rfc3339_opts(SecondsFormat::Secs, true)
}
