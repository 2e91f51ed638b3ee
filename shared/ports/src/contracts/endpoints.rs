//! The contract of [`Endpoints`].

use futures::future::join_all;
use millstream_events::{
    StepRef,
    fact::{TrafficMove, TrafficMoved, TrafficShare},
    names::ObjectPath,
};
use serde_json::json;

use super::models::{name, new_version};
use crate::{
    error::ErrorKind,
    models::{Deployed, EndpointState, Endpoints, ModelRegistry, PredictError, ServingStats},
};

/// Every rule. The endpoints serve what is in `registry`; `artifact` is a folder with the files of a model that can be
/// served, and the versions are registered with it.
pub async fn all(endpoints: &dyn Endpoints, registry: &dyn ModelRegistry, artifact: &ObjectPath) {
    run_rules!((endpoints, registry, artifact):
        an_endpoint_is_not_there_before_its_first_deployment,
        what_is_set_reads_back,
        a_stale_revision_conflicts,
        of_concurrent_writers_one_wins,
        traffic_adds_up_to_a_hundred,
        a_version_has_no_requests_at_first,
    );
}

/// Registers two versions of a model named like the endpoint and gives the state with these shares of traffic.
async fn state(registry: &dyn ModelRegistry, artifact: &ObjectPath, endpoint: &str, shares: &[u8]) -> EndpointState {
    let mut deployed = Vec::new();
    for (at, traffic) in shares.iter().enumerate() {
        let made = registry.ensure_version(&new_version(endpoint, &at.to_string(), artifact)).await.unwrap();
        deployed.push(Deployed { model: name(endpoint), version: made.version, traffic: *traffic });
    }
    let at = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let traffic = deployed.iter().map(|deployed| TrafficShare {
        model: deployed.model.clone(),
        version: deployed.version,
        percent: deployed.traffic,
    });
    let step = StepRef {
        run: "contract/day=1".parse().unwrap(),
        step: "promote/contract".parse().unwrap(),
        fingerprint: new_version(endpoint, "step", artifact).fingerprint,
        attempt: 1,
    };
    let moved = TrafficMoved {
        run: step.run.clone(),
        step: Some(step),
        endpoint: name(endpoint),
        number: 3,
        model: name(endpoint),
        version: 1,
        kind: TrafficMove::RolledBack,
        traffic: traffic.collect(),
        reason: Some("6 of 100 predictions failed".to_owned()),
        at,
    };
    EndpointState {
        endpoint: name(endpoint),
        moves: vec![moved],
        previous: deployed.iter().take(1).map(|first| Deployed { traffic: 100, ..first.clone() }).collect(),
        deployed,
        since: at,
        by: "contract".to_owned(),
        revision: 0,
    }
}

/// Reading it, and asking it for a prediction, is `NotFound`.
pub async fn an_endpoint_is_not_there_before_its_first_deployment(
    endpoints: &dyn Endpoints,
    _registry: &dyn ModelRegistry,
    _artifact: &ObjectPath,
) {
    let absent = name("not-deployed");
    assert_eq!(endpoints.endpoint(&absent).await.unwrap_err().kind(), ErrorKind::NotFound);
    let answer = endpoints.predict(&absent, json!({ "instances": [] })).await;
    assert!(matches!(&answer, Err(PredictError::Port(error)) if error.kind() == ErrorKind::NotFound), "{answer:?}");
    let listed = endpoints.endpoints().await.unwrap();
    assert!(listed.iter().all(|state| state.endpoint != absent));
}

/// All but the revision is as given, what was served before, the moves and the time included; the revision is a new one.
pub async fn what_is_set_reads_back(endpoints: &dyn Endpoints, registry: &dyn ModelRegistry, artifact: &ObjectPath) {
    let wanted = state(registry, artifact, "set", &[90, 10]).await;
    let first = endpoints.set(&wanted, None).await.unwrap();
    assert_eq!(first, EndpointState { revision: first.revision, ..wanted });
    assert_eq!(endpoints.endpoint(&name("set")).await.unwrap(), first);
    let wanted = EndpointState { by: "next".to_owned(), ..state(registry, artifact, "set", &[50, 50]).await };
    let second = endpoints.set(&wanted, Some(first.revision)).await.unwrap();
    assert_ne!(second.revision, first.revision);
    assert_eq!(second, EndpointState { revision: second.revision, ..wanted });
    let listed = endpoints.endpoints().await.unwrap();
    assert_eq!(listed.into_iter().filter(|state| state.endpoint == name("set")).collect::<Vec<_>>(), [second]);
}

/// A writer that decided on something older changes nothing, nor does one that thinks the endpoint is not there, or is.
pub async fn a_stale_revision_conflicts(
    endpoints: &dyn Endpoints,
    registry: &dyn ModelRegistry,
    artifact: &ObjectPath,
) {
    let wanted = state(registry, artifact, "stale", &[100]).await;
    let conflict = async |expected| endpoints.set(&wanted, expected).await.unwrap_err().kind();
    assert_eq!(conflict(Some(1)).await, ErrorKind::Conflict, "the endpoint is not there");
    let first = endpoints.set(&wanted, None).await.unwrap();
    assert_eq!(conflict(None).await, ErrorKind::Conflict, "the endpoint is there");
    let second = endpoints.set(&wanted, Some(first.revision)).await.unwrap();
    assert_eq!(conflict(Some(first.revision)).await, ErrorKind::Conflict, "the revision is an old one");
    assert_eq!(endpoints.endpoint(&name("stale")).await.unwrap(), second);
}

/// Both had read the same revision.
pub async fn of_concurrent_writers_one_wins(
    endpoints: &dyn Endpoints,
    registry: &dyn ModelRegistry,
    artifact: &ObjectPath,
) {
    let first = endpoints.set(&state(registry, artifact, "raced", &[100]).await, None).await.unwrap();
    let wanted: Vec<EndpointState> =
        (0..8).map(|writer| EndpointState { by: writer.to_string(), ..first.clone() }).collect();
    let answers = join_all(wanted.iter().map(|wanted| endpoints.set(wanted, Some(first.revision)))).await;
    let winners: Vec<&EndpointState> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    assert_eq!(&endpoints.endpoint(&name("raced")).await.unwrap(), winners[0]);
}

/// Anything else is `Invalid` and changes nothing.
pub async fn traffic_adds_up_to_a_hundred(
    endpoints: &dyn Endpoints,
    registry: &dyn ModelRegistry,
    artifact: &ObjectPath,
) {
    for shares in [&[90_u8, 9][..], &[100, 1], &[]] {
        let wanted = state(registry, artifact, "adds-up", shares).await;
        assert_eq!(endpoints.set(&wanted, None).await.unwrap_err().kind(), ErrorKind::Invalid, "{shares:?}");
    }
    assert_eq!(endpoints.endpoint(&name("adds-up")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// A version that nobody has asked yet has failed nobody.
pub async fn a_version_has_no_requests_at_first(
    endpoints: &dyn Endpoints,
    registry: &dyn ModelRegistry,
    artifact: &ObjectPath,
) {
    let set = endpoints.set(&state(registry, artifact, "unasked", &[100]).await, None).await.unwrap();
    let stats = endpoints.stats(&set.endpoint, set.deployed[0].version).await.unwrap();
    assert_eq!(stats, ServingStats::default());
}
