//! Custom jobs.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use millstream_events::{
    Fingerprint, StepRef,
    compute::{Accelerator, Capacity, Compute, GpuType, RunOn},
    work::{DataFormat, Program},
};
use millstream_gcp_client::{Connection, Emulators, Service};
use millstream_gcp_storage::GcsObjectStore;
use millstream_gcp_vertex::{VertexSettings, VertexTrainer};
use millstream_peers::{fake_gcs::FakeGcs, vertex::FakeVertex};
use millstream_ports::{
    ErrorKind, ObjectStore, SystemClock, Trainer, TrainingJob, TrainingState,
    contracts::{self, TrainerPeer, trainer::Behaviour},
};
use serde_json::{Value, json};

use crate::support::{asked_again, connection, settings};

fn trainer(fake: &FakeVertex) -> VertexTrainer {
    VertexTrainer::new(connection(fake), settings(), Arc::new(SystemClock)).unwrap()
}

fn program(behaviour: &str) -> (Program, Vec<String>) {
    let image = "us-docker.pkg.dev/shop/images/program@sha256:0".to_owned();
    (Program::Image { image, command: vec!["/program".to_owned()] }, vec![behaviour.to_owned()])
}

fn training(behaviour: &str) -> TrainingJob {
    let (program, args) = program(behaviour);
    TrainingJob {
        step: StepRef {
            run: "shop/date=2026-11-24,region=EU".parse().unwrap(),
            step: "train/churn".parse().unwrap(),
            fingerprint: Fingerprint::of("test", [b"churn".as_slice()]),
            attempt: 1,
        },
        model: "churn".parse().unwrap(),
        program,
        args,
        env: BTreeMap::from([("LEVEL".to_owned(), "info".to_owned())]),
        data: vec!["gs://lake/rows/a.csv".parse().unwrap()],
        data_format: DataFormat::Csv,
        output: "gs://models/churn/model".parse().unwrap(),
        checkpoints: "gs://models/churn/checkpoints".parse().unwrap(),
        compute: Compute { run_on: RunOn::Vertex, ..Compute::default() },
        wall_seconds: 3_600,
    }
}

/// Asks until the job has ended.
async fn end(trainer: &VertexTrainer, job: &str, training: &TrainingJob) -> TrainingState {
    for _ in 0..100 {
        match trainer.ensure(job, training).await.unwrap() {
            TrainingState::Running { .. } => {}
            ended => return ended,
        }
    }
    panic!("{job} does not end");
}

fn jobs(fake: &FakeVertex) -> Vec<Value> {
    fake.seen()["jobs"].as_array().unwrap().clone()
}

#[tokio::test]
async fn deployments_that_share_a_project_have_jobs_of_their_own() {
    let fake = FakeVertex::start(None);
    let ours = trainer(&fake);
    let theirs_settings = VertexSettings { bucket: "their-models".to_owned(), ..settings() };
    let theirs = VertexTrainer::new(connection(&fake), theirs_settings, Arc::new(SystemClock)).unwrap();
    ours.ensure("same-content", &training("hangs")).await.unwrap();
    theirs.ensure("same-content", &training("hangs")).await.unwrap();
    assert_eq!(jobs(&fake).len(), 2);
    theirs.cancel("same-content").await.unwrap();
    end(&theirs, "same-content", &training("hangs")).await;
    assert!(ours.ensure("same-content", &training("hangs")).await.unwrap().is_running());
    assert_eq!(jobs(&fake).len(), 2);
}

struct Peer {
    /// Kept for its end.
    _fake: FakeVertex,
    _gcs: Arc<FakeGcs>,
    trainer: VertexTrainer,
    store: GcsObjectStore,
    bucket: &'static str,
}

#[async_trait]
impl TrainerPeer for Peer {
    fn trainer(&self) -> &dyn Trainer {
        &self.trainer
    }

    fn store(&self) -> (&dyn ObjectStore, &str) {
        (&self.store, self.bucket)
    }

    fn program(&self, behaviour: Behaviour) -> (Program, Vec<String>) {
        program(match behaviour {
            Behaviour::Succeeds => "succeeds",
            Behaviour::Fails => "fails",
            Behaviour::Hangs => "hangs",
        })
    }

    fn run_on(&self) -> RunOn {
        RunOn::Vertex
    }
}

impl Peer {
    async fn start(bucket: &'static str) -> Self {
        let gcs = FakeGcs::shared();
        gcs.create_bucket(bucket);
        let fake = FakeVertex::start(Some(&gcs.url()));
        let elsewhere = [Service::PubSub, Service::BigQuery].into_iter();
        let emulators = elsewhere.fold(Emulators::default(), |all, service| all.with(service, "127.0.0.1:1"));
        let storage = Connection::new("shop", emulators.with(Service::Storage, &gcs.url())).unwrap();
        let store = GcsObjectStore::connect(&storage).await.unwrap();
        Self { trainer: trainer(&fake), _fake: fake, _gcs: gcs, store, bucket }
    }
}

#[tokio::test]
async fn vertex_ai_keeps_the_contract_of_trainers() {
    contracts::trainer(&Peer::start("vertex-trainings").await).await;
}

/// Whatever Vertex AI calls a job whose time is over.
#[tokio::test]
async fn a_job_past_its_wall_limit_has_failed_in_each_of_its_states() {
    let fake = FakeVertex::start(None);
    let trainer = trainer(&fake);
    for state in ["JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"] {
        fake.control(&json!({"timeoutState": state}));
        let training = TrainingJob { wall_seconds: 1, ..training("hangs") };
        let job = state.to_lowercase();
        trainer.ensure(&job, &training).await.unwrap();
        fake.control(&json!({"jobs": {&job: {"state": "JOB_STATE_RUNNING", "startTime": "2026-11-24T12:00:00Z"}}}));
        let ended = end(&trainer, &job, &training).await;
        assert!(
            matches!(&ended, TrainingState::Failed { reason, .. } if reason.contains("wall limit of 1 s")),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn a_waiting_job_costs_nothing_and_a_running_one_since_it_began() {
    let fake = FakeVertex::start(None);
    let trainer = trainer(&fake);
    let training = TrainingJob { wall_seconds: 1_000_000_000, ..training("hangs") };
    assert_eq!(trainer.ensure("waits", &training).await.unwrap(), TrainingState::Running { since: None });
    let began = "2026-11-24T12:00:00Z";
    fake.control(&json!({"jobs": {"waits": {"state": "JOB_STATE_RUNNING", "startTime": began}}}));
    let since = Some(began.parse().unwrap());
    assert_eq!(trainer.ensure("waits", &training).await.unwrap(), TrainingState::Running { since });
    let end = "2026-11-24T12:30:00.5Z";
    fake.control(&json!({"jobs": {"waits": {"state": "JOB_STATE_SUCCEEDED", "endTime": end}}}));
    let succeeded = TrainingState::Succeeded { seconds: 1_800.5, log: None };
    assert_eq!(trainer.ensure("waits", &training).await.unwrap(), succeeded);
}

#[tokio::test]
async fn what_is_asked_for_is_in_the_custom_job() {
    let fake = FakeVertex::start(None);
    let trainer = trainer(&fake);
    let compute = Compute {
        run_on: RunOn::Vertex,
        nodes: 3,
        processes_per_node: 2,
        cpu: 4,
        accelerator: Some(Accelerator { gpu: GpuType::L4, count: 2 }),
        capacity: Capacity::Spot,
        service_account: Some("trainer@shop.iam.gserviceaccount.com".to_owned()),
        retries: 2,
        ..Compute::default()
    };
    trainer.ensure("5f1d-a2", &TrainingJob { compute, ..training("hangs") }).await.unwrap();
    for capacity in [Capacity::Standard, Capacity::FlexStart] {
        let compute = Compute { run_on: RunOn::Vertex, capacity, ..Compute::default() };
        let training = TrainingJob { compute, program: Program::Tabular, ..training("hangs") };
        trainer.ensure(&format!("bought-{capacity}"), &training).await.unwrap();
    }
    let jobs = jobs(&fake);
    let [spot, standard, flex] = jobs.as_slice() else { panic!("{jobs:?}") };
    assert_eq!(spot["displayName"], "5f1d-a2");
    assert_eq!(spot["labels"]["millstream_run"], "date_2026-11-24_region_eu");
    assert_eq!(spot["jobSpec"]["serviceAccount"], "trainer@shop.iam.gserviceaccount.com");
    let pools = spot["jobSpec"]["workerPoolSpecs"].as_array().unwrap();
    assert_eq!((&pools[0]["replicaCount"], &pools[1]["replicaCount"]), (&json!("1"), &json!("2")));
    let machine = json!({"machineType": "g2-standard-24", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 2});
    assert_eq!(pools[1]["machineSpec"], machine);
    let bought = |job: &Value| job["jobSpec"]["scheduling"]["strategy"].clone();
    assert_eq!([bought(spot), bought(standard), bought(flex)], ["SPOT", "STANDARD", "FLEX_START"]);
    assert_eq!(spot["jobSpec"]["scheduling"]["restartJobOnWorkerRestart"], true);
    let container = &standard["jobSpec"]["workerPoolSpecs"][0]["containerSpec"];
    assert_eq!(container["command"], json!(["millstream", "recipe", "tabular"]));
}

#[tokio::test]
async fn what_is_refused_is_refused_before_anything_is_created() {
    let fake = FakeVertex::start(None);
    let trainer = trainer(&fake);
    let mut queued = training("hangs");
    queued.compute.queue = Some("gpus".to_owned());
    let error = trainer.ensure("queued", &queued).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().starts_with("compute.queue"), "{error}");
    assert_eq!(fake.seen()["requests"], json!([]));
}

/// Each has looked before the other's job was there, and a new job is not listed at once.
#[tokio::test]
async fn of_two_jobs_created_at_once_the_older_one_is_ours_and_the_other_is_cancelled() {
    let fake = FakeVertex::start(None);
    let (one, other) = (trainer(&fake), trainer(&fake));
    let training = training("hangs");
    fake.control(&json!({"listLag": 6}));
    one.ensure("raced", &training).await.unwrap();
    other.ensure("raced", &training).await.unwrap();
    assert_eq!(fake.asked("CreateCustomJob"), 2);
    for _ in 0..8 {
        for trainer in [&one, &other] {
            assert!(trainer.ensure("raced", &training).await.unwrap().is_running());
        }
    }
    let jobs = jobs(&fake);
    let states: Vec<&Value> = jobs.iter().map(|job| &job["state"]).collect();
    assert_eq!(states, ["JOB_STATE_RUNNING", "JOB_STATE_CANCELLED"]);
    // The one that was cancelled says nothing of ours.
    fake.control(&json!({"jobs": {"raced": {"state": "JOB_STATE_SUCCEEDED"}}}));
    assert!(matches!(one.ensure("raced", &training).await.unwrap(), TrainingState::Succeeded { .. }));
}

/// The request was lost, or its answer was.
#[tokio::test]
async fn a_call_that_is_cut_off_anywhere_leaves_one_job() {
    let fake = FakeVertex::start(None);
    let training = training("succeeds");
    for after in [false, true] {
        for n in 1.. {
            fake.control(&json!({"begin": true}));
            fake.control(&json!({"failAt": {"n": n, "after": after}}));
            let mut running = true;
            while running {
                // Each ask may come to another process.
                running = asked_again(async || trainer(&fake).ensure("cut-off", &training).await).await.is_running();
            }
            assert_eq!(jobs(&fake)[0]["state"], "JOB_STATE_SUCCEEDED");
            assert_eq!(jobs(&fake).len(), 1, "request {n}, after its effect: {after}");
            if !fake.seen()["failAt"].is_null() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_failure_is_told_with_vertex_ais_words_even_where_its_log_cannot_be_read() {
    let fake = FakeVertex::start(None);
    let trainer = trainer(&fake);
    let training = training("fails");
    let ended = end(&trainer, "fails", &training).await;
    let TrainingState::Failed { reason, log_tail, log } = ended else { panic!("{ended:?}") };
    assert!(reason.contains("non-zero status of 1"), "{reason}");
    assert_eq!((log_tail.as_str(), log), ("started\nno such column\n", None));
    fake.control(&json!({"failures": [{"method": "ListLogEntries", "status": "PERMISSION_DENIED"}]}));
    let again = trainer.ensure("fails", &training).await.unwrap();
    assert!(matches!(&again, TrainingState::Failed { log_tail, .. } if log_tail.is_empty()), "{again:?}");
}

#[tokio::test]
async fn a_log_is_read_page_by_page_until_there_is_enough() {
    let fake = FakeVertex::start(None);
    let trainer = trainer(&fake);
    end(&trainer, "paged", &training("fails")).await;
    fake.control(&json!({"logPage": 1}));
    assert_eq!(trainer.log("paged", 1_000).await.unwrap(), "started\nno such column\n");
    let before = fake.asked("ListLogEntries");
    assert_eq!(trainer.log("paged", 7).await.unwrap(), "column\n");
    assert_eq!(fake.asked("ListLogEntries"), before + 1, "the last page was enough");
}

#[tokio::test]
async fn a_refusal_of_the_service_is_of_the_kind_that_says_what_to_do() {
    let fake = FakeVertex::start(None);
    let trainer = trainer(&fake);
    for (status, kind) in [
        ("PERMISSION_DENIED", ErrorKind::Denied),
        ("INVALID_ARGUMENT", ErrorKind::Invalid),
        ("UNAVAILABLE", ErrorKind::Unavailable),
    ] {
        let failure = json!({"method": "CreateCustomJob", "status": status, "message": "Not so."});
        fake.control(&json!({"failures": [failure]}));
        let error = trainer.ensure("refused", &training("succeeds")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("Not so"), "{error}");
    }
    fake.control(&json!({"failures": [{"method": "CreateCustomJob", "status": "RESOURCE_EXHAUSTED"}]}));
    let error = trainer.ensure("refused", &training("succeeds")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Quota { .. }), "{error}");
}
