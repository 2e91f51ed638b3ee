//! Whether a canary has broken one of its limits: pure.
//!
//! In: the limits, how the candidate and the version beside it have done since the traffic last changed. Out: what is broken, in
//! numbers. What nobody has measured breaks nothing.

use millstream_events::work::Canary;
use millstream_ports::ServingStats;

/// Requests before the share of failed ones is judged early. At the end of a bake everything is judged by what there is.
const ENOUGH_REQUESTS: u64 = 20;

/// Requests before a percentile or a mean is judged early: of fewer, a few slow or unusual ones decide.
const ENOUGH_TO_MEASURE: u64 = 100;

/// What is broken, if anything is. `stable` is the version beside the candidate, `baked` whether the step has had its time.
pub(crate) fn of(
    canary: &Canary,
    stats: ServingStats,
    stable: Option<(u64, ServingStats)>,
    baked: bool,
) -> Option<String> {
    let has = |stats: ServingStats, enough: u64| stats.requests > 0 && (baked || stats.requests >= enough);
    let errors = has(stats, ENOUGH_REQUESTS).then(|| too_many_errors(canary, stats)).flatten();
    let latency = || has(stats, ENOUGH_TO_MEASURE).then(|| too_slow(canary, stats)).flatten();
    let shift = || {
        let (version, beside) = stable?;
        let enough = has(stats, ENOUGH_TO_MEASURE) && has(beside, ENOUGH_TO_MEASURE);
        enough.then(|| too_far(canary, stats, version, beside)).flatten()
    };
    errors.or_else(latency).or_else(shift)
}

fn too_many_errors(canary: &Canary, stats: ServingStats) -> Option<String> {
    let ServingStats { requests, errors, .. } = stats;
    let allowed = canary.max_error_rate;
    let is_broken = errors as f64 / requests as f64 > allowed;
    is_broken.then(|| format!("{errors} of {requests} predictions failed; its canary allows a share of {allowed}"))
}

fn too_slow(canary: &Canary, stats: ServingStats) -> Option<String> {
    let (allowed, took) = (canary.max_latency_ms?, stats.latency_p95_ms?);
    let requests = stats.requests;
    (took > allowed).then(|| {
        format!("the 95th percentile of {requests} answers took {} ms; its canary allows {allowed} ms", rounded(took))
    })
}

fn too_far(canary: &Canary, stats: ServingStats, version: u64, beside: ServingStats) -> Option<String> {
    let (allowed, score, expected) = (canary.max_score_shift?, stats.mean_score?, beside.mean_score?);
    let shift = (score - expected).abs();
    // A mean that is no number is far from everything.
    (shift > allowed || shift.is_nan()).then(|| {
        format!(
            "its mean score is {} in {} requests, that of version {version} beside it {} in {}: a shift of {}; its canary allows \
             {allowed}",
            rounded(score),
            stats.requests,
            rounded(expected),
            beside.requests,
            rounded(shift),
        )
    })
}

/// Four digits that say something, for a person.
fn rounded(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let scale = 10_f64.powf(3.0 - number.abs().log10().floor());
    (number * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary(max_latency_ms: Option<f64>, max_score_shift: Option<f64>) -> Canary {
        Canary { steps: vec![10, 100], bake_seconds: 60, max_error_rate: 0.05, max_latency_ms, max_score_shift }
    }

    fn stats(requests: u64, latency_p95_ms: Option<f64>, mean_score: Option<f64>) -> ServingStats {
        ServingStats { requests, errors: 0, latency_p95_ms, mean_score }
    }

    /// A candidate with these stats beside version 1 with those.
    fn judged(candidate: ServingStats, stable: ServingStats, baked: bool) -> Option<String> {
        of(&canary(Some(200.0), Some(0.1)), candidate, Some((1, stable)), baked)
    }

    #[test]
    fn answers_slower_than_allowed_break_it_when_there_are_enough_or_its_time_is_over() {
        let slow = |requests| stats(requests, Some(250.04), None);
        let none = ServingStats::default();
        assert_eq!(
            judged(slow(100), none, false).as_deref(),
            Some("the 95th percentile of 100 answers took 250 ms; its canary allows 200 ms")
        );
        assert_eq!(judged(slow(99), none, false), None);
        assert!(judged(slow(1), none, true).is_some());
        assert_eq!(judged(stats(100, Some(200.0), None), none, true), None, "exactly what is allowed is allowed");
        assert_eq!(of(&canary(None, None), slow(100), None, true), None);
    }

    #[test]
    fn a_score_far_from_that_of_the_version_beside_it_breaks_it() {
        let shifted = |requests| stats(requests, None, Some(0.31234));
        let stable = |requests| stats(requests, None, Some(0.5));
        assert_eq!(
            judged(shifted(120), stable(1_080), false).as_deref(),
            Some(
                "its mean score is 0.3123 in 120 requests, that of version 1 beside it 0.5 in 1080: a shift of 0.1877; its canary \
                 allows 0.1"
            )
        );
        assert_eq!(judged(shifted(99), stable(1_080), false), None);
        assert_eq!(judged(shifted(1_080), stable(99), false), None, "the version beside it is as little known");
        assert!(judged(shifted(1), stable(1), true).is_some());
        assert_eq!(judged(stats(1_000, None, Some(0.45)), stable(1_000), true), None);
        assert!(judged(stats(1_000, None, Some(f64::NAN)), stable(1_000), true).is_some());
    }

    #[test]
    fn what_was_not_measured_breaks_nothing() {
        for unmeasured in [stats(0, None, None), stats(1_000, None, None)] {
            assert_eq!(judged(unmeasured, stats(1_000, Some(1.0), Some(0.5)), true), None);
        }
        assert_eq!(judged(stats(1_000, Some(1.0), Some(0.5)), stats(1_000, None, None), true), None);
        assert_eq!(of(&canary(None, Some(0.1)), stats(1_000, None, Some(0.5)), None, true), None);
    }

    #[test]
    fn failures_are_told_before_all_else() {
        let failing = ServingStats { errors: 50, ..stats(100, Some(900.0), Some(9.0)) };
        let told = judged(failing, stats(100, None, Some(0.5)), false).unwrap();
        assert_eq!(told, "50 of 100 predictions failed; its canary allows a share of 0.05");
    }
}
