//! `train-model` on memory ports: one training, however often it is asked for and whatever gets lost.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

use millstream_events::{
    Command, Envelope, Event, Fingerprint, StepRef,
    compute::{Accelerator, Compute, GpuType, RunOn},
    fact::{ModelTrained, Outcome},
    names::ObjectPath,
    work::{DataFormat, LoadTable, Program, TableLayout, TrainModel as Train, Work, WriteMode},
};
use millstream_ports::{
    ObjectStore, ObjectStoreExt, Precondition, SystemClock, Warehouse,
    memory::{ManualClock, MemoryBus, MemoryObjectStore, MemoryTrainer, MemoryWarehouse, TrainingEnd},
};
use millstream_prices::Book;
use millstream_runtime::{Ack, Failure, Function, Handler, Progress, StepHandler};
use millstream_train_model::{BackEnds, TrainModel};

const BATCH: &str = "gs://lake/batch.jsonl";

struct World {
    store: Arc<MemoryObjectStore>,
    warehouse: Arc<MemoryWarehouse>,
    trainer: Arc<MemoryTrainer>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new(trainer: impl FnOnce(MemoryTrainer) -> MemoryTrainer) -> Self {
        let store = Arc::new(MemoryObjectStore::new());
        let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
        Self {
            warehouse: Arc::new(MemoryWarehouse::new(store.clone())),
            trainer: Arc::new(trainer(MemoryTrainer::new(store.clone(), clock.clone()))),
            clock,
            store,
        }
    }

    fn ending(end: TrainingEnd) -> Self {
        Self::new(|trainer| trainer.scripted(move |_, _, _| end.clone()))
    }

    async fn with_rows(self) -> Self {
        self.load("first").await;
        self
    }

    async fn load(&self, job: &str) {
        let batch: ObjectPath = BATCH.parse().unwrap();
        self.store.put(&batch, "{\"x\":1}\n{\"x\":2}\n", Precondition::None).await.unwrap();
        let load = LoadTable {
            batches: vec![batch],
            table: "production.features".parse().unwrap(),
            columns: Vec::new(),
            write: WriteMode::Append,
            layout: TableLayout::default(),
            sequence: 1,
            uploaded: None,
            deletes: false,
        };
        self.warehouse.ensure_load(job, &load).await.unwrap();
    }

    fn function(&self) -> TrainModel {
        let local = BackEnds::new().with(RunOn::Local, self.trainer.clone());
        self.function_on(local.with(RunOn::Vertex, self.trainer.clone()))
    }

    fn function_on(&self, back_ends: BackEnds) -> TrainModel {
        let prices = Arc::new(Book::open("list-2026-07").unwrap());
        TrainModel::new(self.warehouse.clone(), back_ends, self.store.clone(), self.clock.clone(), prices)
    }
}

fn command() -> Command<Train> {
    let work = Train {
        model: "churn".parse().unwrap(),
        data: "production.features".parse().unwrap(),
        data_format: DataFormat::Jsonl,
        target: Some("churned".into()),
        program: Program::Tabular,
        args: Vec::new(),
        env: BTreeMap::new(),
        wall_seconds: 60,
        compute: Compute::default(),
        output: "gs://models/churn/1".parse().unwrap(),
        checkpoints: None,
    };
    let step = StepRef {
        run: "shop".parse().unwrap(),
        step: "train/churn".parse().unwrap(),
        fingerprint: Fingerprint::of("train", []),
        attempt: 1,
    };
    Command { step, work }
}

fn trained(progress: Progress) -> ModelTrained {
    match progress {
        Progress::Done(Outcome::ModelTrained(trained)) => trained,
        other => panic!("not done: {other:?}"),
    }
}

fn why_pending(progress: Progress) -> String {
    match progress {
        Progress::Pending { reason, .. } => reason,
        done @ Progress::Done(_) => panic!("{done:?}"),
    }
}

fn permanent(failure: Failure) -> millstream_events::fact::Reason {
    match failure {
        Failure::Permanent(reason) => reason,
        Failure::Retry(error) => panic!("would be retried: {error}"),
    }
}

fn metrics_file(json: &'static str) -> TrainingEnd {
    TrainingEnd::Succeeds(vec![("metrics.json".to_owned(), Bytes::from_static(json.as_bytes()))])
}

#[tokio::test]
async fn a_training_asked_for_again_runs_once_and_says_the_same() {
    let world = World::ending(metrics_file(r#"{"metrics": {"accuracy": 0.9}}"#)).with_rows().await;
    let function = world.function();
    let first = trained(function.ensure(&command()).await.unwrap());
    assert_eq!(first.metrics, BTreeMap::from([("accuracy".to_owned(), 0.9)]));
    assert_eq!(first.artifact, command().work.output);
    assert_eq!(trained(function.ensure(&command()).await.unwrap()), first);
    assert_eq!(world.trainer.starts(&command().step.job_id()), 1);
}

#[tokio::test]
async fn the_rows_are_those_of_the_first_ask_though_the_table_goes_on() {
    let world = World::new(|trainer| trainer.slow(1)).with_rows().await;
    let function = world.function();
    assert_eq!(why_pending(function.ensure(&command()).await.unwrap()), "churn is being trained on local");
    let rows = "gs://models/churn/1-data/train.jsonl".parse().unwrap();
    let before = world.store.stat(&rows).await.unwrap();
    world.load("second").await;
    trained(function.ensure(&command()).await.unwrap());
    assert_eq!(world.store.stat(&rows).await.unwrap(), before);
}

#[tokio::test]
async fn a_table_that_is_not_there_yet_is_waited_for_and_nothing_is_started() {
    let world = World::new(|trainer| trainer);
    let reason = why_pending(world.function().ensure(&command()).await.unwrap());
    assert_eq!(reason, "waits for production.features");
    assert!(world.trainer.all_starts().is_empty());
}

#[tokio::test]
async fn a_lost_training_is_no_success_and_is_started_again() {
    let world = World::new(|trainer| {
        trainer.scripted(|_, _, start| match start {
            1 => TrainingEnd::IsLost,
            _ => TrainingEnd::with_metrics(&BTreeMap::new()),
        })
    })
    .with_rows()
    .await;
    let function = world.function();
    assert!(why_pending(function.ensure(&command()).await.unwrap()).contains("lost"));
    trained(function.ensure(&command()).await.unwrap());
    assert_eq!(world.trainer.starts(&command().step.job_id()), 2);
}

#[tokio::test]
async fn a_failed_training_is_a_permanent_failure_with_the_end_of_its_log() {
    let end = TrainingEnd::Fails { reason: "exit code 1".into(), log_tail: "ValueError: no rows".into() };
    let world = World::ending(end).with_rows().await;
    let reason = permanent(world.function().ensure(&command()).await.unwrap_err());
    assert_eq!(reason.message, "the training of churn failed: exit code 1");
    assert!(reason.detail.unwrap().ends_with("ValueError: no rows"));
    permanent(world.function().ensure(&command()).await.unwrap_err());
    assert_eq!(world.trainer.starts(&command().step.job_id()), 1, "failing is final: only a retry starts it again");
}

#[tokio::test]
async fn a_training_without_metrics_is_kept_without_numbers() {
    let world = World::ending(TrainingEnd::Succeeds(Vec::new())).with_rows().await;
    assert!(trained(world.function().ensure(&command()).await.unwrap()).metrics.is_empty());
}

#[tokio::test]
async fn metrics_that_cannot_be_read_are_a_permanent_failure_that_keeps_the_file() {
    let world = World::ending(metrics_file("{\"accuracy\": NaN}")).with_rows().await;
    let reason = permanent(world.function().ensure(&command()).await.unwrap_err());
    assert!(reason.message.starts_with("gs://models/churn/1/metrics.json cannot be read"), "{}", reason.message);
    assert_eq!(reason.kept, ["gs://models/churn/1/metrics.json".parse().unwrap()]);
}

#[tokio::test]
async fn redelivered_commands_publish_one_and_the_same_fact() {
    let world = World::new(|trainer| trainer.slow(1)).with_rows().await;
    let bus = Arc::new(MemoryBus::new());
    let handler = StepHandler::new(world.function(), bus.clone(), Arc::new(SystemClock));
    let Command { step, work } = command();
    let event = Event::Command(Command { step, work: Work::TrainModel(work) });
    let delivery = Envelope { event, time: "2026-01-01T00:00:00Z".parse().unwrap(), traceparent: None };
    assert!(matches!(handler.handle(&delivery).await, Ack::Pending { .. }));
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    let facts = bus.events();
    assert_eq!(facts.len(), 2);
    assert_eq!(facts[0], facts[1]);
    assert_eq!(world.trainer.all_starts().into_values().collect::<Vec<_>>(), [1]);
}

/// The command with its training on one L4 of Vertex AI, 0.81 USD an hour.
fn on_vertex(expected_seconds: u64, max_cost_usd: f64) -> Command<Train> {
    let mut command = command();
    command.work.compute = Compute {
        run_on: RunOn::Vertex,
        accelerator: Some(Accelerator { gpu: GpuType::L4, count: 1 }),
        expected_seconds: Some(expected_seconds),
        max_cost_usd: Some(max_cost_usd),
        ..Compute::default()
    };
    command.work.wall_seconds = 24 * 3_600;
    command
}

#[tokio::test]
async fn a_training_estimated_above_its_limit_starts_nothing() {
    let world = World::new(|trainer| trainer).with_rows().await;
    let reason = permanent(world.function().ensure(&on_vertex(7_200, 1.0)).await.unwrap_err());
    assert!(reason.message.starts_with("limits.cost_usd: 7200 s"), "{}", reason.message);
    assert!(world.trainer.all_starts().is_empty());
    let rows = "gs://models/churn/1-data/train.jsonl".parse().unwrap();
    assert!(world.store.stat(&rows).await.is_err(), "no rows are exported for it");
}

#[tokio::test]
async fn a_training_that_has_cost_too_much_is_ended_and_stays_so() {
    let world = World::ending(TrainingEnd::Hangs).with_rows().await;
    let (function, command) = (world.function(), on_vertex(60, 1.0));
    assert_eq!(why_pending(function.ensure(&command).await.unwrap()), "churn is being trained on vertex");
    world.clock.advance(Duration::from_secs(2 * 3_600));
    let reason = permanent(function.ensure(&command).await.unwrap_err());
    assert!(reason.message.contains("it has cost 1.63 USD and may cost 1.00"), "{}", reason.message);
    assert_eq!(reason.kept, ["gs://models/churn/1/log.txt".parse().unwrap()]);
    let again = permanent(function.ensure(&command).await.unwrap_err());
    assert!(again.message.contains("cancelled"), "{}", again.message);
    assert_eq!(world.trainer.starts(&command.step.job_id()), 1);
}

#[tokio::test]
async fn what_a_training_cost_is_part_of_its_fact_and_so_is_its_log() {
    let world = World::new(|trainer| trainer.slow(1)).with_rows().await;
    let (function, command) = (world.function(), on_vertex(3_600, 1.0));
    function.ensure(&command).await.unwrap();
    world.clock.advance(Duration::from_secs(30 * 60));
    let trained = trained(function.ensure(&command).await.unwrap());
    let cost = trained.cost.unwrap();
    assert!((cost.usd - 0.706_832 * 1.15 / 2.0).abs() < 1e-9, "{cost:?}");
    assert!((cost.estimated_usd.unwrap() - 0.706_832 * 1.15).abs() < 1e-9, "{cost:?}");
    let log = world.store.read(&trained.log.unwrap(), 1_000).await.unwrap();
    assert_eq!(&log[..], b"started\n");
}

#[tokio::test]
async fn a_back_end_that_is_not_set_up_is_told_unless_this_machine_stands_in() {
    let world = World::new(|trainer| trainer).with_rows().await;
    let mut command = command();
    command.work.compute.run_on = RunOn::Ray;
    let reason = permanent(world.function().ensure(&command).await.unwrap_err());
    assert!(reason.message.starts_with("run_on: nothing here trains on ray;"), "{}", reason.message);
    let laptop = BackEnds::new().with(RunOn::Local, world.trainer.clone()).or_local();
    let trained = trained(world.function_on(laptop).ensure(&command).await.unwrap());
    assert_eq!(trained.cost, None, "it ran here");
}
