//! Ensures a trained model is registered, judged by its gate and, if that lets it, serving.
//!
//! Consumes `dev.millstream.promotion.requested.v1`; emits `dev.millstream.model.promoted.v1` or
//! `dev.millstream.model.rejected.v1`, and `dev.millstream.model.traffic_moved.v1` for each move of the traffic. [`by_hand`] is
//! what a person may do to the traffic besides.

mod breach;
pub mod by_hand;
mod decide;
mod judge;
mod traffic;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::{
    Command, Event, StepRef,
    fact::{ModelJudged, Outcome, TrafficMoved},
    work::{self, Serving, WorkKind},
};
use millstream_ports::{
    Clock, EndpointState, Endpoints, ModelRegistry, ModelVersion, PortResult, Scorer, ServingStats, Verdict, optional,
};
use millstream_runtime::{
    Failure, Function, Progress,
    declaration::{Bucket, Declaration, Size, Touch},
};

use crate::decide::{Action, Candidate, Seen};

/// The alias of the version that serves.
pub const PRODUCTION: &str = "production";

/// What a deployment derives from.
pub const DECLARATION: Declaration = Declaration {
    name: <PromoteModel as Function>::NAME,
    consumes: &[<work::PromoteModel as WorkKind>::TYPE],
    emits: &[
        "dev.millstream.model.promoted.v1",
        "dev.millstream.model.rejected.v1",
        "dev.millstream.model.traffic_moved.v1",
        "dev.millstream.step.failed.v1",
        "dev.millstream.step.deferred.v1",
    ],
    touches: &[Touch::Writes(Bucket::Models), Touch::Publishes, Touch::PublishesModels, Touch::ActsAsTraining],
    size: Size {
        cpu: "1",
        memory: "1Gi",
        concurrency: 4,
        timeout_seconds: 60,
        max_instances: 4,
        between_requests: false,
    },
};

/// `promote-model`: the registry keeps what a version is and what was said of it, the endpoint how far its rollout is.
#[derive(Debug)]
pub struct PromoteModel {
    judge: judge::Judge,
    registry: Arc<dyn ModelRegistry>,
    endpoints: Arc<dyn Endpoints>,
    clock: Arc<dyn Clock>,
}

impl PromoteModel {
    /// Registers in `registry`, compares with `scorer`, serves at `endpoints`.
    pub fn new(
        registry: Arc<dyn ModelRegistry>,
        endpoints: Arc<dyn Endpoints>,
        scorer: Arc<dyn Scorer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { judge: judge::Judge::new(Arc::clone(&registry), scorer), registry, endpoints, clock }
    }

    async fn seen(&self, candidate: &Candidate<'_>) -> PortResult<Seen> {
        let now = self.clock.now();
        let Some(endpoint) = optional(self.endpoints.endpoint(candidate.endpoint).await)? else {
            return Ok(Seen {
                endpoint: None,
                settled: None,
                of_later_data: None,
                stats: ServingStats::default(),
                stable_stats: ServingStats::default(),
                now,
            });
        };
        let settled = by_hand::newest_moved(&*self.registry, candidate.model, &endpoint).await?;
        let (mut stats, mut stable_stats) = (ServingStats::default(), ServingStats::default());
        if candidate.share_of(&endpoint).is_some() {
            stats = self.endpoints.stats(candidate.endpoint, candidate.version).await?;
            if let Some(stable) = traffic::stable(&endpoint).filter(|stable| !candidate.is(stable)) {
                stable_stats = self.endpoints.stats(candidate.endpoint, stable.version).await?;
            }
        }
        let of_later_data = self.of_later_data(candidate, &endpoint).await?;
        Ok(Seen { endpoint: Some(endpoint), settled, of_later_data, stats, stable_stats, now })
    }

    /// The order in which versions are registered is the order in which trainings end; which data is later is the uploads'.
    async fn of_later_data(&self, candidate: &Candidate<'_>, endpoint: &EndpointState) -> PortResult<Option<u64>> {
        let is_there = |version: &ModelVersion| {
            let mut deployed = endpoint.deployed.iter();
            deployed.any(|at| at.model == version.registered.model && at.version == version.version)
        };
        let versions = self.registry.versions(candidate.model).await?;
        let later =
            versions.iter().filter(|version| version.registered.sequence > candidate.sequence && is_there(version));
        Ok(later.map(|version| version.version).max())
    }

    /// Takes the rollout as far as it goes now.
    async fn roll_out(&self, candidate: &Candidate<'_>) -> Result<RolledOut, Failure> {
        let mut seen = self.seen(candidate).await?;
        loop {
            let revision = seen.endpoint.as_ref().map(|endpoint| endpoint.revision);
            match decide::next(candidate, &seen) {
                Action::Shift(wanted) => {
                    let set = self.endpoints.set(&wanted, revision).await?;
                    let none = ServingStats::default();
                    seen = Seen { endpoint: Some(set), stats: none, stable_stats: none, ..seen };
                }
                Action::Wait { reason, check_after } => return Ok(RolledOut::NotYet { reason, check_after }),
                Action::Finish => return self.finish(candidate).await,
                Action::RollBack { to, reason } => {
                    tracing::warn!(model = %candidate.model, version = candidate.version, reason, "canary rolled back");
                    self.endpoints.set(&to, revision).await?;
                    return Ok(RolledOut::Back(reason));
                }
                Action::Succeeded => return Ok(RolledOut::Fully),
                Action::Ended { reason } => return Ok(RolledOut::Back(reason)),
            }
        }
    }

    async fn finish(&self, candidate: &Candidate<'_>) -> Result<RolledOut, Failure> {
        let named = self.registry.aliases(candidate.model).await?.get(PRODUCTION).copied();
        if named != Some(candidate.version) {
            self.registry.set_alias(candidate.model, PRODUCTION, candidate.version).await?;
        }
        Ok(RolledOut::Fully)
    }

    async fn serve(
        &self,
        step: &StepRef,
        version: &ModelVersion,
        verdict: Verdict,
        serving: &Serving,
    ) -> Result<Progress, Failure> {
        let candidate = Candidate {
            step,
            model: &version.registered.model,
            version: version.version,
            sequence: version.registered.sequence,
            fingerprint: &version.registered.fingerprint,
            endpoint: &serving.endpoint,
            canary: serving.canary.as_ref(),
        };
        let judged = judged(version, verdict);
        Ok(match self.roll_out(&candidate).await? {
            RolledOut::NotYet { reason, check_after } => Progress::pending(reason, check_after),
            RolledOut::Fully => Progress::Done(Outcome::ModelPromoted(ModelJudged {
                endpoint: Some(serving.endpoint.clone()),
                ..judged
            })),
            RolledOut::Back(reason) => {
                Progress::Done(Outcome::ModelRejected(ModelJudged { rolled_back: Some(reason), ..judged }))
            }
        })
    }
}

/// How far a rollout is.
enum RolledOut {
    NotYet {
        reason: String,
        check_after: Duration,
    },
    /// The version has all the traffic, or had it before others came.
    Fully,
    Back(String),
}

fn judged(version: &ModelVersion, verdict: Verdict) -> ModelJudged {
    ModelJudged {
        model: version.registered.model.clone(),
        version: version.version,
        endpoint: None,
        checks: verdict.checks,
        champion: verdict.champion,
        rolled_back: None,
    }
}

#[async_trait]
impl Function for PromoteModel {
    const NAME: &'static str = "promote-model";

    type Work = work::PromoteModel;

    async fn ensure(&self, command: &Command<Self::Work>) -> Result<Progress, Failure> {
        let Some(serving) = &command.work.serving else {
            // Not judged: a gate that is written later still has the first word.
            let version = self.judge.register(command).await?;
            let nothing_said = Verdict { promoted: true, checks: Vec::new(), champion: None };
            return Ok(Progress::Done(Outcome::ModelPromoted(judged(&version, nothing_said))));
        };
        let (version, verdict) = self.judge.judge(command, serving).await?;
        if verdict.promoted {
            self.serve(&command.step, &version, verdict, serving).await
        } else {
            Ok(Progress::Done(Outcome::ModelRejected(judged(&version, verdict))))
        }
    }

    /// The endpoint's moves by this step, whichever attempt made them, and those by people: whoever made those may have been cut
    /// off before telling.
    async fn facts_beside(&self, command: &Command<Self::Work>) -> PortResult<Vec<Event>> {
        let Some(serving) = &command.work.serving else { return Ok(Vec::new()) };
        let Some(endpoint) = optional(self.endpoints.endpoint(&serving.endpoint).await)? else { return Ok(Vec::new()) };
        let is_told_here = |of: &TrafficMoved| of.step.as_ref().is_none_or(|step| is_same_step(step, &command.step));
        Ok(endpoint.moves.into_iter().filter(is_told_here).map(Event::TrafficMoved).collect())
    }
}

fn is_same_step(one: &StepRef, other: &StepRef) -> bool {
    one.run == other.run && one.step == other.step && one.fingerprint == other.fingerprint
}
