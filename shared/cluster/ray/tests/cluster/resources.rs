//! What a job takes of its cluster.

use millstream_events::compute::{Accelerator, GpuType};
use millstream_peers::ray::RayCluster;
use millstream_ports::{Trainer, TrainingState};

use crate::support::{Site, assert_succeeded, shell};

fn gpus(count: u32) -> Option<Accelerator> {
    Some(Accelerator { gpu: GpuType::L4, count })
}

/// Also the others wait for GPUs here, so that this is one test.
#[tokio::test]
async fn jobs_share_the_gpus_and_time_in_the_queue_is_not_time_that_ran() {
    let site = Site::new();
    let folder = site.folder("gpu-first/model");
    let mut first = shell(
        "gpu-first",
        "echo \"sees $CUDA_VISIBLE_DEVICES\"; echo started; until test -e \"$AIP_MODEL_DIR/go\"; do sleep 0.1; done; touch \"$AIP_MODEL_DIR/ended\"",
    );
    first.compute.accelerator = gpus(RayCluster::GPUS);
    site.trainer.ensure("gpu-first", &first).await.unwrap();
    site.says("gpu-first", "\nstarted\n").await;
    assert!(site.trainer.log("gpu-first", 1 << 16).await.unwrap().contains("sees 0,1\n"));

    let mut second = shell("gpu-second", &format!("test -e '{}'", folder.join("ended").display()));
    second.compute.accelerator = gpus(1);
    // Longer in the queue than this: a limit on waiting would end it.
    second.wall_seconds = 2;
    for _ in 0..30 {
        let state = site.trainer.ensure("gpu-second", &second).await.unwrap();
        assert_eq!(state, TrainingState::Running { since: None });
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    std::fs::write(folder.join("go"), "").unwrap();
    assert_succeeded(&site.end("gpu-first", &first).await);
    assert_succeeded(&site.end("gpu-second", &second).await);
}

#[tokio::test]
async fn a_job_without_gpus_sees_none() {
    let site = Site::new();
    let training = shell("no-gpu", "test -z \"$CUDA_VISIBLE_DEVICES\"");
    assert_succeeded(&site.end("no-gpu", &training).await);
}
