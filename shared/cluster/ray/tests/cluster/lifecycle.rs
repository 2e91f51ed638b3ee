//! From the submission to the end.

use std::sync::Arc;

use futures::future::join_all;
use millstream_cluster_ray::{RaySettings, RayTrainer};
use millstream_ports::{ErrorKind, Secret, SystemClock, Trainer, TrainingState};
use serde_json::json;

use crate::support::{Site, assert_succeeded, end, failure, job, shell, until};

#[tokio::test]
async fn every_argument_reaches_the_program_as_it_is() {
    let site = Site::new();
    let arguments = [
        "a b",
        "",
        "$(exit 3)",
        "`exit 3`",
        "$HOME",
        "'; exit 3; '",
        "\"",
        "\\",
        "*",
        "~",
        "#",
        "-n",
        "two\nlines",
        "größe",
        "&& exit 3",
    ];
    // Python prints each argument in brackets on a line of its own, escaped.
    let mut training = job("arguments", &["python3", "-c", "import sys; [print(ascii([a])) for a in sys.argv[1:]]"]);
    training.args = arguments.map(str::to_owned).to_vec();
    assert_succeeded(&site.end("arguments", &training).await);
    let log = site.trainer.log("arguments", 1 << 16).await.unwrap();
    let printed: Vec<&str> = log.lines().filter(|line| line.starts_with('[')).collect();
    let expected = [
        "['a b']",
        "['']",
        "['$(exit 3)']",
        "['`exit 3`']",
        "['$HOME']",
        "[\"'; exit 3; '\"]",
        "['\"']",
        "['\\\\']",
        "['*']",
        "['~']",
        "['#']",
        "['-n']",
        "['two\\nlines']",
        "['gr\\xf6\\xdfe']",
        "['&& exit 3']",
    ];
    assert_eq!(printed, expected, "{log}");
}

#[tokio::test]
async fn a_program_gets_the_contract_and_its_own_variables() {
    let site = Site::new();
    let script = r#"
        test "$AIP_DATA_FORMAT" = csv && test "$AIP_MODEL_DIR" != /elsewhere || exit 2
        test "$NOTE" = "a b 'c' \"d\" 5\$" || exit 3
        for folder in "$AIP_MODEL_DIR" "$AIP_CHECKPOINT_DIR" "$AIP_TENSORBOARD_LOG_DIR"; do test -d "$folder" || exit 4; done
        test "$AIP_TRAINING_DATA_URI" = "${AIP_MODEL_DIR%/model}/data/*" || exit 5
    "#;
    let mut training = shell("variables", script);
    training.data =
        ["one", "two"].map(|name| format!("gs://models/variables/data/{name}.csv").parse().unwrap()).to_vec();
    training.env.insert("NOTE".to_owned(), "a b 'c' \"d\" 5$".to_owned());
    training.env.insert("AIP_MODEL_DIR".to_owned(), "/elsewhere".to_owned());
    assert_succeeded(&site.end("variables", &training).await);
}

#[tokio::test]
async fn another_process_goes_on_with_a_job_also_where_it_would_start_another() {
    let site = Site::new();
    let training = shell("adopted", "echo started; until test -e \"$AIP_MODEL_DIR/go\"; do sleep 0.1; done");
    site.trainer.ensure("adopted", &training).await.unwrap();
    site.says("adopted", "\nstarted\n").await;
    let other = site.other_trainer();
    assert!(matches!(other.ensure("adopted", &training).await.unwrap(), TrainingState::Running { since: Some(_) }));
    let changed = shell("adopted", "exit 3");
    assert!(other.ensure("adopted", &changed).await.unwrap().is_running());
    std::fs::write(site.folder("adopted/model/go"), "").unwrap();
    assert_succeeded(&end(&other, "adopted", &changed).await);
}

#[tokio::test]
async fn processes_that_race_start_a_job_once() {
    let site = Site::new();
    let trainers: Vec<RayTrainer> = (0..8).map(|_| site.other_trainer()).collect();
    let training = shell("raced", "echo x >> \"$AIP_MODEL_DIR/starts\"");
    for answer in join_all(trainers.iter().map(|trainer| trainer.ensure("raced", &training))).await {
        answer.unwrap();
    }
    assert_succeeded(&site.end("raced", &training).await);
    assert_eq!(std::fs::read_to_string(site.folder("raced/model/starts")).unwrap(), "x\n");
}

#[tokio::test]
async fn a_job_that_was_not_submitted_here_is_left_alone() {
    let site = Site::new();
    site.cluster.submit(&json!({"entrypoint": "exec sleep 600", "submission_id": "foreign"}));
    let training = shell("foreign", "true");
    let error = site.trainer.ensure("foreign", &training).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("ray job delete foreign"), "{error}");
    assert_eq!(site.trainer.cancel("foreign").await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_failure_tells_the_exit_code_and_the_end_of_a_long_log() {
    let site = Site::new();
    let training = shell("long-log", "seq 200000; echo größer; exit 7");
    let state = site.end("long-log", &training).await;
    let (reason, log_tail) = failure(&state);
    assert_eq!(reason, "exit code 7");
    // Ray's own line about the job may come after a program's.
    assert!(log_tail.contains("\n200000\ngrößer\n") && log_tail.len() <= 4 << 10, "{log_tail:?}");
    assert!(log_tail.len() > 4_000, "{}", log_tail.len());
}

/// Ray itself cannot read such a log.
#[tokio::test]
async fn a_log_of_other_bytes_does_not_hide_how_a_job_ended() {
    let site = Site::new();
    let state = site.end("no-text", &shell("no-text", "printf 'caf\\351\\n'; exit 5")).await;
    assert_eq!(failure(&state).0, "exit code 5");
}

#[tokio::test]
async fn a_program_that_is_not_there_has_failed() {
    let site = Site::new();
    let state = site.end("absent", &job("absent", &["/no/such/program"])).await;
    let (reason, log_tail) = failure(&state);
    assert_eq!(reason, "exit code 127");
    assert!(log_tail.contains("/no/such/program"), "{log_tail}");
}

#[tokio::test]
async fn stopping_a_job_ends_all_its_processes() {
    let site = Site::new();
    let training = shell("stopped", "sleep 600 & echo $! > \"$AIP_MODEL_DIR/child\"; echo started; wait");
    site.trainer.ensure("stopped", &training).await.unwrap();
    site.says("stopped", "\nstarted\n").await;
    site.trainer.cancel("stopped").await.unwrap();
    let state = site.trainer.ensure("stopped", &training).await.unwrap();
    assert_eq!(failure(&state).0, "it was stopped");
    let child = std::fs::read_to_string(site.folder("stopped/model/child")).unwrap();
    until(async || (!std::path::Path::new(&format!("/proc/{}", child.trim())).exists()).then_some(())).await;
}

#[tokio::test]
async fn a_wrong_token_is_denied_and_not_repeated() {
    let site = Site::new();
    let settings =
        RaySettings { token: Some(Secret::new("hunter2hunter2")), ..RaySettings::new(site.cluster.address()) };
    let trainer = RayTrainer::new(settings, Arc::new(SystemClock)).unwrap();
    let error = trainer.ensure("denied", &shell("denied", "true")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(!format!("{error} {error:?} {trainer:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_cluster_that_is_not_there_may_come() {
    let settings = RaySettings::new("http://127.0.0.1:9");
    let trainer = RayTrainer::new(settings, Arc::new(SystemClock)).unwrap();
    let error = trainer.ensure("nowhere", &shell("nowhere", "true")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
