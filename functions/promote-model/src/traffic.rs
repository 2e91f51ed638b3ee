//! An endpoint's next state, for each way its traffic can move: pure.
//!
//! Each state carries the fact of the move that makes it ([`EndpointState::moves`]): both are written at once, so that no crash
//! comes between a move and what is known of it.

use chrono::{DateTime, Utc};
use millstream_events::{
    StepRef,
    fact::{TrafficMove, TrafficMoved, TrafficShare},
    names::{ModelName, RunId},
};
use millstream_ports::{Deployed, EndpointState};

use crate::decide::Candidate;

/// Moves of other steps and of people that an endpoint remembers. They are published with the next promotion at the latest;
/// those of the latest step are all there.
const EARLIER_MOVES: usize = 16;

/// Why the traffic moves, and in whose story it belongs.
#[derive(Debug)]
pub(crate) struct Why<'a> {
    pub(crate) run: &'a RunId,
    /// Absent when a person moves it.
    pub(crate) step: Option<&'a StepRef>,
    pub(crate) model: &'a ModelName,
    pub(crate) version: u64,
    pub(crate) kind: TrafficMove,
    pub(crate) reason: Option<&'a str>,
}

impl<'a> Why<'a> {
    fn of(candidate: &Candidate<'a>, kind: TrafficMove) -> Self {
        let Candidate { step, model, version, .. } = *candidate;
        Self { run: &step.run, step: Some(step), model, version, kind, reason: None }
    }
}

/// The version the others are measured against: the oldest deployment.
pub(crate) fn stable(endpoint: &EndpointState) -> Option<&Deployed> {
    endpoint.deployed.first()
}

/// The candidate gets all the traffic; what had it is kept for a rollback.
pub(crate) fn all_to(candidate: &Candidate<'_>, endpoint: Option<&EndpointState>, now: DateTime<Utc>) -> EndpointState {
    let target = Deployed { model: candidate.model.clone(), version: candidate.version, traffic: 100 };
    let why = Why::of(candidate, TrafficMove::Finished);
    match endpoint {
        Some(endpoint) => hand_over(endpoint, target, candidate.fingerprint.as_str(), &why, now),
        None => {
            let first = EndpointState {
                endpoint: candidate.endpoint.clone(),
                deployed: vec![target],
                since: now,
                by: candidate.fingerprint.to_string(),
                previous: Vec::new(),
                moves: Vec::new(),
                revision: 0,
            };
            moved(first, &why, now)
        }
    }
}

/// The candidate gets `percent` of the traffic, the stable version the rest.
pub(crate) fn step_to(
    candidate: &Candidate<'_>,
    endpoint: &EndpointState,
    percent: u8,
    now: DateTime<Utc>,
) -> EndpointState {
    let is_there = candidate.share_of(endpoint).is_some();
    match stable(endpoint) {
        Some(stable) if percent < 100 => {
            let wanted = EndpointState {
                deployed: vec![
                    Deployed { traffic: 100 - percent, ..stable.clone() },
                    Deployed { model: candidate.model.clone(), version: candidate.version, traffic: percent },
                ],
                by: candidate.fingerprint.to_string(),
                ..endpoint.clone()
            };
            let kind = if is_there { TrafficMove::Stepped } else { TrafficMove::Started };
            moved(wanted, &Why::of(candidate, kind), now)
        }
        _ => all_to(candidate, Some(endpoint), now),
    }
}

/// The stable version gets all the traffic back. What had it before stays as it was.
pub(crate) fn back_to_stable(
    candidate: &Candidate<'_>,
    endpoint: &EndpointState,
    reason: &str,
    now: DateTime<Utc>,
) -> EndpointState {
    let wanted = EndpointState {
        deployed: stable(endpoint).map(|stable| Deployed { traffic: 100, ..stable.clone() }).into_iter().collect(),
        by: candidate.fingerprint.to_string(),
        ..endpoint.clone()
    };
    moved(wanted, &Why { reason: Some(reason), ..Why::of(candidate, TrafficMove::RolledBack) }, now)
}

/// `target` gets all the traffic, moved by `by`; the stable version becomes the latest of the previous ones.
pub(crate) fn hand_over(
    endpoint: &EndpointState,
    target: Deployed,
    by: &str,
    why: &Why<'_>,
    now: DateTime<Utc>,
) -> EndpointState {
    let is_same = |a: &Deployed, b: &Deployed| a.model == b.model && a.version == b.version;
    let outgoing = stable(endpoint)
        .filter(|stable| !is_same(stable, &target))
        .map(|stable| Deployed { traffic: 100, ..stable.clone() });
    // Each version once: a list of versions, not a log of moves.
    let kept = endpoint.previous.iter().filter(|known| {
        !is_same(known, &target) && !outgoing.as_ref().is_some_and(|outgoing| is_same(known, outgoing))
    });
    let previous = kept.cloned().chain(outgoing.clone()).collect();
    let wanted = EndpointState { deployed: vec![target], by: by.to_owned(), previous, ..endpoint.clone() };
    moved(wanted, why, now)
}

/// The state with the fact that its traffic is now so.
pub(crate) fn moved(mut state: EndpointState, why: &Why<'_>, now: DateTime<Utc>) -> EndpointState {
    state.since = now;
    let share = |at: &Deployed| TrafficShare { model: at.model.clone(), version: at.version, percent: at.traffic };
    state.moves.push(TrafficMoved {
        run: why.run.clone(),
        step: why.step.cloned(),
        endpoint: state.endpoint.clone(),
        number: state.moves.last().map_or(0, |last| last.number) + 1,
        model: why.model.clone(),
        version: why.version,
        kind: why.kind,
        traffic: state.deployed.iter().map(share).collect(),
        reason: why.reason.map(str::to_owned),
        at: now,
    });
    forget(&mut state.moves);
    state
}

/// Drops the oldest moves that are not of the step that moved last.
fn forget(moves: &mut Vec<TrafficMoved>) {
    let latest = moves.last().and_then(|last| last.step.clone());
    let is_earlier = |of: &TrafficMoved| of.step.is_none() || of.step != latest;
    let mut surplus = moves.iter().filter(|of| is_earlier(of)).count().saturating_sub(EARLIER_MOVES);
    moves.retain(|of| {
        let dropped = surplus > 0 && is_earlier(of);
        surplus -= usize::from(dropped);
        !dropped
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(key: &str) -> StepRef {
        StepRef {
            run: format!("shop/{key}").parse().unwrap(),
            step: "promote/churn".parse().unwrap(),
            fingerprint: "5f1d0c9a3b7e42d68f0a1c2b3d4e5f60".parse().unwrap(),
            attempt: 1,
        }
    }

    fn moves(steps: impl IntoIterator<Item = Option<StepRef>>) -> Vec<TrafficMoved> {
        let model: ModelName = "churn".parse().unwrap();
        let mut state = EndpointState {
            endpoint: model.clone(),
            deployed: vec![Deployed { model: model.clone(), version: 1, traffic: 100 }],
            since: DateTime::UNIX_EPOCH,
            by: String::new(),
            previous: Vec::new(),
            moves: Vec::new(),
            revision: 1,
        };
        let run = step("day=1").run;
        for step in steps {
            let why = Why {
                run: &run,
                step: step.as_ref(),
                model: &model,
                version: 1,
                kind: TrafficMove::Stepped,
                reason: None,
            };
            state = moved(state, &why, DateTime::UNIX_EPOCH);
        }
        state.moves
    }

    #[test]
    fn all_moves_of_the_latest_step_are_kept_and_a_few_of_the_others() {
        let numbers = |moves: Vec<TrafficMoved>| moves.iter().map(|of| of.number).collect::<Vec<_>>();
        let one = std::iter::repeat_n(Some(step("day=1")), 30);
        let other = std::iter::repeat_n(Some(step("day=2")), 40);
        assert_eq!(numbers(moves(one.chain(other))), (15..=70).collect::<Vec<_>>());
        let by_hand = std::iter::repeat_n(None, 30);
        assert_eq!(numbers(moves(by_hand)), (15..=30).collect::<Vec<_>>());
    }
}
