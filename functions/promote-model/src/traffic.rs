//! An endpoint's next state, for each way its traffic can move: pure.

use chrono::{DateTime, Utc};
use millstream_ports::{Deployed, EndpointState};

use crate::decide::Candidate;

/// The version the others are measured against: the oldest deployment.
pub(crate) fn stable(endpoint: &EndpointState) -> Option<&Deployed> {
    endpoint.deployed.first()
}

/// The candidate gets all the traffic; what had it is kept for a rollback.
pub(crate) fn all_to(candidate: &Candidate<'_>, endpoint: Option<&EndpointState>, now: DateTime<Utc>) -> EndpointState {
    let target = Deployed { model: candidate.model.clone(), version: candidate.version, traffic: 100 };
    match endpoint {
        Some(endpoint) => hand_over(endpoint, target, candidate.fingerprint.as_str(), now),
        None => EndpointState {
            endpoint: candidate.endpoint.clone(),
            deployed: vec![target],
            since: now,
            by: candidate.fingerprint.to_string(),
            previous: Vec::new(),
            revision: 0,
        },
    }
}

/// The candidate gets `percent` of the traffic, the stable version the rest.
pub(crate) fn step_to(
    candidate: &Candidate<'_>,
    endpoint: &EndpointState,
    percent: u8,
    now: DateTime<Utc>,
) -> EndpointState {
    match stable(endpoint) {
        Some(stable) if percent < 100 => EndpointState {
            deployed: vec![
                Deployed { traffic: 100 - percent, ..stable.clone() },
                Deployed { model: candidate.model.clone(), version: candidate.version, traffic: percent },
            ],
            since: now,
            by: candidate.fingerprint.to_string(),
            ..endpoint.clone()
        },
        _ => all_to(candidate, Some(endpoint), now),
    }
}

/// The stable version gets all the traffic back. What had it before stays as it was.
pub(crate) fn back_to_stable(candidate: &Candidate<'_>, endpoint: &EndpointState, now: DateTime<Utc>) -> EndpointState {
    EndpointState {
        deployed: stable(endpoint).map(|stable| Deployed { traffic: 100, ..stable.clone() }).into_iter().collect(),
        since: now,
        by: candidate.fingerprint.to_string(),
        ..endpoint.clone()
    }
}

/// `target` gets all the traffic, moved by `by`; the stable version becomes the latest of the previous ones.
pub(crate) fn hand_over(endpoint: &EndpointState, target: Deployed, by: &str, now: DateTime<Utc>) -> EndpointState {
    let is_same = |a: &Deployed, b: &Deployed| a.model == b.model && a.version == b.version;
    let outgoing = stable(endpoint)
        .filter(|stable| !is_same(stable, &target))
        .map(|stable| Deployed { traffic: 100, ..stable.clone() });
    // Each version once: a list of versions, not a log of moves.
    let kept = endpoint.previous.iter().filter(|known| {
        !is_same(known, &target) && !outgoing.as_ref().is_some_and(|outgoing| is_same(known, outgoing))
    });
    let previous = kept.cloned().chain(outgoing.clone()).collect();
    EndpointState { deployed: vec![target], since: now, by: by.to_owned(), previous, ..endpoint.clone() }
}
