//! What a person may do to a model's traffic: `millstream models rollback` and `millstream models promote`.
//!
//! A move by hand must stand although promotion commands of versions before it may be delivered again. The alias
//! [`SETTLED`] marks up to which version that is so; it is set before the traffic moves, so that a crash in between only
//! means that the person asks again.

use millstream_events::names::ModelName;
use millstream_ports::{Clock, Deployed, EndpointState, Endpoints, ModelRegistry, PortError, PortResult};

use crate::{PRODUCTION, traffic};

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

/// Gives all traffic back to the version that had it before, at each endpoint that serves the model, and moves the alias
/// `production`. During a canary that is the stable version; afterwards the one before it; asked again, the one before that.
///
/// `NotFound` when nothing serves the model, `Invalid` when an endpoint has had no version before.
pub async fn rollback(
    registry: &dyn ModelRegistry,
    endpoints: &dyn Endpoints,
    clock: &dyn Clock,
    model: &ModelName,
) -> PortResult<Vec<Moved>> {
    let mut moved = Vec::new();
    for endpoint in serving(endpoints, model).await? {
        let to = match half_done(registry, &endpoint).await? {
            Some(target) => endpoint_naming(registry, &endpoint, target).await?,
            None => {
                let mut wanted = rolled_back(&endpoint)?;
                wanted.since = clock.now();
                settle(registry, model, &endpoint, 0).await?;
                set(registry, endpoints, &endpoint, wanted).await?
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
pub async fn promote(
    registry: &dyn ModelRegistry,
    endpoints: &dyn Endpoints,
    clock: &dyn Clock,
    model: &ModelName,
    version: u64,
) -> PortResult<Vec<Moved>> {
    if !registry.versions(model).await?.iter().any(|known| known.version == version) {
        return Err(PortError::not_found(format!("model {model} has no version {version}")));
    }
    let mut moved = Vec::new();
    for endpoint in serving(endpoints, model).await? {
        let target = Deployed { model: model.clone(), version, traffic: 100 };
        let wanted = traffic::hand_over(&endpoint, target, BY_HAND, clock.now());
        settle(registry, model, &endpoint, version).await?;
        let to = set(registry, endpoints, &endpoint, wanted).await?;
        moved.push(Moved { endpoint: endpoint.endpoint, from: endpoint.deployed, to });
    }
    Ok(moved)
}

/// The endpoints that serve the model.
async fn serving(endpoints: &dyn Endpoints, model: &ModelName) -> PortResult<Vec<EndpointState>> {
    let serves = |state: &EndpointState| state.deployed.iter().any(|deployed| deployed.model == *model);
    let serving: Vec<_> = endpoints.endpoints().await?.into_iter().filter(serves).collect();
    if serving.is_empty() {
        return Err(PortError::not_found(format!("no endpoint serves the model {model}")));
    }
    Ok(serving)
}

/// The endpoint with its canary ended, or else with its latest previous version back.
fn rolled_back(endpoint: &EndpointState) -> PortResult<EndpointState> {
    let mut wanted = endpoint.clone();
    let target = if endpoint.deployed.len() > 1 { traffic::stable(endpoint).cloned() } else { wanted.previous.pop() };
    let target = target.ok_or_else(|| {
        PortError::invalid(format!(
            "endpoint {} has served no version before: nothing to go back to",
            endpoint.endpoint
        ))
    })?;
    wanted.deployed = vec![Deployed { traffic: 100, ..target }];
    ROLLBACK.clone_into(&mut wanted.by);
    Ok(wanted)
}

/// The version a rollback has given the traffic to but, cut off there, not yet the name `production`. Going on from it
/// keeps a second try from rolling back twice.
async fn half_done(registry: &dyn ModelRegistry, endpoint: &EndpointState) -> PortResult<Option<Deployed>> {
    let [only] = endpoint.deployed.as_slice() else { return Ok(None) };
    let named = registry.aliases(&only.model).await?.get(PRODUCTION).copied();
    Ok((endpoint.by == ROLLBACK && named != Some(only.version)).then(|| only.clone()))
}

async fn endpoint_naming(
    registry: &dyn ModelRegistry,
    endpoint: &EndpointState,
    target: Deployed,
) -> PortResult<Deployed> {
    tracing::info!(endpoint = %endpoint.endpoint, version = target.version, "a rollback that was cut off is finished");
    registry.set_alias(&target.model, PRODUCTION, target.version).await?;
    Ok(target)
}

/// Raises the alias to the newest version concerned; never lowers it.
async fn settle(
    registry: &dyn ModelRegistry,
    model: &ModelName,
    endpoint: &EndpointState,
    version: u64,
) -> PortResult<()> {
    let settled = newest_moved(registry, model, endpoint).await?;
    let deployed =
        endpoint.deployed.iter().filter(|deployed| deployed.model == *model).map(|deployed| deployed.version);
    let newest = deployed.chain(settled).fold(version, u64::max);
    registry.set_alias(model, SETTLED, newest).await
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

async fn set(
    registry: &dyn ModelRegistry,
    endpoints: &dyn Endpoints,
    seen: &EndpointState,
    wanted: EndpointState,
) -> PortResult<Deployed> {
    let set = endpoints.set(&wanted, Some(seen.revision)).await?;
    let target = set
        .deployed
        .into_iter()
        .next()
        .ok_or_else(|| PortError::internal(format!("endpoint {} was set to serve nothing", wanted.endpoint)))?;
    registry.set_alias(&target.model, PRODUCTION, target.version).await?;
    Ok(target)
}
