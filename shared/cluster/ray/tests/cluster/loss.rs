//! Jobs that go away.

use std::sync::Arc;

use millstream_cluster_ray::RayTrainer;
use millstream_peers::ray::RayCluster;
use millstream_ports::{SystemClock, Trainer, TrainingState};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::support::{Site, assert_succeeded, end, settings, shell, until};

/// The second start finds the checkpoint of the first.
const ONCE_MORE: &str = "if test -e \"$AIP_CHECKPOINT_DIR/begun\"; then exit 0; fi
    echo $PPID > \"$AIP_CHECKPOINT_DIR/begun\"; echo started; exec sleep 600";

#[tokio::test]
async fn a_job_whose_supervisor_is_killed_is_lost_and_starts_again() {
    let site = Site::new();
    let training = shell("supervised", ONCE_MORE);
    site.trainer.ensure("supervised", &training).await.unwrap();
    site.says("supervised", "\nstarted\n").await;
    let supervisor = std::fs::read_to_string(site.folder("supervised/checkpoints/begun")).unwrap();
    kill(Pid::from_raw(supervisor.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    assert_eq!(site.end("supervised", &training).await, TrainingState::Lost);
    assert!(site.trainer.ensure("supervised", &training).await.unwrap().is_running());
    assert_succeeded(&site.end("supervised", &training).await);
}

#[tokio::test]
async fn a_cluster_that_starts_anew_is_given_the_job_again() {
    let (mut cluster, root) = (RayCluster::start(), TempDir::new().unwrap());
    let trainer = RayTrainer::new(settings(&cluster, root.path()), Arc::new(SystemClock)).unwrap();
    let training = shell("restarted", ONCE_MORE);
    trainer.ensure("restarted", &training).await.unwrap();
    until(async || trainer.log("restarted", 1 << 16).await.unwrap().contains("\nstarted\n").then_some(())).await;
    cluster.restart();
    // The first call may still find the line to the cluster that is gone.
    let state = until(async || trainer.ensure("restarted", &training).await.ok()).await;
    assert!(state.is_running(), "{state:?}");
    assert_succeeded(&end(&trainer, "restarted", &training).await);
}
