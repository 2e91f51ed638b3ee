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
