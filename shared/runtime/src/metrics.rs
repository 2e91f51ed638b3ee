//! The numbers a process keeps of itself, in Prometheus's text form.

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};

/// Ten microseconds to ten seconds: a hop inside a process is at the low end, a waiting one at the high end.
const HOP_BUCKETS: &[f64] = &[1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 10.0];

/// A millisecond to ten minutes, which is longer than any delivery may take.
const HANDLING_BUCKETS: &[f64] = &[1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0];

/// How a delivery can end, as the label `result`.
const RESULTS: [&str; 4] = ["done", "pending", "retry", "panic"];

/// Every metric of the runtime, and the registry for a process's own.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// Deliveries that wait for a free worker, by function.
    pub queued: IntGaugeVec,
    /// Deliveries handled, by function and result (`done`, `pending`, `retry`, `panic`).
    pub deliveries: IntCounterVec,
    /// Seconds from a handler's start to its answer, by function.
    pub handling_seconds: HistogramVec,
    /// Seconds from an event's publishing to its handler's start, by function.
    pub hop_seconds: HistogramVec,
    /// Requests to the event routes, by HTTP status.
    pub requests: IntCounterVec,
}

impl Metrics {
    /// Metrics at zero, in a registry of their own: two in one process (as in tests) do not meet.
    ///
    /// # Errors
    /// Only when a metric's name or labels are refused, which is a mistake in this function.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let queued = IntGaugeVec::new(
            Opts::new("millstream_queued_deliveries", "Deliveries that wait for a free worker."),
            &["function"],
        )?;
        let deliveries = IntCounterVec::new(
            Opts::new("millstream_deliveries_total", "Deliveries handled, by how they ended."),
            &["function", "result"],
        )?;
        let handling_seconds = HistogramVec::new(
            HistogramOpts::new("millstream_handling_seconds", "Time from a handler's start to its answer.")
                .buckets(HANDLING_BUCKETS.to_vec()),
            &["function"],
        )?;
        let hop_seconds = HistogramVec::new(
            HistogramOpts::new("millstream_hop_seconds", "Time from an event's publishing to its handler's start.")
                .buckets(HOP_BUCKETS.to_vec()),
            &["function"],
        )?;
        let requests = IntCounterVec::new(
            Opts::new("millstream_event_requests_total", "Requests to the event routes, by status."),
            &["status"],
        )?;
        let metrics = Self { registry, queued, deliveries, handling_seconds, hop_seconds, requests };
        metrics.register(metrics.queued.clone())?;
        metrics.register(metrics.deliveries.clone())?;
        metrics.register(metrics.handling_seconds.clone())?;
        metrics.register(metrics.hop_seconds.clone())?;
        metrics.register(metrics.requests.clone())?;
        Ok(metrics)
    }

    /// Shows a function's counters from now on, at zero: a counter that appears with its first delivery hides that delivery
    /// from every rate computed over it.
    pub fn announce(&self, function: &str) {
        for result in RESULTS {
            self.deliveries.with_label_values(&[function, result]);
        }
        self.queued.with_label_values(&[function]);
    }

    /// Adds a metric of the process's own, such as a prediction counter.
    ///
    /// # Errors
    /// When a metric of that name is there already.
    pub fn register(&self, metric: impl Collector + 'static) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(metric))
    }

    /// Everything, in Prometheus's text exposition format 0.0.4.
    ///
    /// # Errors
    /// When a metric cannot be written as text.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_as_prometheus_text() {
        let metrics = Metrics::new().unwrap();
        metrics.deliveries.with_label_values(&["load-table", "done"]).inc();
        metrics.hop_seconds.with_label_values(&["load-table"]).observe(0.000_04);
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"millstream_deliveries_total{function="load-table",result="done"} 1"#), "{text}");
        assert!(text.contains(r#"millstream_hop_seconds_bucket{function="load-table",le="0.00005"} 1"#), "{text}");
    }

    #[test]
    fn an_announced_function_shows_its_counters_before_its_first_delivery() {
        let metrics = Metrics::new().unwrap();
        metrics.announce("load-table");
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"millstream_deliveries_total{function="load-table",result="done"} 0"#), "{text}");
        assert!(text.contains(r#"millstream_queued_deliveries{function="load-table"} 0"#), "{text}");
    }

    #[test]
    fn a_second_metric_of_the_same_name_is_refused() {
        let metrics = Metrics::new().unwrap();
        assert!(metrics.register(metrics.queued.clone()).is_err());
    }
}
