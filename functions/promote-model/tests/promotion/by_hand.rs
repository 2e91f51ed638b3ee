//! Rolling back and promoting by hand, and that redelivered commands leave it so.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::{
    Envelope, Event,
    fact::{TrafficMove, TrafficMoved},
};
use millstream_ports::{
    Deployed, EndpointState, Endpoints, ErrorKind, EventBus, ModelRegistry, PortError, PortResult, memory::MemoryBus,
};
use millstream_promote_model::by_hand::{self, ByHand, Moved, ROLLBACK};

use crate::world::{World, command, model, promoted, rejected, requests, serving, with_canary};

impl World {
    fn by_hand<'a>(&'a self, bus: &'a dyn EventBus) -> ByHand<'a> {
        ByHand { registry: &*self.models, endpoints: &*self.models, bus, clock: &*self.clock }
    }

    async fn roll_back(&self) -> PortResult<Vec<Moved>> {
        self.by_hand(&MemoryBus::new()).rollback(&model()).await
    }
}

/// A bus that takes nothing.
#[derive(Debug)]
struct BrokenBus;

#[async_trait]
impl EventBus for BrokenBus {
    async fn publish(&self, _: Vec<Envelope>) -> PortResult<()> {
        Err(PortError::unavailable("no route to the bus"))
    }
}

/// What was told of moves: their numbers, why, and what was moved.
fn told(events: &[Event]) -> Vec<(u64, TrafficMove, u64)> {
    let moves = events.iter().filter_map(|event| match event {
        Event::TrafficMoved(TrafficMoved { number, kind, version, .. }) => Some((*number, *kind, *version)),
        _ => None,
    });
    moves.collect()
}

fn all_to(version: u64) -> Deployed {
    Deployed { model: model(), version, traffic: 100 }
}

#[tokio::test]
async fn a_rollback_gives_the_traffic_and_the_name_back() {
    let world = World::new();
    world.promoted("first").await;
    world.promoted("second").await;
    let moved = world.roll_back().await.unwrap();
    assert_eq!(moved, [Moved { endpoint: model(), from: vec![all_to(2)], to: all_to(1) }]);
    assert_eq!((world.traffic().await, world.production().await), (vec![(1, 100)], Some(1)));
}

#[tokio::test]
async fn a_rollback_is_not_undone_by_a_redelivered_promotion() {
    let world = World::new();
    world.promoted("first").await;
    world.promoted("second").await;
    world.roll_back().await.unwrap();
    let state = world.endpoint().await;
    assert!(rejected(world.ensure(&command("second", serving())).await).rolled_back.is_some());
    promoted(world.ensure(&command("first", serving())).await);
    assert_eq!((world.endpoint().await, world.production().await), (state, Some(1)));
}

#[tokio::test]
async fn a_newer_version_is_promoted_over_a_rollback() {
    let world = World::new();
    for training in ["first", "second"] {
        world.promoted(training).await;
    }
    world.roll_back().await.unwrap();
    world.promoted("third").await;
    assert_eq!((world.traffic().await, world.production().await), (vec![(3, 100)], Some(3)));
    rejected(world.ensure(&command("second", serving())).await);
    assert_eq!(world.traffic().await, [(3, 100)]);
    // What the third took over from is what it goes back to, not the version that was found wanting.
    world.roll_back().await.unwrap();
    assert_eq!(world.traffic().await, [(1, 100)]);
}

#[tokio::test]
async fn rollbacks_go_back_one_version_each_until_there_is_none() {
    let world = World::new();
    for training in ["first", "second", "third"] {
        world.promoted(training).await;
    }
    world.roll_back().await.unwrap();
    assert_eq!(world.traffic().await, [(2, 100)]);
    world.roll_back().await.unwrap();
    assert_eq!(world.traffic().await, [(1, 100)]);
    assert_eq!(world.roll_back().await.unwrap_err().kind(), ErrorKind::Invalid);
    rejected(world.ensure(&command("third", serving())).await);
    assert_eq!(world.traffic().await, [(1, 100)]);
}

#[tokio::test]
async fn a_rollback_in_a_canary_ends_it() {
    let world = World::new();
    world.promoted("first").await;
    let second = command("second", with_canary());
    world.ensure(&second).await;
    world.roll_back().await.unwrap();
    assert_eq!(world.traffic().await, [(1, 100)]);
    rejected(world.ensure(&second).await);
    assert_eq!(world.traffic().await, [(1, 100)]);
}

#[tokio::test]
async fn a_rollback_after_a_failed_canary_does_not_bring_that_canary_back() {
    let world = World::new();
    world.promoted("first").await;
    world.promoted("second").await;
    let third = command("third", with_canary());
    world.ensure(&third).await;
    world.models.set_stats(&model(), 3, requests(100, 100)).unwrap();
    rejected(world.ensure(&third).await);
    world.roll_back().await.unwrap();
    rejected(world.ensure(&third).await);
    assert_eq!(world.traffic().await, [(1, 100)]);
}

#[tokio::test]
async fn a_rollback_cut_off_before_the_name_moved_is_finished_not_repeated() {
    let world = World::new();
    for training in ["first", "second", "third"] {
        world.promoted(training).await;
    }
    // As a crash after the traffic moved leaves it.
    let mut half = world.endpoint().await;
    let target = half.previous.pop().unwrap();
    half = EndpointState { deployed: vec![target], by: ROLLBACK.into(), ..half };
    world.models.set_alias(&model(), by_hand::SETTLED, 3).await.unwrap();
    world.models.set(&half, Some(half.revision)).await.unwrap();

    world.roll_back().await.unwrap();
    assert_eq!((world.traffic().await, world.production().await), (vec![(2, 100)], Some(2)));
}

#[tokio::test]
async fn a_rollback_of_a_model_that_is_served_nowhere_says_so() {
    let error = World::new().roll_back().await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::NotFound, "no endpoint serves the model churn"));
}

#[tokio::test]
async fn a_version_promoted_by_hand_stays_whatever_its_gate_said() {
    let world = World::new();
    world.promoted("first").await;
    let mut strict = serving();
    strict.promote_when = vec!["auc >= 0.9".into()];
    rejected(world.ensure(&command("second", strict.clone())).await);
    world.by_hand(&MemoryBus::new()).promote(&model(), 2).await.unwrap();
    rejected(world.ensure(&command("second", strict)).await);
    promoted(world.ensure(&command("first", serving())).await);
    assert_eq!((world.traffic().await, world.production().await), (vec![(2, 100)], Some(2)));
    world.roll_back().await.unwrap();
    assert_eq!(world.traffic().await, [(1, 100)]);
}

#[tokio::test]
async fn a_version_that_does_not_exist_cannot_be_promoted_by_hand() {
    let world = World::new();
    world.promoted("first").await;
    let error = world.by_hand(&MemoryBus::new()).promote(&model(), 7).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_move_by_hand_is_told_in_the_story_of_the_version_that_it_concerns() {
    let world = World::new();
    world.promoted("first").await;
    world.promoted("second").await;
    let bus = Arc::new(MemoryBus::new());
    world.by_hand(&*bus).rollback(&model()).await.unwrap();
    let events = bus.events();
    assert_eq!(told(&events), [(3, TrafficMove::RolledBackByHand, 2)]);
    let Event::TrafficMoved(moved) = &events[0] else { panic!("{events:?}") };
    assert_eq!((&moved.step, moved.run.clone()), (&None, command("second", serving()).step.run));
    assert_eq!(moved.traffic.iter().map(|share| (share.version, share.percent)).collect::<Vec<_>>(), [(1, 100)]);
    world.by_hand(&*bus).promote(&model(), 2).await.unwrap();
    let told_first = (3, TrafficMove::RolledBackByHand, 2);
    assert_eq!(told(&bus.events()), [told_first, told_first, (4, TrafficMove::PromotedByHand, 2)]);
    assert_eq!(bus.events()[0].id(), bus.events()[1].id(), "told again, it is recognised");
}

#[tokio::test]
async fn a_rollback_that_could_not_be_told_is_finished_when_asked_for_again() {
    let world = World::new();
    for training in ["first", "second", "third"] {
        world.promoted(training).await;
    }
    let error = world.by_hand(&BrokenBus).rollback(&model()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let bus = Arc::new(MemoryBus::new());
    world.by_hand(&*bus).rollback(&model()).await.unwrap();
    assert_eq!(told(&bus.events()), [(4, TrafficMove::RolledBackByHand, 3)]);
    assert_eq!(
        (world.traffic().await, world.production().await),
        (vec![(2, 100)], Some(2)),
        "one version back, not two"
    );
}

#[tokio::test]
async fn a_promotion_by_hand_that_could_not_be_told_is_told_and_named_when_asked_for_again() {
    let world = World::new();
    world.promoted("first").await;
    world.promoted("second").await;
    world.by_hand(&BrokenBus).promote(&model(), 1).await.unwrap_err();
    assert_eq!(world.production().await, Some(2));
    let bus = Arc::new(MemoryBus::new());
    world.by_hand(&*bus).promote(&model(), 1).await.unwrap();
    assert_eq!(told(&bus.events()), [(3, TrafficMove::PromotedByHand, 1)]);
    assert_eq!((world.traffic().await, world.production().await), (vec![(1, 100)], Some(1)));
}

#[tokio::test]
async fn a_move_by_hand_that_nobody_told_is_told_with_the_next_promotion() {
    let world = World::new();
    world.promoted("first").await;
    world.promoted("second").await;
    world.by_hand(&BrokenBus).rollback(&model()).await.unwrap_err();
    let bus = Arc::new(MemoryBus::new());
    world.deliver(&bus, &command("third", serving())).await;
    let expected = [(3, TrafficMove::RolledBackByHand, 2), (4, TrafficMove::Finished, 3)];
    assert_eq!(told(&bus.events()), expected);
}
