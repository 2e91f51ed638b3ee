//! The golden manifests on an API server: each is accepted, and every field of it is one that the server knows.

use std::{fs, path::Path};

use kube::api::{DynamicObject, PostParams};
use serde_json::Value;

use crate::support::{Cluster, KINDS, Kind};

fn golden() -> Vec<(String, Kind, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut all: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let object: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let kind = KINDS.into_iter().find(|kind| object["kind"] == format!("{kind:?}")).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), kind, object)
        })
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// The first field of `sent` that is not in `stored` as it was sent.
fn lost(sent: &Value, stored: &Value, path: &str) -> Option<String> {
    match (sent, stored) {
        (Value::Object(sent), Value::Object(stored)) => sent.iter().find_map(|(key, value)| {
            let path = format!("{path}/{key}");
            match stored.get(key) {
                Some(stored) => lost(value, stored, &path),
                None => Some(path),
            }
        }),
        (Value::Array(sent), Value::Array(stored)) if sent.len() == stored.len() => sent
            .iter()
            .zip(stored)
            .enumerate()
            .find_map(|(at, (sent, stored))| lost(sent, stored, &format!("{path}/{at}"))),
        // 2.0 and 2 are one number there.
        (Value::Number(sent), Value::Number(stored)) if sent.as_f64() == stored.as_f64() => None,
        (sent, stored) => (sent != stored).then(|| format!("{path}: {sent} is {stored}")),
    }
}

#[tokio::test]
async fn every_manifest_is_accepted_whole() {
    let cluster = Cluster::start().await;
    let all = golden();
    assert!(all.len() >= 9, "{}", all.len());
    for (file, kind, mut object) in all {
        object["metadata"]["namespace"] = cluster.namespace.clone().into();
        object["metadata"]["name"] = file.replace('_', "-").into();
        let sent: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        cluster
            .jobs(kind)
            .create(&PostParams::default(), &sent)
            .await
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let stored = cluster.object(kind, &file.replace('_', "-")).await.unwrap();
        // A real server drops what it does not know without a word.
        assert_eq!(lost(&object, &stored, ""), None, "{file}");
    }
}

#[tokio::test]
async fn a_field_that_no_definition_has_is_refused() {
    let cluster = Cluster::small().await;
    for (file, kind, mut object) in golden() {
        object["metadata"]["namespace"] = cluster.namespace.clone().into();
        object["spec"]["nprocPerNodes"] = 2.into();
        let sent: DynamicObject = serde_json::from_value(object).unwrap();
        let error = cluster.jobs(kind).create(&PostParams::default(), &sent).await.unwrap_err();
        assert!(error.to_string().contains("unknown field \"spec.nprocPerNodes\""), "{file}: {error}");
    }
}
