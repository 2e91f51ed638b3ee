//! What happens to an endpoint's traffic next: pure.
//!
//! In: the candidate, the endpoint as it was seen, how the candidate has done there, the time. Out: one [`Action`].
//!
//! Asked again at any moment, even long after the rollout has ended, the answer must not undo what came later: a newer
//! version's rollout, or a person's. Every move of the traffic therefore leaves a trace that outlives it: `by` and
//! `previous` in the endpoint's own state, and the alias [`SETTLED`](crate::by_hand::SETTLED) for moves by hand.

use std::time::Duration;

use chrono::{DateTime, Utc};
use millstream_events::{Fingerprint, StepRef, fact::TrafficMove, names::ModelName, work::Canary};
use millstream_ports::{Deployed, EndpointState, ServingStats};

use crate::{breach, traffic};

/// How often a canary's numbers are looked at while it bakes.
const WATCH_EVERY: Duration = Duration::from_secs(10);

/// A version whose gate let it pass, and how it is to be rolled out.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    /// The step that rolls it out.
    pub(crate) step: &'a StepRef,
    pub(crate) model: &'a ModelName,
    pub(crate) version: u64,
    /// The newest upload its run knew of.
    pub(crate) sequence: u64,
    /// The version's own: it marks the endpoint as moved by this rollout.
    pub(crate) fingerprint: &'a Fingerprint,
    pub(crate) endpoint: &'a ModelName,
    pub(crate) canary: Option<&'a Canary>,
}

impl Candidate<'_> {
    /// Its share of the endpoint's traffic in percent, if it is there.
    pub(crate) fn share_of(&self, endpoint: &EndpointState) -> Option<u8> {
        endpoint.deployed.iter().find(|deployed| self.is(deployed)).map(|deployed| deployed.traffic)
    }

    /// Whether it is what is deployed there.
    pub(crate) fn is(&self, deployed: &Deployed) -> bool {
        deployed.model == *self.model && deployed.version == self.version
    }

    fn was_stable_at(&self, endpoint: &EndpointState) -> bool {
        endpoint.previous.iter().any(|deployed| self.is(deployed))
    }
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
    /// How the stable version beside it has done since then.
    pub(crate) stable_stats: ServingStats,
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
        /// When its bake is over or its numbers are worth a look.
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
    match candidate.share_of(endpoint) {
        Some(100) => Action::Finish,
        Some(percent) if is_ours => canary(candidate, endpoint, percent, seen),
        // It is the stable version beside a newer one's canary.
        Some(_) => Action::Succeeded,
        None if candidate.was_stable_at(endpoint) => Action::Succeeded,
        None if is_ours => Action::Ended { reason: rolled_back(candidate, endpoint) },
        None if seen.of_later_data.is_some() => Action::Ended { reason: overtaken(candidate, seen) },
        None if seen.settled >= Some(candidate.version) => Action::Ended { reason: overtaken(candidate, seen) },
        None => start(candidate, endpoint, seen.now),
    }
}

/// What its canary broke, as it was found then.
fn rolled_back(candidate: &Candidate<'_>, endpoint: &EndpointState) -> String {
    let moves = endpoint.moves.iter().rev();
    let mut of_it = moves.filter(|of| of.model == *candidate.model && of.version == candidate.version);
    let reason = of_it.find(|of| of.kind == TrafficMove::RolledBack).and_then(|of| of.reason.clone());
    reason.unwrap_or_else(|| "its canary failed".to_owned())
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
    let stable = traffic::stable(endpoint).map(|stable| (stable.version, seen.stable_stats));
    if let Some(breach) = breach::of(canary, seen.stats, stable, left.is_zero()) {
        let reason = format!("with {percent} % of the traffic, {breach}");
        return Action::RollBack { to: traffic::back_to_stable(candidate, endpoint, &reason, seen.now), reason };
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
            moves: Vec::new(),
            revision: 7,
        }
    }

    /// What is next for version 2, seconds after the traffic last changed; `settled` is what the endpoint's mover says.
    fn next_for_2(endpoint: Option<EndpointState>, settled: u64, stats: (u64, u64), seconds: i64) -> Action {
        let canary = Canary {
            steps: vec![10, 50, 100],
            bake_seconds: BAKE,
            max_error_rate: 0.05,
            max_latency_ms: None,
            max_score_shift: None,
        };
        let (model, fingerprint) = (name(), fingerprint(2));
        let step = StepRef {
            run: "shop".parse().unwrap(),
            step: "promote/churn".parse().unwrap(),
            fingerprint: fingerprint.clone(),
            attempt: 1,
        };
        let candidate = Candidate {
            step: &step,
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
            stats: ServingStats { requests: stats.0, errors: stats.1, ..ServingStats::default() },
            stable_stats: ServingStats::default(),
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
                assert_eq!((&to.deployed, &to.previous), (&deployed(&[(1, 100)]), &Vec::new()));
                assert_eq!(
                    reason,
                    "with 10 % of the traffic, 6 of 100 predictions failed; its canary allows a share of 0.05"
                );
                let moved = to.moves.last().unwrap();
                assert_eq!((moved.kind, moved.reason.as_deref()), (TrafficMove::RolledBack, Some(&*reason)));
                // Asked again, it says the same.
                assert_eq!(next_for_2(Some(to), 2, (0, 0), 20), Action::Ended { reason });
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
