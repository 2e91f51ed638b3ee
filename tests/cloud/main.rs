//! The whole chain as it runs on Google Cloud: every function a process of its own, joined by nothing but events, buckets and
//! tables. Google's Pub/Sub emulator, fake-gcs-server and bqemulator stand in for the services; nothing else does.
//!
//! What the warehouse holds in the end is compared row by row with what the same uploads make on one machine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod deployment;
mod doctor;
mod models;
mod single;

use std::fs;

use deployment::{Deliveries, Deployment, Uploads};
use millstream_tests::up::{copy_folder, demo, demo_uploads};

/// The demo's runs.
const RUNS: [&str; 2] = ["iris/latest", "products/latest"];

/// Every table of the demo's pipelines, and the columns that say which row is which.
const TABLES: [(&str, &str); 10] = [
    ("source.iris", "sepal_length, sepal_width, petal_length, petal_width, species"),
    ("staging.iris", "sepal_length, sepal_width, petal_length, petal_width, species"),
    ("production.iris_features", "sepal_length, sepal_width, petal_length, petal_width, species"),
    ("source.dim_product", "ProductKey"),
    ("source.dim_product_subcategory", "ProductSubcategoryKey"),
    ("source.dim_product_category", "ProductCategoryKey"),
    ("staging.stg_product", "ProductKey"),
    ("staging.stg_product_subcategory", "ProductSubcategoryKey"),
    ("staging.stg_product_category", "ProductCategoryKey"),
    ("production.products", "ProductKey"),
];

/// The demo's pipelines up to their tables, in a folder of their own: what bqemulator exports, fake-gcs-server does not find
/// (see shared/gcp/bigquery/README.md), so exports and what learns from them end there.
fn pipelines() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&demo().join("pipelines"), folder.path());
    for file in ["iris/iris.yaml", "products/products.yaml"] {
        let file = folder.path().join(file);
        let text = fs::read_to_string(&file).unwrap();
        let (tables, _) = text.split_once("\nexports:").unwrap();
        fs::write(file, tables).unwrap();
    }
    folder
}

/// Row for row what the same uploads make on one machine.
fn assert_same_tables_as_on_one_machine(deployment: &Deployment) {
    let queries = TABLES.map(|(table, order)| format!("SELECT * FROM {table} ORDER BY {order}"));
    for ((table, _), (sql, expected)) in TABLES.iter().zip(queries.iter().zip(single::answers(&queries))) {
        let found = deployment.query(sql);
        let names = |answer: &serde_json::Value| -> Vec<String> {
            let columns = answer["columns"].as_array().unwrap().iter();
            columns.map(|column| format!("{} {}", column["name"], column["type"])).collect()
        };
        assert_eq!(names(&found), names(&expected), "the columns of {table}");
        let (found, expected) = (found["rows"].as_array().unwrap(), expected["rows"].as_array().unwrap());
        assert!(!expected.is_empty(), "{table} has no rows on one machine");
        assert_eq!(found.len(), expected.len(), "the number of rows of {table}");
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert_eq!(found, expected, "row {at} of {table}");
        }
    }
}

#[test]
fn uploads_become_the_same_tables_as_on_one_machine_by_events_alone() {
    let pipelines = pipelines();
    let deployment = Deployment::start(pipelines.path(), Deliveries::Once, Uploads::Told);
    for (name, content) in demo_uploads() {
        deployment.upload(&name, &content);
    }
    deployment.wait_until_finished(&RUNS, |_| {});
    assert_same_tables_as_on_one_machine(&deployment);
}

#[test]
fn doubled_messages_and_functions_killed_in_the_middle_change_nothing_in_the_end() {
    let pipelines = pipelines();
    let mut deployment = Deployment::start(pipelines.path(), Deliveries::Twice, Uploads::Told);
    for (name, content) in demo_uploads() {
        deployment.upload(&name, &content);
        // Again: the same bytes under a new generation, notified once more.
        deployment.upload(&name, &content);
    }
    for function in ["ingest-file", "load-table", "transform-table"] {
        deployment.wait_for_work_of(function, &RUNS);
        for killed in [function, "plan-run"] {
            deployment.kill(killed);
            deployment.restart(killed);
        }
    }
    // What a killed process had in hand is delivered again or, where Pub/Sub had its answer already, swept.
    deployment.wait_until_finished(&RUNS, Deployment::sweep);
    assert_same_tables_as_on_one_machine(&deployment);
}
