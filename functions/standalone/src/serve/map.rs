//! The map of all functions that a deployment is made from: `infra/functions.json`.
//!
//! Everything in it follows from what the functions declare, so that no role, filter or size is written down twice.

use std::collections::{BTreeMap, BTreeSet};

use millstream_pipeline::{Pipeline, Pipelines};
use millstream_runtime::{
    Declaration,
    declaration::{Bucket, Dataset, Touch},
};
use serde_json::{Map, Value, json};

use super::Role;

/// Every function by name.
pub(crate) fn functions() -> Value {
    let functions = Role::ALL.map(|role| {
        let declared = role.declaration();
        (declared.name.to_owned(), function(declared))
    });
    json!({ "functions": Map::from_iter(functions) })
}

/// What a project's pipelines need of the deployment: a Cloud Scheduler job for each schedule (`PIPELINE`, or
/// `PIPELINE/SOURCE` for a source's own), a subscription for each topic.
pub(crate) fn pipelines(pipelines: &Pipelines) -> Value {
    let all = pipelines.by_name.values();
    let named = |pipeline: &'_ Pipeline, source: Option<&str>| match source {
        Some(source) => format!("{}/{source}", pipeline.name),
        None => pipeline.name.to_string(),
    };
    let schedules: BTreeMap<String, &str> = all
        .clone()
        .flat_map(|pipeline| pipeline.schedules().map(move |(source, cron)| (named(pipeline, source), cron)))
        .collect();
    let topics: BTreeMap<&str, Value> = all
        .flat_map(|pipeline| {
            let sources = pipeline.sources.iter().filter_map(|source| source.topic.as_deref());
            sources.chain(pipeline.message.as_deref())
        })
        .map(|topic| (topic, json!({})))
        .collect();
    json!({ "schedules": schedules, "message_topics": topics })
}

fn function(declared: &Declaration) -> Value {
    let mut function = json!({
        "consumes": declared.consumes,
        "emits": declared.emits,
        "filter": filter(declared),
        "path": "/",
        "roles": roles(declared),
    });
    if let (Some(function), Ok(Value::Object(size))) = (function.as_object_mut(), serde_json::to_value(declared.size)) {
        function.extend(size);
    }
    function
}

/// Which messages of the events topic are the function's, in Pub/Sub's filter syntax, which ends at 256 characters: too few
/// to name everything that `plan-run` takes. Every message says in `kind` whether it is a command.
pub(crate) fn filter(declared: &Declaration) -> String {
    match declared.consumes {
        [command] => format!(r#"attributes.ce-type = "{command}""#),
        _ => r#"attributes.kind != "command""#.to_owned(),
    }
}

fn roles(declared: &Declaration) -> Vec<Value> {
    let roles: BTreeSet<(String, &str)> = declared.touches.iter().map(|touch| role(*touch)).collect();
    roles.into_iter().map(|(on, role)| json!({ "on": on, "role": role })).collect()
}

/// The least role on one resource that lets a function do what it says.
fn role(touch: Touch) -> (String, &'static str) {
    match touch {
        Touch::Reads(bucket) => (format!("bucket:{}", bucket_name(bucket)), "roles/storage.objectViewer"),
        Touch::Writes(bucket) => (format!("bucket:{}", bucket_name(bucket)), "roles/storage.objectUser"),
        Touch::Queries(dataset) => (format!("dataset:{}", dataset_name(dataset)), "roles/bigquery.dataViewer"),
        Touch::Fills(dataset) => (format!("dataset:{}", dataset_name(dataset)), "roles/bigquery.dataEditor"),
        Touch::RunsJobs => ("project".to_owned(), "roles/bigquery.jobUser"),
        Touch::Publishes => ("topic:events".to_owned(), "roles/pubsub.publisher"),
        // Roles of our own, in infra/modules/platform/roles.tf: Google's give far more.
        Touch::LaunchesTraining => ("project".to_owned(), "custom:trainingLauncher"),
        Touch::PublishesModels => ("project".to_owned(), "custom:modelPublisher"),
        Touch::ActsAsTraining => ("account:training".to_owned(), "roles/iam.serviceAccountUser"),
    }
}

fn bucket_name(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Landing => "landing",
        Bucket::Lake => "lake",
        Bucket::Ledger => "ledger",
        Bucket::Models => "models",
        Bucket::Pipelines => "pipelines",
    }
}

fn dataset_name(dataset: Dataset) -> &'static str {
    match dataset {
        Dataset::Source => "source",
        Dataset::Staging => "staging",
        Dataset::Production => "production",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_map_is_what_the_functions_declare() {
        let written: Value = serde_json::from_str(include_str!("../../../../infra/functions.json")).unwrap();
        let stale = "infra/functions.json is stale: millstream infra functions > infra/functions.json";
        assert_eq!(written, functions(), "{stale}");
    }

    #[test]
    fn every_event_is_known_and_taken_by_exactly_one_function() {
        let known: BTreeSet<&str> = millstream_events::event::schemas().into_iter().map(|(name, _)| name).collect();
        let consumed: Vec<&str> = Role::ALL.iter().flat_map(|role| role.declaration().consumes).copied().collect();
        assert_eq!(consumed.iter().copied().collect::<BTreeSet<_>>(), known);
        assert_eq!(consumed.len(), known.len(), "an event has two takers");
        for role in Role::ALL {
            for event in role.declaration().emits {
                assert!(known.contains(event), "{} emits {event}", role.declaration().name);
            }
        }
    }

    #[test]
    fn filters_are_no_longer_than_pub_sub_allows() {
        for role in Role::ALL {
            let filter = filter(role.declaration());
            assert!(filter.len() <= 256, "{filter}");
        }
    }
}
