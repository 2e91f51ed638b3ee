//! The HTTP edge: requests in, deliveries to handlers, acknowledgements out. The rules of what answers what are with the
//! [codec](crate::cloudevent).
//!
//! A request is acknowledged when its handlers have answered, not when it is queued: what a sender was told is done is
//! in the ledger.

mod answers;
mod health;
mod limits;
mod serve;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State, rejection::BytesRejection},
    middleware,
    response::{IntoResponse, Response},
    routing::post,
};
use http::{HeaderMap, StatusCode};
use millstream_events::Envelope;
use millstream_ports::Clock;
use tokio::sync::Semaphore;

pub(crate) use answers::{again_later, problem};
pub use health::Readiness;
pub use limits::RequestLimits;
pub use serve::{DRAIN, Drained, serve, shutdown_signal};

use crate::{
    auth::{self, Authenticate},
    cloudevent::{Arrival, decode},
    delivery::deliver,
    handler::{Ack, Handler},
    metrics::Metrics,
};

/// What the event routes need.
#[derive(Clone)]
pub struct Host {
    /// Each event goes to the handlers that take its type.
    pub handlers: Arc<[Arc<dyn Handler>]>,
    /// Counted here and served at `/metrics`.
    pub metrics: Metrics,
    /// When requests come.
    pub clock: Arc<dyn Clock>,
    /// What `/startupz` and `/readyz` say.
    pub readiness: Readiness,
    /// Who may deliver events; without one everybody may.
    pub callers: Option<Arc<dyn Authenticate>>,
}

/// The routes: `POST /` and `POST /events` for events in any form, `POST /topics/TOPIC` to publish a body as it is,
/// `GET /startupz`, `/livez`, `/readyz` and `/metrics`. A process merges its own routes into it.
pub fn router(host: Host, limits: RequestLimits) -> Router {
    let metrics = host.metrics.clone();
    for handler in host.handlers.iter() {
        metrics.announce(handler.name());
    }
    let health = health::routes(host.readiness.clone(), metrics.clone());
    let callers = host.callers.clone();
    let mut events = Router::new()
        .route("/", post(events))
        .route("/events", post(events))
        .route("/topics/{topic}", post(topic))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(middleware::from_fn_with_state(
            Arc::new(Semaphore::new(limits.at_once.min(Semaphore::MAX_PERMITS))),
            limits::take_if_room,
        ))
        .with_state(host);
    // Outside the room: a stranger takes no place. Before the body: it is not even read.
    if let Some(callers) = callers {
        events = events.layer(middleware::from_fn_with_state(callers, auth::require));
    }
    let events = events.layer(middleware::from_fn_with_state((limits.time, metrics), limits::bound_and_count));
    health.merge(events)
}

async fn events(State(host): State<Host>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    host.receive(headers, body, None).await
}

async fn topic(
    State(host): State<Host>,
    Path(topic): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    host.receive(headers, body, Some(topic)).await
}

impl Host {
    async fn receive(
        &self,
        headers: HeaderMap,
        body: Result<Bytes, BytesRejection>,
        topic: Option<String>,
    ) -> Response {
        let body = match body {
            Ok(body) => body,
            Err(rejection) => return answers::refused(&rejection),
        };
        let arrival = Arrival { at: self.clock.now(), topic };
        match decode(&headers, &body, &arrival) {
            Err(error) => answers::undecodable(&error, &body),
            Ok(decoded) => {
                for what in decoded.ignored {
                    tracing::info!(what, "event of no interest");
                }
                acknowledge(self.deliver_all(&decoded.events).await)
            }
        }
    }

    /// Every event to every handler that takes it, in order; the least finished answer is the request's.
    async fn deliver_all(&self, events: &[Envelope]) -> Ack {
        let mut worst = Ack::Done;
        for envelope in events {
            let event_type = envelope.event.event_type();
            let mut taken = false;
            for handler in self.handlers.iter().filter(|handler| handler.takes(event_type)) {
                taken = true;
                let ack = deliver(handler.as_ref(), envelope, &self.metrics).await;
                worst = match (worst, ack) {
                    (retry @ Ack::Retry { .. }, _) | (_, retry @ Ack::Retry { .. }) => retry,
                    (Ack::Pending { check_after: first }, Ack::Pending { check_after: second }) => {
                        Ack::Pending { check_after: first.min(second) }
                    }
                    (pending @ Ack::Pending { .. }, Ack::Done) | (Ack::Done, pending @ Ack::Pending { .. }) => pending,
                    (Ack::Done, Ack::Done) => Ack::Done,
                };
            }
            if !taken {
                tracing::info!(event = event_type, "no function of this process takes this event");
            }
        }
        worst
    }
}

fn acknowledge(ack: Ack) -> Response {
    match ack {
        Ack::Done | Ack::Pending { .. } => StatusCode::NO_CONTENT.into_response(),
        Ack::Retry { reason } => again_later(StatusCode::SERVICE_UNAVAILABLE, &reason),
    }
}
