//! `millstream cost`: trainings on each back-end, and the three comparisons.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Project, program};

/// A project with a training that is expected to run an hour and a half on one L4 and may cost half a dollar.
fn project() -> Project {
    let project = Project::new();
    let file = project.path().join("pipelines/example/example.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let digest = "0123456789abcdef".repeat(4);
    let training = format!(
        "training:\n  demand:\n    data: production.revenue\n    image: europe-docker.pkg.dev/p/gpt@sha256:{digest}\n    \
         run_on: kubeflow\n    cpu: 3\n    memory: 12Gi\n    accelerator: {{type: nvidia-l4}}\n    spot: true\n    \
         checkpoints: true\n    limits: {{wall: 4h, expected: 90m, cost_usd: 0.7}}\n  \
         baseline: {{data: production.revenue, target: revenue, recipe: tabular, limits: {{wall: 1h}}}}\n"
    );
    fs::write(&file, format!("{text}\n{training}")).unwrap();
    project
}

/// US dollars of a back-end or a place, in ten-thousandths.
fn usd(lines: &Value, field: &str, name: &str) -> Option<i64> {
    let line = lines.as_array().unwrap().iter().find(|line| line[field] == name).unwrap();
    line["usd"].as_f64().map(|usd| (usd * 1e4).round() as i64)
}

#[test]
fn a_pipelines_trainings_are_priced_on_each_back_end() {
    let project = project();
    let costs = project.run(&["cost", "example", "--json"]).well().json();
    assert_eq!((&costs["pipeline"], &costs["book"]["name"]), (&json!("example"), &json!("list-2026-07")));
    let trainings = costs["trainings"].as_array().unwrap();
    assert_eq!(trainings.len(), 2);
    let demand = trainings.iter().find(|training| training["training"] == "demand").unwrap();
    assert_eq!(
        (&demand["run_on"], &demand["seconds"], &demand["is_expected"]),
        (&json!("kubeflow"), &json!(5_400.0), &json!(true))
    );
    // A spot g2-standard-4 is 0.397336 an hour, the cluster 0.10, Vertex AI 1.15 times the machine; for an hour and a half.
    let lines = &demand["lines"];
    assert_eq!(usd(lines, "run_on", "local"), None);
    assert_eq!(usd(lines, "run_on", "kubeflow"), Some(7_460));
    assert_eq!(usd(lines, "run_on", "ray-cluster"), Some(5_960));
    assert_eq!(usd(lines, "run_on", "vertex"), Some(6_854));
    let baseline = trainings.iter().find(|training| training["training"] == "baseline").unwrap();
    assert_eq!((&baseline["seconds"], &baseline["is_expected"]), (&json!(3_600.0), &json!(false)));
}

#[test]
fn the_table_says_where_it_is_to_run_and_what_is_too_dear() {
    let project = project();
    let table = project.run(&["cost", "example", "--step", "demand"]).well().stdout;
    let line = |back_end: &str| {
        let found = table.lines().find(|line| line.split_whitespace().any(|word| word == back_end));
        found.unwrap_or_else(|| panic!("no {back_end} in {table}")).to_owned()
    };
    assert!(table.contains("demand: 1 node with 3 vCPUs, 12 GiB, 1 nvidia-l4, spot, for 1 h 30 min"), "{table}");
    assert!(!table.contains("baseline"), "{table}");
    let kubeflow = line("kubeflow");
    assert!(kubeflow.contains('*') && kubeflow.contains("g2-standard-4"), "{kubeflow}");
    assert!(kubeflow.contains("0.4973") && kubeflow.contains("0.75"), "{kubeflow}");
    assert!(kubeflow.contains("more than it may cost, 0.70"), "{kubeflow}");
    let vertex = line("vertex");
    assert!(vertex.contains("0.69") && !vertex.contains('*') && !vertex.contains("more than"), "{vertex}");
    assert_eq!(project.run(&["cost", "example", "--step", "train/demand"]).well().stdout, table);
}

#[test]
fn another_book_is_built_in_or_a_file() {
    let project = project();
    let seed = project.run(&["cost", "example", "--step", "baseline", "--book", "seed", "--json"]).well().json();
    // 1 vCPU and 2 GiB for an hour: 0.10 + 2 x 0.13
    let lines = &seed["trainings"][0]["lines"];
    assert_eq!(usd(lines, "run_on", "kubeflow"), Some(3_600));
    assert_eq!(usd(lines, "run_on", "ray"), None);
    // Without --book it is the one that the project's settings name.
    project.edit("millstream.toml", r#"price_book = "list-2026-07""#, r#"price_book = "seed""#);
    assert_eq!(project.run(&["cost", "example", "--step", "baseline", "--json"]).well().json(), seed);

    let row = r#"{"item": "e2", "unit": "vcpu-hour", "price": -1, "source": "us", "date": "2026-11-01"}"#;
    let book = format!(r#"{{"name": "ours", "about": "", "currency": "USD", "region": "x", "rows": [{row}]}}"#);
    fs::write(project.path().join("ours.json"), book).unwrap();
    let refused = project.run(&["cost", "example", "--book", "ours.json"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("ours.json, row 1 (e2, vcpu-hour): the price is -1"), "{}", refused.stderr);
    let unknown = project.run(&["cost", "example", "--book", "sede"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("list-2026-07 and seed"), "{}", unknown.stderr);
}

#[test]
fn the_three_comparisons_need_no_project() {
    let elsewhere = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let left = program(elsewhere.path()).args(arguments).output().unwrap();
        assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
        String::from_utf8(left.stdout).unwrap()
    };
    let seed: Value = serde_json::from_str(&run(&["cost", "--comparisons", "--book", "seed", "--json"])).unwrap();
    let kubeflow = |index: usize| usd(&seed["comparisons"][index]["lines"], "place", "kubeflow");
    // (4 x 0.10 + 16 x 0.13) x 10; (2 x 0.10 + 8 x 0.13) x 730; (8 x 0.10 + 32 x 0.13) x 24
    assert_eq!([0, 1, 2].map(kubeflow), [Some(248_000), Some(9_052_000), Some(1_190_400)]);
    let table = run(&["cost", "--comparisons"]);
    for text in ["100 GB for 10 h", "1,000 requests/s", "1 TB for 24 h", "2.34", "1229.90", "e2-standard-8", "0.03 USD"]
    {
        assert!(table.contains(text), "{text}: {table}");
    }
}

#[test]
fn what_is_not_there_is_an_error_that_says_what_is() {
    let project = project();
    let unknown = project.run(&["cost", "exmaple"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("there are example"), "{}", unknown.stderr);
    let step = project.run(&["cost", "example", "--step", "churn"]);
    assert!(step.code == 1 && step.stderr.contains("there are demand, baseline"), "{}", step.stderr);
    assert_eq!(project.run(&["cost"]).code, 2);
    assert_eq!(project.run(&["cost", "example", "--comparisons"]).code, 2);
    let nothing = Project::new().run(&["cost", "example"]).well().stdout;
    assert!(nothing.contains("example trains no model"), "{nothing}");
}
