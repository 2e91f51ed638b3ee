//! Ending a job.

use kube::api::{Patch, PatchParams};
use millstream_ports::{
    ErrorKind,
    trainer::{Trainer, TrainingState},
};
use serde_json::json;

use crate::support::{Cluster, KINDS, Kind, job_id, name_of, training};

fn cancelled(log_tail: &str) -> TrainingState {
    TrainingState::Failed { reason: "it was cancelled".to_owned(), log_tail: log_tail.to_owned(), log: None }
}

#[tokio::test]
async fn a_cancelled_job_is_deleted_and_keeps_its_log() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("cancel-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        let chief = kind.chief(&name);
        cluster.create_pod(&chief, json!({"running": {"startedAt": "2026-11-28T10:00:00Z"}})).await;
        cluster.set_log(&chief, "epoch 1\nepoch 2\n");
        cluster.set_status(kind, &name, kind.running(&name)).await;
        cluster.trainer().cancel(&job).await.unwrap();
        assert!(cluster.object(kind, &name).await.is_none());
        cluster.delete_pod(&chief.name).await;

        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), cancelled("epoch 1\nepoch 2\n"));
        assert_eq!(cluster.trainer().log(&job, 100).await.unwrap(), "epoch 1\nepoch 2\n");
        assert_eq!(cluster.trainer().log(&job, 8).await.unwrap(), "epoch 2\n");
        // Again, and it is still not started again.
        cluster.trainer().cancel(&job).await.unwrap();
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), cancelled("epoch 1\nepoch 2\n"));
        assert!(cluster.object(kind, &name).await.is_none());
    }
}

#[tokio::test]
async fn a_job_whose_canceller_stopped_half_way_is_ended_by_the_next_ask() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("half-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        let end = json!({"data": {"end": r#"{"outcome": "cancelled", "log_tail": "so far\n"}"#}});
        cluster.records().patch(&name, &PatchParams::default(), &Patch::Merge(&end)).await.unwrap();
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), cancelled("so far\n"));
        assert!(cluster.object(kind, &name).await.is_none());
    }
}

#[tokio::test]
async fn what_has_ended_keeps_its_end() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("ended-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        cluster.set_status(kind, &name, kind.succeeded(&name, "2026-11-28T12:00:00Z")).await;
        // Nobody has looked at it since.
        cluster.trainer().cancel(&job).await.unwrap();
        assert!(cluster.object(kind, &name).await.is_some());
        let end = cluster.trainer().ensure(&job, &training).await.unwrap();
        assert!(matches!(end, TrainingState::Succeeded { .. }), "{end:?}");
        cluster.trainer().cancel(&job).await.unwrap();
        assert_eq!(cluster.trainer().ensure(&job, &training).await.unwrap(), end);
    }
}

#[tokio::test]
async fn a_job_that_never_was_is_nothing_to_cancel() {
    let cluster = Cluster::start().await;
    cluster.trainer().cancel("never-was").await.unwrap();
    assert_eq!(cluster.trainer().log("never-was", 10).await.unwrap_err().kind(), ErrorKind::NotFound);
    let training = training(Kind::TrainJob, "never-was");
    assert_eq!(cluster.trainer().ensure("never-was", &training).await.unwrap(), TrainingState::Running { since: None });
}

#[tokio::test]
async fn many_who_cancel_at_once_agree() {
    let cluster = Cluster::start().await;
    let training = training(Kind::PyTorchJob, "all-cancel");
    let (job, name) = (job_id(&training), name_of(&training));
    cluster.trainer().ensure(&job, &training).await.unwrap();
    let trainer = cluster.trainer();
    for answer in futures::future::join_all((0..8).map(|_| trainer.cancel(&job))).await {
        answer.unwrap();
    }
    assert!(cluster.object(Kind::PyTorchJob, &name).await.is_none());
    assert_eq!(trainer.ensure(&job, &training).await.unwrap(), cancelled(""));
}
