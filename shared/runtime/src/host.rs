//! The HTTP edge: requests in, deliveries to handlers, acknowledgements out. The rules of what answers what are with the
//! [codec](crate::cloudevent).
//!
//! A request is acknowledged when its handlers have answered, not when it is queued: what a sender was told is done is
//! in the ledger.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Request, State, rejection::BytesRejection},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use millstream_events::Envelope;
use millstream_ports::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    cloudevent::{Arrival, Undecodable, decode},
    delivery::deliver,
    handler::{Ack, Handler},
    metrics::Metrics,
    settings::Http,
};

/// How long a sender is asked to wait before another delivery. Pub/Sub keeps its own time; people's scripts read this.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// How much of an undecodable body is logged.
const LOGGED_BYTES: usize = 200;

/// What a request may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The longest a request may take, its body's arrival and its handling together.
    pub time: Duration,
}

impl Default for RequestLimits {
    /// 10 MiB and a minute.
    fn default() -> Self {
        Self { body_bytes: 10 << 20, time: Duration::from_secs(60) }
    }
}

impl From<&Http> for RequestLimits {
    fn from(http: &Http) -> Self {
        Self {
            body_bytes: usize::try_from(http.max_body_mib.get().saturating_mul(1 << 20)).unwrap_or(usize::MAX),
            time: Duration::from_secs(http.request_timeout_seconds.get()),
        }
    }
}

/// Whether the process takes requests yet, and still. Clones share one answer.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says so from now on.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Whether it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the event routes need.
#[derive(Clone)]
pub struct Host {
    /// Each event goes to the handlers that take its type.
    pub handlers: Arc<[Arc<dyn Handler>]>,
    /// Counted here and served at `/metrics`.
    pub metrics: Metrics,
    /// When requests come.
    pub clock: Arc<dyn Clock>,
    /// What `/readyz` says.
    pub readiness: Readiness,
}

/// The routes: `POST /` and `POST /events` for events in any form, `POST /topics/TOPIC` to publish a body as it is,
/// `GET /livez`, `/readyz` and `/metrics`. A process merges its own routes into it.
pub fn router(host: Host, limits: RequestLimits) -> Router {
    let metrics = host.metrics.clone();
    for handler in host.handlers.iter() {
        metrics.announce(handler.name());
    }
    let readiness = host.readiness.clone();
    let events = Router::new()
        .route("/", post(events))
        .route("/events", post(events))
        .route("/topics/{topic}", post(topic))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(middleware::from_fn_with_state((limits.time, metrics.clone()), bound_and_count))
        .with_state(host);
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(async move || ready(&readiness)))
        .route("/metrics", get(async move || render(&metrics)))
        .merge(events)
}

/// Serves until `shutdown`, then takes no more connections and lets the requests in hand end.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

/// A token that the first SIGINT or SIGTERM cancels. The second one ends the process at once, for whoever will not wait:
/// nothing is lost by it.
///
/// # Errors
/// When the signals cannot be listened for.
pub fn shutdown_signal() -> io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let first = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupts.recv() => 130,
                _ = terminations.recv() => 143,
            }
        };
        next().await;
        tracing::info!("stopping; once more to stop at once");
        first.cancel();
        let code = next().await;
        std::process::exit(code);
    });
    Ok(token)
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
            Err(rejection) => return refused(&rejection),
        };
        let arrival = Arrival { at: self.clock.now(), topic };
        match decode(&headers, &body, &arrival) {
            Err(error) => undecodable(&error, &body),
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
        Ack::Retry { reason } => again_later(&reason),
    }
}

fn again_later(reason: &str) -> Response {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, reason, "deliver the same request again after a while");
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
    response
}

fn refused(rejection: &BytesRejection) -> Response {
    let hint = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => "send less at once, or raise http.max_body_mib",
        _ => "send the whole body",
    };
    problem(rejection.status(), &rejection.body_text(), hint)
}

fn undecodable(error: &Undecodable, body: &[u8]) -> Response {
    let beginning = body[..body.len().min(LOGGED_BYTES)].escape_ascii().to_string();
    tracing::warn!(%error, body = beginning, bytes = body.len(), "request refused");
    problem(StatusCode::BAD_REQUEST, &error.to_string(), error.hint())
}

fn problem(status: StatusCode, error: &str, hint: &str) -> Response {
    (status, Json(serde_json::json!({ "error": error, "hint": hint }))).into_response()
}

fn ready(readiness: &Readiness) -> Response {
    if readiness.is_ready() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting or stopping\n").into_response()
    }
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

/// Dropping a request at its limit is safe: a handler's future may be dropped at any await point.
async fn bound_and_count(
    State((limit, metrics)): State<(Duration, Metrics)>,
    request: Request,
    next: Next,
) -> Response {
    let response = tokio::time::timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| again_later(&format!("the request took longer than {} s", limit.as_secs_f32())));
    metrics.requests.with_label_values(&[response.status().as_str()]).inc();
    response
}
