//! `promote-model` on Vertex AI: a canary to its end, and one that is rolled back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use millstream_events::{
    Command, Fingerprint, StepRef,
    fact::{ModelTrained, Outcome},
    work::{Canary, PromoteModel as Promote, Serving},
};
use millstream_gcp_vertex::{VertexEndpoints, VertexRegistry};
use millstream_ports::{
    ModelRegistry,
    memory::{ManualClock, MemoryModels},
};
use millstream_promote_model::{PRODUCTION, PromoteModel};
use millstream_runtime::{Failure, Function, Progress};
use serde_json::json;

use crate::{
    endpoints::{deployed_ids, deployments},
    metrics::responses,
    support::{Models, artifact, connection, name, settings},
};

const BAKE: u64 = 600;

struct World {
    models: Models,
    clock: Arc<ManualClock>,
    /// How many of a hundred predictions of the new version fail.
    failing: u64,
}

/// How the rollout of version 2 has ended.
#[derive(Debug, PartialEq)]
struct End {
    is_promoted: bool,
    /// Versions and their shares.
    deployed: Vec<(u64, i64)>,
    production: Option<u64>,
}

impl World {
    fn start() -> Self {
        let clock = Arc::new(ManualClock::new("2026-11-24T12:00:00Z".parse().unwrap()));
        Self { models: Models::start(), clock, failing: 0 }
    }

    /// The function as another process has it.
    fn function(&self) -> PromoteModel {
        let Models { fake, store } = &self.models;
        let registry = VertexRegistry::new(connection(fake), settings(), store.clone(), self.clock.clone()).unwrap();
        let endpoints = VertexEndpoints::new(connection(fake), settings(), store.clone(), self.clock.clone()).unwrap();
        let scorer = Arc::new(MemoryModels::new(self.clock.clone()));
        PromoteModel::new(Arc::new(registry), Arc::new(endpoints), scorer, self.clock.clone())
    }

    /// Delivers a command until it is done, each time to another process; steps bake, and what they are asked is measured.
    async fn roll_out(&self, command: &Command<Promote>) -> Outcome {
        for _ in 0..50 {
            match self.function().ensure(command).await {
                Ok(Progress::Done(outcome)) => return outcome,
                Ok(Progress::Pending { .. }) => {
                    self.measure();
                    self.clock.advance(Duration::from_secs(BAKE));
                }
                Err(Failure::Retry(_)) => {}
                Err(Failure::Permanent(reason)) => panic!("{reason:?}"),
            }
        }
        panic!("the rollout does not end");
    }

    fn measure(&self) {
        let ids = deployed_ids(&self.models, "churn");
        let mut series = vec![responses(&ids[0], "200", "900")];
        if let Some(new) = ids.get(1) {
            series.push(responses(new, "200", &(100 - self.failing).to_string()));
            series.push(responses(new, "500", &self.failing.to_string()));
        }
        self.models.fake.control(&json!({"series": series}));
    }

    async fn production(&self) -> Option<u64> {
        self.models.registry().aliases(&name("churn")).await.unwrap().get(PRODUCTION).copied()
    }

    /// Version 1 serves; version 2 is rolled out.
    async fn both(&mut self, failing: u64) -> End {
        self.failing = failing;
        self.roll_out(&command("first")).await;
        let outcome = self.roll_out(&command("second")).await;
        // A request that is to fail and has not come yet is not one of what is looked at now.
        let left = self.models.fake.seen()["failAt"].clone();
        self.models.fake.control(&json!({"failAt": null}));
        let end = End {
            is_promoted: matches!(outcome, Outcome::ModelPromoted(_)),
            deployed: deployments(&self.models),
            production: self.production().await,
        };
        self.models.fake.control(&json!({"failAt": left}));
        end
    }
}

fn command(training: &str) -> Command<Promote> {
    let canary = Canary {
        steps: vec![10, 50, 100],
        bake_seconds: BAKE,
        max_error_rate: 0.05,
        max_latency_ms: None,
        max_score_shift: None,
    };
    let serving =
        Serving { endpoint: name("churn"), promote_when: vec!["auc >= 0.7".to_owned()], canary: Some(canary) };
    let trained = ModelTrained {
        model: name("churn"),
        artifact: artifact().join(training).unwrap(),
        metrics: BTreeMap::from([("auc".to_owned(), 0.8)]),
        log: None,
        seconds: 1.0,
        cost: None,
    };
    let step = StepRef {
        run: "shop".parse().unwrap(),
        step: "promote/churn".parse().unwrap(),
        fingerprint: Fingerprint::of("promotion", [training.as_bytes()]),
        attempt: 1,
    };
    let data = "production.features".parse().unwrap();
    Command { step, work: Promote { trained, data, sequence: 0, serving: Some(serving) } }
}

/// How each of the two ends, by how many of a hundred predictions of the new version fail.
fn ends() -> [(u64, End); 2] {
    [
        (3, End { is_promoted: true, deployed: vec![(2, 100)], production: Some(2) }),
        (30, End { is_promoted: false, deployed: vec![(1, 100)], production: Some(1) }),
    ]
}

#[tokio::test]
async fn a_good_canary_gets_all_the_traffic_and_a_bad_one_is_rolled_back() {
    let mut world = World::start();
    for (failing, end) in ends() {
        world.models.begin();
        assert_eq!(world.both(failing).await, end);
    }
}

/// Of the hundreds of requests of a rollout, every eleventh in turn is lost, or its answer is. What comes between the requests of
/// one move is tried one by one in `endpoints`.
#[tokio::test]
async fn a_rollout_that_is_cut_off_ends_as_without() {
    let mut world = World::start();
    for (failing, end) in ends() {
        for n in (1..).step_by(11) {
            world.models.begin();
            world.models.fake.control(&json!({"failAt": {"n": n, "after": n % 2 == 0}}));
            assert_eq!(world.both(failing).await, end, "request {n}");
            if !world.models.fake.seen()["failAt"].is_null() {
                break;
            }
        }
    }
}
