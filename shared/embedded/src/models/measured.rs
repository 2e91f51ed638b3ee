//! How versions do at their endpoints, as far as this process has seen.
//!
//! A version's numbers are a few counters and one histogram of fixed size, whatever it is asked. They are touched after an answer
//! is made, never while a model runs.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;
use millstream_events::names::ModelName;
use millstream_ports::ServingStats;

/// The longest answer that is told from a longer one, in microseconds.
const LONGEST: u64 = 600_000_000;

/// Two digits of a latency are right: 12 KB a version.
const DIGITS: u8 = 2;

/// A version under one state of its endpoint: a new state counts from nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Served {
    pub(super) endpoint: ModelName,
    pub(super) version: u64,
    pub(super) revision: u64,
}

/// What one answer says of its version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    /// Rows answered.
    pub(super) rows: u64,
    /// The mean of their scores; absent where there are none.
    pub(super) mean_score: Option<f64>,
}

/// The numbers of every version that was asked under its endpoint's latest state.
#[derive(Debug, Default)]
pub(super) struct Measured(Mutex<HashMap<Served, Measures>>);

#[derive(Debug, Default)]
struct Measures {
    requests: u64,
    errors: u64,
    /// Answers' microseconds; absent before the first.
    latency: Option<Histogram<u32>>,
    scored_rows: f64,
    sum_of_scores: f64,
}

impl Measured {
    /// It gave predictions.
    pub(super) fn answered(&self, served: Served, took: Duration, answered: Answered) {
        self.count(served, |measures| {
            if measures.latency.is_none() {
                // These bounds are valid ones.
                measures.latency = Histogram::new_with_bounds(1, LONGEST, DIGITS).ok();
            }
            if let Some(latency) = &mut measures.latency {
                latency.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST));
            }
            if let Some(mean) = answered.mean_score {
                measures.scored_rows += answered.rows as f64;
                measures.sum_of_scores += mean * answered.rows as f64;
            }
        });
    }

    /// It failed.
    pub(super) fn failed(&self, served: Served) {
        self.count(served, |measures| measures.errors += 1);
    }

    /// It was asked for something that it does not take.
    pub(super) fn refused(&self, served: Served) {
        self.count(served, |_| ());
    }

    /// What is known of a version: nothing at first.
    pub(super) fn stats(&self, served: &Served) -> ServingStats {
        self.all().get(served).map(Measures::stats).unwrap_or_default()
    }

    fn count(&self, served: Served, measure: impl FnOnce(&mut Measures)) {
        let mut all = self.all();
        // The numbers of an endpoint's earlier states are never asked for again.
        all.retain(|known, _| known.endpoint != served.endpoint || known.revision >= served.revision);
        let measures = all.entry(served).or_default();
        measures.requests += 1;
        measure(measures);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Served, Measures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measures {
    fn stats(&self) -> ServingStats {
        ServingStats {
            requests: self.requests,
            errors: self.errors,
            latency_p95_ms: self.latency.as_ref().map(|latency| latency.value_at_quantile(0.95) as f64 / 1_000.0),
            mean_score: (self.scored_rows > 0.0).then(|| self.sum_of_scores / self.scored_rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(revision: u64) -> Served {
        Served { endpoint: "fraud".parse().unwrap(), version: 1, revision }
    }

    #[test]
    fn the_percentile_and_the_mean_are_of_what_was_answered() {
        let measured = Measured::default();
        for n in 1..=100 {
            let answered = Answered { rows: n, mean_score: Some(if n == 100 { 1.0 } else { 0.0 }) };
            measured.answered(served(1), Duration::from_millis(n), answered);
        }
        measured.failed(served(1));
        measured.refused(served(1));
        measured.answered(served(1), Duration::from_millis(95), Answered { rows: 0, mean_score: None });
        let stats = measured.stats(&served(1));
        assert_eq!((stats.requests, stats.errors), (103, 1));
        let p95 = stats.latency_p95_ms.unwrap();
        assert!((p95 - 95.0).abs() < 1.0, "two digits are right: {p95}");
        let mean = stats.mean_score.unwrap();
        assert!((mean - 100.0 / 5_050.0).abs() < 1e-9, "weighted by rows: {mean}");
    }

    #[test]
    fn a_version_that_has_answered_nothing_has_no_latency_and_no_score() {
        let measured = Measured::default();
        measured.failed(served(1));
        assert_eq!(measured.stats(&served(1)), ServingStats { requests: 1, errors: 1, ..ServingStats::default() });
    }

    #[test]
    fn what_was_counted_under_an_earlier_state_is_dropped() {
        let measured = Measured::default();
        measured.failed(served(1));
        measured.failed(served(2));
        assert_eq!(measured.stats(&served(1)), ServingStats::default());
        assert_eq!(measured.all().len(), 1);
    }
}
