//! The operations over HTTP, under `/api/v1`, and predictions under their own paths.
//!
//! The API asks for the token in `data/up.json`: whoever can read that file may do what its user may. Events and predictions are
//! open on this machine; on any other address they ask for the token too. Requests that a browser sends from a web page are
//! refused: no page has business here.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::StreamExt;
use http::{StatusCode, header};
use millstream_events::names::{ModelName, ObjectPath, PipelineName, RunId, StepName};
use millstream_runtime::host::{Host, RequestLimits, router as event_routes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Code, Operations, Refusal, local::Local};
use crate::platform::{Ingress, Platform};

/// Who may ask.
#[derive(Clone)]
struct Guard {
    token: Arc<str>,
    /// Whether the listener is on this machine alone.
    is_local: bool,
}

/// Every route of a running platform.
pub(crate) fn router(platform: &Arc<Platform>, address: SocketAddr, token: &str) -> Router {
    let guard = Guard { token: token.into(), is_local: address.ip().is_loopback() };
    let limits = RequestLimits::from(&platform.project.settings.http);
    let host = Host {
        handlers: Arc::from([Arc::new(Ingress(platform.planner.clone())) as Arc<dyn millstream_runtime::Handler>]),
        metrics: platform.metrics.clone(),
        clock: platform.clock.clone(),
        readiness: platform.readiness.clone(),
        // What changes anything asks for the token of this project; events come from this machine only.
        callers: None,
    };
    let local = Local(platform.clone());
    let open = Router::new()
        .route("/predict/{endpoint}", post(predict))
        .route("/v1/endpoints/{call}", post(vertex_predict))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .with_state(local.clone())
        .merge(event_routes(host, limits))
        .layer(middleware::from_fn_with_state(guard.clone(), ask_strangers));
    Router::new()
        .nest("/api/v1", api(local, limits.body_bytes).layer(middleware::from_fn_with_state(guard, ask_everybody)))
        .merge(open)
        .layer(middleware::from_fn(refuse_pages))
}

fn api(local: Local, body_bytes: usize) -> Router {
    Router::new()
        .route("/runs", get(async |State(api): State<Local>| Reply(api.runs().await)))
        .route("/runs/{pipeline}/{key}", get(show))
        .route("/runs/{pipeline}/{key}/retry", post(retry))
        .route("/runs/{pipeline}/{key}/log", post(training_log))
        .route("/pipelines/{pipeline}/run", post(start_run))
        .route("/objects", post(take))
        .route("/messages", post(publish))
        .route("/sweep", post(async |State(api): State<Local>| Reply(api.sweep().await)))
        .route("/tables", get(async |State(api): State<Local>| Reply(api.tables().await)))
        .route("/query", post(query))
        .route("/quarantine", get(async |State(api): State<Local>| Reply(api.quarantine().await)))
        .route("/quarantine/rows", post(quarantined_rows))
        .route("/quarantine/replay", post(replay))
        .route("/models", get(async |State(api): State<Local>| Reply(api.models().await)))
        .route("/models/{model}", get(model))
        .route("/models/{model}/rollback", post(roll_back))
        .route("/models/{model}/promote", post(promote))
        .route("/predict/{endpoint}", post(predict_json))
        .route("/events", get(events))
        .layer(DefaultBodyLimit::max(body_bytes))
        .with_state(local)
}

/// An operation's answer as a response.
struct Reply<T>(Answer<T>);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match self.0 {
            Ok(value) => Json(value).into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self.code {
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Invalid => StatusCode::BAD_REQUEST,
            Code::Conflict => StatusCode::CONFLICT,
            Code::Denied => StatusCode::FORBIDDEN,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status(), Json(self)).into_response()
    }
}

/// A name in a path or a body, or what is wrong with it.
fn named<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Answer<T> {
    text.parse().map_err(|error: T::Err| Refusal::invalid(error.to_string()))
}

fn run_id(pipeline: &str, key: &str) -> Answer<RunId> {
    Ok(RunId { pipeline: named(pipeline)?, key: named(key)? })
}

async fn show(State(api): State<Local>, Path((pipeline, key)): Path<(String, String)>) -> Response {
    match run_id(&pipeline, &key) {
        Ok(run) => Reply(api.show(&run).await).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// The bodies of requests.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StepBody {
    pub(super) step: Option<StepName>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunBody {
    pub(super) full_refresh: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ObjectBody {
    pub(super) object: ObjectPath,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MessageBody {
    pub(super) topic: String,
    pub(super) data: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct QueryBody {
    pub(super) sql: String,
    pub(super) limit: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct VersionBody {
    pub(super) version: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FileBody {
    pub(super) name: String,
    pub(super) limit: usize,
}

async fn retry(
    State(api): State<Local>,
    Path((pipeline, key)): Path<(String, String)>,
    Json(body): Json<StepBody>,
) -> Response {
    match run_id(&pipeline, &key) {
        Ok(run) => Reply(api.retry(&run, body.step.as_ref()).await).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn training_log(
    State(api): State<Local>,
    Path((pipeline, key)): Path<(String, String)>,
    Json(body): Json<StepBody>,
) -> Response {
    match run_id(&pipeline, &key) {
        Ok(run) => Reply(api.training_log(&run, body.step.as_ref()).await).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn start_run(State(api): State<Local>, Path(pipeline): Path<String>, Json(body): Json<RunBody>) -> Response {
    match named::<PipelineName>(&pipeline) {
        Ok(pipeline) => Reply(api.start_run(&pipeline, body.full_refresh).await).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn take(State(api): State<Local>, Json(body): Json<ObjectBody>) -> Response {
    Reply(api.take(&body.object).await).into_response()
}

async fn publish(State(api): State<Local>, Json(body): Json<MessageBody>) -> Response {
    Reply(api.publish(&body.topic, &body.data).await).into_response()
}

async fn query(State(api): State<Local>, Json(body): Json<QueryBody>) -> Response {
    Reply(api.query(&body.sql, body.limit).await).into_response()
}

async fn quarantined_rows(State(api): State<Local>, Json(asked): Json<FileBody>) -> Response {
    Reply(api.quarantined_rows(&asked.name, asked.limit).await).into_response()
}

async fn replay(State(api): State<Local>, Json(body): Json<FileBody>) -> Response {
    Reply(api.replay(&body.name).await).into_response()
}

async fn model(State(api): State<Local>, Path(model): Path<String>) -> Response {
    match named::<ModelName>(&model) {
        Ok(model) => Reply(api.model(&model).await).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn roll_back(State(api): State<Local>, Path(model): Path<String>) -> Response {
    match named::<ModelName>(&model) {
        Ok(model) => Reply(api.roll_back(&model).await).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn promote(State(api): State<Local>, Path(model): Path<String>, Json(body): Json<VersionBody>) -> Response {
    match named::<ModelName>(&model) {
        Ok(model) => Reply(api.promote(&model, body.version).await).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn predict_json(State(api): State<Local>, Path(endpoint): Path<String>, Json(body): Json<Value>) -> Response {
    match named::<ModelName>(&endpoint) {
        Ok(endpoint) => Reply(api.predict(&endpoint, body).await).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Events from now on, one JSON object a line.
async fn events(State(api): State<Local>) -> Response {
    match api.events().await {
        Ok(events) => {
            let lines = events.map(|event| {
                serde_json::to_vec(&event).map(|mut line| {
                    line.push(b'\n');
                    Bytes::from(line)
                })
            });
            ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn predict(State(api): State<Local>, Path(endpoint): Path<String>, body: Bytes) -> Response {
    answer_prediction(&api, &endpoint, &body).await
}

/// `POST /v1/endpoints/{endpoint}:predict`, as Vertex AI's clients ask.
async fn vertex_predict(State(api): State<Local>, Path(call): Path<String>, body: Bytes) -> Response {
    match call.strip_suffix(":predict") {
        Some(endpoint) => answer_prediction(&api, endpoint, &body).await,
        None => google_error(&Refusal::not_found("ask for /v1/endpoints/ENDPOINT:predict")),
    }
}

async fn answer_prediction(api: &Local, endpoint: &str, body: &[u8]) -> Response {
    let asked = named::<ModelName>(endpoint).and_then(|endpoint| {
        let request = serde_json::from_slice::<Value>(body)
            .map_err(|error| Refusal::invalid(format!("the body is not {{\"instances\": [..]}}: {error}")))?;
        Ok((endpoint, request))
    });
    let answered = match asked {
        Ok((endpoint, request)) => api.predict(&endpoint, request).await,
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => google_error(&refusal),
    }
}

/// Google's form of an error, which prediction clients know.
fn google_error(refusal: &Refusal) -> Response {
    let status = refusal.status();
    let word = match refusal.code {
        Code::NotFound => "NOT_FOUND",
        Code::Invalid => "INVALID_ARGUMENT",
        Code::Conflict => "ABORTED",
        Code::Denied => "PERMISSION_DENIED",
        Code::Unavailable => "UNAVAILABLE",
        Code::Internal => "INTERNAL",
    };
    let body = json!({"error": {"code": status.as_u16(), "status": word, "message": refusal.message}});
    (status, Json(body)).into_response()
}

async fn ask_everybody(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if guard.knows(&request) { next.run(request).await } else { unknown_caller() }
}

async fn ask_strangers(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let is_health = matches!(request.uri().path(), "/livez" | "/readyz");
    if guard.is_local || is_health || guard.knows(&request) { next.run(request).await } else { unknown_caller() }
}

impl Guard {
    fn knows(&self, request: &Request) -> bool {
        let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        // Without an early end, so that the time taken says nothing about the token.
        let differs = token.bytes().zip(self.token.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
        token.len() == self.token.len() && differs == 0
    }
}

fn unknown_caller() -> Response {
    let refusal = Refusal::new(Code::Denied, "send `Authorization: Bearer TOKEN` with the token in data/up.json");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], Json(refusal)).into_response()
}

/// A browser names the page that a request comes from; programs do not.
async fn refuse_pages(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        return Refusal::new(Code::Denied, "requests from web pages are not taken").into_response();
    }
    next.run(request).await
}
