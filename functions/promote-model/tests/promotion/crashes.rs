//! A promotion cut off before or after each of its effects, and asked for again.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use millstream_events::{
    Envelope, Event,
    fact::{Outcome, TrafficMove},
    names::ModelName,
    work::Serving,
};
use millstream_ports::{
    EndpointState, Endpoints, EventBus, ModelRegistry, ModelVersion, NewVersion, PortResult, PredictError,
    ServingStats, Verdict,
    memory::{MemoryBus, MemoryModels},
};
use millstream_promote_model::PromoteModel;
use millstream_runtime::{Ack, Handler, StepHandler};
use tokio::sync::Notify;

use crate::world::{World, command, delivery, model, requests, serving, with_canary};

/// When an effect is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Before,
    After,
}

/// Models and a bus in memory whose process dies at its nth effect: registering, judging, setting the endpoint, naming a version
/// or publishing. Each life has its own `(effect, when)`; with none left it lives on.
#[derive(Debug)]
struct Mortal {
    models: Arc<MemoryModels>,
    bus: MemoryBus,
    lives: Mutex<VecDeque<(usize, Cut)>>,
    effects: AtomicUsize,
    all_effects: AtomicUsize,
    died: Notify,
}

impl Mortal {
    fn new(world: &World, lives: impl IntoIterator<Item = (usize, Cut)>) -> Arc<Self> {
        Arc::new(Self {
            models: world.models.clone(),
            bus: MemoryBus::new(),
            lives: Mutex::new(lives.into_iter().collect()),
            effects: AtomicUsize::new(0),
            all_effects: AtomicUsize::new(0),
            died: Notify::new(),
        })
    }

    async fn effect<T>(&self, effect: impl Future<Output = PortResult<T>>) -> PortResult<T> {
        self.all_effects.fetch_add(1, Ordering::Relaxed);
        let nth = self.effects.fetch_add(1, Ordering::Relaxed) + 1;
        let cut = self.lives.lock().unwrap().front().filter(|(at, _)| *at == nth).map(|(_, cut)| *cut);
        if cut == Some(Cut::Before) {
            return self.die().await;
        }
        let answer = effect.await;
        if cut == Some(Cut::After) {
            return self.die().await;
        }
        answer
    }

    /// Whoever waits for this is dropped.
    async fn die<T>(&self) -> T {
        self.lives.lock().unwrap().pop_front();
        self.effects.store(0, Ordering::Relaxed);
        self.died.notify_one();
        std::future::pending().await
    }
}

#[async_trait]
impl EventBus for Mortal {
    async fn publish(&self, events: Vec<Envelope>) -> PortResult<()> {
        self.effect(self.bus.publish(events)).await
    }
}

#[async_trait]
impl ModelRegistry for Mortal {
    async fn ensure_version(&self, version: &NewVersion) -> PortResult<ModelVersion> {
        self.effect(self.models.ensure_version(version)).await
    }

    async fn judge(&self, model: &ModelName, version: u64, verdict: &Verdict) -> PortResult<Verdict> {
        self.effect(self.models.judge(model, version, verdict)).await
    }

    async fn models(&self) -> PortResult<Vec<ModelName>> {
        self.models.models().await
    }

    async fn versions(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>> {
        self.models.versions(model).await
    }

    async fn aliases(&self, model: &ModelName) -> PortResult<BTreeMap<String, u64>> {
        self.models.aliases(model).await
    }

    async fn set_alias(&self, model: &ModelName, alias: &str, version: u64) -> PortResult<()> {
        self.effect(self.models.set_alias(model, alias, version)).await
    }
}

#[async_trait]
impl Endpoints for Mortal {
    async fn endpoint(&self, endpoint: &ModelName) -> PortResult<EndpointState> {
        self.models.endpoint(endpoint).await
    }

    async fn endpoints(&self) -> PortResult<Vec<EndpointState>> {
        self.models.endpoints().await
    }

    async fn set(&self, state: &EndpointState, expected: Option<u64>) -> PortResult<EndpointState> {
        self.effect(self.models.set(state, expected)).await
    }

    async fn stats(&self, endpoint: &ModelName, version: u64) -> PortResult<ServingStats> {
        self.models.stats(endpoint, version).await
    }

    async fn predict(
        &self,
        endpoint: &ModelName,
        request: serde_json::Value,
    ) -> Result<serde_json::Value, PredictError> {
        self.models.predict(endpoint, request).await
    }
}

/// How a promotion came out, but for the times: a process that dies asks at other moments.
#[derive(Debug, PartialEq)]
struct End {
    /// Versions and their shares.
    traffic: Vec<(u64, u8)>,
    previous: Vec<u64>,
    production: Option<u64>,
    versions: usize,
    /// What was told of moves, in their order, each as often as the ledger keeps it: under how many ids.
    moves: Vec<(u64, TrafficMove, Option<String>)>,
    /// What else was told, likewise.
    others: Vec<Event>,
}

impl End {
    async fn of(world: &World, published: Vec<Event>) -> Self {
        let recorded: BTreeMap<String, Event> = published.into_iter().map(|event| (event.id(), event)).collect();
        let (mut moves, mut others) = (Vec::new(), Vec::new());
        for event in recorded.into_values() {
            match event {
                Event::TrafficMoved(moved) => moves.push((moved.number, moved.kind, moved.reason)),
                other => others.push(other),
            }
        }
        moves.sort_by_key(|(number, ..)| *number);
        Self {
            traffic: world.traffic().await,
            previous: world.endpoint().await.previous.iter().map(|at| at.version).collect(),
            production: world.production().await,
            versions: world.models.versions(&model()).await.unwrap().len(),
            moves,
            others,
        }
    }

    fn kinds(&self) -> Vec<(u64, TrafficMove)> {
        self.moves.iter().map(|(number, kind, _)| (*number, *kind)).collect()
    }
}

/// What a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Candidate {
    Good,
    /// Half of its predictions fail, from this share of the traffic on.
    BadFrom(u8),
}

/// A second version is rolled out beside a first, by a process that dies as `lives` says and is started again, asked until it is
/// done. The answer's second part is how many effects that took.
async fn roll_out(
    candidate: Candidate,
    serving: Serving,
    lives: impl IntoIterator<Item = (usize, Cut)>,
) -> (End, usize) {
    let world = World::new();
    world.promoted("first").await;
    let mortal = Mortal::new(&world, lives);
    let delivery = delivery(&command("second", serving));
    let start = || {
        let function = PromoteModel::new(mortal.clone(), mortal.clone(), world.models.clone(), world.clock.clone());
        StepHandler::new(function, mortal.clone(), world.clock.clone())
    };
    let mut handler = start();
    let lives_at_first = mortal.lives.lock().unwrap().len();
    for _ in 0..100 {
        let share = world.traffic().await.iter().find(|(version, _)| *version == 2).map(|(_, share)| *share);
        let fails = matches!((candidate, share), (Candidate::BadFrom(from), Some(share)) if share >= from);
        if fails {
            world.models.set_stats(&model(), 2, requests(100, 50)).unwrap();
        }
        tokio::select! {
            biased;
            ack = handler.handle(&delivery) => match ack {
                Ack::Done => break,
                Ack::Pending { check_after } => world.clock.advance(check_after),
                Ack::Retry { reason } => panic!("nothing fails here: {reason}"),
            },
            () = mortal.died.notified() => handler = start(),
        }
    }
    let lives_left = mortal.lives.lock().unwrap().len();
    assert!(lives_left < lives_at_first.max(1), "nothing was cut off");
    (End::of(&world, mortal.bus.events()).await, mortal.all_effects.load(Ordering::Relaxed))
}

/// Dies at each effect, before and after it, and once more early in the next life; the end must be that of a process that lived.
async fn survives(candidate: Candidate, serving: Serving) -> End {
    let (undisturbed, effects) = roll_out(candidate, serving.clone(), []).await;
    let deaths = |effects| (1..=effects).flat_map(|nth| [(nth, Cut::Before), (nth, Cut::After)]);
    for first in deaths(effects) {
        let (end, _) = roll_out(candidate, serving.clone(), [first]).await;
        assert_eq!(end, undisturbed, "died at {first:?}");
        for second in deaths(4) {
            let (end, _) = roll_out(candidate, serving.clone(), [first, second]).await;
            assert_eq!(end, undisturbed, "died at {first:?}, then at {second:?}");
        }
    }
    undisturbed
}

#[tokio::test]
async fn a_promotion_cut_off_at_any_effect_is_the_same_when_asked_for_again() {
    let end = survives(Candidate::Good, serving()).await;
    assert_eq!((&end.traffic, end.production, end.versions), (&vec![(2, 100)], Some(2), 2));
    assert_eq!((&end.previous, end.kinds()), (&vec![1], vec![(2, TrafficMove::Finished)]));
}

#[tokio::test]
async fn a_good_version_gets_all_the_traffic_whenever_its_canary_is_cut_off() {
    let end = survives(Candidate::Good, with_canary()).await;
    assert_eq!((&end.traffic, end.production), (&vec![(2, 100)], Some(2)));
    let expected = [(2, TrafficMove::Started), (3, TrafficMove::Stepped), (4, TrafficMove::Finished)];
    assert_eq!(end.kinds(), expected);
    assert!(matches!(&end.others[..], [Event::StepDone(fact)] if matches!(fact.fact, Outcome::ModelPromoted(_))));
}

#[tokio::test]
async fn a_bad_version_is_rolled_back_whenever_its_canary_is_cut_off() {
    for (from, expected) in [
        (10, vec![(2, TrafficMove::Started), (3, TrafficMove::RolledBack)]),
        (50, vec![(2, TrafficMove::Started), (3, TrafficMove::Stepped), (4, TrafficMove::RolledBack)]),
    ] {
        let end = survives(Candidate::BadFrom(from), with_canary()).await;
        assert_eq!((&end.traffic, end.production), (&vec![(1, 100)], Some(1)));
        assert_eq!(end.kinds(), expected);
        assert!(matches!(&end.others[..], [Event::StepDone(fact)] if matches!(fact.fact, Outcome::ModelRejected(_))));
    }
}
