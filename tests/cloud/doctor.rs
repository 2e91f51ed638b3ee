//! `millstream doctor` against a deployment: it finds nothing broken where nothing is, and names each link that is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::deployment::{Deliveries, Deployment, Said, Uploads, filter};

/// Findings by link and subject, with their states.
type States = BTreeMap<(String, String), String>;

/// What was found, where the answer is a report.
fn findings(said: &Said) -> Vec<Value> {
    let report: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let findings = report["findings"].as_array().unwrap().clone();
    let broken = findings.iter().any(|finding| finding["state"] == "broken");
    assert_eq!((report["healthy"].as_bool(), said.code), (Some(!broken), Some(i32::from(broken))), "{said:?}");
    for finding in &findings {
        let has_todo = finding["todo"].as_str().is_some_and(|todo| !todo.is_empty());
        assert_eq!(has_todo, finding["state"] == "broken", "{finding}");
    }
    findings
}

fn states(findings: &[Value]) -> States {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings.iter().map(|one| ((text(&one["link"]), text(&one["subject"])), text(&one["state"]))).collect()
}

/// The broken links of an examination, `LINK SUBJECT`.
fn broken(said: &Said) -> Vec<String> {
    let all = states(&findings(said)).into_iter();
    all.filter(|(_, state)| state == "broken").map(|((link, subject), _)| format!("{link} {subject}")).collect()
}

/// Looks without sending an event.
fn look(deployment: &Deployment) -> Said {
    deployment.millstream(&["doctor", "--json", "--no-event"], &[])
}

/// Nothing of a test is left, and no table was made.
fn assert_no_trace(deployment: &Deployment) {
    for bucket in ["landing", "lake", "ledger", "models"] {
        assert_eq!(deployment.objects(bucket), [""; 0], "{bucket}");
    }
    for dataset in ["source", "staging", "production"] {
        assert_eq!(deployment.tables(dataset), [Value::Null; 0], "{dataset}");
    }
}

#[test]
fn a_healthy_deployment_passes_and_each_broken_link_is_named() {
    // A pipeline that would take any upload takes no test event.
    let pipelines = tempfile::tempdir().unwrap();
    let takes_all = "apiVersion: millstream.dev/v1\nname: all\nsources:\n  all:\n    upload: \"{folder}/*\"\n    \
                     file: {format: csv}\n    columns: {a: STRING}\n    table: source.all\n    write: append\n";
    std::fs::write(pipelines.path().join("all.yaml"), takes_all).unwrap();
    let mut deployment = Deployment::start(pipelines.path(), Deliveries::Once, Uploads::Told);

    let well = deployment.millstream(&["doctor", "--json"], &[]);
    let found = findings(&well);
    assert_eq!(broken(&well), [""; 0], "{}", well.stdout);
    let hops: Vec<&Value> = found.iter().filter(|finding| finding["link"] == "event").collect();
    assert_eq!(hops.len(), 8, "the upload, and each function's answer: {hops:?}");
    assert!(hops.iter().all(|hop| hop["seconds"].is_f64()), "{hops:?}");
    // What an emulator does not have is not taken for well.
    let states = states(&found);
    for (link, subject) in [
        ("uploads", "gs://landing"),
        ("region", "dataset source"),
        ("region", "bucket lake"),
        ("audience", "millstream-events-load-table-0"),
        ("dead-letter grant", "millstream-events-dead-letters"),
        ("dead-letter grant", "millstream-events-load-table-0"),
        ("sweep", "millstream-sweep"),
    ] {
        assert_eq!(states[&(link.to_owned(), subject.to_owned())], "unchecked", "{link} {subject}");
    }
    for (link, subject) in [
        ("bucket", "ledger"),
        ("dataset", "production"),
        ("topic", "millstream-events"),
        ("subscription", "plan-run"),
        ("push", "millstream-events-train-model-0"),
        ("dead letters", "millstream-uploads-dead-letters"),
        ("uploads", "plan-run"),
        ("function", "promote-model"),
    ] {
        assert_eq!(states[&(link.to_owned(), subject.to_owned())], "ok", "{link} {subject}");
    }
    assert_no_trace(&deployment);
    let people = deployment.millstream(&["doctor", "--no-event"], &[]);
    assert_eq!(people.code, Some(0), "{people:?}");
    assert!(people.stdout.contains("0 broken") && people.stdout.contains("cannot be checked here"), "{people:?}");

    // A filter that is not the declared one, or none.
    let own = filter("load-table");
    for wrong in ["attributes.kind = \"command\"", ""] {
        deployment.unsubscribe("load-table");
        deployment.subscribe_with("load-table", wrong, true);
        let said = look(&deployment);
        assert_eq!(broken(&said), ["subscription load-table"]);
        assert!(said.stdout.contains("the function declares"), "{said:?}");
    }

    // No dead letters, or nowhere for them to wait.
    deployment.unsubscribe("load-table");
    deployment.subscribe_with("load-table", &own, false);
    assert_eq!(broken(&look(&deployment)), ["dead letters millstream-events-load-table-0"]);
    deployment.unsubscribe("load-table");
    deployment.subscribe_with("load-table", &own, true);
    deployment.forget_dead_letters();
    assert_eq!(broken(&look(&deployment)), ["dead letters millstream-events-dead-letters"]);

    deployment.delete_dataset("staging");
    let said = deployment.millstream(&["doctor", "--no-event"], &[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stdout.contains("what to do: terraform apply; by hand: bq "), "{}", said.stdout);
    let elsewhere = deployment.millstream(
        &["doctor", "--json", "--no-event"],
        &[("MILLSTREAM_BUCKETS__MODELS", "nowhere"), ("MILLSTREAM_RAY__ADDRESS", "http://127.0.0.1:9")],
    );
    let expected = ["bucket models", "dataset staging", "dead letters millstream-events-dead-letters", "training Ray"];
    assert_eq!(broken(&elsewhere), expected);

    // A subscription that is gone and a function that is down: the event says it too, and waits for nobody else.
    deployment.unsubscribe("load-table");
    deployment.kill("export-table");
    let said = deployment.millstream(&["doctor", "--json", "--timeout", "20"], &[]);
    assert_eq!(
        broken(&said),
        [
            "dataset staging",
            "dead letters millstream-events-dead-letters",
            "event plan-run to export-table and back",
            "event plan-run to load-table and back",
            "function export-table",
            "subscription load-table",
        ]
    );
    assert_eq!(deployment.objects("landing"), [""; 0]);
}

#[test]
fn an_upload_that_nobody_tells_of_is_found_by_the_event_alone() {
    let pipelines = tempfile::tempdir().unwrap();
    let deployment = Deployment::start(pipelines.path(), Deliveries::Once, Uploads::Untold);
    let said = deployment.millstream(&["doctor", "--json", "--timeout", "10"], &[]);
    assert_eq!(broken(&said), ["event upload to plan-run"]);
    assert!(said.stdout.contains("see that the landing bucket notifies its topic"), "{}", said.stdout);
    assert_no_trace(&deployment);
}
