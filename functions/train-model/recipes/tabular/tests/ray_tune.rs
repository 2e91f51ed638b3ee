//! The recipe `ray-tune` searches this recipe's arguments, on a real Ray.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod common;

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use common::{Outcome, sales};
use millstream_cluster_ray::{Paths, RaySettings, RayTrainer};
use millstream_events::{
    Fingerprint, StepRef,
    compute::{Compute, RunOn},
    work::{DataFormat, Program},
};
use millstream_peers::ray::RayCluster;
use millstream_ports::{Secret, SystemClock, Trainer, TrainingJob, TrainingState};
use millstream_scoring::{Model, score_holdout};
use serde_json::Value;

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn search() -> TrainingJob {
    let arguments =
        ["--metric", "auc_pr", "--trials", "3", "--param", "trees=choice:5,40", "--param", "max-depth=int:1,4", "--"];
    let program = env!("CARGO_BIN_EXE_millstream-recipe-tabular");
    let (python, recipes) = (RayCluster::python(), RayCluster::recipes().canonicalize().unwrap());
    let object = |what: &str| format!("gs://models/sales/{what}").parse().unwrap();
    TrainingJob {
        step: StepRef {
            run: "sales".parse().unwrap(),
            step: "train/sales".parse().unwrap(),
            fingerprint: Fingerprint::of("test", []),
            attempt: 1,
        },
        model: "sales".parse().unwrap(),
        program: Program::Command(vec![
            python.to_str().unwrap().to_owned(),
            "-m".to_owned(),
            "ray-tune.train".to_owned(),
        ]),
        args: arguments.into_iter().chain([program, "--target", "target"]).map(str::to_owned).collect(),
        env: BTreeMap::from([
            ("PYTHONPATH".to_owned(), recipes.to_str().unwrap().to_owned()),
            ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
        ]),
        data: vec![object("data/train.csv")],
        data_format: DataFormat::Csv,
        output: object("model"),
        checkpoints: object("checkpoints"),
        compute: Compute { run_on: RunOn::RayCluster, ..Compute::default() },
        wall_seconds: 600,
    }
}

#[tokio::test]
async fn the_best_of_several_trainings_is_a_model_like_any_other() {
    let (cluster, root) = (RayCluster::shared(), tempfile::tempdir().unwrap());
    let folder = root.path().canonicalize().unwrap().join("models/sales");
    fs::create_dir_all(folder.join("data")).unwrap();
    fs::write(folder.join("data/train.csv"), sales(400, Outcome::Sold)).unwrap();
    let settings = RaySettings {
        token: Some(Secret::new(cluster.token())),
        paths: Paths::Folder(root.path().canonicalize().unwrap()),
        ..RaySettings::new(cluster.address())
    };
    let trainer = RayTrainer::new(settings, Arc::new(SystemClock)).unwrap();
    let search = search();
    let mut state = trainer.ensure("sales", &search).await.unwrap();
    while state.is_running() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        state = trainer.ensure("sales", &search).await.unwrap();
    }
    assert!(matches!(state, TrainingState::Succeeded { .. }), "{state:?}");

    let model = folder.join("model");
    let trials = json(&model.join("trials.json"));
    let scores: Vec<f64> =
        trials["trials"].as_array().unwrap().iter().map(|trial| trial["metrics"]["auc_pr"].as_f64().unwrap()).collect();
    assert_eq!(scores.len(), 3, "{trials}");
    let metrics = json(&model.join("metrics.json"));
    let best = scores.iter().copied().fold(f64::MIN, f64::max);
    // A number that was written and read may be another in its last digit.
    let is_best = |score: f64| (score - best).abs() < 1e-12;
    assert!(is_best(metrics["metrics"]["auc_pr"].as_f64().unwrap()), "{metrics} {trials}");
    assert!(metrics["feature_importance"].is_object(), "the recipe's own report: {metrics}");
    let scored = score_holdout(&Model::load(&model).unwrap(), &model.join("holdout.parquet")).unwrap();
    assert!(is_best(scored.metrics["auc_pr"]), "{:?} {trials}", scored.metrics);
}
