//! What a person may do to a model's traffic: `millstream models rollback` and `millstream models promote`.
//!
//! A move by hand must stand although promotion commands of versions before it may be delivered again. The alias
//! [`SETTLED`] marks up to which version that is so; it is set before the traffic moves, so that a crash in between only
//! means that the person asks again.
//!
//! The traffic moves, then the move is published, then the version gets the name [`PRODUCTION`]. Cut off in between, the same
//! asked for again goes on from there; and where nobody asks, the endpoint's next promotion publishes the move.

use millstream_events::{
    Envelope, Event,
    fact::TrafficMove,
    names::{ModelName, RunId},
};
use millstream_ports::{Clock, Deployed, EndpointState, Endpoints, EventBus, ModelRegistry, PortError, PortResult};
use millstream_runtime::trace_context;

use crate::{
    PRODUCTION,
    traffic::{self, Why},
};

/// The alias of the newest version that traffic by hand was moved from or to: rollouts up to it are over.
pub const SETTLED: &str = "settled";

/// `EndpointState::by` after a rollback by a person.
pub const ROLLBACK: &str = "rollback";

/// `EndpointState::by` after a promotion by a person.
pub const BY_HAND: &str = "promoted by hand";

/// Traffic that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The endpoint.
    pub endpoint: ModelName,
    /// What it served.
    pub from: Vec<Deployed>,
    /// What it serves now.
    pub to: Deployed,
}

/// What a person's move works on.
#[derive(Debug, Clone, Copy)]
pub struct ByHand<'a> {
    /// Versions and their names.
    pub registry: &'a dyn ModelRegistry,
    /// Whose traffic moves.
    pub endpoints: &'a dyn Endpoints,
    /// Where each move is told.
    pub bus: &'a dyn EventBus,
    /// What time it is.
    pub clock: &'a dyn Clock,
}

impl ByHand<'_> {
    /// Gives all traffic back to the version that had it before, at each endpoint that serves the model, and moves the alias
    /// `production`. During a canary that is the stable version; afterwards the one before it; asked again, the one before that.
    ///
    /// `NotFound` when nothing serves the model, `Invalid` when an endpoint has had no version before.
    pub async fn rollback(&self, model: &ModelName) -> PortResult<Vec<Moved>> {
        let mut moved = Vec::new();
        for endpoint in self.serving(model).await? {
            let to = match self.half_done(&endpoint).await? {
                Some(target) => {
                    tracing::info!(endpoint = %endpoint.endpoint, version = target.version, "a rollback is finished");
                    self.tell_and_name(&endpoint, target).await?
                }
                None => {
                    let wanted = self.rolled_back(&endpoint).await?;
                    self.settle(model, &endpoint, 0).await?;
                    self.set(&endpoint, wanted).await?
                }
            };
            moved.push(Moved { endpoint: endpoint.endpoint, from: endpoint.deployed, to });
        }
        Ok(moved)
    }

    /// Gives all traffic to a version whatever its gate said, at each endpoint that serves the model.
    ///
    /// `NotFound` when there is no such version or nothing serves the model: the first version of an endpoint gets there
    /// through its pipeline.
    pub async fn promote(&self, model: &ModelName, version: u64) -> PortResult<Vec<Moved>> {
        let run = self.run_of(model, version).await?;
        let mut moved = Vec::new();
        for endpoint in self.serving(model).await? {
            let target = Deployed { model: model.clone(), version, traffic: 100 };
            self.settle(model, &endpoint, version).await?;
            let to = if endpoint.deployed == [target.clone()] {
                // It has all the traffic: no move, but the last one may not have been told or named.
                self.tell_and_name(&endpoint, target).await?
            } else {
                let kind = TrafficMove::PromotedByHand;
                let why = Why { run: &run, step: None, model, version, kind, reason: None };
                self.set(&endpoint, traffic::hand_over(&endpoint, target, BY_HAND, &why, self.clock.now())).await?
            };
            moved.push(Moved { endpoint: endpoint.endpoint, from: endpoint.deployed, to });
        }
        Ok(moved)
    }

    /// The endpoints that serve the model.
    async fn serving(&self, model: &ModelName) -> PortResult<Vec<EndpointState>> {
        let serves = |state: &EndpointState| state.deployed.iter().any(|deployed| deployed.model == *model);
        let serving: Vec<_> = self.endpoints.endpoints().await?.into_iter().filter(serves).collect();
        if serving.is_empty() {
            return Err(PortError::not_found(format!("no endpoint serves the model {model}")));
        }
        Ok(serving)
    }

    /// The endpoint with its canary ended, or else with its latest previous version back.
    async fn rolled_back(&self, endpoint: &EndpointState) -> PortResult<EndpointState> {
        let mut wanted = endpoint.clone();
        let target =
            if endpoint.deployed.len() > 1 { traffic::stable(endpoint).cloned() } else { wanted.previous.pop() };
        let (Some(target), Some(outgoing)) = (target, endpoint.deployed.last()) else {
            return Err(PortError::invalid(format!(
                "endpoint {} has served no version before: nothing to go back to",
                endpoint.endpoint
            )));
        };
        wanted.deployed = vec![Deployed { traffic: 100, ..target }];
        ROLLBACK.clone_into(&mut wanted.by);
        let Deployed { model, version, .. } = outgoing;
        let run = self.run_of(model, *version).await?;
        let kind = TrafficMove::RolledBackByHand;
        let why = Why { run: &run, step: None, model, version: *version, kind, reason: None };
        Ok(traffic::moved(wanted, &why, self.clock.now()))
    }

    /// The version a rollback has given the traffic to but, cut off there, not yet the name `production`. Going on from it
    /// keeps a second try from rolling back twice.
    async fn half_done(&self, endpoint: &EndpointState) -> PortResult<Option<Deployed>> {
        let [only] = endpoint.deployed.as_slice() else { return Ok(None) };
        let named = self.registry.aliases(&only.model).await?.get(PRODUCTION).copied();
        Ok((endpoint.by == ROLLBACK && named != Some(only.version)).then(|| only.clone()))
    }

    /// Raises the alias to the newest version concerned; never lowers it.
    async fn settle(&self, model: &ModelName, endpoint: &EndpointState, version: u64) -> PortResult<()> {
        let settled = newest_moved(self.registry, model, endpoint).await?;
        let deployed =
            endpoint.deployed.iter().filter(|deployed| deployed.model == *model).map(|deployed| deployed.version);
        let newest = deployed.chain(settled).fold(version, u64::max);
        self.registry.set_alias(model, SETTLED, newest).await
    }

    /// The run that a version came from.
    async fn run_of(&self, model: &ModelName, version: u64) -> PortResult<RunId> {
        let versions = self.registry.versions(model).await?;
        let found = versions.into_iter().find(|known| known.version == version);
        let found = found.ok_or_else(|| PortError::not_found(format!("model {model} has no version {version}")))?;
        Ok(found.registered.run)
    }

    async fn set(&self, seen: &EndpointState, wanted: EndpointState) -> PortResult<Deployed> {
        let set = self.endpoints.set(&wanted, Some(seen.revision)).await?;
        let target = set
            .deployed
            .first()
            .cloned()
            .ok_or_else(|| PortError::internal(format!("endpoint {} was set to serve nothing", wanted.endpoint)))?;
        self.tell_and_name(&set, target).await
    }

    /// Publishes the moves by people that the endpoint remembers, earlier ones too: an id that is known says nothing new.
    async fn tell_and_name(&self, endpoint: &EndpointState, target: Deployed) -> PortResult<Deployed> {
        let time = self.clock.now();
        let traceparent = trace_context::current();
        let moves = endpoint.moves.iter().filter(|of| of.step.is_none());
        let facts: Vec<Envelope> = moves
            .map(|of| Envelope { event: Event::TrafficMoved(of.clone()), time, traceparent: traceparent.clone() })
            .collect();
        if !facts.is_empty() {
            self.bus.publish(facts).await?;
        }
        self.registry.set_alias(&target.model, PRODUCTION, target.version).await?;
        Ok(target)
    }
}

/// The newest version of the model whose rollout, by itself or by hand, has moved the endpoint's traffic.
pub(crate) async fn newest_moved(
    registry: &dyn ModelRegistry,
    model: &ModelName,
    endpoint: &EndpointState,
) -> PortResult<Option<u64>> {
    let by_hand = registry.aliases(model).await?.get(SETTLED).copied();
    let versions = registry.versions(model).await?;
    let mover = versions.iter().find(|version| version.registered.fingerprint.as_str() == endpoint.by);
    Ok(by_hand.max(mover.map(|version| version.version)))
}
