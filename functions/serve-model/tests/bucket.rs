//! A model served from a bucket, on fake-gcs-server.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::error::Error;

use clap::Parser;
use millstream_peers::fake_gcs::FakeGcs;
use millstream_recipe_tabular::{Environment, Options, run};
use millstream_scoring::Model;
use millstream_serve_model::{LoadError, Settings, load};
use serde_json::json;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

/// The files of a model that doubles.
fn model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows = folder.path().join("rows.csv");
    std::fs::write(&rows, "x,y\n".to_owned() + &(0..60).map(|i| format!("{i},{}\n", 2 * i)).collect::<String>())
        .unwrap();
    let environment = Environment::from_lookup(|name| match name {
        "AIP_TRAINING_DATA_URI" => Some(rows.display().to_string()),
        "AIP_DATA_FORMAT" => Some("csv".into()),
        "AIP_MODEL_DIR" => Some(folder.path().display().to_string()),
        _ => None,
    });
    let options = Line::parse_from(["recipe", "--target", "y"]).options;
    run(&options, &environment.unwrap(), &mut Vec::new()).unwrap();
    folder
}

fn settings(gcs: &FakeGcs, uri: &str, more: &[&str]) -> Settings {
    let host = gcs.url();
    let always = ["serve-model", "--storage-uri", uri, "--storage-emulator-host", &host];
    Settings::parse_from(always.iter().chain(more))
}

async fn loaded(settings: &Settings) -> Result<Model, LoadError> {
    load(settings.location().unwrap(), settings).await
}

#[tokio::test]
async fn a_model_in_a_bucket_answers_as_it_does_from_its_folder() {
    let gcs = FakeGcs::shared();
    let bucket = "serve-model";
    gcs.create_bucket(bucket);
    let files = model();
    for name in ["model.onnx", "signature.json"] {
        gcs.upload(bucket, &format!("iris/1/{name}"), std::fs::read(files.path().join(name)).unwrap());
    }
    let rows = [json!({"x": 7}), json!([40])];
    let expected = Model::load(files.path()).unwrap().predict_instances(&rows).unwrap();
    let settings = settings(&gcs, &format!("gs://{bucket}/iris/1/"), &[]);
    let model = loaded(&settings).await.unwrap();
    assert_eq!(model.predict_instances(&rows).unwrap().values(), expected.values());
}

#[tokio::test]
async fn a_model_that_is_not_there_or_too_large_is_told_with_its_place() {
    let gcs = FakeGcs::shared();
    let bucket = "serve-model-large";
    gcs.create_bucket(bucket);
    gcs.upload(bucket, "large/model.onnx", [0; 2_000]);
    let why = async |folder: &str| {
        let uri = format!("gs://{bucket}/{folder}");
        let error = loaded(&settings(&gcs, &uri, &["--max-model-bytes", "1000"])).await.unwrap_err();
        assert!(error.to_string().contains(&uri), "{error}");
        error.source().unwrap().to_string()
    };
    let missing = why("missing").await;
    assert!(missing.contains("missing/model.onnx"), "{missing}");
    let large = why("large").await;
    assert!(large.contains("1000") || large.contains("1,000"), "{large}");
}
