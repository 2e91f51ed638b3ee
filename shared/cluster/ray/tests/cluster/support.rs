//! What the tests share: a cluster, a folder of buckets, and trainings in it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use millstream_cluster_ray::{Paths, RaySettings, RayTrainer};
use millstream_embedded::objects::{LocalObjectStore, StoreOptions};
use millstream_events::{
    Fingerprint, StepRef,
    compute::{Compute, RunOn},
    names::ObjectPath,
    work::{DataFormat, Program},
};
use millstream_peers::ray::RayCluster;
use millstream_ports::{Secret, SystemClock, Trainer, TrainingJob, TrainingState};
use tempfile::TempDir;

pub(crate) const BUCKET: &str = "models";

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// What has not come about by then never will: far more than a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(600);

/// A trainer on the cluster that the tests of this process share, and its buckets.
pub(crate) struct Site {
    pub(crate) cluster: Arc<RayCluster>,
    pub(crate) trainer: RayTrainer,
    pub(crate) store: LocalObjectStore,
    root: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let cluster = RayCluster::shared();
        let root = TempDir::new().unwrap();
        let store = LocalObjectStore::open(root.path().to_owned(), StoreOptions::default()).unwrap();
        let trainer = RayTrainer::new(settings(&cluster, root.path()), Arc::new(SystemClock)).unwrap();
        Self { cluster, trainer, store, root }
    }

    /// The trainer of another process.
    pub(crate) fn other_trainer(&self) -> RayTrainer {
        RayTrainer::new(settings(&self.cluster, self.root.path()), Arc::new(SystemClock)).unwrap()
    }

    /// A job's folder.
    pub(crate) fn folder(&self, job: &str) -> PathBuf {
        self.root.path().join(BUCKET).join(job)
    }

    pub(crate) async fn end(&self, job: &str, training: &TrainingJob) -> TrainingState {
        end(&self.trainer, job, training).await
    }

    /// Waits until the job's log has `text`.
    pub(crate) async fn says(&self, job: &str, text: &str) {
        until(async || self.trainer.log(job, 1 << 16).await.unwrap().contains(text).then_some(())).await;
    }
}

pub(crate) fn settings(cluster: &RayCluster, root: &Path) -> RaySettings {
    RaySettings {
        token: Some(Secret::new(cluster.token())),
        paths: Paths::Folder(root.canonicalize().unwrap()),
        ..RaySettings::new(cluster.address())
    }
}

pub(crate) fn job(id: &str, command: &[&str]) -> TrainingJob {
    let object = |what: &str| ObjectPath::new(BUCKET, format!("{id}/{what}")).unwrap();
    TrainingJob {
        step: StepRef {
            run: "fraud".parse().unwrap(),
            step: "train/fraud".parse().unwrap(),
            fingerprint: Fingerprint::of("test", [id.as_bytes()]),
            attempt: 1,
        },
        model: "fraud".parse().unwrap(),
        program: Program::Command(command.iter().map(ToString::to_string).collect()),
        args: Vec::new(),
        env: BTreeMap::new(),
        data: Vec::new(),
        data_format: DataFormat::Csv,
        output: object("model"),
        checkpoints: object("checkpoints"),
        compute: Compute { run_on: RunOn::RayCluster, ..Compute::default() },
        wall_seconds: 600,
    }
}

pub(crate) fn shell(id: &str, script: &str) -> TrainingJob {
    job(id, &["/bin/sh", "-c", script])
}

/// A job with a recipe in Python, which the cluster's nodes find in this repository.
pub(crate) fn recipe(id: &str, name: &str, arguments: &[&str]) -> TrainingJob {
    let (python, module) = (RayCluster::python(), format!("{name}.train"));
    let mut training = job(id, &[python.to_str().unwrap(), "-m", &module]);
    training.args = arguments.iter().map(ToString::to_string).collect();
    let recipes = RayCluster::recipes().canonicalize().unwrap().into_os_string().into_string().unwrap();
    training.env = [("PYTHONPATH", recipes.as_str()), ("PYTHONDONTWRITEBYTECODE", "1")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    training
}

pub(crate) fn read_json(file: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

pub(crate) async fn end(trainer: &RayTrainer, job: &str, training: &TrainingJob) -> TrainingState {
    until(async || {
        let state = trainer.ensure(job, training).await.unwrap();
        (!state.is_running()).then_some(state)
    })
    .await
}

/// Waits until it is so.
pub(crate) async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(answer) = look().await {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("what the test waits for came about")
}

pub(crate) fn failure(state: &TrainingState) -> (&str, &str) {
    match state {
        TrainingState::Failed { reason, log_tail, log: None } => (reason, log_tail),
        state => panic!("{state:?}"),
    }
}

pub(crate) fn assert_succeeded(state: &TrainingState) {
    assert!(matches!(state, TrainingState::Succeeded { .. }), "{state:?}");
}
