//! The server as its callers see it, through the router without a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use clap::Parser;
use millstream_recipe_tabular::{Environment, Options, run};
use millstream_scoring::Model;
use millstream_serve_model::{ModelState, ServedModel, Settings, predict_json, router};
use serde_json::{Value, json};
use tower::ServiceExt;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

/// A model of two features, `size` (required) and `colour`, that tells `big` from `small`.
fn model() -> Model {
    let folder = tempfile::tempdir().unwrap();
    let row = |i: i32| {
        let colour = ["red", "blue", ""][i as usize % 3];
        format!("{i},{colour},{}\n", if i < 30 { "small" } else { "big" })
    };
    let csv = "size,colour,class\n".to_owned() + &(0..60).map(row).collect::<String>();
    std::fs::write(folder.path().join("rows.csv"), csv).unwrap();
    let environment = Environment::from_lookup(|name| match name {
        "AIP_TRAINING_DATA_URI" => Some(folder.path().join("rows.csv").display().to_string()),
        "AIP_DATA_FORMAT" => Some("csv".into()),
        "AIP_MODEL_DIR" => Some(folder.path().display().to_string()),
        _ => None,
    });
    let options = Line::parse_from(["recipe", "--target", "class"]).options;
    run(&options, &environment.unwrap(), &mut Vec::new()).unwrap();
    Model::load(folder.path()).unwrap()
}

fn app(arguments: &[&str]) -> Router {
    let settings = Settings::parse_from(["serve-model", "--storage-uri", "unused"].iter().chain(arguments));
    settings.check_routes().unwrap();
    router(ModelState::new(model(), Some("42".into())).unwrap(), &settings)
}

async fn send(app: &Router, path: &str, body: Option<String>) -> (StatusCode, String) {
    let request = match body {
        Some(body) => Request::post(path).header("content-type", "application/json").body(Body::from(body)),
        None => Request::get(path).body(Body::empty()),
    };
    let response = app.clone().oneshot(request.unwrap()).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn ask(app: &Router, body: Value) -> (StatusCode, Value) {
    let (status, text) = send(app, "/predict", Some(body.to_string())).await;
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn instances_by_name_and_by_position_are_answered_alike() {
    let body = json!({"instances": [{"size": 50, "colour": "red"}, [50, "red"], {"size": 3}], "parameters": {}});
    let (status, answer) = ask(&app(&[]), body).await;
    assert_eq!(status, StatusCode::OK);
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!(predictions[0], predictions[1]);
    assert_eq!((&predictions[0]["label"], &predictions[2]["label"]), (&json!("big"), &json!("small")));
    let probabilities = predictions[0]["probabilities"].as_object().unwrap();
    let sum: f64 = probabilities.values().map(|share| share.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{probabilities:?}");
    assert_eq!(answer["deployedModelId"], "42");
}

#[tokio::test]
async fn a_wrong_instance_is_refused_by_its_place_and_its_field() {
    let app = app(&[]);
    let (status, answer) = ask(&app, json!({"instances": [{"size": 1}, {"size": 1, "color": "red"}]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = r#"instance 1, field "color": the model has no such feature; did you mean "colour"?"#;
    let expected = json!({"error": {
        "code": 400, "status": "INVALID_ARGUMENT", "message": message, "details": [{"instance": 1, "field": "color"}],
    }});
    assert_eq!(answer, expected);
    let (status, answer) = ask(&app, json!({"instances": [{"colour": "red"}]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["error"]["details"], json!([{"instance": 0, "field": "size"}]));
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused() {
    let app = app(&[]);
    for body in ["", "{", "[]", "{\"rows\": []}", "{\"instances\": 5}"] {
        let (status, text) = send(&app, "/predict", Some(body.into())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(text.contains("the body is not {\\\"instances\\\": [..]}"), "{text}");
    }
    assert_eq!(send(&app, "/predict", None).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused_and_one_within_is_answered() {
    let app = app(&["--max-body-bytes", "20000"]);
    let many = |count: usize| json!({"instances": vec![json!([7, "blue"]); count]});
    let (status, answer) = ask(&app, many(1_000)).await;
    assert_eq!((status, answer["predictions"].as_array().unwrap().len()), (StatusCode::OK, 1_000));
    let (status, answer) = ask(&app, many(5_000)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer["error"]["message"].as_str().unwrap().contains("send fewer instances"), "{answer}");
}

#[tokio::test]
async fn the_routes_are_where_the_settings_say() {
    let app = app(&["--health-route", "/v1/alive", "--predict-route", "/v1/models/m:predict"]);
    assert_eq!(send(&app, "/v1/alive", None).await.0, StatusCode::OK);
    let body = json!({"instances": []}).to_string();
    let (status, text) = send(&app, "/v1/models/m:predict", Some(body)).await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, r#"{"predictions":[],"deployedModelId":"42"}"#));
    assert_eq!(send(&app, "/predict", None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_metrics_count_requests_by_status_and_predictions() {
    let app = app(&[]);
    ask(&app, json!({"instances": [[1, "red"], [2, null]]})).await;
    ask(&app, json!({"instances": [[]]})).await;
    let (_, text) = send(&app, "/metrics", None).await;
    for line in [
        "serve_model_requests_total{code=\"200\"} 1",
        "serve_model_requests_total{code=\"400\"} 1",
        "serve_model_predictions_total 2",
        "serve_model_request_seconds_count 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_same_answer_is_given_without_http() {
    let served = ServedModel { model: Some("shapes".into()), ..ServedModel::default() };
    let answer = predict_json(&model(), &served, br#"{"instances": [[50, "red"]]}"#).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((&answer["predictions"][0]["label"], &answer["model"]), (&json!("big"), &json!("shapes")));
}
