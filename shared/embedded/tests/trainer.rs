//! Training as real processes. This test program is its own supervisor: see `supervisor_process`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use millstream_embedded::{
    objects::{LocalObjectStore, StoreOptions},
    trainer::{ProcessTrainer, TrainerSettings, supervise},
};
use millstream_events::{
    Fingerprint, StepRef,
    compute::Compute,
    names::ObjectPath,
    work::{DataFormat, Program},
};
use millstream_ports::{
    ErrorKind, ObjectStore, ObjectStoreExt, Precondition, Secret, Trainer, TrainingJob, TrainingState,
    contracts::{self, trainer::Behaviour},
    memory::{MemoryObjectStore, MemorySecrets},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// No test: the supervisor that the others start, which gives it the job's folder as the last argument.
#[test]
#[ignore = "the other tests start it as a process of its own"]
fn supervisor_process() {
    let _ = supervise(Path::new(&std::env::args().next_back().unwrap()));
}

/// A machine with a data folder; a trainer on it can be opened any number of times, as after a restart.
struct Machine {
    root: TempDir,
    store: LocalObjectStore,
    trainer: ProcessTrainer,
}

impl Machine {
    fn new() -> Self {
        Self::with_places(8)
    }

    fn with_places(max_running: usize) -> Self {
        let root = TempDir::new().unwrap();
        let store = LocalObjectStore::open(root.path().join("objects"), StoreOptions::default()).unwrap();
        let trainer = open_trainer(&root, &store, max_running);
        Self { root, store, trainer }
    }

    fn restarted(&self) -> ProcessTrainer {
        open_trainer(&self.root, &self.store, 8)
    }

    fn folder(&self, job: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("jobs").join(job)
    }

    async fn end(&self, job: &str, training: &TrainingJob) -> TrainingState {
        end(&self.trainer, job, training).await
    }

    /// Waits until the program has written `text` to its log.
    async fn says(&self, job: &str, text: &str) {
        while !self.trainer.log(job, 1 << 16).await.unwrap().contains(text) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        for job in fs::read_dir(self.root.path().join("jobs")).unwrap().flatten() {
            end_processes_of(&job.path());
        }
    }
}

fn open_trainer(root: &TempDir, store: &LocalObjectStore, max_running: usize) -> ProcessTrainer {
    trainer_on(root, Arc::new(store.clone()), max_running)
}

fn trainer_on(root: &TempDir, store: Arc<dyn ObjectStore>, max_running: usize) -> ProcessTrainer {
    let this = std::env::current_exe().unwrap();
    let supervisor = [this.as_os_str(), "--ignored".as_ref(), "--exact".as_ref(), "supervisor_process".as_ref()];
    let settings = TrainerSettings {
        supervisor: supervisor.map(ToOwned::to_owned).to_vec(),
        tabular: vec!["/bin/sh".into(), "-c".into(), "echo built in; echo '{}' > $AIP_MODEL_DIR/metrics.json".into()],
        project_dir: root.path().join("project"),
        jobs_dir: root.path().join("jobs"),
        max_running,
    };
    let secrets = MemorySecrets::new();
    secrets.put("crm".parse().unwrap(), Secret::new("open sesame"));
    ProcessTrainer::new(store, Arc::new(secrets), settings).unwrap()
}

/// The ids of the living processes that were started for the job in this folder.
fn processes_of(folder: &Path) -> Vec<i32> {
    let mark = format!("AIP_MODEL_DIR={}/model", folder.canonicalize().unwrap().display());
    let ids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id: &i32| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    })
    .collect()
}

fn end_processes_of(folder: &Path) {
    for id in processes_of(folder) {
        let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
    }
}

async fn end(trainer: &ProcessTrainer, job: &str, training: &TrainingJob) -> TrainingState {
    loop {
        let state = trainer.ensure(job, training).await.unwrap();
        if !state.is_running() {
            return state;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn command(job: &str, program: &[&str]) -> TrainingJob {
    TrainingJob {
        step: StepRef {
            run: "fraud".parse().unwrap(),
            step: "train/fraud".parse().unwrap(),
            fingerprint: Fingerprint::of("train", [job.as_bytes()]),
            attempt: 1,
        },
        model: "fraud".parse().unwrap(),
        program: Program::Command(program.iter().map(ToString::to_string).collect()),
        args: Vec::new(),
        env: BTreeMap::new(),
        data: Vec::new(),
        data_format: DataFormat::Csv,
        output: ObjectPath::new("models", format!("artifacts/{job}")).unwrap(),
        checkpoints: ObjectPath::new("models", format!("artifacts/{job}-checkpoints")).unwrap(),
        compute: Compute::default(),
        wall_seconds: 600,
    }
}

fn shell(job: &str, script: &str) -> TrainingJob {
    command(job, &["/bin/sh", "-c", script])
}

fn failure(state: &TrainingState) -> (&str, &str) {
    let TrainingState::Failed { reason, log_tail, .. } = state else { panic!("{state:?}") };
    (reason, log_tail)
}

#[async_trait]
impl contracts::TrainerPeer for Machine {
    fn trainer(&self) -> &dyn Trainer {
        &self.trainer
    }

    fn store(&self) -> (&dyn ObjectStore, &str) {
        (&self.store, "models")
    }

    fn program(&self, behaviour: Behaviour) -> (Program, Vec<String>) {
        let script = match behaviour {
            Behaviour::Succeeds => "echo started; echo '{\"rows\": 3}' > $AIP_MODEL_DIR/metrics.json",
            Behaviour::Fails => "echo started; echo no such column; exit 1",
            Behaviour::Hangs => "echo started; sleep 3600",
        };
        (Program::Command(vec!["/bin/sh".to_owned(), "-c".to_owned()]), vec![script.to_owned()])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_trainer_contract() {
    contracts::trainer(&Machine::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_model_and_its_log_are_objects_and_its_scratch_files_are_gone() {
    let machine = Machine::new();
    let script = "echo loss 0.1; mkdir $AIP_MODEL_DIR/weights; echo w > $AIP_MODEL_DIR/weights/1.bin; \
                  echo c > $AIP_CHECKPOINT_DIR/c";
    let training = shell("kept", script);
    let state = machine.end("kept", &training).await;
    let log = training.output.join("log.txt").unwrap();
    assert!(matches!(&state, TrainingState::Succeeded { log: Some(kept), .. } if *kept == log), "{state:?}");
    assert_eq!(machine.store.read(&log, 100).await.unwrap(), "loss 0.1\n");
    let weights = training.output.join("weights/1.bin").unwrap();
    assert_eq!(machine.store.read(&weights, 100).await.unwrap(), "w\n");
    for scratch in ["model", "checkpoints", "logs"] {
        assert!(!machine.folder("kept").join(scratch).exists(), "{scratch}");
    }
    assert_eq!(machine.restarted().ensure("kept", &training).await.unwrap(), state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_exits_with_3_has_failed_with_its_code_and_last_words() {
    let machine = Machine::new();
    let state = machine.end("fails", &shell("fails", "echo column 'amount' is missing >&2; exit 3")).await;
    assert_eq!(failure(&state), ("it ended with exit code 3", "column amount is missing\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_has_failed_and_says_what_to_check() {
    let machine = Machine::new();
    let state = machine.end("absent", &command("absent", &["no-such-program", "--fast"])).await;
    let (reason, _) = failure(&state);
    assert!(reason.contains("\"no-such-program\"") && reason.contains("found on PATH"), "{reason}");
    let state = machine.end("empty", &command("empty", &[])).await;
    assert!(failure(&state).0.contains("the command is empty"), "{state:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_a_model_or_with_a_link_in_it_has_failed() {
    let machine = Machine::new();
    let state = machine.end("nothing", &shell("nothing", "true")).await;
    assert!(failure(&state).0.contains("wrote no file into AIP_MODEL_DIR"), "{state:?}");
    let training = shell("link", "ln -s /etc/passwd $AIP_MODEL_DIR/model.onnx");
    let state = machine.end("link", &training).await;
    assert!(failure(&state).0.contains("model.onnx, which is no file"), "{state:?}");
    assert!(!machine.store.exists(&training.output.join("model.onnx").unwrap()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_sees_the_documented_environment_and_nothing_else() {
    let machine = Machine::new();
    let rows = ObjectPath::new("lake", "features.parquet").unwrap();
    machine.store.put(&rows, "rows", Precondition::None).await.unwrap();
    let mut training = command("environment", &["/usr/bin/env"]);
    training.data = vec![rows.clone()];
    training.data_format = DataFormat::Parquet;
    training.env = [("SEED", "7"), ("LANG", "C"), ("AIP_MODEL_DIR", "/elsewhere")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    machine.end("environment", &training).await;
    let log = machine.trainer.log("environment", 1 << 16).await.unwrap();
    let mut seen: BTreeMap<&str, &str> = log.lines().filter_map(|line| line.split_once('=')).collect();
    for inherited in ["PATH", "HOME", "TMPDIR"] {
        let here = std::env::var_os(inherited);
        assert_eq!(seen.remove(inherited), here.as_ref().and_then(|value| value.to_str()), "{inherited}");
    }
    let folder = machine.folder("environment").display().to_string();
    let data = machine.store.local_path(&rows).unwrap().display().to_string();
    let expected = [
        ("AIP_CHECKPOINT_DIR", format!("{folder}/checkpoints")),
        ("AIP_DATA_FORMAT", "parquet".to_owned()),
        ("AIP_MODEL_DIR", format!("{folder}/model")),
        ("AIP_TENSORBOARD_LOG_DIR", format!("{folder}/logs")),
        ("AIP_TRAINING_DATA_URI", data),
        ("LANG", "C".to_owned()),
        ("SEED", "7".to_owned()),
    ];
    let expected: Vec<_> = expected.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_store_that_has_no_files_are_copied_beside_the_job() {
    let machine = Machine::new();
    let store = Arc::new(MemoryObjectStore::new());
    let paths = ["a/part.csv", "b/part.csv"].map(|name| ObjectPath::new("lake", name).unwrap());
    for (path, text) in paths.iter().zip(["one\n", "two\n"]) {
        store.put(path, text, Precondition::None).await.unwrap();
    }
    let trainer = trainer_on(&machine.root, store.clone(), 8);
    let script = "cat $AIP_TRAINING_DATA_URI/* > $AIP_MODEL_DIR/rows.txt";
    let training = TrainingJob { data: paths.to_vec(), ..shell("copied", script) };
    assert!(matches!(end(&trainer, "copied", &training).await, TrainingState::Succeeded { .. }));
    let kept = store.read(&training.output.join("rows.txt").unwrap(), 100).await.unwrap();
    assert_eq!(kept, "one\ntwo\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_program_and_no_file_of_the_job() {
    let machine = Machine::new();
    let mut training = shell("secret", "printf %s \"$CRM\" > $AIP_MODEL_DIR/m");
    training.env = [("CRM".to_owned(), "secret:crm".to_owned())].into();
    assert!(matches!(machine.end("secret", &training).await, TrainingState::Succeeded { .. }));
    let seen = machine.store.read(&training.output.join("m").unwrap(), 100).await.unwrap();
    assert_eq!(seen, "open sesame");
    for file in fs::read_dir(machine.folder("secret")).unwrap().flatten().filter(|file| file.path().is_file()) {
        let text = fs::read(file.path()).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("sesame"), "{}", file.path().display());
    }
    training.env = [("CRM".to_owned(), "secret:absent".to_owned())].into();
    assert_eq!(machine.trainer.ensure("absent", &training).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_files_of_rows_are_a_folder_with_them_and_missing_rows_start_nothing() {
    let machine = Machine::new();
    let paths = ["a/part.csv", "b/part.csv"].map(|name| ObjectPath::new("lake", name).unwrap());
    machine.store.put(&paths[0], "one\n", Precondition::None).await.unwrap();
    let script = "cat $AIP_TRAINING_DATA_URI/*; pwd; touch $AIP_MODEL_DIR/m";
    let training = TrainingJob { data: paths.to_vec(), ..shell("rows", script) };
    assert_eq!(machine.trainer.ensure("rows", &training).await.unwrap_err().kind(), ErrorKind::NotFound);
    machine.store.put(&paths[1], "two\n", Precondition::None).await.unwrap();
    machine.end("rows", &training).await;
    let project = machine.root.path().canonicalize().unwrap().join("project");
    assert_eq!(machine.trainer.log("rows", 1 << 16).await.unwrap(), format!("one\ntwo\n{}\n", project.display()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_recipe_is_the_configured_program() {
    let machine = Machine::new();
    let training = TrainingJob { program: Program::Tabular, ..command("tabular", &[]) };
    assert!(matches!(machine.end("tabular", &training).await, TrainingState::Succeeded { .. }));
    assert_eq!(machine.trainer.log("tabular", 100).await.unwrap(), "built in\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wall_limit_ends_the_whole_tree_also_what_ignores_the_request_or_leaves_the_group() {
    let machine = Machine::new();
    let script = "trap '' TERM; setsid sleep 3600 & sh -c 'sleep 3600' & echo started; while true; do sleep 1; done";
    let training = TrainingJob { wall_seconds: 1, ..shell("wall", script) };
    machine.trainer.ensure("wall", &training).await.unwrap();
    machine.says("wall", "started").await;
    assert!(processes_of(&machine.folder("wall")).len() >= 3);
    let state = machine.end("wall", &training).await;
    assert_eq!(failure(&state).0, "it ran longer than its wall limit of 1 s");
    assert_eq!(processes_of(&machine.folder("wall")), [] as [i32; 0]);
}

/// The program waits for this file, so that a test decides when it ends.
const GATED: &str = "echo started; while [ ! -e go ]; do sleep 0.02; done; touch $AIP_MODEL_DIR/m";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_without_the_platform_and_is_found_again() {
    let machine = Machine::new();
    let training = shell("adopted", GATED);
    machine.trainer.ensure("adopted", &training).await.unwrap();
    machine.says("adopted", "started").await;
    let restarted = machine.restarted();
    let state = restarted.ensure("adopted", &training).await.unwrap();
    assert!(matches!(state, TrainingState::Running { since: Some(_) }), "{state:?}");
    fs::write(machine.root.path().join("project/go"), "").unwrap();
    assert!(matches!(end(&restarted, "adopted", &training).await, TrainingState::Succeeded { .. }));
    assert_eq!(restarted.log("adopted", 1 << 16).await.unwrap(), "started\n");
}

fn supervisor_of(machine: &Machine, job: &str) -> Pid {
    let json = fs::read(machine.folder(job).join("supervisor.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    Pid::from_raw(json["pid"].as_i64().unwrap().try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_supervisor_is_killed_is_started_again_alone_and_with_its_checkpoints() {
    let machine = Machine::new();
    let training = shell("lost", &format!("cat $AIP_CHECKPOINT_DIR/c; echo kept > $AIP_CHECKPOINT_DIR/c; {GATED}"));
    machine.trainer.ensure("lost", &training).await.unwrap();
    machine.says("lost", "started").await;
    let left_behind = processes_of(&machine.folder("lost"));
    kill(supervisor_of(&machine, "lost"), Signal::SIGKILL).unwrap();
    // The ask that finds the lock free starts it again.
    while !machine.trainer.log("lost", 1 << 16).await.unwrap().contains("starts again") {
        assert!(machine.trainer.ensure("lost", &training).await.unwrap().is_running());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    machine.says("lost", "kept").await;
    let running = processes_of(&machine.folder("lost"));
    assert!(left_behind.iter().all(|old| !running.contains(old)), "{left_behind:?} and {running:?}");
    fs::write(machine.root.path().join("project/go"), "").unwrap();
    assert!(matches!(machine.end("lost", &training).await, TrainingState::Succeeded { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_ends_programs_and_the_next_start_runs_them_again() {
    let machine = Machine::new();
    let training = shell("stopped", GATED);
    machine.trainer.ensure("stopped", &training).await.unwrap();
    machine.says("stopped", "started").await;
    machine.trainer.shutdown().await.unwrap();
    assert_eq!(processes_of(&machine.folder("stopped")), [] as [i32; 0]);
    fs::write(machine.root.path().join("project/go"), "").unwrap();
    let restarted = machine.restarted();
    assert!(matches!(end(&restarted, "stopped", &training).await, TrainingState::Succeeded { .. }));
    let log = restarted.log("stopped", 1 << 16).await.unwrap();
    assert_eq!(log.lines().filter(|line| *line == "started").count(), 2, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_jobs_run_than_there_are_places_and_a_waiting_one_can_be_cancelled() {
    let machine = Machine::with_places(1);
    let (first, second) = (shell("first", GATED), shell("second", GATED));
    machine.trainer.ensure("first", &first).await.unwrap();
    for job in ["second", "third"] {
        let state = machine.trainer.ensure(job, &shell(job, GATED)).await.unwrap();
        assert_eq!(state, TrainingState::Running { since: None }, "a job that waits costs nothing");
        assert!(!machine.folder(job).join("job.json").exists(), "{job} waits");
    }
    machine.trainer.cancel("third").await.unwrap();
    assert_eq!(failure(&machine.end("third", &second).await).0, "it was cancelled");
    fs::write(machine.root.path().join("project/go"), "").unwrap();
    assert!(matches!(machine.end("first", &first).await, TrainingState::Succeeded { .. }));
    assert!(matches!(machine.end("second", &second).await, TrainingState::Succeeded { .. }));
}
