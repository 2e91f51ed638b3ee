//! Whose log is a job's, and which part of it.

use millstream_ports::trainer::Trainer;
use serde_json::json;

use crate::support::{Cluster, KINDS, Kind, job_id, name_of, training};

#[tokio::test]
async fn the_log_is_the_chiefs() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let mut training = training(kind, &format!("chief-{kind:?}"));
        training.compute.nodes = 3;
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        cluster.set_status(kind, &name, kind.running(&name)).await;
        let state = json!({"running": {"startedAt": "2026-11-28T10:00:00Z"}});
        for pod in [kind.node(&name, 2), kind.node(&name, 1)] {
            cluster.create_pod(&pod, state.clone()).await;
            cluster.set_log(&pod, "a worker\n");
        }
        let chief = kind.chief(&name);
        cluster.create_pod(&chief, state).await;
        cluster.set_log(&chief, "the chief\n");
        assert_eq!(cluster.trainer().log(&job, 1_000).await.unwrap(), "the chief\n", "{kind:?}");
    }
}

#[tokio::test]
async fn a_pod_that_has_not_begun_has_said_nothing() {
    let cluster = Cluster::start().await;
    for kind in KINDS {
        let training = training(kind, &format!("silent-{kind:?}"));
        let (job, name) = (job_id(&training), name_of(&training));
        cluster.trainer().ensure(&job, &training).await.unwrap();
        assert_eq!(cluster.trainer().log(&job, 1_000).await.unwrap(), "");
        cluster.create_pod(&kind.chief(&name), json!({"waiting": {"reason": "ContainerCreating"}})).await;
        assert_eq!(cluster.trainer().log(&job, 1_000).await.unwrap(), "");
    }
}

#[tokio::test]
async fn a_long_log_is_cut_to_its_end() {
    let cluster = Cluster::start().await;
    let training = training(Kind::TrainJob, "long");
    let (job, name) = (job_id(&training), name_of(&training));
    cluster.trainer().ensure(&job, &training).await.unwrap();
    let chief = Kind::TrainJob.chief(&name);
    cluster.create_pod(&chief, json!({"running": {"startedAt": "2026-11-28T10:00:00Z"}})).await;
    let whole: String = (0..20_000).map(|line| format!("épochè {line}\n")).collect();
    cluster.set_log(&chief, &whole);
    for limit in [0, 1, 10, 100, 65_536, whole.len(), whole.len() + 1] {
        let log = cluster.trainer().log(&job, limit).await.unwrap();
        // A character that does not fit whole is left out.
        assert!(log.len() <= limit && log.len() + 4 > limit.min(whole.len()), "{limit}: {}", log.len());
        assert!(whole.ends_with(&log), "{limit}");
    }
}
