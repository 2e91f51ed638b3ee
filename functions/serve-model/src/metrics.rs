//! What the container says about itself to Prometheus.

use std::time::Duration;

use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

/// From the half millisecond of one row to the seconds of a large batch.
const LATENCY_BUCKETS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];

/// The counters of one model's server.
#[derive(Debug)]
pub(crate) struct ServeMetrics {
    registry: Registry,
    requests: IntCounterVec,
    predictions: IntCounter,
    latency: Histogram,
}

impl ServeMetrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("serve_model_requests_total", "Prediction requests by the HTTP status answered."),
            &["code"],
        )?;
        let predictions = IntCounter::new("serve_model_predictions_total", "Instances predicted.")?;
        let latency = Histogram::with_opts(
            HistogramOpts::new("serve_model_request_seconds", "From a request's body read to its answer made.")
                .buckets(LATENCY_BUCKETS.to_vec()),
        )?;
        let registry = Registry::new();
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(predictions.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        Ok(Self { registry, requests, predictions, latency })
    }

    pub(crate) fn observe(&self, status: u16, predictions: usize, took: Duration) {
        self.requests.with_label_values(&[&status.to_string()]).inc();
        self.predictions.inc_by(predictions as u64);
        self.latency.observe(took.as_secs_f64());
    }

    /// The Prometheus text format.
    pub(crate) fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
