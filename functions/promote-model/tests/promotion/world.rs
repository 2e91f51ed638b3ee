//! A registry, an endpoint and a clock in memory, and trainings to promote.

use std::{collections::BTreeMap, sync::Arc};

use millstream_events::{
    Command, Envelope, Event, Fingerprint, StepRef,
    fact::{ModelJudged, ModelTrained, Outcome},
    names::{ModelName, ObjectPath},
    work::{Canary, PromoteModel as Promote, Serving, Work},
};
use millstream_ports::{
    EndpointState, Endpoints, EventBus, ModelRegistry, ServingStats,
    memory::{ManualClock, MemoryModels},
};
use millstream_promote_model::PromoteModel;
use millstream_runtime::{Ack, Function, Handler, Progress, StepHandler};

pub(crate) const BAKE_SECONDS: u64 = 60;

pub(crate) struct World {
    pub(crate) models: Arc<MemoryModels>,
    pub(crate) clock: Arc<ManualClock>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
        Self { models: Arc::new(MemoryModels::new(clock.clone())), clock }
    }

    pub(crate) fn function(&self) -> PromoteModel {
        PromoteModel::new(self.models.clone(), self.models.clone(), self.models.clone(), self.clock.clone())
    }

    pub(crate) async fn ensure(&self, command: &Command<Promote>) -> Progress {
        self.function().ensure(command).await.unwrap()
    }

    /// Delivers a command once, to a function that has just started, whose facts go to `bus`.
    pub(crate) async fn deliver(&self, bus: &Arc<impl EventBus + 'static>, command: &Command<Promote>) -> Ack {
        StepHandler::new(self.function(), bus.clone(), self.clock.clone()).handle(&delivery(command)).await
    }

    /// Promotes a training without a canary.
    pub(crate) async fn promoted(&self, training: &str) -> ModelJudged {
        promoted(self.ensure(&command(training, serving())).await)
    }

    pub(crate) async fn endpoint(&self) -> EndpointState {
        self.models.endpoint(&model()).await.unwrap()
    }

    /// Versions and their percentages.
    pub(crate) async fn traffic(&self) -> Vec<(u64, u8)> {
        self.endpoint().await.deployed.iter().map(|deployed| (deployed.version, deployed.traffic)).collect()
    }

    pub(crate) async fn production(&self) -> Option<u64> {
        self.models.aliases(&model()).await.unwrap().get("production").copied()
    }
}

/// The model and the endpoint have one name.
pub(crate) fn model() -> ModelName {
    "churn".parse().unwrap()
}

pub(crate) fn serving() -> Serving {
    Serving { endpoint: model(), promote_when: vec!["auc >= 0.7".into()], canary: None }
}

pub(crate) fn with_canary() -> Serving {
    let canary = Canary {
        steps: vec![10, 50, 100],
        bake_seconds: BAKE_SECONDS,
        max_error_rate: 0.05,
        max_latency_ms: Some(200.0),
        max_score_shift: Some(0.1),
    };
    Serving { canary: Some(canary), ..serving() }
}

/// A command as it travels.
pub(crate) fn delivery(command: &Command<Promote>) -> Envelope {
    let Command { step, work } = command.clone();
    let event = Event::Command(Command { step, work: Work::PromoteModel(work) });
    Envelope { event, time: "2026-01-01T00:00:00Z".parse().unwrap(), traceparent: None }
}

/// Requests, of which some failed.
pub(crate) fn requests(requests: u64, errors: u64) -> ServingStats {
    ServingStats { requests, errors, ..ServingStats::default() }
}

pub(crate) fn artifact(training: &str) -> ObjectPath {
    format!("gs://models/churn/{}", Fingerprint::of("training", [training.as_bytes()])).parse().unwrap()
}

pub(crate) fn command(training: &str, serving: Serving) -> Command<Promote> {
    command_with(training, Some(serving), &[("auc", 0.8)])
}

pub(crate) fn command_with(training: &str, serving: Option<Serving>, metrics: &[(&str, f64)]) -> Command<Promote> {
    let trained = ModelTrained {
        model: model(),
        artifact: artifact(training),
        metrics: numbers(metrics),
        log: None,
        seconds: 1.0,
        cost: None,
    };
    let definition = serde_json::to_vec(&serving).unwrap();
    let step = StepRef {
        run: "shop".parse().unwrap(),
        step: "promote/churn".parse().unwrap(),
        fingerprint: Fingerprint::of("promotion", [training.as_bytes(), definition.as_slice()]),
        attempt: 1,
    };
    Command { step, work: Promote { trained, data: "production.features".parse().unwrap(), sequence: 0, serving } }
}

pub(crate) fn numbers(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

pub(crate) fn promoted(progress: Progress) -> ModelJudged {
    match progress {
        Progress::Done(Outcome::ModelPromoted(judged)) => judged,
        other => panic!("not promoted: {other:?}"),
    }
}

pub(crate) fn rejected(progress: Progress) -> ModelJudged {
    match progress {
        Progress::Done(Outcome::ModelRejected(judged)) => judged,
        other => panic!("not rejected: {other:?}"),
    }
}
