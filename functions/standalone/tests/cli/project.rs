//! Commands without a running platform.

use std::fs;

use serde_json::json;

use crate::support::{OBJECT, Project, RUN, program};

#[test]
fn an_example_project_goes_from_a_file_to_tables_and_a_quarantine() {
    let project = Project::new();
    let graph = project.run(&["check"]).well().stdout;
    assert!(graph.contains("production.revenue") && graph.contains("No mistakes."), "{graph}");

    let uploaded = project.upload().well();
    assert!(uploaded.stdout.contains(&format!("{RUN} succeeded")), "{}", uploaded.stdout);

    let revenue = project.run(&[
        "query",
        "--format",
        "csv",
        "SELECT product, pieces, revenue FROM production.revenue ORDER BY product",
    ]);
    assert_eq!(revenue.well().stdout, "product,pieces,revenue\nmug,3,28.5\nteapot,1,34\ntray,1,18.25\n");

    let list = project.run(&["quarantine", "list", "--json"]).well().json();
    assert_eq!(list[0]["bad_rows"], 1);
    assert_eq!(list[0]["reasons"], json!({"quantity: not_int64": 1}));
    let rows = project.run(&["quarantine", "show", OBJECT, "--json"]).well().json();
    assert_eq!(rows["rows"][0]["line"], 5);
    assert_eq!(rows["rows"][0]["column"], "quantity");
    assert_eq!(rows["rows"][0]["raw"], "4,2026-11-23,Teapot,three,34.00");

    let run = project.run(&["show", RUN, "--json"]).well().json();
    assert_eq!(run["state"], "succeeded");
    assert!(run["steps"].as_array().unwrap().iter().all(|step| step["state"] == "done"), "{run}");
    let runs = project.run(&["runs", "--json"]).well().json();
    assert_eq!((&runs[0]["run"], &runs[0]["bad_rows"]), (&json!(RUN), &json!(1)));
    assert!(project.path().join("data/buckets/lake/revenue/revenue.parquet").is_file());
}

#[test]
fn the_same_bytes_again_run_nothing_and_a_changed_model_reruns_what_is_downstream() {
    let project = Project::new();
    project.upload().well();
    assert!(project.upload().well().stdout.contains("is up to date: no step ran"));
    assert!(project.run(&["run", "example"]).well().stdout.contains("is up to date: no step ran"));

    project.edit("pipelines/example/production/revenue.sql", "SUM(quantity * price)", "2 * SUM(quantity * price)");
    let again = project.run(&["run", "example"]).well().stdout;
    assert!(again.contains("succeeded: 2 of 5 steps ran"), "the model and its export: {again}");
    assert_eq!(project.value("SELECT revenue FROM production.revenue WHERE product = 'tray'"), json!("36.5"));
}

#[test]
fn a_failed_run_says_why_and_goes_on_after_a_correction() {
    let project = Project::new();
    project.edit("pipelines/example/example.yaml", "revenue >= 0", "revenue >= 20");
    let failed = project.upload();
    assert_eq!(failed.code, 3, "{}{}", failed.stdout, failed.stderr);
    assert!(failed.stdout.contains("revenue >= 20"), "{}", failed.stdout);
    let show = project.run(&["show", RUN]).well().stdout;
    assert!(show.contains(&format!("millstream retry {RUN}")), "{show}");
    assert_eq!(project.run(&["retry", RUN]).code, 3, "nothing was corrected");

    project.edit("pipelines/example/example.yaml", "revenue >= 20", "revenue >= 0");
    assert!(project.run(&["run", RUN]).well().stdout.contains("succeeded"));
    let nothing = project.run(&["retry", RUN]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.stderr.contains("nothing to try again"), "{}", nothing.stderr);
}

#[test]
fn quarantined_rows_go_in_after_their_contract_is_corrected() {
    let project = Project::new();
    project.edit("pipelines/example/example.yaml", "{mode: merge, key: [sale_id]}", "append");
    project.edit("pipelines/example/example.yaml", "price >= 0", "price < 30");
    project.upload().well();
    assert_eq!(project.value("SELECT COUNT(*) FROM source.sales"), 3);

    project.edit("pipelines/example/example.yaml", "price < 30", "price >= 0");
    let replayed = project.run(&["quarantine", "replay", OBJECT, "--json"]).well().json();
    assert_eq!(replayed["replayed"]["rows"], 2);
    assert_eq!(project.value("SELECT COUNT(*) FROM source.sales"), 4, "one of the two breaks the right contract too");
    project.run(&["quarantine", "replay", OBJECT]).well();
    assert_eq!(project.value("SELECT COUNT(*) FROM source.sales"), 4, "replaying twice is one upload");

    let refused = project.run(&["quarantine", "replay", "nothing.csv"]);
    assert!(refused.stderr.contains("millstream quarantine list"), "{}", refused.stderr);
}

#[test]
fn a_project_that_is_there_keeps_every_file() {
    let project = Project::new();
    fs::write(project.path().join("README.md"), "mine").unwrap();
    let refused = project.run(&["init"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("is there already"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(project.path().join("README.md")).unwrap(), "mine");
}

#[test]
fn mistakes_are_told_with_their_place_and_stop_what_would_run_them() {
    let project = Project::new();
    project.edit("pipelines/example/example.yaml", "quantity: INT64", "quantity: INT46");
    let checked = project.run(&["check", "--json"]);
    assert_eq!(checked.code, 3);
    let mistake = &checked.json()["mistakes"][0];
    assert_eq!((&mistake["line"], &mistake["code"]), (&json!(17), &json!("invalid-value")), "{mistake}");
    let people = project.run(&["check"]);
    assert!(people.stderr.contains("INT64"), "the nearest right name: {}", people.stderr);
    assert_eq!(project.upload().code, 3);
    assert_eq!(project.run(&["runs"]).code, 0, "questions are answered all the same");
}

#[test]
fn what_cannot_be_done_is_an_error_that_says_what_there_is() {
    let project = Project::new();
    let unknown = project.run(&["run", "exmaple"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("there are example"), "{}", unknown.stderr);
    assert_eq!(project.run(&["show", RUN]).code, 1);
    assert_eq!(project.run(&["query", "SELECT nothing FROM nowhere.at_all"]).code, 1);
    assert_eq!(project.run(&["predict", "iris", "{}"]).code, 1);
    assert_eq!(project.run(&["models", "show", "iris"]).code, 1);
    assert_eq!(project.run(&["frobnicate"]).code, 2);
    let elsewhere = tempfile::tempdir().unwrap();
    let lost = program(elsewhere.path()).arg("runs").output().unwrap();
    assert_eq!(lost.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&lost.stderr).contains("millstream init"));
}

#[test]
fn questions_start_no_work() {
    let project = Project::new();
    let landing = project.path().join("data/buckets/landing/sales/2026-11-23");
    fs::create_dir_all(&landing).unwrap();
    fs::copy(project.path().join("uploads/sales.csv"), landing.join("sales.csv")).unwrap();
    assert_eq!(project.run(&["runs", "--json"]).well().json(), json!([]));
    // A command that works finds what nobody told of.
    assert_eq!(project.run(&["run", "example", "--json"]).well().json()[0]["run"], RUN);
}
