//! `millstream models --cloud`: versions on Vertex AI, and their traffic moved by a person at a command line.

use std::{collections::BTreeMap, fs, process::Command, sync::Arc};

use millstream_events::{Fingerprint, names::ModelName};
use millstream_gcp_client::{Connection, Emulators};
use millstream_gcp_storage::GcsObjectStore;
use millstream_gcp_vertex::{VertexEndpoints, VertexRegistry, VertexSettings};
use millstream_peers::{
    fake_gcs::FakeGcs,
    pubsub::{PROJECT, PubSubEmulator, Subscription},
    vertex::FakeVertex,
};
use millstream_ports::{Clock, Deployed, EndpointState, Endpoints, ModelRegistry, NewVersion, SystemClock};
use millstream_tests::{program::millstream, up::wait_for};
use serde_json::{Value, json};

const EVENTS: &str = "millstream-events";

const IMAGE: &str = "europe-docker.pkg.dev/shop/millstream/serve-model@sha256:\
                     0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A project's settings, and what stands in for Google Cloud.
struct Stand {
    project: tempfile::TempDir,
    vertex: FakeVertex,
    gcs: FakeGcs,
    pubsub: PubSubEmulator,
}

impl Stand {
    fn start() -> Self {
        let pubsub = PubSubEmulator::start();
        pubsub.create_topic(EVENTS);
        pubsub.subscribe(&Subscription::pull("moves", EVENTS));
        let gcs = FakeGcs::start(None);
        gcs.create_bucket("models");
        gcs.upload("models", "churn/1/model.onnx", "not read here");
        let vertex = FakeVertex::start(Some(&gcs.url()));
        let project = tempfile::tempdir().unwrap();
        let settings = format!(
            "[gcp]\nproject = \"{PROJECT}\"\nlocation = \"US\"\n\
             [vertex]\nlocation = \"us-central1\"\nserves = true\nserving_image = \"{IMAGE}\"\n"
        );
        fs::write(project.path().join("millstream.toml"), settings).unwrap();
        Self { project, vertex, gcs, pubsub }
    }

    fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("STORAGE_EMULATOR_HOST", self.gcs.url()),
            ("PUBSUB_EMULATOR_HOST", self.pubsub.address()),
            ("VERTEX_EMULATOR_HOST", self.vertex.url()),
            // Nothing asks it: it says that no call needs Google's credentials.
            ("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9".to_owned()),
        ]
    }

    /// Version 2 serves, version 1 did before.
    async fn serve_two_versions(&self) {
        let variables = self.variables().map(|(name, value)| (name.to_owned(), value));
        let connection = Connection::new(PROJECT, Emulators::from_variables(variables)).unwrap();
        let store = Arc::new(GcsObjectStore::connect(&connection).await.unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let settings = VertexSettings::new("us-central1", IMAGE);
        let registry = VertexRegistry::new(connection.clone(), settings.clone(), store.clone(), clock.clone()).unwrap();
        let endpoints = VertexEndpoints::new(connection, settings, store, clock.clone()).unwrap();
        let model: ModelName = "churn".parse().unwrap();
        for training in ["a", "b"] {
            let version = NewVersion {
                model: model.clone(),
                fingerprint: Fingerprint::of("test", [training.as_bytes()]),
                run: "shop".parse().unwrap(),
                data: "production.features".parse().unwrap(),
                sequence: 1,
                artifact: "gs://models/churn/1".parse().unwrap(),
                metrics: BTreeMap::from([("auc_pr".to_owned(), 0.8)]),
                cost: None,
            };
            registry.ensure_version(&version).await.unwrap();
        }
        let serves = |version| Deployed { model: model.clone(), version, traffic: 100 };
        let mut state = EndpointState {
            endpoint: model.clone(),
            deployed: vec![serves(1)],
            since: clock.now(),
            by: "test".to_owned(),
            previous: Vec::new(),
            moves: Vec::new(),
            revision: 0,
        };
        state = endpoints.set(&state, None).await.unwrap();
        let revision = state.revision;
        let second = EndpointState { deployed: vec![serves(2)], previous: vec![serves(1)], ..state };
        endpoints.set(&second, Some(revision)).await.unwrap();
        registry.set_alias(&model, "production", 2).await.unwrap();
    }

    fn models(&self, arguments: &[&str]) -> Value {
        let output = Command::new(millstream())
            .args(["models", "--cloud", "--json"])
            .args(arguments)
            .current_dir(self.project.path())
            .envs(self.variables())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until a move of traffic is told; earlier ones may be told again.
    fn wait_for_move(&self, kind: &str, version: u64) {
        wait_for(
            || format!("the move {kind} of version {version}"),
            || {
                let events = self.pubsub.pull("moves").into_iter();
                let mut moves = events.map(|pulled| serde_json::from_slice::<Value>(&pulled.data).unwrap());
                moves.any(|told| told["kind"] == kind && told["version"] == version).then_some(())
            },
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_on_vertex_ai_are_shown_rolled_back_and_promoted_by_hand() {
    let deployed = Stand::start();
    deployed.serve_two_versions().await;

    let all = deployed.models(&["list"]);
    assert_eq!((&all[0]["model"], &all[0]["latest"], &all[0]["production"]), (&json!("churn"), &json!(2), &json!(2)));
    let shown = deployed.models(&["show", "churn"]);
    assert_eq!(shown["versions"][1]["metrics"]["auc_pr"], 0.8, "{shown}");
    assert_eq!(shown["endpoints"][0]["deployed"][0]["version"], 2, "{shown}");

    let back = deployed.models(&["rollback", "churn"]);
    assert_eq!((&back[0]["endpoint"], &back[0]["to"]), (&json!("churn"), &json!(1)));
    deployed.wait_for_move("rolled_back_by_hand", 2);
    assert_eq!(deployed.models(&["list"])[0]["production"], 1);

    let forth = deployed.models(&["promote", "churn", "2"]);
    assert_eq!(forth[0]["to"], 2);
    deployed.wait_for_move("promoted_by_hand", 2);
    let shown = deployed.models(&["show", "churn"]);
    let shares: Vec<_> = shown["endpoints"][0]["deployed"].as_array().unwrap().iter().collect();
    assert!(shares.len() == 1 && shares[0]["version"] == 2 && shares[0]["traffic"] == 100, "{shown}");
}
