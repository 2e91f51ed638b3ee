//! Kubeflow Pipelines as its `v2beta1` API is documented, in this process, with runs that end as their parameters say.
//!
//! It is as strict as the service: a field that a request must not have, a filter, a parameter or a page that it does not know
//! is refused. A run waits at the first look, runs at the second, and then ends as its parameter `behaviour` says.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use millstream_events::names::ObjectPath;
use millstream_ports::{Clock, ObjectStoreExt, Precondition, SystemClock, memory::MemoryObjectStore};
use serde_json::{Map, Value, json};

/// The most runs that the service gives on a page, whatever is asked for.
const PAGE: usize = 3;

/// The fields of a run that its maker may set.
const RUN: [&str; 7] = [
    "experiment_id",
    "display_name",
    "description",
    "pipeline_spec",
    "pipeline_version_reference",
    "runtime_config",
    "service_account",
];

#[derive(Debug, Clone)]
pub(crate) struct Stub {
    inner: Arc<Inner>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Inner {
    kept: Mutex<Kept>,
    /// Where runs that end well write their files.
    store: Arc<MemoryObjectStore>,
}

#[derive(Debug, Default)]
struct Kept {
    runs: Vec<Value>,
    experiments: Vec<Value>,
    made: usize,
    requests: Vec<String>,
    token: Option<String>,
    answers: Option<(StatusCode, String)>,
    experiment_appears: bool,
}

type Refusal = (StatusCode, Json<Value>);
type Answer = Result<Json<Value>, Refusal>;

impl Stub {
    pub(crate) async fn start() -> Self {
        let inner = Arc::new(Inner { kept: Mutex::default(), store: Arc::new(MemoryObjectStore::new()) });
        let routes = Router::new()
            .route("/apis/v2beta1/experiments", get(experiments).post(make_experiment))
            .route("/apis/v2beta1/runs", get(runs).post(make_run))
            .route("/apis/v2beta1/runs/{run}", get(run).merge(post(terminate)))
            .layer(middleware::from_fn_with_state(inner.clone(), admitted))
            .with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { inner, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn store(&self) -> &Arc<MemoryObjectStore> {
        &self.inner.store
    }

    /// Every run, the oldest first.
    pub(crate) fn runs(&self) -> Vec<Value> {
        self.inner.kept().runs.clone()
    }

    pub(crate) fn only_run(&self) -> Value {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:#?}");
        runs[0].clone()
    }

    pub(crate) fn experiments(&self) -> Vec<Value> {
        self.inner.kept().experiments.clone()
    }

    /// The requests so far, `METHOD PATH?QUERY`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.inner.kept().requests.clone()
    }

    pub(crate) fn change(&self, run: usize, with: impl FnOnce(&mut Value)) {
        with(&mut self.inner.kept().runs[run]);
    }

    /// A run as another program made it, or another process of this one.
    pub(crate) fn insert(&self, run: Value) {
        self.inner.kept().runs.push(run);
    }

    pub(crate) fn remove_runs(&self) {
        self.inner.kept().runs.clear();
    }

    /// From now on it wants this token.
    pub(crate) fn want_token(&self, token: &str) {
        self.inner.kept().token = Some(token.to_owned());
    }

    /// From now on it answers every request so.
    pub(crate) fn answer(&self, status: u16, body: &str) {
        self.inner.kept().answers = Some((StatusCode::from_u16(status).unwrap(), body.to_owned()));
    }

    /// The next experiment is made by somebody else in the moment before.
    pub(crate) fn let_experiment_appear(&self) {
        self.inner.kept().experiment_appears = true;
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }
}

fn refuse(status: StatusCode, message: impl Into<String>) -> Refusal {
    let code = match status.as_u16() {
        404 => 5,
        409 => 6,
        _ => 3,
    };
    (status, Json(json!({"code": code, "message": message.into(), "details": []})))
}

fn bad(message: impl Into<String>) -> Refusal {
    refuse(StatusCode::BAD_REQUEST, message)
}

pub(crate) fn now() -> String {
    written(SystemClock.now())
}

/// As the service writes times: whole seconds.
pub(crate) fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

async fn admitted(State(inner): State<Arc<Inner>>, headers: HeaderMap, request: Request, next: Next) -> Response {
    {
        let mut kept = inner.kept();
        kept.requests.push(format!("{} {}", request.method(), request.uri()));
        if let Some((status, body)) = &kept.answers {
            return (*status, body.clone()).into_response();
        }
        let given = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        if kept.token.as_ref().is_some_and(|token| given != Some(&format!("Bearer {token}"))) {
            return refuse(StatusCode::UNAUTHORIZED, "Request header error: there is no user identity").into_response();
        }
    }
    next.run(request).await
}

async fn experiments(State(inner): State<Arc<Inner>>, Query(query): Query<BTreeMap<String, String>>) -> Answer {
    let kept = inner.kept();
    let page = listed(&kept.experiments, &query, &["namespace"])?;
    Ok(Json(json!({"experiments": page.0, "total_size": page.1, "next_page_token": page.2})))
}

async fn make_experiment(State(inner): State<Arc<Inner>>, Json(mut body): Json<Value>) -> Answer {
    let mut kept = inner.kept();
    only(&body, &["display_name", "description", "namespace"], "Experiment")?;
    if std::mem::take(&mut kept.experiment_appears) {
        let appeared = json!({"experiment_id": "appeared", "display_name": body["display_name"]});
        kept.experiments.push(appeared);
    }
    if kept.experiments.iter().any(|other| other["display_name"] == body["display_name"]) {
        return Err(refuse(StatusCode::CONFLICT, "already exists"));
    }
    body["experiment_id"] = format!("experiment-{}", kept.experiments.len()).into();
    kept.experiments.push(body.clone());
    Ok(Json(body))
}

async fn runs(State(inner): State<Arc<Inner>>, Query(query): Query<BTreeMap<String, String>>) -> Answer {
    advance(&inner).await;
    let kept = inner.kept();
    let (mut page, total, next) = listed(&kept.runs, &query, &["namespace", "experiment_id"])?;
    // A list tells nothing of tasks.
    page.iter_mut().for_each(|run| _ = run.as_object_mut().unwrap().remove("run_details"));
    Ok(Json(json!({"runs": page, "total_size": total, "next_page_token": next})))
}

async fn run(State(inner): State<Arc<Inner>>, Path(id): Path<String>) -> Answer {
    advance(&inner).await;
    let found = inner.kept().runs.iter().find(|run| run["run_id"] == id.as_str()).cloned();
    found.map(Json).ok_or_else(|| refuse(StatusCode::NOT_FOUND, format!("ResourceNotFoundError: Run {id} not found")))
}

async fn make_run(State(inner): State<Arc<Inner>>, Json(mut body): Json<Value>) -> Answer {
    let mut kept = inner.kept();
    only(&body, &RUN, "Run")?;
    only(&body["runtime_config"], &["parameters", "pipeline_root"], "RuntimeConfig")?;
    if !kept.experiments.iter().any(|experiment| experiment["experiment_id"] == body["experiment_id"]) {
        return Err(refuse(StatusCode::NOT_FOUND, "Experiment not found"));
    }
    let declared = body.pointer("/pipeline_spec/root/inputDefinitions/parameters").cloned().unwrap_or(json!({}));
    for name in body["runtime_config"]["parameters"].as_object().unwrap().keys() {
        declared.get(name).ok_or_else(|| bad(format!("parameter {name} is not an input of the pipeline")))?;
    }
    kept.made += 1;
    // Ids have no order.
    body["run_id"] = format!("{:08x}-run", 0x9e37_79b9_u32.wrapping_mul(u32::try_from(kept.made).unwrap())).into();
    body["state"] = "PENDING".into();
    body["created_at"] = now().into();
    body["finished_at"] = "1970-01-01T00:00:00Z".into();
    body["state_history"] = json!([{"update_time": now(), "state": "PENDING"}]);
    kept.runs.push(body.clone());
    Ok(Json(body))
}

async fn terminate(State(inner): State<Arc<Inner>>, Path(action): Path<String>) -> Answer {
    let mut kept = inner.kept();
    let id = action.strip_suffix(":terminate").ok_or_else(|| bad("unknown action"))?;
    let run = kept.runs.iter_mut().find(|run| run["run_id"] == id);
    let run = run.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "Run not found"))?;
    if has_ended(run) {
        return Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "Failed to terminate the run: it is in a final state"));
    }
    enter(run, "CANCELING");
    Ok(Json(json!({})))
}

fn has_ended(run: &Value) -> bool {
    ["SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"].contains(&run["state"].as_str().unwrap())
}

fn enter(run: &mut Value, state: &str) {
    run["state"] = state.into();
    run["state_history"].as_array_mut().unwrap().push(json!({"update_time": now(), "state": state}));
    if has_ended(run) {
        run["finished_at"] = now().into();
    }
}

/// Moves every run on by one state.
async fn advance(inner: &Inner) {
    let mut written = Vec::new();
    for run in &mut inner.kept().runs {
        let parameters = &run["runtime_config"]["parameters"];
        let (behaviour, model) = (parameters["behaviour"].clone(), parameters["model_dir"].clone());
        match (run["state"].as_str().unwrap(), behaviour.as_str()) {
            ("PENDING", _) => enter(run, "RUNNING"),
            ("CANCELING", _) => enter(run, "CANCELED"),
            ("RUNNING", Some("succeeds")) => {
                enter(run, "SUCCEEDED");
                written.push(model.as_str().unwrap().parse::<ObjectPath>().unwrap());
            }
            ("RUNNING", Some("fails")) => {
                enter(run, "FAILED");
                run["error"] = json!({"code": 2, "message": "the run failed"});
                run["run_details"] = json!({"task_details": [
                    {"task_id": "1", "display_name": "prepare", "state": "SUCCEEDED", "pod_name": "prepare-x7"},
                    {"task_id": "2", "display_name": "train", "state": "FAILED", "pod_name": "train-k2",
                     "error": {"code": 2, "message": "ValueError: no such column"}},
                ]});
            }
            _ => {}
        }
    }
    for model in written {
        let file = model.join("metrics.json").unwrap();
        inner.store.put(&file, Bytes::from_static(b"{\"rows\": 3}"), Precondition::None).await.unwrap();
    }
}

/// Refuses a field of a message that it does not have, or that only the service sets.
fn only(message: &Value, fields: &[&str], kind: &str) -> Result<(), Refusal> {
    let none = Map::new();
    let unknown = message.as_object().unwrap_or(&none).keys().find(|field| !fields.contains(&field.as_str()));
    unknown.map_or(Ok(()), |field| Err(bad(format!("unknown field {field:?} in v2beta1.{kind}"))))
}

/// A page of a list, how many there are, and the token of the next page.
fn listed(
    all: &[Value],
    query: &BTreeMap<String, String>,
    of: &[&str],
) -> Result<(Vec<Value>, usize, String), Refusal> {
    let known = |name: &str| ["page_token", "page_size", "sort_by", "filter"].contains(&name) || of.contains(&name);
    if let Some(unknown) = query.keys().find(|name| !known(name)) {
        return Err(bad(format!("unknown parameter {unknown}")));
    }
    let filter: Value = match query.get("filter") {
        Some(text) => serde_json::from_str(text).map_err(|error| bad(format!("invalid filter: {error}")))?,
        None => json!({"predicates": []}),
    };
    only(&filter, &["predicates"], "Filter")?;
    let mut found: Vec<Value> = all.to_vec();
    for predicate in filter["predicates"].as_array().ok_or_else(|| bad("predicates is no list"))? {
        only(predicate, &["operation", "key", "string_value"], "Predicate")?;
        if predicate["operation"] != "EQUALS" || predicate["key"] != "display_name" {
            return Err(bad(format!("invalid predicate {predicate}")));
        }
        found.retain(|item| item["display_name"] == predicate["string_value"]);
    }
    if let Some(experiment) = query.get("experiment_id") {
        found.retain(|item| item["experiment_id"] == experiment.as_str());
    }
    match query.get("sort_by").map(String::as_str) {
        None => {}
        Some("created_at asc") => found.sort_by_key(|item| item["created_at"].as_str().map(str::to_owned)),
        Some(other) => return Err(bad(format!("invalid sort_by {other:?}"))),
    }
    // A token belongs to its filter, as in the service.
    let belongs = query.get("filter").map_or(0, String::len);
    let from: usize = match query.get("page_token") {
        Some(token) => match token.split_once('.') {
            Some((at, filter)) if filter == belongs.to_string() => at.parse().map_err(|_| bad("invalid page token"))?,
            _ => return Err(bad("the page token does not fit the filter")),
        },
        None => 0,
    };
    let size = query.get("page_size").map_or(Ok(PAGE), |size| size.parse()).map_err(|_| bad("invalid page size"))?;
    let page: Vec<Value> = found.iter().skip(from).take(size.min(PAGE)).cloned().collect();
    let next = from + page.len();
    let token = if next < found.len() { format!("{next}.{belongs}") } else { String::new() };
    Ok((page, found.len(), token))
}
