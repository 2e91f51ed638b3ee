//! The server as its callers see it, through the router without a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use clap::Parser;
use millstream_recipe_tabular::{Environment, Options, run};
use millstream_scoring::Model;
use millstream_serve_model::{Lines, ModelState, ServedModel, Settings, predict_json, router};
use serde_json::{Value, json};
use tower::ServiceExt;
use tracing_subscriber::fmt::{MakeWriter, format::JsonFields};

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
    app_and_state(arguments).0
}

fn app_and_state(arguments: &[&str]) -> (Router, Arc<ModelState>) {
    let always = ["serve-model", "--storage-uri", "unused", "--deployed-model-id", "42"];
    let settings = Settings::parse_from(always.iter().chain(arguments));
    settings.check_routes().unwrap();
    let state = Arc::new(ModelState::new(model(), &settings).unwrap());
    (router(state.clone(), &settings), state)
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
        "serve_model_prediction_score_count 2",
        "serve_model_prediction_score_bucket{le=\"1\"} 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

/// Lines in memory.
#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_mean_score_since_the_last_line_is_logged_for_a_metric() {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt().fmt_fields(JsonFields::new()).event_format(Lines);
    let _lines = tracing::subscriber::set_default(subscriber.with_writer(written.clone()).finish());
    let (app, state) = app_and_state(&["--model", "shapes", "--model-version", "7"]);
    state.log_score();
    assert!(written.0.lock().unwrap().is_empty(), "nothing was predicted");

    let (_, answer) = ask(&app, json!({"instances": [[50, "red"], [3, "red"]]})).await;
    ask(&app, json!({"instances": [[]]})).await;
    state.log_score();
    state.log_score();
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{text}");
    let line = &lines[0];
    assert_eq!((&line["message"], &line["severity"]), (&json!("prediction score"), &json!("INFO")));
    assert_eq!((&line["model"], &line["version"], &line["predictions"]), (&json!("shapes"), &json!("7"), &json!(2)));
    // Of two classes, the second's.
    let of = |at: usize| answer["predictions"][at]["probabilities"]["small"].as_f64().unwrap();
    let score = line["score"].as_f64().unwrap();
    assert!((score - (of(0) + of(1)) / 2.0).abs() < 1e-6, "{text}\n{answer}");
}

#[test]
fn the_same_answer_is_given_without_http() {
    let served = ServedModel { model: Some("shapes".into()), ..ServedModel::default() };
    let answer = predict_json(&model(), &served, br#"{"instances": [[50, "red"]]}"#).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((&answer["predictions"][0]["label"], &answer["model"]), (&json!("big"), &json!("shapes")));
}
