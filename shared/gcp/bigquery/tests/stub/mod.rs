//! BigQuery as Google's documentation describes it, where bqemulator does something else: an id has one job, a failed job
//! changes nothing, jobs run before they are done. Tables hold no rows, only the files and statements they were made of.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use millstream_gcp_bigquery::{BigQueryWarehouse, Settings};
use millstream_gcp_client::{Connection, Emulators, Service, install_tls};
use millstream_ports::{
    ObjectStore,
    memory::{ManualClock, MemoryObjectStore},
};
use serde_json::{Value, json};

/// When the stub's clock stands.
pub(crate) fn start_time() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_800_000_000_000).unwrap()
}

/// What becomes of the next job that is inserted.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// It is done at once.
    Done,
    /// It is running until it is told otherwise.
    Runs,
    /// It is done with an error, without an effect.
    Fails(&'static str, &'static str),
    /// It is refused, and there is no job.
    Refused(u16, &'static str),
    /// Its effect is there and the answer is lost.
    Lost,
}

/// What the stub holds and was asked.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// What happens to the jobs that come, in order; then they are done.
    pub(crate) fates: VecDeque<Fate>,
    /// Jobs by id.
    pub(crate) jobs: BTreeMap<String, Value>,
    /// Ids in the order of their insertion.
    pub(crate) inserted: Vec<String>,
    /// Tables by `dataset.table`.
    pub(crate) tables: BTreeMap<String, Value>,
    /// The files or statements that a table was made of.
    pub(crate) content: BTreeMap<String, Vec<String>>,
    /// Jobs of others, as `jobs.list` answers them.
    pub(crate) history: Vec<Value>,
    /// The type that a dry run says a statement has.
    pub(crate) statement_type: Option<&'static str>,
    ticks: u64,
}

/// A running stub.
#[derive(Debug, Clone)]
pub(crate) struct Stub {
    world: Arc<Mutex<World>>,
    url: String,
    /// The store that every warehouse made here reads.
    pub(crate) store: Arc<MemoryObjectStore>,
    /// The clock of every warehouse made here.
    pub(crate) clock: Arc<ManualClock>,
}

impl Stub {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Self {
        install_tls();
        let world = Arc::new(Mutex::new(World::default()));
        let base = "/bigquery/v2/projects/p";
        let table = format!("{base}/datasets/{{dataset}}/tables/{{table}}");
        let app = Router::new()
            .route(&format!("{base}/jobs"), post(insert_job).get(list_jobs))
            .route(&format!("{base}/jobs/{{id}}"), get(get_job))
            .route(&format!("{base}/queries/{{id}}"), get(no_rows))
            .route(&format!("{base}/datasets"), post(created))
            .route(&format!("{base}/datasets/{{dataset}}/tables"), post(create_table))
            .route(&table, get(get_table).patch(patch_table).delete(delete_table))
            .with_state(Arc::clone(&world));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let clock = Arc::new(ManualClock::new(start_time()));
        Self { world, url, store: Arc::new(MemoryObjectStore::new()), clock }
    }

    /// A warehouse in a process of its own.
    pub(crate) async fn warehouse(&self) -> BigQueryWarehouse {
        let emulators = Emulators::default().with(Service::BigQuery, &self.url);
        let connection = Connection::new("p", emulators).unwrap();
        let store: Arc<dyn ObjectStore> = Arc::<MemoryObjectStore>::clone(&self.store);
        let settings = Settings { daily_modifications: 3, ..Settings::default() };
        BigQueryWarehouse::connect(&connection, settings, store, Arc::<ManualClock>::clone(&self.clock)).await.unwrap()
    }

    /// What it holds.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// Lets a running job end with its effect.
    pub(crate) fn finish(&mut self, id: &str) {
        self.ticks += 1;
        let (ended, job) = (1_800_000_000_000 + self.ticks, self.jobs.get_mut(id).unwrap());
        job["status"] = json!({ "state": "DONE" });
        let sql = job["configuration"]["query"]["query"].as_str().unwrap_or_default();
        let query = if sql.starts_with("MERGE") {
            let deleted = u8::from(sql.contains("THEN DELETE"));
            let dml =
                json!({ "insertedRowCount": "1", "updatedRowCount": "1", "deletedRowCount": deleted.to_string() });
            json!({ "statementType": "MERGE", "numDmlAffectedRows": (2 + deleted).to_string(), "dmlStats": dml })
        } else {
            json!({ "statementType": "CREATE_TABLE_AS_SELECT", "queryPlan": [{ "recordsWritten": "9" }, { "recordsWritten": "5" }] })
        };
        job["statistics"] = json!({ "endTime": ended.to_string(), "load": { "outputRows": "2" }, "query": query });
        let load = job["configuration"]["load"].clone();
        let Some(reference) = load.get("destinationTable").cloned() else { return };
        let name = format!("{}.{}", reference["datasetId"].as_str().unwrap(), reference["tableId"].as_str().unwrap());
        let uris = load["sourceUris"].as_array().unwrap().iter().map(|uri| uri.as_str().unwrap().to_owned());
        let content = self.content.entry(name.clone()).or_default();
        if load["writeDisposition"] == "WRITE_TRUNCATE" {
            content.clear();
        }
        content.extend(uris);
        let rows = (content.len() * 2).to_string();
        let table = self.tables.entry(name).or_insert_with(|| json!({ "tableReference": reference, "labels": {} }));
        table["schema"] = load["schema"].clone();
        table["numRows"] = json!(rows);
        table["etag"] = json!(ended.to_string());
    }
}

type Shared = State<Arc<Mutex<World>>>;

fn locked(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refusal(status: u16, reason: &str) -> Response {
    let message = format!("the stub says {reason}");
    let body = json!({ "error": { "code": status, "message": message, "errors": [{ "reason": reason, "message": message }] } });
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

fn or_not_found(value: Option<&Value>) -> Response {
    value.map_or_else(|| refusal(404, "notFound"), |value| Json(value.clone()).into_response())
}

async fn insert_job(State(world): Shared, Json(mut job): Json<Value>) -> Response {
    let mut world = locked(&world);
    if job["configuration"]["dryRun"] == true {
        let statement = world.statement_type.unwrap_or("SELECT");
        let schema = json!({ "fields": [{ "name": "id", "type": "INTEGER" }] });
        job["status"] = json!({ "state": "DONE" });
        job["statistics"] = json!({ "query": { "statementType": statement, "schema": schema } });
        return Json(job).into_response();
    }
    let id =
        job["jobReference"]["jobId"].as_str().map_or_else(|| format!("job_{}", world.inserted.len()), str::to_owned);
    if world.jobs.contains_key(&id) {
        return refusal(409, "duplicate");
    }
    let fate = world.fates.pop_front().unwrap_or(Fate::Done);
    if let Fate::Refused(status, reason) = fate {
        return refusal(status, reason);
    }
    job["jobReference"]["jobId"] = json!(id);
    job["status"] = json!({ "state": "RUNNING" });
    world.inserted.push(id.clone());
    world.jobs.insert(id.clone(), job);
    match fate {
        Fate::Done | Fate::Lost => world.finish(&id),
        Fate::Fails(reason, message) => {
            let error = json!({ "reason": reason, "message": message, "location": "gs://lake/a.parquet" });
            world.jobs.get_mut(&id).unwrap()["status"] =
                json!({ "state": "DONE", "errorResult": error, "errors": [error] });
        }
        _ => {}
    }
    if matches!(fate, Fate::Lost) { refusal(503, "backendError") } else { or_not_found(world.jobs.get(&id)) }
}

async fn list_jobs(State(world): Shared) -> Json<Value> {
    Json(json!({ "jobs": locked(&world).history }))
}

async fn get_job(State(world): Shared, Path(id): Path<String>) -> Response {
    or_not_found(locked(&world).jobs.get(&id))
}

/// What finds the rows that break an expectation finds none.
async fn no_rows() -> Json<Value> {
    Json(json!({ "jobComplete": true, "schema": { "fields": [] }, "rows": [], "totalRows": "0" }))
}

async fn created() -> Response {
    refusal(409, "duplicate")
}

async fn create_table(State(world): Shared, Path(dataset): Path<String>, Json(table): Json<Value>) -> Response {
    let name = format!("{dataset}.{}", table["tableReference"]["tableId"].as_str().unwrap());
    let mut world = locked(&world);
    or_not_found(Some(world.tables.entry(name).or_insert(table)))
}

async fn get_table(State(world): Shared, Path((dataset, table)): Path<(String, String)>) -> Response {
    or_not_found(locked(&world).tables.get(&format!("{dataset}.{table}")))
}

async fn patch_table(
    State(world): Shared,
    Path((dataset, table)): Path<(String, String)>,
    Json(patch): Json<Value>,
) -> Response {
    let mut world = locked(&world);
    let Some(found) = world.tables.get_mut(&format!("{dataset}.{table}")) else { return refusal(404, "notFound") };
    found["labels"] = patch["labels"].clone();
    Json(found.clone()).into_response()
}

async fn delete_table(State(world): Shared, Path((dataset, table)): Path<(String, String)>) -> Response {
    locked(&world)
        .tables
        .remove(&format!("{dataset}.{table}"))
        .map_or_else(|| refusal(404, "notFound"), |_| StatusCode::NO_CONTENT.into_response())
}
