//! What is left behind, and for how long.

use std::time::Duration;

use millstream_cluster_kubernetes::KubernetesTrainer;
use millstream_ports::trainer::{Trainer, TrainingState};

use crate::support::{Cluster, KINDS, Kind, job_id, name_of, training};

#[tokio::test]
async fn the_next_start_deletes_what_ended_long_ago() {
    let cluster = Cluster::start().await;
    let keep = |seconds| {
        let mut settings = cluster.settings();
        settings.keep_seconds = seconds;
        KubernetesTrainer::new(cluster.client.clone(), settings)
    };
    for kind in KINDS {
        let ended = training(kind, &format!("old-{kind:?}"));
        let running = training(kind, &format!("young-{kind:?}"));
        for job in [&ended, &running] {
            keep(3_600).ensure(&job_id(job), job).await.unwrap();
        }
        let status = kind.succeeded(&name_of(&ended), "2026-11-28T00:00:00Z");
        cluster.set_status(kind, &name_of(&ended), status).await;
        let end = keep(3_600).ensure(&job_id(&ended), &ended).await.unwrap();

        let next = training(kind, &format!("next-{kind:?}"));
        keep(3_600).ensure(&job_id(&next), &next).await.unwrap();
        assert!(cluster.object(kind, &name_of(&ended)).await.is_some(), "it was created a moment ago");

        let another = training(kind, &format!("another-{kind:?}"));
        keep(0).ensure(&job_id(&another), &another).await.unwrap();
        assert!(cluster.object(kind, &name_of(&ended)).await.is_none(), "{kind:?}");
        for job in [&running, &next, &another] {
            assert!(cluster.object(kind, &name_of(job)).await.is_some(), "{kind:?}");
        }
        // Its end is still known.
        assert_eq!(keep(0).ensure(&job_id(&ended), &ended).await.unwrap(), end);
    }
}

#[tokio::test]
async fn records_are_forgotten_after_a_month() {
    let cluster = Cluster::small().await;
    let old = training(Kind::TrainJob, "month");
    cluster.trainer().ensure(&job_id(&old), &old).await.unwrap();
    cluster.trainer().cancel(&job_id(&old)).await.unwrap();
    for (days, is_kept) in [(20, true), (11, false)] {
        cluster.server().pass(Duration::from_secs(days * 86_400));
        let next = training(Kind::TrainJob, &format!("after-{days}"));
        cluster.trainer().ensure(&job_id(&next), &next).await.unwrap();
        let record = cluster.records().get_opt(&name_of(&old)).await.unwrap();
        assert_eq!(record.is_some(), is_kept, "{days}");
    }
    // Nobody asks for such a step any more; who does gets a job again.
    let state = cluster.trainer().ensure(&job_id(&old), &old).await.unwrap();
    assert_eq!(state, TrainingState::Running { since: None });
}
