//! The gate, the canary, and commands that come again or too late.

use std::{sync::Arc, time::Duration};

use millstream_events::{Event, fact::TrafficMove};
use millstream_ports::{ModelRegistry, ServingStats, memory::MemoryBus};
use millstream_runtime::{Ack, Failure, Function, Handler, Progress, StepHandler};

use crate::world::{
    BAKE_SECONDS, World, artifact, command, command_with, delivery, model, numbers, promoted, rejected, requests,
    serving, with_canary,
};

fn versus_champion() -> millstream_events::work::Serving {
    let mut serving = serving();
    serving.promote_when = vec!["auc >= champion.auc".into()];
    serving
}

fn check_after(progress: Progress) -> Duration {
    match progress {
        Progress::Pending { check_after, .. } => check_after,
        done @ Progress::Done(_) => panic!("{done:?}"),
    }
}

#[tokio::test]
async fn a_model_that_is_served_nowhere_is_registered_once_and_not_judged() {
    let world = World::new();
    let command = command_with("first", None, &[("auc", 0.8)]);
    let judged = promoted(world.ensure(&command).await);
    assert_eq!((judged.version, judged.endpoint.clone()), (1, None));
    assert_eq!(promoted(world.ensure(&command).await), judged);
    let versions = world.models.versions(&model()).await.unwrap();
    assert_eq!((versions.len(), &versions[0].verdict), (1, &None));
    assert_eq!(world.production().await, None);
}

#[tokio::test]
async fn a_version_carries_its_trainings_fingerprint_without_the_attempt() {
    let world = World::new();
    let mut command = command("first", serving());
    let fingerprint = command.work.trained.artifact.name().rsplit('/').next().unwrap().to_owned();
    command.work.trained.artifact = format!("gs://models/churn/{fingerprint}-a2").parse().unwrap();
    promoted(world.ensure(&command).await);
    let versions = world.models.versions(&model()).await.unwrap();
    assert_eq!(versions[0].registered.fingerprint.as_str(), fingerprint);
}

#[tokio::test]
async fn a_version_that_passes_gets_all_the_traffic_once() {
    let world = World::new();
    let command = command("first", serving());
    let judged = promoted(world.ensure(&command).await);
    assert_eq!((judged.endpoint.clone(), judged.checks[0].passed), (Some(model()), true));
    let state = world.endpoint().await;
    assert_eq!(promoted(world.ensure(&command).await), judged);
    assert_eq!(world.endpoint().await, state, "asked again, nothing is set again");
    assert_eq!(world.production().await, Some(1));
}

#[tokio::test]
async fn a_version_that_fails_its_gate_never_serves_and_its_verdict_stays() {
    let world = World::new();
    world.promoted("first").await;
    let second = command_with("second", Some(serving()), &[("auc", 0.6)]);
    let judged = rejected(world.ensure(&second).await);
    assert!(!judged.checks[0].passed && judged.checks[0].because.contains("0.6"), "{:?}", judged.checks);
    assert_eq!((judged.endpoint.clone(), judged.rolled_back.clone()), (None, None));
    assert_eq!(rejected(world.ensure(&second).await), judged);
    assert_eq!((world.traffic().await, world.production().await), (vec![(1, 100)], Some(1)));
}

#[tokio::test]
async fn the_champion_is_scored_on_the_challengers_rows() {
    let world = World::new();
    world.promoted("first").await;
    // Recorded with 0.8 on its own rows, worth 0.5 on the new ones.
    world.models.set_score(&artifact("first"), numbers(&[("auc", 0.5)]));
    let judged = promoted(world.ensure(&command_with("second", Some(versus_champion()), &[("auc", 0.6)])).await);
    assert_eq!(judged.champion, Some(1));
    assert!(judged.checks[0].because.contains("champion.auc = 0.5"), "{:?}", judged.checks);
}

#[tokio::test]
async fn a_champion_that_cannot_be_scored_is_taken_by_its_record_and_that_is_said() {
    let world = World::new();
    world.promoted("first").await;
    let judged = rejected(world.ensure(&command_with("second", Some(versus_champion()), &[("auc", 0.6)])).await);
    let because = &judged.checks[0].because;
    assert!(because.contains("champion.auc = 0.8") && because.contains("own held-out rows"), "{because}");
}

#[tokio::test]
async fn a_model_is_not_compared_with_itself_when_its_gate_changes() {
    let world = World::new();
    world.promoted("first").await;
    world.models.set_score(&artifact("first"), numbers(&[("auc", 0.99)]));
    let again = promoted(world.ensure(&command("first", versus_champion())).await);
    assert_eq!(again.champion, None);
}

#[tokio::test]
async fn a_changed_gate_judges_anew_and_the_old_verdict_stays_on_record() {
    let world = World::new();
    let mut strict = serving();
    strict.promote_when = vec!["auc >= 0.9".into()];
    let strict = command("first", strict);
    assert_eq!(rejected(world.ensure(&strict).await).version, 1);
    let relaxed = command("first", serving());
    assert_eq!(promoted(world.ensure(&relaxed).await).version, 2);
    assert_eq!(rejected(world.ensure(&strict).await).version, 1);
    assert_eq!(promoted(world.ensure(&relaxed).await).version, 2);
    let versions = world.models.versions(&model()).await.unwrap();
    let verdicts: Vec<bool> = versions.iter().map(|version| version.verdict.as_ref().unwrap().promoted).collect();
    assert_eq!(verdicts, [false, true]);
    assert_eq!(versions[0].registered.artifact, versions[1].registered.artifact);
}

#[tokio::test]
async fn a_gate_that_is_none_is_a_permanent_failure() {
    let world = World::new();
    let mut serving = serving();
    serving.promote_when = vec!["auc >>> 1".into()];
    match world.function().ensure(&command("first", serving)).await.unwrap_err() {
        Failure::Permanent(reason) => assert!(reason.message.contains("auc >>> 1"), "{}", reason.message),
        Failure::Retry(error) => panic!("would be retried: {error}"),
    }
}

#[tokio::test]
async fn a_first_version_has_nobody_to_share_with_and_skips_the_canary() {
    let world = World::new();
    promoted(world.ensure(&command("first", with_canary())).await);
    assert_eq!(world.traffic().await, [(1, 100)]);
}

#[tokio::test]
async fn a_canary_goes_step_by_step_and_only_when_it_has_baked() {
    let world = World::new();
    world.promoted("first").await;
    let second = command("second", with_canary());
    for expected in [10, 50] {
        assert!(check_after(world.ensure(&second).await) <= Duration::from_secs(BAKE_SECONDS));
        assert_eq!(world.traffic().await, [(1, 100 - expected), (2, expected)]);
        world.clock.advance(Duration::from_secs(BAKE_SECONDS - 1));
        assert_eq!(check_after(world.ensure(&second).await), Duration::from_secs(1));
        assert_eq!(world.traffic().await, [(1, 100 - expected), (2, expected)]);
        assert_eq!(world.production().await, Some(1));
        world.clock.advance(Duration::from_secs(1));
    }
    promoted(world.ensure(&second).await);
    assert_eq!((world.traffic().await, world.production().await), (vec![(2, 100)], Some(2)));
    assert_eq!(world.endpoint().await.previous.iter().map(|deployed| deployed.version).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_canary_whose_predictions_fail_is_rolled_back_and_stays_so() {
    let world = World::new();
    world.promoted("first").await;
    let second = command("second", with_canary());
    check_after(world.ensure(&second).await);
    world.models.set_stats(&model(), 2, requests(100, 6)).unwrap();
    let judged = rejected(world.ensure(&second).await);
    assert!(judged.rolled_back.unwrap().contains("6 of 100 predictions failed"), "the numbers are told");
    assert_eq!((world.traffic().await, world.production().await), (vec![(1, 100)], Some(1)));

    let state = world.endpoint().await;
    assert!(rejected(world.ensure(&second).await).rolled_back.is_some());
    assert_eq!(world.endpoint().await, state, "a redelivered command starts no second canary");
}

#[tokio::test]
async fn one_failed_prediction_of_two_waits_for_the_end_of_the_bake() {
    let world = World::new();
    world.promoted("first").await;
    let second = command("second", with_canary());
    check_after(world.ensure(&second).await);
    world.models.set_stats(&model(), 2, requests(2, 1)).unwrap();
    check_after(world.ensure(&second).await);
    world.clock.advance(Duration::from_secs(BAKE_SECONDS));
    assert!(rejected(world.ensure(&second).await).rolled_back.is_some());
}

#[tokio::test]
async fn a_newer_version_takes_the_place_of_an_unfinished_canary() {
    let world = World::new();
    world.promoted("first").await;
    let (second, third) = (command("second", with_canary()), command("third", with_canary()));
    check_after(world.ensure(&second).await);
    check_after(world.ensure(&third).await);
    assert_eq!(world.traffic().await, [(1, 90), (3, 10)]);
    let ended = rejected(world.ensure(&second).await);
    assert_eq!(ended.rolled_back.as_deref(), Some("version 3 was rolled out or rolled back after it"));
    assert_eq!(world.traffic().await, [(1, 90), (3, 10)]);
}

#[tokio::test]
async fn a_version_that_learned_from_older_uploads_does_not_take_the_place_of_one_of_newer_ones() {
    let world = World::new();
    let of_uploads = |training: &str, sequence: u64| {
        let mut command = command(training, serving());
        command.work.sequence = sequence;
        command
    };
    promoted(world.ensure(&of_uploads("on Tuesday's", 2)).await);
    let late = rejected(world.ensure(&of_uploads("on Monday's", 1)).await);
    assert!(late.rolled_back.unwrap().contains("later uploads"));
    assert_eq!(world.production().await, Some(1));
    promoted(world.ensure(&of_uploads("on Wednesday's", 3)).await);
    assert_eq!(world.production().await, Some(3));
}

#[tokio::test]
async fn an_older_promotion_that_comes_again_does_not_demote_the_newer_one() {
    let world = World::new();
    let first = world.promoted("first").await;
    world.promoted("second").await;
    let state = world.endpoint().await;
    assert_eq!(world.promoted("first").await, first, "it was promoted, and that is what it says");
    assert_eq!((world.endpoint().await, world.production().await), (state, Some(2)));
}

#[tokio::test]
async fn redelivered_commands_publish_one_and_the_same_fact() {
    let world = World::new();
    let bus = Arc::new(MemoryBus::new());
    let handler = StepHandler::new(world.function(), bus.clone(), world.clock.clone());
    let delivery = delivery(&command("first", serving()));
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    assert_eq!(handler.handle(&delivery).await, Ack::Done);
    let facts = bus.events();
    assert_eq!(facts.len(), 4, "the move and the end, twice: {facts:?}");
    assert_eq!(facts[..2], facts[2..]);
    assert_eq!(facts[0].id(), facts[2].id());
    assert_eq!(world.endpoint().await.revision, 1);
}

#[tokio::test]
async fn a_canary_whose_answers_are_slow_or_elsewhere_is_rolled_back_with_the_numbers() {
    let slow = ServingStats { latency_p95_ms: Some(350.0), ..requests(100, 0) };
    let elsewhere = ServingStats { mean_score: Some(0.75), ..requests(100, 0) };
    for (stats, reason) in [
        (slow, "with 10 % of the traffic, the 95th percentile of 100 answers took 350 ms; its canary allows 200 ms"),
        (
            elsewhere,
            "with 10 % of the traffic, its mean score is 0.75 in 100 requests, that of version 1 beside it 0.5 in 900: a shift \
             of 0.25; its canary allows 0.1",
        ),
    ] {
        let world = World::new();
        world.promoted("first").await;
        let second = command("second", with_canary());
        check_after(world.ensure(&second).await);
        let stable = ServingStats { mean_score: Some(0.5), latency_p95_ms: Some(900.0), ..requests(900, 0) };
        world.models.set_stats(&model(), 1, stable).unwrap();
        world.models.set_stats(&model(), 2, stats).unwrap();
        assert_eq!(rejected(world.ensure(&second).await).rolled_back.as_deref(), Some(reason));
        assert_eq!((world.traffic().await, world.production().await), (vec![(1, 100)], Some(1)));
        let again = rejected(world.ensure(&second).await);
        assert_eq!(again.rolled_back.as_deref(), Some(reason), "asked again, it says why just so");
    }
}

#[tokio::test]
async fn each_move_of_a_canary_is_told_once_while_it_goes_on_and_again_at_its_end() {
    let world = World::new();
    world.promoted("first").await;
    let bus = Arc::new(MemoryBus::new());
    let handler = StepHandler::new(world.function(), bus.clone(), world.clock.clone());
    let delivery = delivery(&command("second", with_canary()));
    let told = || {
        let moves = bus.take().into_iter().filter_map(|envelope| match envelope.event {
            Event::TrafficMoved(moved) => Some((moved.number, moved.kind, moved.traffic.last().unwrap().percent)),
            _ => None,
        });
        moves.collect::<Vec<_>>()
    };
    let (started, stepped, finished) =
        ((2, TrafficMove::Started, 10), (3, TrafficMove::Stepped, 50), (4, TrafficMove::Finished, 100));
    for expected in [vec![started], vec![stepped], vec![started, stepped, finished]] {
        handler.handle(&delivery).await;
        assert_eq!(told(), expected);
        if expected.len() == 1 {
            assert!(matches!(handler.handle(&delivery).await, Ack::Pending { .. }));
            assert_eq!(told(), [], "asked again, there is nothing new");
        }
        world.clock.advance(Duration::from_secs(BAKE_SECONDS));
    }
    assert_eq!(world.traffic().await, [(2, 100)]);
}
