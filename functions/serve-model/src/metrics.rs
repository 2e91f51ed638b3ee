//! What the container says about itself to Prometheus.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use millstream_scoring::{Predictions, Task};
use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

/// From the half millisecond of one row to the seconds of a large batch.
const LATENCY_BUCKETS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];

/// For probabilities.
const SHARE_BUCKETS: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// For values of any size: what a change of their sum and count does not tell is at least their sign and size.
const VALUE_BUCKETS: [f64; 13] =
    [-100_000.0, -10_000.0, -1_000.0, -100.0, -10.0, -1.0, 0.0, 1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0];

/// The counters of one model's server.
#[derive(Debug)]
pub(crate) struct ServeMetrics {
    registry: Registry,
    requests: IntCounterVec,
    predictions: IntCounter,
    latency: Histogram,
    scores: Histogram,
    /// What was predicted since it was last taken.
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    sum: f64,
    predictions: u64,
}

impl ServeMetrics {
    /// For a model of this task.
    pub(crate) fn new(task: Task) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("serve_model_requests_total", "Prediction requests by the HTTP status answered."),
            &["code"],
        )?;
        let predictions = IntCounter::new("serve_model_predictions_total", "Instances predicted.")?;
        let latency = Histogram::with_opts(
            HistogramOpts::new("serve_model_request_seconds", "From a request's body read to its answer made.")
                .buckets(LATENCY_BUCKETS.to_vec()),
        )?;
        let buckets = match task {
            Task::Regression => VALUE_BUCKETS.to_vec(),
            Task::Binary | Task::Multiclass => SHARE_BUCKETS.to_vec(),
        };
        let scores = Histogram::with_opts(
            HistogramOpts::new(
                "serve_model_prediction_score",
                "A value as it is; of two classes the second's probability, of more the likeliest's.",
            )
            .buckets(buckets),
        )?;
        let registry = Registry::new();
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(predictions.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        registry.register(Box::new(scores.clone()))?;
        Ok(Self { registry, requests, predictions, latency, scores, window: Mutex::default() })
    }

    pub(crate) fn observe(&self, status: u16, took: Duration) {
        self.requests.with_label_values(&[&status.to_string()]).inc();
        self.latency.observe(took.as_secs_f64());
    }

    pub(crate) fn observe_scores(&self, predictions: &Predictions) {
        self.predictions.inc_by(predictions.len() as u64);
        let (mut sum, mut count) = (0.0, 0);
        // One that is no number would make every sum after it none.
        for score in predictions.iter().map(|prediction| prediction.score()).filter(|score| score.is_finite()) {
            self.scores.observe(score);
            sum += score;
            count += 1;
        }
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.sum += sum;
        window.predictions += count;
    }

    /// The mean score since it was last taken, and of how many predictions; `None` of none.
    pub(crate) fn take_score(&self) -> Option<(f64, u64)> {
        let Window { sum, predictions } =
            std::mem::take(&mut *self.window.lock().unwrap_or_else(PoisonError::into_inner));
        (predictions > 0).then(|| (sum / predictions as f64, predictions))
    }

    /// The Prometheus text format.
    pub(crate) fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
