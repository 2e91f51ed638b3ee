//! What a request may cost, and how many are taken at once.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::StatusCode;
use tokio::sync::Semaphore;

use super::answers::again_later;
use crate::{metrics::Metrics, settings::Http};

/// What a request may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The longest a request may take, its body's arrival and its handling together. Below the subscription's
    /// acknowledgement deadline: past that one, Pub/Sub delivers the message beside the delivery still in hand.
    pub time: Duration,
    /// Requests in hand at once; one more is answered with 429 and delivered again later.
    pub at_once: usize,
}

impl Default for RequestLimits {
    /// 10 MiB, a minute, 256 at once.
    fn default() -> Self {
        Self { body_bytes: 10 << 20, time: Duration::from_secs(60), at_once: 256 }
    }
}

impl From<&Http> for RequestLimits {
    fn from(http: &Http) -> Self {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            body_bytes: size(http.max_body_mib.get().saturating_mul(1 << 20)),
            time: Duration::from_secs(http.request_timeout_seconds.get()),
            at_once: size(http.max_requests.get()),
        }
    }
}

/// Takes a request while there is room. It never queues: the sender's own backoff is the queue, and another instance may
/// have room already.
pub(super) async fn take_if_room(State(room): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    match room.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => again_later(StatusCode::TOO_MANY_REQUESTS, "this process has as many requests in hand as it takes"),
    }
}

/// Dropping a request at its limit is safe: a handler's future may be dropped at any await point.
pub(super) async fn bound_and_count(
    State((limit, metrics)): State<(Duration, Metrics)>,
    request: Request,
    next: Next,
) -> Response {
    let response = tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let reason = format!("the request took longer than {} s", limit.as_secs_f32());
        again_later(StatusCode::SERVICE_UNAVAILABLE, &reason)
    });
    metrics.requests.with_label_values(&[response.status().as_str()]).inc();
    response
}
