//! What the in-memory versions do beyond their contracts, because tests and the simulation build on it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::DateTime;
use millstream_events::{
    Fingerprint, StepRef,
    compute::Compute,
    names::{ModelName, ObjectPath, TableName},
    work::{DataFormat, LoadTable, Program, TableLayout, TransformTable, WriteMode},
};
use millstream_ports::{
    Clock, Deployed, EndpointState, Endpoints, ErrorKind, JobState, ModelRegistry, NewVersion, ObjectStoreExt,
    Precondition, Scorer, ServingStats, Trainer, TrainingJob, TrainingState, Warehouse,
    memory::{ManualClock, MemoryModels, MemoryObjectStore, MemoryTrainer, MemoryWarehouse, TrainingEnd},
};
use serde_json::json;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(DateTime::from_timestamp(1_790_000_000, 0).unwrap()))
}

fn path(name: &str) -> ObjectPath {
    ObjectPath::new("lake", name).unwrap()
}

fn table(name: &str) -> TableName {
    name.parse().unwrap()
}

async fn warehouse() -> MemoryWarehouse {
    let store = Arc::new(MemoryObjectStore::new());
    for name in ["a.parquet", "b.parquet"] {
        store.put(&path(name), b"PAR1".to_vec(), Precondition::None).await.unwrap();
    }
    MemoryWarehouse::new(store)
}

fn append(batch: &str) -> LoadTable {
    LoadTable {
        batches: vec![path(batch)],
        table: table("source.t"),
        columns: Vec::new(),
        write: WriteMode::Append,
        layout: TableLayout::default(),
        sequence: 1,
        uploaded: None,
        deletes: false,
    }
}

fn transform(sql: &str) -> TransformTable {
    TransformTable {
        table: table("staging.t"),
        sql: sql.to_owned(),
        inputs: vec![table("source.t")],
        write: WriteMode::Replace,
        layout: TableLayout::default(),
        expect: Vec::new(),
    }
}

#[test]
fn a_manual_clock_stands_until_it_is_moved() {
    let clock = clock();
    let start = clock.now();
    assert_eq!(clock.now(), start);
    clock.advance(Duration::from_millis(1_500));
    assert_eq!((clock.now() - start).num_milliseconds(), 1_500);
    clock.set(start);
    assert_eq!(clock.now(), start);
}

#[tokio::test]
async fn warehouses_hold_the_same_when_the_same_went_in_whatever_the_order() {
    let (one, two) = (warehouse().await, warehouse().await);
    for (job, batch) in [("a", "a.parquet"), ("b", "b.parquet"), ("a", "a.parquet")] {
        one.ensure_load(job, &append(batch)).await.unwrap();
    }
    for (job, batch) in [("b", "b.parquet"), ("a", "a.parquet")] {
        two.ensure_load(job, &append(batch)).await.unwrap();
    }
    for warehouse in [&one, &two] {
        warehouse.ensure_transform("t", &transform("SELECT 1")).await.unwrap();
    }
    for name in ["source.t", "staging.t"] {
        assert!(!one.content(&table(name)).is_empty());
        assert_eq!(one.content(&table(name)), two.content(&table(name)));
    }
    let committed = |job: &str, name: &str| (job.to_owned(), table(name));
    assert_eq!(one.commits(), [committed("a", "source.t"), committed("b", "source.t"), committed("t", "staging.t")]);
}

#[tokio::test]
async fn a_transform_over_other_inputs_or_other_sql_gives_something_else() {
    let warehouse = warehouse().await;
    let mut seen = Vec::new();
    for (job, batch, sql) in
        [("1", "a.parquet", "SELECT 1"), ("2", "b.parquet", "SELECT 1"), ("3", "b.parquet", "SELECT 2")]
    {
        warehouse.ensure_load(batch.trim_end_matches(".parquet"), &append(batch)).await.unwrap();
        warehouse.ensure_transform(job, &transform(sql)).await.unwrap();
        let content = warehouse.content(&table("staging.t"));
        assert!(!seen.contains(&content), "{content:?}");
        seen.push(content);
    }
}

#[tokio::test]
async fn a_slow_warehouse_answers_running_as_often_as_it_is_told() {
    let warehouse = warehouse().await.slow(2);
    for _ in 0..2 {
        assert_eq!(warehouse.ensure_load("a", &append("a.parquet")).await.unwrap(), JobState::Running);
        assert!(warehouse.commits().is_empty());
    }
    assert!(matches!(warehouse.ensure_load("a", &append("a.parquet")).await.unwrap(), JobState::Done(_)));
}

#[tokio::test]
async fn queries_and_malformed_job_ids_are_refused_in_memory() {
    let warehouse = warehouse().await;
    assert_eq!(warehouse.query("SELECT 1", 1).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(warehouse.ensure_load("a/b", &append("a.parquet")).await.unwrap_err().kind(), ErrorKind::Invalid);
}

fn training() -> TrainingJob {
    TrainingJob {
        step: StepRef {
            run: "fraud".parse().unwrap(),
            step: "train/fraud".parse().unwrap(),
            fingerprint: Fingerprint::of("train", []),
            attempt: 1,
        },
        model: "fraud".parse().unwrap(),
        program: Program::Tabular,
        args: Vec::new(),
        env: BTreeMap::new(),
        data: Vec::new(),
        data_format: DataFormat::Csv,
        output: path("model"),
        checkpoints: path("checkpoints"),
        compute: Compute::default(),
        wall_seconds: 60,
    }
}

#[tokio::test]
async fn a_lost_training_is_started_again_by_the_next_ask() {
    let store = Arc::new(MemoryObjectStore::new());
    let trainer = MemoryTrainer::new(store.clone(), clock()).slow(1).scripted(|_, _, start| match start {
        1 => TrainingEnd::IsLost,
        _ => TrainingEnd::with_metrics(&BTreeMap::from([("auc_pr".to_owned(), 0.8)])),
    });
    let mut states = Vec::new();
    for _ in 0..4 {
        states.push(trainer.ensure("job", &training()).await.unwrap());
    }
    assert!(states[0].is_running() && states[1] == TrainingState::Lost && states[2].is_running(), "{states:?}");
    assert!(matches!(states[3], TrainingState::Succeeded { .. }), "{states:?}");
    assert_eq!(trainer.starts("job"), 2);
    assert_eq!(trainer.all_starts(), BTreeMap::from([("job".to_owned(), 2)]));
    assert_eq!(&store.read(&path("model/metrics.json"), 1_000).await.unwrap()[..], br#"{"auc_pr":0.8}"#);
}

async fn canary(models: &MemoryModels) -> EndpointState {
    let model: ModelName = "fraud".parse().unwrap();
    let mut deployed = Vec::new();
    for (training, traffic) in [("a", 90), ("b", 10)] {
        let new = NewVersion {
            model: model.clone(),
            fingerprint: Fingerprint::of("test", [training.as_bytes()]),
            run: "fraud".parse().unwrap(),
            sequence: 1,
            data: table("production.features"),
            artifact: path(training),
            metrics: BTreeMap::new(),
            cost: None,
        };
        let version = models.ensure_version(&new).await.unwrap().version;
        deployed.push(Deployed { model: model.clone(), version, traffic });
    }
    let state = EndpointState {
        endpoint: model,
        deployed,
        since: clock().now(),
        by: "test".to_owned(),
        previous: Vec::new(),
        moves: Vec::new(),
        revision: 0,
    };
    models.set(&state, None).await.unwrap()
}

#[tokio::test]
async fn predictions_are_shared_out_by_traffic_and_counted() {
    let models = MemoryModels::new(clock());
    let state = canary(&models).await;
    models.break_version(&state.endpoint, 2);
    let mut failed = 0;
    for _ in 0..200 {
        match models.predict(&state.endpoint, json!({ "instances": [{}, {}] })).await {
            Ok(answer) => assert_eq!(answer["predictions"], json!([{ "version": 1 }, { "version": 1 }])),
            Err(_) => failed += 1,
        }
    }
    assert_eq!(failed, 20);
    let counted = |requests, errors| ServingStats { requests, errors, ..ServingStats::default() };
    assert_eq!(models.stats(&state.endpoint, 1).await.unwrap(), counted(180, 0));
    assert_eq!(models.stats(&state.endpoint, 2).await.unwrap(), counted(20, 20));
}

#[tokio::test]
async fn a_version_is_counted_afresh_when_the_traffic_changes() {
    let models = MemoryModels::new(clock());
    let state = canary(&models).await;
    let counted = ServingStats { requests: 50, errors: 5, ..ServingStats::default() };
    models.set_stats(&state.endpoint, 2, counted).unwrap();
    let noted = EndpointState { by: "note".to_owned(), ..state.clone() };
    let noted = models.set(&noted, Some(state.revision)).await.unwrap();
    assert_eq!(models.stats(&state.endpoint, 2).await.unwrap(), counted);
    let mut moved = noted.clone();
    (moved.deployed[0].traffic, moved.deployed[1].traffic) = (50, 50);
    models.set(&moved, Some(noted.revision)).await.unwrap();
    assert_eq!(models.stats(&state.endpoint, 2).await.unwrap(), ServingStats::default());
}

#[tokio::test]
async fn a_model_scores_what_it_was_given() {
    let models = MemoryModels::new(clock());
    let metrics = BTreeMap::from([("auc_pr".to_owned(), 0.7)]);
    models.set_score(&path("champion"), metrics.clone());
    assert_eq!(models.score(&path("champion"), &path("challenger")).await.unwrap(), Some(metrics));
    assert_eq!(models.score(&path("challenger"), &path("challenger")).await.unwrap(), None);
}
