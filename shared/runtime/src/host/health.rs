//! Whether the process has started, lives and takes requests; and its numbers. A platform's probes ask these routes, so
//! they want no token.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};

use crate::metrics::Metrics;

/// Whether the process takes requests yet, and still. Clones share one answer.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<State>);

#[derive(Debug, Default)]
struct State {
    has_started: AtomicBool,
    is_ready: AtomicBool,
}

impl Readiness {
    /// Says so from now on.
    pub fn set(&self, ready: bool) {
        self.0.is_ready.store(ready, Ordering::Release);
        if ready {
            self.0.has_started.store(true, Ordering::Release);
        }
    }

    /// Whether it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.is_ready.load(Ordering::Acquire)
    }

    /// Whether it has been ready once: a process that stops has started all the same.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.0.has_started.load(Ordering::Acquire)
    }
}

/// `GET /startupz`, `/livez`, `/readyz` and `/metrics`.
pub(super) fn routes(readiness: Readiness, metrics: Metrics) -> Router {
    let started = readiness.clone();
    Router::new()
        .route("/startupz", get(async move || say(started.has_started(), "starting\n")))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(async move || say(readiness.is_ready(), "starting or stopping\n")))
        .route("/metrics", get(async move || render(&metrics)))
}

fn say(yes: bool, otherwise: &'static str) -> Response {
    if yes { "ok\n".into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, otherwise).into_response() }
}

fn render(metrics: &Metrics) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
