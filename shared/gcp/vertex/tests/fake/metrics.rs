//! How a version has done, and predictions.

use millstream_ports::{Deployed, EndpointState, Endpoints, ErrorKind, ModelRegistry, PredictError, ServingStats};
use serde_json::{Value, json};

use crate::{
    endpoints::{deployed_ids, register, state},
    support::{Models, name, settings},
};

fn series(kind: &str, endpoint: &str, labels: Value, value: Value, value_type: &str, unit: &str) -> Value {
    let resource = json!({"endpoint_id": endpoint, "location": "us-central1", "project_id": "shop"});
    json!({
        "metric": {"type": kind, "labels": labels},
        "resource": {"type": "aiplatform.googleapis.com/Endpoint", "labels": resource},
        "metricKind": "DELTA", "valueType": value_type, "unit": unit,
        "points": [{
            "interval": {"startTime": "2026-11-24T12:00:00Z", "endTime": "2026-11-24T13:00:00Z"},
            "value": value,
        }],
    })
}

const ONLINE: &str = "aiplatform.googleapis.com/prediction/online";

/// Answers of a deployment with a status code.
pub(crate) fn responses(id: &str, code: &str, count: &str) -> Value {
    let labels = json!({"deployed_model_id": id, "response_code": code});
    series(&format!("{ONLINE}/response_count"), "churn", labels, json!({"int64Value": count}), "INT64", "1")
}

fn latencies(id: &str, kind: &str, counts: &[&str]) -> Value {
    let labels = json!({"deployed_model_id": id, "latency_type": kind});
    let options = json!({"explicitBuckets": {"bounds": [1_000.0, 2_000.0, 4_000.0]}});
    let value =
        json!({"distributionValue": {"count": "20", "mean": 1.0, "bucketOptions": options, "bucketCounts": counts}});
    series(&format!("{ONLINE}/prediction_latencies"), "churn", labels, value, "DISTRIBUTION", "us")
}

fn scores(version: &str, mean: f64) -> Value {
    let options = json!({"explicitBuckets": {"bounds": [0.0, 1.0]}});
    let value = json!({"distributionValue": {"count": "40", "mean": mean, "bucketOptions": options}});
    let kind = "logging.googleapis.com/user/millstream_prediction_score";
    series(kind, "churn", json!({"version": version}), value, "DISTRIBUTION", "1")
}

#[tokio::test]
async fn a_version_is_measured_by_itself_since_the_traffic_moved() {
    let models = Models::start();
    let endpoints = models.endpoints();
    register(&models, 2).await;
    endpoints.set(&state(&[(1, 90), (2, 10)]), None).await.unwrap();
    assert_eq!(endpoints.stats(&name("churn"), 2).await.unwrap(), ServingStats::default());
    let ids = deployed_ids(&models, "churn");
    models.fake.control(&json!({"series": [
        responses(&ids[0], "200", "900"), responses(&ids[1], "200", "90"), responses(&ids[1], "400", "6"),
        responses(&ids[1], "503", "3"), responses(&ids[1], "500", "1"),
        latencies(&ids[0], "model", &["20"]), latencies(&ids[1], "model", &["10", "8", "2"]),
        latencies(&ids[1], "overhead", &["0", "0", "0", "20"]),
        scores("1", 0.25), scores("2", 0.5),
    ]}));
    let stats = endpoints.stats(&name("churn"), 2).await.unwrap();
    let expected = ServingStats { requests: 100, errors: 4, latency_p95_ms: Some(3.0), mean_score: Some(0.5) };
    assert_eq!(stats, expected);
    let stats = endpoints.stats(&name("churn"), 1).await.unwrap();
    assert_eq!((stats.requests, stats.errors, stats.mean_score), (900, 0, Some(0.25)));
    // What is not deployed is asked for by nobody.
    assert_eq!(endpoints.stats(&name("churn"), 3).await.unwrap(), ServingStats::default());
}

#[tokio::test]
async fn nothing_is_asked_within_the_first_minute() {
    let models = Models::start();
    let endpoints = models.endpoints();
    register(&models, 1).await;
    let now = millstream_ports::Clock::now(&millstream_ports::SystemClock);
    endpoints.set(&EndpointState { since: now, ..state(&[(1, 100)]) }, None).await.unwrap();
    assert_eq!(endpoints.stats(&name("churn"), 1).await.unwrap(), ServingStats::default());
    assert_eq!(models.fake.asked("ListTimeSeries"), 0);
}

#[tokio::test]
async fn a_prediction_names_the_version_that_answered() {
    let models = Models::start();
    let endpoints = models.endpoints();
    register(&models, 2).await;
    endpoints.set(&state(&[(1, 50), (2, 50)]), None).await.unwrap();
    let mut versions = Vec::new();
    for _ in 0..10 {
        let request = json!({"instances": [{"age": 3}], "parameters": {"top": 1}});
        let answer = endpoints.predict(&name("churn"), request).await.unwrap();
        assert_eq!(answer["predictions"], json!([{"value": 1.0, "parameters": {"top": 1.0}}]));
        assert_eq!(answer["model"], "churn");
        versions.push(answer["version"].as_u64().unwrap());
    }
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions, [1, 2]);
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_told_with_the_containers_words() {
    let models = Models::start();
    let endpoints = models.endpoints();
    register(&models, 1).await;
    endpoints.set(&state(&[(1, 100)]), None).await.unwrap();
    for (request, words) in [
        (json!({"instances": [{"bad": 1}]}), "unknown field `bad`"),
        (json!({"rows": []}), "no `instances`"),
        (json!({"instances": 3}), "no list"),
        (json!([1]), "no `instances`"),
    ] {
        match endpoints.predict(&name("churn"), request.clone()).await {
            Err(PredictError::BadRequest(message)) => assert!(message.contains(words), "{message}"),
            other => panic!("{request}: {other:?}"),
        }
    }
    let failure = json!({"method": "Predict", "status": "UNAVAILABLE"});
    models.fake.control(&json!({"failures": [failure]}));
    let failed = endpoints.predict(&name("churn"), json!({"instances": []})).await;
    assert!(matches!(&failed, Err(PredictError::Port(error)) if error.kind() == ErrorKind::Unavailable), "{failed:?}");
}

#[tokio::test]
async fn versions_are_served_on_the_settings_machines() {
    let models = Models::start();
    let settings = millstream_gcp_vertex::VertexSettings {
        serving_machine: "n1-standard-4".to_owned(),
        min_replicas: 2,
        max_replicas: 5,
        ..settings()
    };
    register(&models, 1).await;
    models.endpoints_with(settings).set(&state(&[(1, 100)]), None).await.unwrap();
    let seen = models.fake.seen();
    let deployed = &seen["endpoints"][format!("{}/endpoints/churn", crate::support::PARENT)]["deployedModels"][0];
    let resources =
        json!({"machineSpec": {"machineType": "n1-standard-4"}, "minReplicaCount": 2, "maxReplicaCount": 5});
    assert_eq!(deployed["dedicatedResources"], resources);
    assert_eq!(deployed["serviceAccount"], "models@shop.iam.gserviceaccount.com");
}

#[tokio::test]
async fn only_registered_versions_are_deployed() {
    let models = Models::start();
    register(&models, 1).await;
    let mut wanted = state(&[(1, 50), (7, 50)]);
    let error = models.endpoints().set(&wanted, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    wanted.deployed = vec![Deployed { model: name("other"), version: 1, traffic: 100 }];
    assert_eq!(models.endpoints().set(&wanted, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(models.fake.seen()["endpoints"], json!({}));
    assert_eq!(models.registry().versions(&name("churn")).await.unwrap().len(), 1);
}
