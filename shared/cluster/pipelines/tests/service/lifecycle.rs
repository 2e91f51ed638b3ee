//! From what is asked for to how it ends.

use std::sync::Arc;

use millstream_cluster_pipelines::{FixedToken, PipelinesSettings, TokenFile};
use millstream_ports::{ErrorKind, Secret, Trainer, TrainingState};
use serde_json::json;

use crate::support::{JOB, Site, behaving, pipeline, spec, trainer};

#[tokio::test]
async fn a_run_gets_the_user_s_parameters_and_those_of_the_platform_that_it_declares() {
    let site = Site::new().await;
    let declared = [
        ("epochs", "NUMBER_INTEGER"),
        ("rate", "NUMBER_DOUBLE"),
        ("names", "LIST"),
        ("model_dir", "STRING"),
        ("training_data_uri", "STRING"),
        ("data_format", "STRING"),
    ];
    let given = [("epochs", json!(3)), ("rate", json!(0.5)), ("names", json!(["a", "b"]))];
    let mut training = pipeline(spec(&declared), &given);
    training.data = ["1", "2"].map(|name| format!("gs://models/data/train-{name}.csv").parse().unwrap()).to_vec();
    site.ensure(&training).await;
    let run = site.stub.only_run();
    assert_eq!(
        run["runtime_config"],
        json!({
            "parameters": {
                "epochs": 3, "rate": 0.5, "names": ["a", "b"], "model_dir": "gs://models/artifacts/model",
                "training_data_uri": "gs://models/data/*", "data_format": "csv",
            },
            "pipeline_root": "gs://models/artifacts/model-pipeline",
        })
    );
    assert_eq!(run["pipeline_spec"], spec(&declared));
    assert_eq!(run.get("service_account"), None);
    let description = run["description"].as_str().unwrap();
    assert!(description.starts_with("Training of fraud for train/fraud of fraud/latest."), "{description}");
}

#[tokio::test]
async fn parameters_with_defaults_and_optional_ones_may_be_left_out() {
    let site = Site::new().await;
    let mut compiled = spec(&[("epochs", "NUMBER_INTEGER"), ("note", "STRING")]);
    compiled["root"]["inputDefinitions"]["parameters"]["epochs"]["defaultValue"] = json!(5);
    compiled["root"]["inputDefinitions"]["parameters"]["note"]["isOptional"] = json!(true);
    site.ensure(&pipeline(compiled, &[])).await;
    assert_eq!(site.stub.only_run()["runtime_config"]["parameters"], json!({}));
}

#[tokio::test]
async fn a_run_belongs_to_the_namespace_and_runs_as_the_account_that_is_asked_for() {
    let site = Site::new().await;
    let settings = PipelinesSettings {
        namespace: Some("team-a".to_owned()),
        experiment: "nightly".to_owned(),
        service_account: Some("trainer".to_owned()),
        ..PipelinesSettings::new(site.stub.url())
    };
    let trainer = trainer(settings);
    let mut training = behaving("hangs");
    trainer.ensure("plain", &training).await.unwrap();
    training.compute.service_account = Some("special".to_owned());
    trainer.ensure("special", &training).await.unwrap();
    let accounts: Vec<_> = site.stub.runs().iter().map(|run| run["service_account"].clone()).collect();
    assert_eq!(accounts, ["trainer", "special"]);
    let experiment = &site.stub.experiments()[0];
    assert_eq!((&experiment["display_name"], &experiment["namespace"]), (&json!("nightly"), &json!("team-a")));
    let lists = site.stub.requests().into_iter().filter(|request| request.starts_with("GET") && request.contains('?'));
    assert!(lists.into_iter().all(|request| request.contains("namespace=team-a")));
}

#[tokio::test]
async fn a_run_waits_then_runs_then_has_succeeded() {
    let site = Site::new().await;
    let training = behaving("succeeds");
    // It is looked at before this answer.
    assert!(matches!(site.ensure(&training).await, TrainingState::Running { .. }));
    site.stub.change(0, |run| run["state"] = "PENDING".into());
    site.stub.change(0, |run| run["runtime_config"]["parameters"]["behaviour"] = "hangs".into());
    assert!(matches!(site.ensure(&training).await, TrainingState::Running { since: Some(_) }));
    for unknown in ["CANCELING_SOON", "PAUSED", "RUNTIME_STATE_UNSPECIFIED", ""] {
        site.stub.change(0, |run| run["state"] = unknown.into());
        assert!(site.ensure(&training).await.is_running(), "{unknown:?} is no end");
    }
    site.stub.change(0, |run| {
        run["state"] = "SUCCEEDED".into();
        run["created_at"] = "2026-11-28T08:00:00Z".into();
        run["state_history"] = json!([{"state": "PENDING", "update_time": "2026-11-28T08:00:00Z"},
                                      {"state": "RUNNING", "update_time": "2026-11-28T08:10:00Z"}]);
        run["finished_at"] = "2026-11-28T08:11:30Z".into();
    });
    assert_eq!(site.ensure(&training).await, TrainingState::Succeeded { seconds: 90.0, log: None });
}

#[tokio::test]
async fn a_failure_names_the_task_and_its_error_and_says_where_the_logs_are() {
    let site = Site::new().await;
    let state = site.end(&behaving("fails")).await;
    let TrainingState::Failed { reason, log_tail, log: None } = &state else { panic!("{state:?}") };
    assert_eq!(reason, "train: ValueError: no such column");
    assert!(
        log_tail.contains("prepare (pod prepare-x7): SUCCEEDED\ntrain (pod train-k2): FAILED: ValueError"),
        "{log_tail}"
    );
    let log = site.trainer.log(JOB, 1 << 16).await.unwrap();
    let run = site.stub.only_run()["run_id"].as_str().unwrap().to_owned();
    assert!(log.contains(&run) && log.contains("experiment millstream") && log.ends_with(log_tail), "{log}");
    assert_eq!(site.ensure(&behaving("fails")).await, state);
}

#[tokio::test]
async fn a_failure_without_tasks_repeats_the_run_s_error_and_a_skipped_run_has_trained_nothing() {
    let site = Site::new().await;
    let training = behaving("hangs");
    site.ensure(&training).await;
    let reason = async || match site.ensure(&training).await {
        TrainingState::Failed { reason, .. } => reason,
        state => panic!("{state:?}"),
    };
    site.stub.change(0, |run| {
        run["state"] = "FAILED".into();
        run["error"] = json!({"code": 3, "message": "the quota of the namespace is used up"});
    });
    assert_eq!(reason().await, "the quota of the namespace is used up");
    site.stub.change(0, |run| run["error"] = json!(null));
    assert_eq!(reason().await, "the run failed; the service does not say why");
    site.stub.change(0, |run| run["state"] = "SKIPPED".into());
    assert!(reason().await.contains("nothing was trained"));
}

#[tokio::test]
async fn a_run_that_vanished_is_made_again() {
    let site = Site::new().await;
    let training = behaving("succeeds");
    site.ensure(&training).await;
    let first = site.stub.only_run()["run_id"].clone();
    site.stub.remove_runs();
    assert!(site.ensure(&training).await.is_running());
    assert_ne!(site.stub.only_run()["run_id"], first);
    assert!(matches!(site.end(&training).await, TrainingState::Succeeded { .. }));
}

#[tokio::test]
async fn a_run_that_was_made_for_something_else_is_adopted() {
    let site = Site::new().await;
    site.ensure(&behaving("hangs")).await;
    assert!(site.ensure(&behaving("succeeds")).await.is_running());
    assert_eq!(site.stub.only_run()["runtime_config"]["parameters"]["behaviour"], "hangs");
}

#[tokio::test]
async fn a_token_is_read_afresh_for_each_call() {
    let site = Site::new().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first\n").unwrap();
    let token = Some(Arc::new(TokenFile(file.path().to_owned())) as _);
    let trainer = trainer(PipelinesSettings { token, ..PipelinesSettings::new(site.stub.url()) });
    site.stub.want_token("first");
    trainer.ensure(JOB, &behaving("hangs")).await.unwrap();
    site.stub.want_token("second");
    let error = trainer.ensure(JOB, &behaving("hangs")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    std::fs::write(file.path(), "second\n").unwrap();
    trainer.ensure(JOB, &behaving("hangs")).await.unwrap();
}

#[tokio::test]
async fn a_refused_token_is_not_repeated() {
    let site = Site::new().await;
    site.stub.want_token("other");
    let token = Some(Arc::new(FixedToken(Secret::new("hunter2hunter2"))) as _);
    let trainer = trainer(PipelinesSettings { token, ..PipelinesSettings::new(site.stub.url()) });
    let error = trainer.ensure(JOB, &behaving("hangs")).await.unwrap_err();
    assert!(error.to_string().contains("no user identity"), "{error}");
    assert!(!format!("{error} {error:?} {trainer:?}").contains("hunter2"));
}
