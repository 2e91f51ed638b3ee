//! The contract of [`Trainer`].

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use millstream_events::{
    Fingerprint, StepRef,
    compute::{Compute, RunOn},
    names::ObjectPath,
    work::{DataFormat, Program},
};

use crate::{
    contracts::until,
    error::ErrorKind,
    object_store::{ObjectStore, ObjectStoreExt},
    trainer::{Trainer, TrainingJob, TrainingState},
};

/// What a program of the suite does after it has written the line `started` to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// It writes `{"rows": 3}` as `metrics.json` into its `AIP_MODEL_DIR` and ends well.
    Succeeds,
    /// It writes the line `no such column` to its log and ends badly.
    Fails,
    /// It runs until it is ended.
    Hangs,
}

/// What the suite needs besides the trainer itself.
#[async_trait]
pub trait TrainerPeer: Sync {
    /// The trainer.
    fn trainer(&self) -> &dyn Trainer;

    /// Where the programs' files go, and a bucket in it.
    fn store(&self) -> (&dyn ObjectStore, &str);

    /// A program that behaves so.
    fn program(&self, behaviour: Behaviour) -> (Program, Vec<String>);

    /// Which back-end the jobs ask for.
    fn run_on(&self) -> RunOn {
        RunOn::Local
    }

    /// Lets time pass, as the trainer's clock measures it.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Every rule.
pub async fn all(peer: &dyn TrainerPeer) {
    run_rules!((peer):
        a_job_that_ends_well_leaves_its_files,
        a_job_asked_for_again_is_started_once,
        a_job_asked_for_by_many_at_once_is_started_once,
        a_failure_has_a_reason_and_the_end_of_the_log,
        a_job_past_its_wall_limit_is_ended,
        a_cancelled_job_has_failed,
        cancelling_what_has_ended_or_never_was_changes_nothing,
        a_log_is_cut_to_its_end_and_unknown_for_an_unknown_job,
    );
}

/// Long enough that no program of the suite meets it by accident.
const HOUR: u64 = 3_600;

fn training(peer: &dyn TrainerPeer, job: &str, behaviour: Behaviour, wall_seconds: u64) -> TrainingJob {
    let (program, args) = peer.program(behaviour);
    TrainingJob {
        step: step_of(job),
        model: "contract".parse().unwrap(),
        program,
        args,
        env: BTreeMap::new(),
        data: Vec::new(),
        data_format: DataFormat::Csv,
        output: ObjectPath::new(peer.store().1, format!("contract/{job}/model")).unwrap(),
        checkpoints: ObjectPath::new(peer.store().1, format!("contract/{job}/checkpoints")).unwrap(),
        compute: Compute { run_on: peer.run_on(), ..Compute::default() },
        wall_seconds,
    }
}

/// The step whose job it is. What is told apart here by a word is by a fingerprint where it counts.
fn step_of(job: &str) -> StepRef {
    StepRef {
        run: "contract".parse().unwrap(),
        step: "train/contract".parse().unwrap(),
        fingerprint: Fingerprint::of("contract", [job.as_bytes()]),
        attempt: 1,
    }
}

async fn end(peer: &dyn TrainerPeer, job: &str, training: &TrainingJob) -> TrainingState {
    until(async || {
        let state = peer.trainer().ensure(job, training).await.unwrap();
        (!state.is_running()).then_some(state)
    })
    .await
}

async fn starts(peer: &dyn TrainerPeer, job: &str) -> usize {
    let log = peer.trainer().log(job, 1 << 16).await.unwrap();
    log.lines().filter(|line| line.trim_end().ends_with("started")).count()
}

/// Its program is running once its first line is in the log.
async fn until_started(peer: &dyn TrainerPeer, job: &str) {
    until(async || (starts(peer, job).await > 0).then_some(())).await;
}

/// When it is told to have succeeded, its files are in the store.
pub async fn a_job_that_ends_well_leaves_its_files(peer: &dyn TrainerPeer) {
    let training = training(peer, "ends-well", Behaviour::Succeeds, HOUR);
    let state = end(peer, "ends-well", &training).await;
    assert!(matches!(state, TrainingState::Succeeded { seconds, .. } if seconds >= 0.0), "{state:?}");
    let metrics = peer.store().0.read(&training.output.join("metrics.json").unwrap(), 1 << 20).await.unwrap();
    let metrics: BTreeMap<String, f64> = serde_json::from_slice(&metrics).unwrap();
    assert_eq!(metrics, BTreeMap::from([("rows".to_owned(), 3.0)]));
}

/// While it runs and after it has ended, asking again reads it.
pub async fn a_job_asked_for_again_is_started_once(peer: &dyn TrainerPeer) {
    let training = training(peer, "asked-again", Behaviour::Succeeds, HOUR);
    peer.trainer().ensure("asked-again", &training).await.unwrap();
    peer.trainer().ensure("asked-again", &training).await.unwrap();
    let state = end(peer, "asked-again", &training).await;
    assert_eq!(peer.trainer().ensure("asked-again", &training).await.unwrap(), state);
    assert_eq!(starts(peer, "asked-again").await, 1);
}

/// A redelivered command may run beside the first.
pub async fn a_job_asked_for_by_many_at_once_is_started_once(peer: &dyn TrainerPeer) {
    let training = training(peer, "asked-at-once", Behaviour::Succeeds, HOUR);
    for answer in join_all((0..8).map(|_| peer.trainer().ensure("asked-at-once", &training))).await {
        answer.unwrap();
    }
    end(peer, "asked-at-once", &training).await;
    assert_eq!(starts(peer, "asked-at-once").await, 1);
}

/// It stays failed, and is not started again under its id.
pub async fn a_failure_has_a_reason_and_the_end_of_the_log(peer: &dyn TrainerPeer) {
    let training = training(peer, "fails", Behaviour::Fails, HOUR);
    let state = end(peer, "fails", &training).await;
    let TrainingState::Failed { reason, log_tail, .. } = &state else { panic!("{state:?}") };
    assert!(!reason.is_empty());
    assert!(log_tail.contains("no such column"), "{log_tail:?}");
    assert_eq!(peer.trainer().ensure("fails", &training).await.unwrap(), state);
    assert_eq!(starts(peer, "fails").await, 1);
}

/// The limit is part of the job: the reason names it.
pub async fn a_job_past_its_wall_limit_is_ended(peer: &dyn TrainerPeer) {
    let training = training(peer, "past-its-wall", Behaviour::Hangs, 1);
    let first = peer.trainer().ensure("past-its-wall", &training).await.unwrap();
    assert!(first.is_running(), "{first:?}");
    peer.pass(Duration::from_secs(2)).await;
    let state = end(peer, "past-its-wall", &training).await;
    assert!(matches!(&state, TrainingState::Failed { reason, .. } if reason.contains("wall")), "{state:?}");
}

/// Never running again, never success.
pub async fn a_cancelled_job_has_failed(peer: &dyn TrainerPeer) {
    let training = training(peer, "cancelled", Behaviour::Hangs, HOUR);
    peer.trainer().ensure("cancelled", &training).await.unwrap();
    until_started(peer, "cancelled").await;
    peer.trainer().cancel("cancelled").await.unwrap();
    let state = end(peer, "cancelled", &training).await;
    assert!(matches!(state, TrainingState::Failed { .. }), "{state:?}");
    assert_eq!(starts(peer, "cancelled").await, 1);
}

/// Cancelling is an ensure too.
pub async fn cancelling_what_has_ended_or_never_was_changes_nothing(peer: &dyn TrainerPeer) {
    peer.trainer().cancel("never-was").await.unwrap();
    let training = training(peer, "cancelled-late", Behaviour::Succeeds, HOUR);
    let state = end(peer, "cancelled-late", &training).await;
    peer.trainer().cancel("cancelled-late").await.unwrap();
    assert_eq!(peer.trainer().ensure("cancelled-late", &training).await.unwrap(), state);
}

/// At most `limit` bytes, the last ones.
pub async fn a_log_is_cut_to_its_end_and_unknown_for_an_unknown_job(peer: &dyn TrainerPeer) {
    let training = training(peer, "logs", Behaviour::Fails, HOUR);
    end(peer, "logs", &training).await;
    let whole = peer.trainer().log("logs", 1 << 16).await.unwrap();
    let cut = peer.trainer().log("logs", 10).await.unwrap();
    assert!(!cut.is_empty() && cut.len() <= 10 && whole.ends_with(&cut), "{cut:?} of {whole:?}");
    assert_eq!(peer.trainer().log("never-was", 10).await.unwrap_err().kind(), ErrorKind::NotFound);
}
