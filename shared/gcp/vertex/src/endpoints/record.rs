//! What is kept of an endpoint, and what it says together with what is there: pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use millstream_events::{fact::TrafficMoved, names::ModelName};
use millstream_ports::{Deployed, EndpointState};
use serde::{Deserialize, Serialize};

use super::deployed::Endpoint;

/// `EndpointState::by` where somebody else has moved the traffic.
const BY_OTHERS: &str = "changed outside Millstream";

/// An endpoint's record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// The last state that was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) settled: Option<Kept>,
    /// The state that is being reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<Kept>,
    /// Vertex AI's operations for it, by what they do.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) operations: BTreeMap<String, String>,
}

/// A state without its name and revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) deployed: Vec<Deployed>,
    since: DateTime<Utc>,
    by: String,
    #[serde(default)]
    previous: Vec<Deployed>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    moves: Vec<TrafficMoved>,
}

impl From<EndpointState> for Kept {
    fn from(state: EndpointState) -> Self {
        let EndpointState { deployed, since, by, previous, moves, .. } = state;
        Self { deployed, since, by, previous, moves }
    }
}

impl Kept {
    fn state(&self, name: &ModelName, revision: u64) -> EndpointState {
        EndpointState {
            endpoint: name.clone(),
            deployed: self.deployed.clone(),
            since: self.since,
            by: self.by.clone(),
            previous: self.previous.clone(),
            moves: self.moves.clone(),
            revision,
        }
    }

    /// Whether the traffic is split so.
    fn has_traffic(&self, endpoint: &Endpoint) -> bool {
        let shares = |deployed: &[Deployed]| -> BTreeMap<(ModelName, u64), u8> {
            let with = deployed.iter().filter(|deployed| deployed.traffic > 0);
            with.map(|deployed| ((deployed.model.clone(), deployed.version), deployed.traffic)).collect()
        };
        shares(&self.deployed) == shares(&endpoint.traffic())
    }

    /// Whether it is so and nothing else is deployed.
    fn is_whole(&self, endpoint: &Endpoint) -> bool {
        let deployments = endpoint.deployments();
        let is_there = |wanted: &Deployed| endpoint.deployment_of(&wanted.model, wanted.version).is_some();
        self.has_traffic(endpoint) && deployments.len() == self.deployed.len() && self.deployed.iter().all(is_there)
    }
}

/// The endpoint's state; `None` before its first deployment.
///
/// The traffic is what is there. Who moved it, when and what was there before is told by the state of the record that it is
/// split as: the pending one once nothing of it is owed, else the settled one, from which the change is decided again. Traffic
/// that is split as neither was moved by others.
pub(super) fn standing(
    name: &ModelName,
    endpoint: &Endpoint,
    record: &Record,
    generation: Option<u64>,
) -> Option<EndpointState> {
    // No object has this generation.
    let revision = generation.unwrap_or_default();
    if let Some(pending) = record.pending.as_ref().filter(|pending| pending.is_whole(endpoint)) {
        return Some(pending.state(name, revision));
    }
    let is_begun = record.pending.as_ref().is_some_and(|pending| pending.has_traffic(endpoint));
    match &record.settled {
        Some(settled) if is_begun || settled.has_traffic(endpoint) => return Some(settled.state(name, revision)),
        None if is_begun => return None,
        _ => {}
    }
    let (deployed, before) = (endpoint.traffic(), record.settled.as_ref());
    (!deployed.is_empty()).then(|| EndpointState {
        endpoint: name.clone(),
        deployed,
        since: endpoint.update_time.unwrap_or_default(),
        by: BY_OTHERS.to_owned(),
        previous: before.map(|settled| settled.previous.clone()).unwrap_or_default(),
        moves: before.map(|settled| settled.moves.clone()).unwrap_or_default(),
        revision,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name() -> ModelName {
        "churn".parse().unwrap()
    }

    fn kept(shares: &[(u64, u8)], by: &str) -> Kept {
        let deployed =
            shares.iter().map(|(version, traffic)| Deployed { model: name(), version: *version, traffic: *traffic });
        Kept {
            deployed: deployed.collect(),
            since: "2026-11-24T12:00:00Z".parse().unwrap(),
            by: by.to_owned(),
            previous: Vec::new(),
            moves: Vec::new(),
        }
    }

    fn endpoint(shares: &[(u64, u8)]) -> Endpoint {
        let models: Vec<_> = shares
            .iter()
            .map(|(version, _)| json!({"id": format!("{version}"), "model": format!("p/models/churn@{version}")}))
            .collect();
        let split: BTreeMap<_, _> =
            shares.iter().map(|(version, share)| (version.to_string(), i64::from(*share))).collect();
        let time = "2026-11-25T12:00:00Z";
        serde_json::from_value(json!({"deployedModels": models, "trafficSplit": split, "updateTime": time})).unwrap()
    }

    fn by(endpoint: &Endpoint, settled: Option<Kept>, pending: Option<Kept>) -> Option<(String, Vec<(u64, u8)>)> {
        let record = Record { settled, pending, operations: BTreeMap::new() };
        let state = standing(&name(), endpoint, &record, Some(7))?;
        assert_eq!(state.revision, 7);
        let shares = state.deployed.iter().map(|deployed| (deployed.version, deployed.traffic)).collect();
        Some((state.by, shares))
    }

    #[test]
    fn the_settled_state_stands_while_a_change_is_under_way() {
        let settled = || Some(kept(&[(1, 100)], "a"));
        let pending = || Some(kept(&[(1, 90), (2, 10)], "b"));
        let old = Some(("a".to_owned(), vec![(1, 100)]));
        assert_eq!(by(&endpoint(&[(1, 100)]), settled(), pending()), old);
        assert_eq!(by(&endpoint(&[(1, 100), (2, 0)]), settled(), pending()), old);
        let new = Some(("b".to_owned(), vec![(1, 90), (2, 10)]));
        assert_eq!(by(&endpoint(&[(1, 90), (2, 10)]), settled(), pending()), new);
        // An old version is still to be taken away.
        assert_eq!(by(&endpoint(&[(1, 90), (2, 10), (3, 0)]), settled(), pending()), old);
    }

    #[test]
    fn a_first_deployment_is_not_there_until_it_is_whole() {
        let pending = || Some(kept(&[(1, 100)], "a"));
        assert_eq!(by(&endpoint(&[]), None, pending()), None);
        assert_eq!(by(&endpoint(&[(1, 0)]), None, pending()), None);
        assert_eq!(by(&endpoint(&[(1, 100)]), None, pending()), Some(("a".to_owned(), vec![(1, 100)])));
    }

    #[test]
    fn traffic_that_others_moved_is_told_as_theirs() {
        let seen = by(&endpoint(&[(1, 50), (2, 50)]), Some(kept(&[(1, 100)], "a")), None);
        assert_eq!(seen, Some((BY_OTHERS.to_owned(), vec![(1, 50), (2, 50)])));
        let seen = by(&endpoint(&[(3, 100)]), Some(kept(&[(1, 100)], "a")), Some(kept(&[(2, 100)], "b")));
        assert_eq!(seen, Some((BY_OTHERS.to_owned(), vec![(3, 100)])));
        assert_eq!(by(&endpoint(&[]), Some(kept(&[(1, 100)], "a")), None), None);
    }
}
