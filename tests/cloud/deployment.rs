//! A deployment on this machine: the peers that stand in for Google Cloud, and one process a function.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use millstream_events::{
    history::{History, Record},
    names::RunId,
};
use millstream_gcp_bigquery::{BigQueryWarehouse, Settings};
use millstream_gcp_client::{Connection, Emulators, Service};
use millstream_gcp_storage::GcsObjectStore;
use millstream_peers::{
    bigquery::BigQueryEmulator,
    fake_gcs::{FakeGcs, Notify},
    free_port, http,
    pubsub::{PROJECT, PubSubEmulator, Subscription},
};
use millstream_ports::{Ledger, ObjectLedger, Snapshot, SystemClock, Warehouse};
use millstream_tests::{program::millstream, up::wait_for};
use serde_json::{Value, json};

/// The functions that a deployment has.
const FUNCTIONS: [&str; 8] = [
    "plan-run",
    "ingest-file",
    "extract-source",
    "load-table",
    "transform-table",
    "export-table",
    "train-model",
    "promote-model",
];

/// The topic of events, and the one that Cloud Storage notifies.
const EVENTS: &str = "millstream-events";
const UPLOADS: &str = "millstream-uploads";

/// The buckets, by the names that the demo's pipelines use.
const BUCKETS: [&str; 4] = ["landing", "lake", "ledger", "models"];

/// The datasets that `infra/` makes.
const DATASETS: [&str; 3] = ["source", "staging", "production"];

/// Where a topic's messages go that nobody takes.
fn dead_letters(topic: &str) -> String {
    format!("{topic}-dead-letters")
}

/// What a function declares, as `infra/` reads it.
fn declared(function: &str) -> Value {
    let map: Value = serde_json::from_str(include_str!("../../infra/functions.json")).unwrap();
    map["functions"][function].clone()
}

/// Which events a function declares that it takes, as `infra/` writes it into its subscription.
pub(crate) fn filter(function: &str) -> String {
    declared(function)["filter"].as_str().unwrap().to_owned()
}

/// How long a function may keep a message, as `infra/` writes it into its subscription: Pub/Sub waits ten minutes at most.
fn ack_deadline(function: &str) -> u32 {
    let timeout = declared(function)["timeout_seconds"].as_u64().unwrap();
    u32::try_from(2 * timeout).unwrap().min(600)
}

/// How often Pub/Sub delivers a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deliveries {
    /// As good as once.
    Once,
    /// Each message twice, by two subscriptions to the same service.
    Twice,
}

/// Whether Cloud Storage tells of uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uploads {
    /// By a notification to the topic of uploads.
    Told,
    /// Nobody hears of them.
    Untold,
}

/// One function's process.
struct Function {
    process: Child,
    port: u16,
}

/// The whole of it. Processes end with this value, the functions before the peers.
pub(crate) struct Deployment {
    functions: BTreeMap<&'static str, Function>,
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    ledger: ObjectLedger,
    warehouse: BigQueryWarehouse,
    variables: Vec<(&'static str, String)>,
    gcs: FakeGcs,
    bigquery: BigQueryEmulator,
    pubsub: PubSubEmulator,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    #[expect(dead_code, reason = "it is shown where a test fails")]
    pub(crate) stderr: String,
}

impl Deployment {
    /// Starts the peers, makes buckets, datasets, topics and subscriptions, and starts every function.
    pub(crate) fn start(pipelines: &Path, deliveries: Deliveries, uploads: Uploads) -> Self {
        let pubsub = PubSubEmulator::start();
        for topic in [EVENTS, UPLOADS] {
            let dead_letters = dead_letters(topic);
            pubsub.create_topic(topic);
            pubsub.create_topic(&dead_letters);
            pubsub.subscribe(&Subscription::pull(&dead_letters, &dead_letters));
        }
        let notify = Notify { pubsub: pubsub.address(), project: PROJECT.to_owned(), topic: UPLOADS.to_owned() };
        let gcs = FakeGcs::start(Some(notify).filter(|_| uploads == Uploads::Told));
        for bucket in BUCKETS {
            gcs.create_bucket(bucket);
        }
        let bigquery = BigQueryEmulator::start(gcs.root());
        for dataset in DATASETS {
            let reference = json!({"projectId": PROJECT, "datasetId": dataset});
            let url = format!("{}/bigquery/v2/projects/{PROJECT}/datasets", bigquery.url());
            http::json("POST", &url, &json!({"datasetReference": reference, "location": "US"}));
        }
        let emulators = Emulators::default()
            .with(Service::Storage, &gcs.url())
            .with(Service::PubSub, &pubsub.address())
            .with(Service::BigQuery, &bigquery.url());
        let variables = vec![
            ("STORAGE_EMULATOR_HOST", gcs.url()),
            ("PUBSUB_EMULATOR_HOST", pubsub.address()),
            ("BIGQUERY_EMULATOR_HOST", bigquery.url()),
            ("MILLSTREAM_GCP__PROJECT", PROJECT.to_owned()),
            ("MILLSTREAM_GCP__LOCATION", "US".to_owned()),
            // The emulator signs nothing; what a token is checked for is tested in shared/runtime.
            ("MILLSTREAM_AUTH__REQUIRE", "false".to_owned()),
            ("MILLSTREAM_PIPELINES_DIR", pipelines.display().to_string()),
        ];

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (store, warehouse) = runtime.block_on(async {
            let connection = Connection::new(PROJECT, emulators).unwrap();
            let store = Arc::new(GcsObjectStore::connect(&connection).await.unwrap());
            let settings = Settings { location: "US".to_owned(), ..Settings::default() };
            let warehouse =
                BigQueryWarehouse::connect(&connection, settings, store.clone(), Arc::new(SystemClock)).await.unwrap();
            (store, warehouse)
        });
        let mut deployment = Self {
            functions: BTreeMap::new(),
            folder: tempfile::tempdir().unwrap(),
            runtime,
            ledger: ObjectLedger::new(store, "ledger", Arc::new(SystemClock)),
            warehouse,
            variables,
            gcs,
            bigquery,
            pubsub,
        };
        for function in FUNCTIONS {
            let port = free_port();
            deployment.run(function, port);
            deployment.subscribe(function, port, deliveries);
        }
        for function in FUNCTIONS {
            deployment.wait_until_ready(function);
        }
        deployment
    }

    fn subscribe(&self, function: &str, port: u16, deliveries: Deliveries) {
        let endpoint = format!("http://127.0.0.1:{port}/");
        let (filter, times) = (filter(function), if deliveries == Deliveries::Twice { 2 } else { 1 });
        let uploads = (function == "plan-run").then_some((UPLOADS, ""));
        for (topic, filter) in uploads.into_iter().chain([(EVENTS, filter.as_str())]) {
            let dead_letters = dead_letters(topic);
            for time in 0..times {
                let name = subscription(topic, function, time);
                self.pubsub.subscribe(&Subscription {
                    ack_deadline: ack_deadline(function),
                    filter,
                    dead_letter: Some((&dead_letters, 100)),
                    ..Subscription::push(&name, topic, &endpoint, false)
                });
            }
        }
    }

    /// Deletes a function's subscription to events.
    pub(crate) fn unsubscribe(&self, function: &str) {
        self.pubsub.unsubscribe(&subscription(EVENTS, function, 0));
    }

    /// Deletes the subscription where the topic of events keeps its dead letters.
    pub(crate) fn forget_dead_letters(&self) {
        self.pubsub.unsubscribe(&dead_letters(EVENTS));
    }

    /// Subscribes a function to events another way than it declares.
    pub(crate) fn subscribe_with(&self, function: &str, filter: &str, has_dead_letters: bool) {
        let endpoint = format!("http://127.0.0.1:{}/", self.functions[function].port);
        let dead_letters = dead_letters(EVENTS);
        self.pubsub.subscribe(&Subscription {
            ack_deadline: ack_deadline(function),
            filter,
            dead_letter: has_dead_letters.then_some((&*dead_letters, 100)),
            ..Subscription::push(&subscription(EVENTS, function, 0), EVENTS, &endpoint, false)
        });
    }

    /// Deletes a dataset and all that is in it.
    pub(crate) fn delete_dataset(&self, dataset: &str) {
        let url =
            format!("{}/bigquery/v2/projects/{PROJECT}/datasets/{dataset}?deleteContents=true", self.bigquery.url());
        let _ = http::send("DELETE", &url, &[], Vec::new()).success("delete a dataset");
    }

    /// The names of a bucket's objects.
    pub(crate) fn objects(&self, bucket: &str) -> Vec<String> {
        let url = format!("{}/storage/v1/b/{bucket}/o", self.gcs.url());
        let listed = http::send("GET", &url, &[], Vec::new()).success("list objects").json();
        let items = listed["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|object| object["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The tables of a dataset.
    pub(crate) fn tables(&self, dataset: &str) -> Vec<Value> {
        let url = format!("{}/bigquery/v2/projects/{PROJECT}/datasets/{dataset}/tables", self.bigquery.url());
        let listed = http::send("GET", &url, &[], Vec::new()).success("list tables").json();
        listed["tables"].as_array().cloned().unwrap_or_default()
    }

    /// Says something to the program, in an environment that knows this deployment; `variables` change it.
    pub(crate) fn millstream(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
        let output = Command::new(millstream())
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn run(&mut self, function: &'static str, port: u16) {
        let home = self.folder.path().join(function);
        fs::create_dir_all(&home).unwrap();
        let log = OpenOptions::new().create(true).append(true).open(home.join("log")).unwrap();
        let process = Command::new(millstream())
            .args(["serve", function])
            .current_dir(&home)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("MILLSTREAM_HTTP__ADDRESS", format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.functions.insert(function, Function { process, port });
    }

    fn wait_until_ready(&mut self, function: &str) {
        let log = self.folder.path().join(function).join("log");
        let running = self.functions.get_mut(function).unwrap();
        let url = format!("http://127.0.0.1:{}/readyz", running.port);
        wait_for(
            || format!("{function} to be ready. It said:\n{}", fs::read_to_string(&log).unwrap_or_default()),
            || {
                if let Some(status) = running.process.try_wait().unwrap() {
                    panic!("{function} ended ({status}). It said:\n{}", fs::read_to_string(&log).unwrap_or_default());
                }
                http::try_send("GET", &url, &[], Vec::new()).ok().filter(|answer| answer.status == 200)
            },
        );
    }

    /// Uploads a file as anybody does: a plain HTTP request to Cloud Storage.
    pub(crate) fn upload(&self, name: &str, content: &[u8]) {
        self.gcs.upload("landing", name, content);
    }

    /// `kill -9`, at once.
    pub(crate) fn kill(&mut self, function: &str) {
        let running = self.functions.get_mut(function).unwrap();
        running.process.kill().unwrap();
        running.process.wait().unwrap();
    }

    /// Starts a killed function again where it was.
    pub(crate) fn restart(&mut self, function: &'static str) {
        let port = self.functions[function].port;
        self.run(function, port);
        self.wait_until_ready(function);
    }

    /// What Cloud Scheduler sends every minute.
    pub(crate) fn sweep(&self) {
        let event = json!({
            "specversion": "1.0",
            "id": "sweep",
            "source": "//cloudscheduler.googleapis.com/sweep",
            "type": "dev.millstream.sweep.due.v1",
            "data": {},
        });
        let url = format!("http://127.0.0.1:{}/", self.functions["plan-run"].port);
        let headers = [("Content-Type", "application/cloudevents+json")];
        // One that comes while a run is moved on is answered late or with 503: the next one is as good.
        let _ = http::try_send("POST", &url, &headers, event.to_string().into_bytes());
    }

    fn snapshot(&self, run: &str) -> Snapshot {
        let run: RunId = run.parse().unwrap();
        self.runtime.block_on(self.ledger.snapshot(&run)).unwrap()
    }

    /// Waits until some run's ledger has what comes of the function's work.
    pub(crate) fn wait_for_work_of(&self, function: &str, runs: &[&str]) {
        let steps = match function {
            "ingest-file" => "ingest/",
            "load-table" => "load/",
            "transform-table" => "model/",
            other => panic!("{other} is not waited for"),
        };
        let has = |history: &History| {
            let mut records = history.records();
            records.any(|record| matches!(record, Record::Done(fact) if fact.step.step.as_str().starts_with(steps)))
        };
        wait_for(
            || format!("a fact of {function}. {}", self.said()),
            || runs.iter().any(|run| has(&self.snapshot(run).history)).then_some(()),
        );
    }

    /// Waits until each run has ended well, with nothing open; `meanwhile` happens between two looks.
    pub(crate) fn wait_until_finished(&self, runs: &[&str], meanwhile: impl Fn(&Self)) {
        for run in runs {
            wait_for(
                || format!("{run} to end: {:#?}. {}", self.snapshot(run).history, self.said()),
                || {
                    meanwhile(self);
                    let snapshot = self.snapshot(run);
                    for record in snapshot.history.records() {
                        if let Record::Failed(fact) = record {
                            panic!("{run}: {} failed: {}. {}", fact.step.step, fact.fact.message, self.said());
                        }
                    }
                    let ended = |record: &Record| matches!(record, Record::Finished(finished) if finished.succeeded);
                    (snapshot.open.is_none() && snapshot.history.records().any(ended)).then_some(())
                },
            );
        }
    }

    /// A query's answer as the port gives it.
    pub(crate) fn query(&self, sql: &str) -> Value {
        let answer = self.runtime.block_on(self.warehouse.query(sql, 10_000));
        serde_json::to_value(answer.unwrap_or_else(|error| panic!("{sql}: {error}. {}", self.said()))).unwrap()
    }

    /// The end of what every function said, for the message of a failure.
    fn said(&self) -> String {
        let mut said = String::new();
        for function in FUNCTIONS {
            let log = fs::read_to_string(self.folder.path().join(function).join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            said.push_str(&format!("\n--- {function}\n{}", lines[lines.len().saturating_sub(25)..].join("\n")));
        }
        said
    }
}

fn subscription(topic: &str, function: &str, time: u32) -> String {
    format!("{topic}-{function}-{time}")
}

impl Drop for Deployment {
    fn drop(&mut self) {
        for function in self.functions.values_mut() {
            // Either fails only where the process has ended already.
            let _ = function.process.kill();
            let _ = function.process.wait();
        }
    }
}
