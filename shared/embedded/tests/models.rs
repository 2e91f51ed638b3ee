//! Registry, endpoints and scoring on an object store of files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Float64Array, RecordBatch},
    datatypes::{DataType, Field, Schema},
};
use millstream_embedded::{
    models::{FileEndpoints, FileRegistry, OnnxScorer},
    objects::{LocalObjectStore, StoreOptions},
};
use millstream_events::{
    Fingerprint,
    names::{ModelName, ObjectPath},
};
use millstream_ports::{
    Deployed, EndpointState, Endpoints, ErrorKind, ModelRegistry, NewVersion, ObjectStoreExt, Precondition,
    PredictError, Scorer, ServingStats, SystemClock, contracts,
};
use parquet::arrow::ArrowWriter;
use prost::Message;
use serde_json::json;
use tempfile::TempDir;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_proto::DataType as TensorType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

struct Machine {
    _root: TempDir,
    store: Arc<LocalObjectStore>,
    registry: FileRegistry,
    endpoints: FileEndpoints,
}

fn machine() -> Machine {
    let root = TempDir::new().unwrap();
    let store = Arc::new(LocalObjectStore::open(root.path(), StoreOptions::default()).unwrap());
    let registry = FileRegistry::new(store.clone(), Arc::new(SystemClock));
    let endpoints = FileEndpoints::new(store.clone(), Arc::new(SystemClock));
    Machine { _root: root, store, registry, endpoints }
}

fn folder(name: &str) -> ObjectPath {
    ObjectPath::new("models", format!("artifacts/{name}")).unwrap()
}

fn matrix(name: &str) -> ValueInfoProto {
    let dim = |value| Dimension { denotation: String::new(), value: Some(value) };
    let shape = TensorShapeProto {
        dim: vec![dim(dimension::Value::DimParam("rows".to_owned())), dim(dimension::Value::DimValue(1))],
    };
    let tensor = type_proto::Tensor { elem_type: TensorType::Float as i32, shape: Some(shape) };
    let r#type = TypeProto { denotation: String::new(), value: Some(type_proto::Value::TensorType(tensor)) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(r#type), doc_string: String::new() }
}

/// A model of one feature `x` whose value is what `operator` makes of it.
fn onnx(operator: &str) -> Vec<u8> {
    let node = NodeProto {
        input: vec!["x".to_owned()],
        output: vec!["y".to_owned()],
        op_type: operator.to_owned(),
        ..NodeProto::default()
    };
    let graph = GraphProto {
        name: "test".to_owned(),
        node: vec![node],
        input: vec![matrix("x")],
        output: vec![matrix("y")],
        ..GraphProto::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 13 }];
    ModelProto { ir_version: 7, opset_import, graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
}

impl Machine {
    async fn put(&self, path: &ObjectPath, bytes: Vec<u8>) {
        self.store.put(path, bytes, Precondition::None).await.unwrap();
    }

    async fn artifact(&self, name: &str, operator: &str) -> ObjectPath {
        let artifact = folder(name);
        self.put(&artifact.join("model.onnx").unwrap(), onnx(operator)).await;
        let signature =
            json!({ "task": "regression", "target": "y", "features": [{ "name": "x", "kind": "numeric" }] });
        self.put(&artifact.join("signature.json").unwrap(), signature.to_string().into_bytes()).await;
        artifact
    }

    async fn register(&self, artifact: &ObjectPath) -> u64 {
        let new = NewVersion {
            model: fraud(),
            fingerprint: Fingerprint::of("test", [artifact.name().as_bytes()]),
            run: "fraud".parse().unwrap(),
            sequence: 1,
            data: "production.features".parse().unwrap(),
            artifact: artifact.clone(),
            metrics: BTreeMap::new(),
            cost: None,
        };
        self.registry.ensure_version(&new).await.unwrap().version
    }

    async fn deploy(&self, shares: &[(u64, u8)]) -> EndpointState {
        let deployed =
            shares.iter().map(|(version, traffic)| Deployed { model: fraud(), version: *version, traffic: *traffic });
        let expected = self.endpoints.endpoint(&fraud()).await.ok().map(|state| state.revision);
        let state = EndpointState {
            endpoint: fraud(),
            deployed: deployed.collect(),
            since: chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
            by: "test".to_owned(),
            previous: Vec::new(),
            moves: Vec::new(),
            revision: 0,
        };
        self.endpoints.set(&state, expected).await.unwrap()
    }
}

fn fraud() -> ModelName {
    "fraud".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_keeps_its_contract() {
    let machine = machine();
    let artifact = machine.artifact("contract", "Identity").await;
    contracts::models(&machine.registry, &artifact).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoints_keep_their_contract() {
    let machine = machine();
    let artifact = machine.artifact("contract", "Identity").await;
    contracts::endpoints(&machine.endpoints, &machine.registry, &artifact).await;
}

#[tokio::test]
async fn the_deployed_version_answers_and_another_one_after_the_switch() {
    let machine = machine();
    let first = machine.register(&machine.artifact("first", "Identity").await).await;
    let second = machine.register(&machine.artifact("second", "Neg").await).await;
    let request = json!({ "instances": [{ "x": 2.5 }, [4]] });
    machine.deploy(&[(first, 100)]).await;
    let answer = machine.endpoints.predict(&fraud(), request.clone()).await.unwrap();
    assert_eq!(answer, json!({ "predictions": [{ "value": 2.5 }, { "value": 4.0 }], "model": "fraud", "version": 1 }));
    machine.deploy(&[(first, 0), (second, 100)]).await;
    let answer = machine.endpoints.predict(&fraud(), request).await.unwrap();
    assert_eq!(
        answer,
        json!({ "predictions": [{ "value": -2.5 }, { "value": -4.0 }], "model": "fraud", "version": 2 })
    );
}

#[tokio::test]
async fn a_wrong_request_is_the_callers_fault_and_names_the_place() {
    let machine = machine();
    let version = machine.register(&machine.artifact("first", "Identity").await).await;
    machine.deploy(&[(version, 100)]).await;
    for (request, part) in [
        (json!({ "rows": [] }), "{\"instances\": [..]}"),
        (json!({ "instances": [{ "x": 1 }, { "x": "red" }] }), "instance 1, field \"x\""),
    ] {
        let error = machine.endpoints.predict(&fraud(), request).await.unwrap_err();
        assert!(matches!(&error, PredictError::BadRequest(message) if message.contains(part)), "{error:?}");
    }
    assert_eq!(machine.endpoints.stats(&fraud(), version).await.unwrap().errors, 0);
}

#[tokio::test]
async fn failures_of_the_model_are_counted_until_the_traffic_changes() {
    let machine = machine();
    let good = machine.register(&machine.artifact("good", "Identity").await).await;
    machine.put(&folder("pickle").join("model.pkl").unwrap(), b"pickled".to_vec()).await;
    let other = machine.register(&folder("pickle")).await;
    machine.deploy(&[(other, 100)]).await;
    let request = json!({ "instances": [[1]] });
    let error = machine.endpoints.predict(&fraud(), request.clone()).await.unwrap_err();
    let PredictError::Port(port) = &error else { panic!("{error:?}") };
    assert_eq!(port.kind(), ErrorKind::Invalid);
    assert!(port.to_string().contains("only ONNX models are served"), "{port}");
    let stats = machine.endpoints.stats(&fraud(), other).await.unwrap();
    assert_eq!(stats, ServingStats { requests: 1, errors: 1, ..ServingStats::default() });
    machine.deploy(&[(other, 0), (good, 100)]).await;
    assert_eq!(machine.endpoints.stats(&fraud(), other).await.unwrap(), ServingStats::default());
    machine.endpoints.predict(&fraud(), request).await.unwrap();
    let stats = machine.endpoints.stats(&fraud(), good).await.unwrap();
    assert_eq!((stats.requests, stats.errors), (1, 0));
}

#[tokio::test]
async fn answers_are_measured_by_version_until_the_traffic_changes() {
    let machine = machine();
    let first = machine.register(&machine.artifact("first", "Identity").await).await;
    let second = machine.register(&machine.artifact("second", "Neg").await).await;
    machine.deploy(&[(first, 50), (second, 50)]).await;
    for n in 0..40 {
        let request = json!({ "instances": [[1.0], [3.0]], "parameters": { "n": n } });
        machine.endpoints.predict(&fraud(), request).await.unwrap();
    }
    let stats = async |version| machine.endpoints.stats(&fraud(), version).await.unwrap();
    let (one, other) = (stats(first).await, stats(second).await);
    assert!(one.requests > 0 && other.requests > 0 && one.requests + other.requests == 40, "{one:?} {other:?}");
    assert_eq!((one.mean_score, other.mean_score), (Some(2.0), Some(-2.0)));
    assert!(one.latency_p95_ms.unwrap() > 0.0 && other.latency_p95_ms.unwrap() > 0.0);
    machine.deploy(&[(second, 100)]).await;
    assert_eq!(stats(second).await, ServingStats::default());
}

#[tokio::test]
async fn a_champion_is_scored_on_the_challengers_held_out_rows() {
    let machine = machine();
    let champion = machine.artifact("champion", "Neg").await;
    let challenger = machine.artifact("challenger", "Identity").await;
    let scorer = OnnxScorer::new(machine.store.clone());
    assert_eq!(scorer.score(&champion, &challenger).await.unwrap(), None, "no rows were held out");

    let holdout = |column: &str| {
        let fields = vec![Field::new(column, DataType::Float64, true), Field::new("y", DataType::Float64, true)];
        let columns = [[1.0, 2.0], [1.0, 2.0]].map(|values| Arc::new(Float64Array::from(values.to_vec())) as _);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.to_vec()).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    };
    let path = challenger.join("holdout.parquet").unwrap();
    machine.put(&path, holdout("x")).await;
    let metrics = scorer.score(&champion, &challenger).await.unwrap().unwrap();
    // It says -1 and -2 for 1 and 2.
    assert!((metrics["mae"] - 3.0).abs() < 1e-9, "{metrics:?}");
    let metrics = scorer.score(&challenger, &challenger).await.unwrap().unwrap();
    assert!(metrics["mae"].abs() < 1e-9, "{metrics:?}");
    assert_eq!(scorer.score(&folder("no-model"), &challenger).await.unwrap(), None);

    machine.put(&path, holdout("renamed")).await;
    assert_eq!(scorer.score(&champion, &challenger).await.unwrap(), None, "the tables have grown apart");
}
