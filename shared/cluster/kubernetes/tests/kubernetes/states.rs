//! What each status of each kind means.

use millstream_ports::trainer::{Trainer, TrainingState};
use serde_json::{Value, json};

use crate::support::{Cluster, KINDS, Kind, job_id, name_of, training};

/// A job of its own with this status, and what `ensure` says of it.
async fn state_of(cluster: &Cluster, kind: Kind, case: &str, status: impl Fn(&str) -> Value) -> TrainingState {
    let training = training(kind, &format!("{case}-{kind:?}"));
    let (job, name) = (job_id(&training), name_of(&training));
    cluster.trainer().ensure(&job, &training).await.unwrap();
    cluster.set_status(kind, &name, status(&name)).await;
    cluster.trainer().ensure(&job, &training).await.unwrap()
}

const ENDED: &str = "2026-11-28T12:00:00Z";

#[tokio::test]
async fn waiting_and_running_are_running() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let state = state_of(&cluster, kind, "waits", |_| kind.waiting()).await;
        assert_eq!(state, TrainingState::Running { since: None });
        let state = state_of(&cluster, kind, "runs", |name| kind.running(name)).await;
        assert_eq!(state, TrainingState::Running { since: None });
    }
}

#[tokio::test]
async fn conditions_that_nobody_knows_or_that_are_not_true_end_nothing() {
    let cluster = Cluster::start().await;
    let condition = |kind: &str, status: &str| {
        json!({"conditions": [{
            "type": kind, "status": status, "reason": "New", "message": "m", "lastTransitionTime": ENDED,
        }]})
    };
    for kind in [Kind::TrainJob, Kind::PyTorchJob] {
        for (number, (condition_type, status)) in [
            ("Suspended", "True"),
            ("Complete", "False"),
            ("Succeeded", "Unknown"),
            ("Failed", "False"),
            ("Evicted", "True"),
        ]
        .into_iter()
        .enumerate()
        {
            let state = state_of(&cluster, kind, &format!("odd{number}"), |_| condition(condition_type, status)).await;
            assert_eq!(state, TrainingState::Running { since: None }, "{kind:?} {condition_type} {status}");
        }
    }
    for (number, (job, deployment)) in
        [("FAILED", "Retrying"), ("SUCCEEDED", "Running"), ("PENDING", "Suspended"), ("RUNNING", "Thinking")]
            .into_iter()
            .enumerate()
    {
        let status = json!({"jobStatus": job, "jobDeploymentStatus": deployment});
        let state = state_of(&cluster, Kind::RayJob, &format!("odd{number}"), |_| status.clone()).await;
        assert_eq!(state, TrainingState::Running { since: None }, "{job} {deployment}");
    }
}

#[tokio::test]
async fn success_is_success_and_stays_it() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("well-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        let ran = json!({"terminated": {
            "exitCode": 0, "startedAt": "2026-11-28T11:00:00Z", "finishedAt": "2026-11-28T11:59:00Z",
        }});
        cluster.create_pod(&kind.node(&name, 0), ran).await;
        cluster.set_status(kind, &name, kind.succeeded(&name, ENDED)).await;
        let end = cluster.trainer().ensure(&job, &training).await.unwrap();
        assert_eq!(end, TrainingState::Succeeded { seconds: 3_600.0, log: None });
        // Whatever becomes of the status afterwards.
        cluster.set_status(kind, &name, kind.failed(&name, "Odd", "later", ENDED)).await;
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), end);
    }
}

#[tokio::test]
async fn a_failure_says_why_and_shows_the_end_of_the_log() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("badly-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        let exit =
            json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": ENDED, "finishedAt": ENDED}});
        let (chief, node) = (kind.chief(&name), kind.node(&name, 0));
        cluster.create_pod(&node, exit).await;
        if chief.name != node.name {
            cluster.create_pod(&chief, json!({"running": {"startedAt": ENDED}})).await;
        }
        cluster.set_log(&chief, &format!("{}\nno such column\n", "x".repeat(9_000)));
        cluster.set_status(kind, &name, kind.failed(&name, "BackoffLimitExceeded", "too many failures", ENDED)).await;
        let state = cluster.trainer().ensure(&job, &training).await.unwrap();
        let TrainingState::Failed { reason, log_tail, log } = &state else { panic!("{state:?}") };
        assert!(reason.starts_with("BackoffLimitExceeded: too many failures"), "{reason}");
        assert!(reason.contains("OOMKilled, exit code 137"), "{kind:?}: {reason}");
        assert!(log_tail.ends_with("no such column\n") && log_tail.len() <= 4 << 10, "{}", log_tail.len());
        assert_eq!(*log, None);
        // The same after its pods and its object are gone.
        cluster.delete_pod(&chief.name).await;
        cluster.delete(kind, &name).await;
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), state);
        assert!(cluster.trainer().log(&job, 100).await.unwrap().ends_with("no such column\n"));
    }
}

#[tokio::test]
async fn a_deadline_is_told_as_the_wall_limit() {
    let cluster = Cluster::start().await;
    for (kind, reason, message) in [
        (Kind::TrainJob, "DeadlineExceeded", "TrainJob exceeded its deadline"),
        (Kind::PyTorchJob, "PyTorchJobFailed", "it has failed because it was active longer than specified deadline"),
        (Kind::RayJob, "DeadlineExceeded", "the RayJob has passed the activeDeadlineSeconds"),
    ] {
        let state = state_of(&cluster, kind, "late", |name| kind.failed(name, reason, message, ENDED)).await;
        assert!(
            matches!(&state, TrainingState::Failed { reason, .. } if reason.contains("wall limit of 3600 s")),
            "{kind:?}: {state:?}"
        );
    }
}

#[tokio::test]
async fn a_ray_job_that_was_stopped_or_refused_has_failed() {
    let cluster = Cluster::start().await;
    for (number, (job, deployment)) in
        [("STOPPED", "Complete"), ("FAILED", "Complete"), ("PENDING", "ValidationFailed")].into_iter().enumerate()
    {
        let status = json!({"jobStatus": job, "jobDeploymentStatus": deployment, "message": "it is so"});
        let state = state_of(&cluster, Kind::RayJob, &format!("bad{number}"), |_| status.clone()).await;
        assert!(
            matches!(&state, TrainingState::Failed { reason, .. } if reason == "it is so"),
            "{job} {deployment}: {state:?}"
        );
    }
}
