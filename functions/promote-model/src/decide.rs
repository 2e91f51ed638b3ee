//! What happens to an endpoint's traffic next: pure.
//!
//! In: the candidate, the endpoint as it was seen, how the candidate has done there, the time. Out: one [`Action`].
//!
//! Asked again at any moment, even long after the rollout has ended, the answer must not undo what came later: a newer
//! version's rollout, or a person's. Every move of the traffic therefore leaves a trace that outlives it: `by` and
//! `previous` in the endpoint's own state, and the alias [`SETTLED`](crate::by_hand::SETTLED) for moves by hand.

use std::time::Duration;

use chrono::{DateTime, Utc};
use millstream_events::{Fingerprint, names::ModelName, work::Canary};
use millstream_ports::{Deployed, EndpointState, ServingStats};

use crate::traffic;

/// How often a canary's errors are looked at while it bakes.
const WATCH_EVERY: Duration = Duration::from_secs(10);

/// Requests before a canary is judged early. At the end of its bake it is judged by what there is.
const ENOUGH_REQUESTS: u64 = 20;

/// A version whose gate let it pass, and how it is to be rolled out.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) model: &'a ModelName,
    pub(crate) version: u64,
    /// The newest upload its run knew of.
    pub(crate) sequence: u64,
    /// The version's own: it marks the endpoint as moved by this rollout.
    pub(crate) fingerprint: &'a Fingerprint,
    pub(crate) endpoint: &'a ModelName,
    pub(crate) canary: Option<&'a Canary>,
}

/// The world as it was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Absent before the first deployment.
    pub(crate) endpoint: Option<EndpointState>,
    /// The newest version of the model whose traffic was moved: rollouts of it and of older ones are over.
    pub(crate) settled: Option<u64>,
    /// A version at the endpoint that learned from later uploads than the candidate.
    pub(crate) of_later_data: Option<u64>,
    /// How the candidate has done since the traffic last changed.
    pub(crate) stats: ServingStats,
    pub(crate) now: DateTime<Utc>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Move the traffic so, then ask again: it is one step more than before.
    Shift(EndpointState),
    /// The canary bakes.
    Wait {
        /// For a person.
        reason: String,
        /// When its bake is over or its errors are worth a look.
        check_after: Duration,
    },
    /// The candidate has all the traffic: name it `production`.
    Finish,
    /// The canary failed: move the traffic back.
    RollBack {
        /// The endpoint as it is to be.
        to: EndpointState,
        /// Why.
        reason: String,
    },
    /// The candidate had all the traffic once; others came after it. Nothing is to be done.
    Succeeded,
    /// The rollout ended before the candidate had all the traffic. Nothing is to be done.
    Ended {
        /// Why.
        reason: String,
    },
}

/// What to do next for `candidate`.
pub(crate) fn next(candidate: &Candidate<'_>, seen: &Seen) -> Action {
    let Some(endpoint) = &seen.endpoint else {
        return Action::Shift(traffic::all_to(candidate, None, seen.now));
    };
    let is_ours = endpoint.by == candidate.fingerprint.as_str();
    match share(endpoint, candidate) {
        Some(100) => Action::Finish,
        Some(percent) if is_ours => canary(candidate, endpoint, percent, seen),
        // It is the stable version beside a newer one's canary.
        Some(_) => Action::Succeeded,
        None if was_stable(endpoint, candidate) => Action::Succeeded,
        None if is_ours => Action::Ended { reason: "too many predictions failed in its canary".to_owned() },
        None if seen.of_later_data.is_some() => Action::Ended { reason: overtaken(candidate, seen) },
        None if seen.settled >= Some(candidate.version) => Action::Ended { reason: overtaken(candidate, seen) },
        None => start(candidate, endpoint, seen.now),
    }
}

fn share(endpoint: &EndpointState, candidate: &Candidate<'_>) -> Option<u8> {
    endpoint.deployed.iter().find(|deployed| is_candidate(deployed, candidate)).map(|deployed| deployed.traffic)
}

fn is_candidate(deployed: &Deployed, candidate: &Candidate<'_>) -> bool {
    deployed.model == *candidate.model && deployed.version == candidate.version
}

fn was_stable(endpoint: &EndpointState, candidate: &Candidate<'_>) -> bool {
    endpoint.previous.iter().any(|deployed| is_candidate(deployed, candidate))
}

fn overtaken(candidate: &Candidate<'_>, seen: &Seen) -> String {
    if let Some(later) = seen.of_later_data {
        return format!("version {later}, which learned from later uploads, serves already");
    }
    match seen.settled {
        Some(newer) if newer > candidate.version => format!("version {newer} was rolled out or rolled back after it"),
        _ => "the traffic was moved by hand".to_owned(),
    }
}

/// A newer candidate takes the place of an older one's unfinished canary.
fn start(candidate: &Candidate<'_>, endpoint: &EndpointState, now: DateTime<Utc>) -> Action {
    let first = candidate.canary.and_then(|canary| canary.steps.first().copied()).unwrap_or(100);
    Action::Shift(traffic::step_to(candidate, endpoint, first, now))
}

fn canary(candidate: &Candidate<'_>, endpoint: &EndpointState, percent: u8, seen: &Seen) -> Action {
    let Some(canary) = candidate.canary else {
        return Action::Shift(traffic::step_to(candidate, endpoint, 100, seen.now));
    };
    let baked = (seen.now - endpoint.since).to_std().unwrap_or_default();
    let left = Duration::from_secs(canary.bake_seconds).saturating_sub(baked);
    let is_judged = left.is_zero() || seen.stats.requests >= ENOUGH_REQUESTS;
    if is_judged && error_rate(seen.stats) > canary.max_error_rate {
        return Action::RollBack {
            to: traffic::back_to_stable(candidate, endpoint, seen.now),
            reason: format!(
                "{} of {} predictions failed while it had {percent} % of the traffic; its canary allows a share of {}",
                seen.stats.errors, seen.stats.requests, canary.max_error_rate
            ),
        };
    }
    if left.is_zero() {
        let next = canary.steps.iter().copied().find(|step| *step > percent).unwrap_or(100);
        return Action::Shift(traffic::step_to(candidate, endpoint, next, seen.now));
    }
    wait(canary, percent, left)
}

fn wait(canary: &Canary, percent: u8, left: Duration) -> Action {
    let step = canary.steps.iter().position(|step| *step == percent).map_or(1, |at| at + 1);
    Action::Wait {
        reason: format!("canary step {step} of {}: watched with {percent} % of the traffic", canary.steps.len()),
        check_after: left.min(WATCH_EVERY),
    }
}

/// No requests are no errors: an endpoint nobody asks is not held up.
fn error_rate(stats: ServingStats) -> f64 {
    if stats.requests == 0 { 0.0 } else { stats.errors as f64 / stats.requests as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAKE: u64 = 60;

    fn name() -> ModelName {
        "churn".parse().unwrap()
    }

    fn fingerprint(version: u64) -> Fingerprint {
        Fingerprint::of("training", [version.to_le_bytes().as_slice()])
    }

    fn start_of_time() -> DateTime<Utc> {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn deployed(shares: &[(u64, u8)]) -> Vec<Deployed> {
        shares
            .iter()
            .map(|(version, traffic)| Deployed { model: name(), version: *version, traffic: *traffic })
            .collect()
    }

    /// An endpoint whose traffic was moved by the rollout of version `by`.
    fn endpoint(shares: &[(u64, u8)], previous: &[u64], by: u64) -> EndpointState {
        let previous: Vec<_> = previous.iter().map(|version| (*version, 100)).collect();
        EndpointState {
            endpoint: name(),
            deployed: deployed(shares),
            since: start_of_time(),
            by: fingerprint(by).to_string(),
            previous: deployed(&previous),
            revision: 7,
        }
    }

    /// What is next for version 2, seconds after the traffic last changed; `settled` is what the endpoint's mover says.
    fn next_for_2(endpoint: Option<EndpointState>, settled: u64, stats: (u64, u64), seconds: i64) -> Action {
        let canary = Canary { steps: vec![10, 50, 100], bake_seconds: BAKE, max_error_rate: 0.05 };
        let (model, fingerprint) = (name(), fingerprint(2));
        let candidate = Candidate {
            model: &model,
            version: 2,
            sequence: 1,
            fingerprint: &fingerprint,
            endpoint: &model,
            canary: Some(&canary),
        };
        let seen = Seen {
            endpoint,
            settled: Some(settled),
            of_later_data: None,
            stats: ServingStats { requests: stats.0, errors: stats.1 },
            now: start_of_time() + chrono::TimeDelta::seconds(seconds),
        };
        next(&candidate, &seen)
    }

    fn shift(action: Action) -> Vec<Deployed> {
        match action {
            Action::Shift(to) => to.deployed,
            other => panic!("no shift: {other:?}"),
        }
    }

    #[test]
    fn each_step_starts_where_the_one_before_has_baked() {
        assert_eq!(shift(next_for_2(None, 0, (0, 0), 0)), deployed(&[(2, 100)]));
        let before = Some(endpoint(&[(1, 100)], &[], 1));
        assert_eq!(shift(next_for_2(before, 1, (0, 0), 0)), deployed(&[(1, 90), (2, 10)]));
        let first = Some(endpoint(&[(1, 90), (2, 10)], &[], 2));
        assert_eq!(shift(next_for_2(first.clone(), 2, (0, 0), 60)), deployed(&[(1, 50), (2, 50)]));
        assert!(matches!(next_for_2(first, 2, (0, 0), 59), Action::Wait { .. }));
        let second = Some(endpoint(&[(1, 50), (2, 50)], &[], 2));
        assert_eq!(shift(next_for_2(second, 2, (0, 0), 60)), deployed(&[(2, 100)]));
        assert_eq!(next_for_2(Some(endpoint(&[(2, 100)], &[1], 2)), 2, (0, 0), 0), Action::Finish);
    }

    #[test]
    fn a_clock_that_went_backwards_only_makes_the_bake_longer() {
        let canary = Some(endpoint(&[(1, 90), (2, 10)], &[], 2));
        assert!(matches!(next_for_2(canary, 2, (0, 0), -500), Action::Wait { .. }));
    }

    #[test]
    fn errors_count_when_there_are_enough_requests_or_the_bake_is_over() {
        let at = |stats, seconds| next_for_2(Some(endpoint(&[(1, 90), (2, 10)], &[], 2)), 2, stats, seconds);
        assert!(matches!(at((19, 19), 10), Action::Wait { .. }));
        assert!(matches!(at((20, 2), 10), Action::RollBack { .. }));
        assert!(matches!(at((20, 1), 10), Action::Wait { .. }), "exactly the allowed share is allowed");
        assert!(matches!(at((1, 1), 60), Action::RollBack { .. }));
        assert!(matches!(at((0, 0), 60), Action::Shift(_)), "nobody asking is no reason to stop");
        match at((100, 6), 10) {
            Action::RollBack { to, reason } => {
                assert_eq!((to.deployed, to.previous), (deployed(&[(1, 100)]), Vec::new()));
                assert!(reason.starts_with("6 of 100 predictions failed while it had 10 %"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_came_later_stands() {
        let succeeded = [
            // The stable version beside the next one's canary, and one that handed over.
            (endpoint(&[(2, 90), (3, 10)], &[1], 3), 3),
            (endpoint(&[(3, 100)], &[1, 2], 3), 3),
        ];
        for (endpoint, settled) in succeeded {
            assert_eq!(next_for_2(Some(endpoint.clone()), settled, (0, 0), 0), Action::Succeeded, "{endpoint:?}");
        }
        let ended = [
            // Its own canary failed; a newer one's runs, succeeded or failed; a person moved the traffic.
            (endpoint(&[(1, 100)], &[], 2), 2),
            (endpoint(&[(1, 90), (3, 10)], &[], 3), 3),
            (endpoint(&[(3, 100)], &[1], 3), 3),
            (endpoint(&[(1, 100)], &[], 3), 3),
            (EndpointState { by: "rollback".into(), ..endpoint(&[(1, 100)], &[], 0) }, 2),
        ];
        for (endpoint, settled) in ended {
            let action = next_for_2(Some(endpoint.clone()), settled, (0, 0), 0);
            assert!(matches!(action, Action::Ended { .. }), "{endpoint:?}: {action:?}");
        }
    }

    #[test]
    fn a_version_that_serves_by_hand_is_finished_whoever_moved_the_traffic() {
        let by_hand = EndpointState { by: "promoted by hand".into(), ..endpoint(&[(2, 100)], &[1, 3], 0) };
        assert_eq!(next_for_2(Some(by_hand), 3, (0, 0), 0), Action::Finish);
    }
}
