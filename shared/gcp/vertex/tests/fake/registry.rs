//! Model versions.

use std::collections::BTreeMap;

use millstream_events::Fingerprint;
use millstream_ports::{ErrorKind, ModelRegistry, NewVersion, contracts};
use serde_json::{Value, json};

use crate::{
    failing_store::FailingStore,
    support::{Models, PARENT, artifact, asked_again, impatient, name},
};

fn version(training: &str) -> NewVersion {
    NewVersion {
        model: name("churn"),
        fingerprint: Fingerprint::of("test", [training.as_bytes()]),
        run: "shop/date=2026-11-24".parse().unwrap(),
        data: "production.features".parse().unwrap(),
        sequence: 7,
        artifact: artifact(),
        metrics: BTreeMap::from([("auc_pr".to_owned(), 0.75), ("accuracy".to_owned(), 0.9)]),
        cost: None,
    }
}

fn label(version: &NewVersion) -> Value {
    json!(version.fingerprint)
}

#[tokio::test]
async fn vertex_ai_keeps_the_contract_of_registries() {
    contracts::models(&Models::start().registry(), &artifact()).await;
}

#[tokio::test]
async fn a_version_is_served_by_the_settings_image_and_found_by_its_label() {
    let models = Models::start();
    let new = version("a");
    models.registry().ensure_version(&new).await.unwrap();
    models.registry().ensure_version(&version("b")).await.unwrap();
    let uploaded = models.uploaded("churn");
    assert_eq!(uploaded.len(), 2);
    assert_eq!(uploaded[0]["artifactUri"], "gs://models/trained/5f1d/model");
    assert_eq!(uploaded[0]["labels"]["millstream_fingerprint"], label(&new));
    assert_eq!(uploaded[0]["labels"]["managed_by"], "millstream");
    let container = json!({
        "imageUri": "us-docker.pkg.dev/shop/images/serve-model@sha256:0",
        "predictRoute": "/predict", "healthRoute": "/health", "ports": [{"containerPort": 8080}],
    });
    assert_eq!(uploaded[1]["containerSpec"], container);
}

#[tokio::test]
async fn metrics_are_an_evaluation_too_imported_once() {
    let models = Models::start();
    let failure = json!({"method": "ImportModelEvaluation", "status": "UNAVAILABLE"});
    models.fake.control(&json!({"failures": [failure]}));
    // The registry's own truth does not wait for it.
    let made = models.registry().ensure_version(&version("a")).await.unwrap();
    assert_eq!(made.registered.metrics["accuracy"], 0.9);
    for _ in 0..3 {
        models.registry().ensure_version(&version("a")).await.unwrap();
    }
    let evaluations = models.fake.seen()["evaluations"][format!("{PARENT}/models/churn@1")].clone();
    assert_eq!(evaluations.as_array().unwrap().len(), 1);
    assert_eq!(evaluations[0]["metrics"], json!({"auPrc": 0.75}));
    assert_eq!(models.fake.asked("ImportModelEvaluation"), 2);
}

#[tokio::test]
async fn an_upload_that_takes_longer_than_a_call_is_gone_on_with() {
    let models = Models::start();
    models.fake.control(&json!({"operationTicks": 6}));
    let registry = models.registry_with(impatient());
    let mut asked = 0;
    let made = loop {
        asked += 1;
        match registry.ensure_version(&version("a")).await {
            Ok(made) => break made,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        assert!(asked < 20);
    };
    assert!(asked > 1);
    assert_eq!((made.version, models.fake.asked("UploadModel")), (1, 1));
}

/// The answer comes at once, or only when the second upload has run.
#[tokio::test]
async fn a_model_that_another_upload_made_first_gets_a_second_version() {
    for inside in [false, true] {
        let models = Models::start();
        models.fake.control(&json!({"alreadyExistsInside": inside}));
        let (one, other) = (models.registry(), models.registry());
        let (a, b) = (version("a"), version("b"));
        let (first, second) = tokio::join!(one.ensure_version(&a), other.ensure_version(&b));
        let mut numbers = [first.unwrap().version, second.unwrap().version];
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2], "inside: {inside}");
        assert_eq!(models.uploaded("churn").len(), 2);
    }
}

#[tokio::test]
async fn of_two_uploads_of_one_training_the_older_one_is_the_version() {
    let models = Models::start();
    let new = version("a");
    let path = format!("{PARENT}/models:upload");
    let upload = |parent: Option<&str>| {
        let body = json!({
            "displayName": "churn", "artifactUri": "gs://models/trained/5f1d/model",
            "labels": {"managed_by": "millstream", "millstream_fingerprint": new.fingerprint},
            "containerSpec": {"imageUri": "i"},
        });
        let body = match parent {
            Some(parent) => json!({"parentModel": parent, "model": body}),
            None => json!({"modelId": "churn", "model": body}),
        };
        millstream_peers::http::json("POST", &format!("{}/v1/{path}", models.fake.url()), &body);
    };
    models.fake.control(&json!({"operationTicks": 0}));
    upload(None);
    upload(Some(&format!("{PARENT}/models/churn")));
    let registry = models.registry();
    assert_eq!(registry.ensure_version(&new).await.unwrap().version, 1);
    let next = registry.ensure_version(&version("b")).await.unwrap();
    let numbers: Vec<u64> =
        registry.versions(&name("churn")).await.unwrap().iter().map(|version| version.version).collect();
    assert_eq!(numbers, [1, next.version], "the second upload of one training is no version");
    assert_eq!(models.fake.asked("UploadModel"), 3);
}

#[tokio::test]
async fn a_failed_upload_is_told_and_may_be_tried_again() {
    let models = Models::start();
    for inside in [false, true] {
        for (status, kind) in [
            ("INVALID_ARGUMENT", ErrorKind::Invalid),
            ("PERMISSION_DENIED", ErrorKind::Denied),
            ("UNAVAILABLE", ErrorKind::Unavailable),
        ] {
            let failure = json!({"method": "UploadModel", "status": status, "message": "Not so.", "inside": inside});
            models.fake.control(&json!({"failures": [failure]}));
            let error = models.registry().ensure_version(&version("a")).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains("Not so"), "{error}");
        }
    }
    assert_eq!(models.registry().ensure_version(&version("a")).await.unwrap().version, 1);
}

/// The request was lost, or its answer was. A lost answer to an upload may leave a second one, which is no version.
#[tokio::test]
async fn a_registration_that_is_cut_off_anywhere_makes_one_version() {
    let mut models = Models::start();
    for after in [false, true] {
        for n in 1.. {
            models.begin();
            models.fake.control(&json!({"failAt": {"n": n, "after": after}}));
            let made = asked_again(async || models.registry().ensure_version(&version("a")).await).await;
            assert_eq!(made.version, 1);
            let versions = asked_again(async || models.registry().versions(&name("churn")).await).await;
            assert_eq!(versions, [made], "request {n}, after its effect: {after}");
            if !models.fake.seen()["failAt"].is_null() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_registration_that_is_cut_off_at_any_use_of_its_record_makes_one_version() {
    let mut models = Models::start();
    for after in [false, true] {
        for n in 1.. {
            models.begin();
            let store = FailingStore::new(n, after);
            models.store = store.clone();
            let made = asked_again(async || models.registry().ensure_version(&version("a")).await).await;
            let versions = asked_again(async || models.registry().versions(&name("churn")).await).await;
            assert_eq!(versions, [made], "use {n} of the store, after its effect: {after}");
            if !store.has_failed() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_version_that_was_not_registered_here_is_left_out() {
    let models = Models::start();
    models.fake.control(&json!({"operationTicks": 0}));
    let body = json!({
        "modelId": "by-hand",
        "model": {"displayName": "x", "artifactUri": "gs://elsewhere/x", "containerSpec": {"imageUri": "i"}},
    });
    let url = format!("{}/v1/{PARENT}/models:upload", models.fake.url());
    millstream_peers::http::json("POST", &url, &body);
    let registry = models.registry();
    assert_eq!(registry.versions(&name("by-hand")).await.unwrap(), []);
    assert_eq!(registry.models().await.unwrap(), []);
}

/// Whether or not Vertex AI takes it from the other version by itself.
#[tokio::test]
async fn an_alias_is_one_versions_however_vertex_ai_moves_it() {
    for moves in [true, false] {
        let models = Models::start();
        models.fake.control(&json!({"aliasesMove": moves}));
        let registry = models.registry();
        for training in ["a", "b", "c"] {
            registry.ensure_version(&version(training)).await.unwrap();
        }
        for number in [1, 3, 2] {
            registry.set_alias(&name("churn"), "production", number).await.unwrap();
            let aliases = registry.aliases(&name("churn")).await.unwrap();
            assert_eq!(aliases, BTreeMap::from([("production".to_owned(), number)]));
        }
        let error = registry.set_alias(&name("churn"), "Production", 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn many_versions_are_read_page_by_page() {
    let models = Models::start();
    models.fake.control(&json!({"operationTicks": 0}));
    let registry = models.registry();
    for training in 0..103 {
        registry.ensure_version(&version(&training.to_string())).await.unwrap();
    }
    let versions = registry.versions(&name("churn")).await.unwrap();
    assert!(versions.iter().map(|version| version.version).eq(1..=103));
}
