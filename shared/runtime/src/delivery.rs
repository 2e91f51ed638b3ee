//! One delivery to one handler: the span, the panic guard, the metrics and the log line every delivery gets.
//!
//! The in-process dispatcher and the HTTP host both deliver through [`deliver`], so that a delivery looks the same in
//! logs and metrics however it came.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use futures::FutureExt;
use millstream_events::{Envelope, Event, names::RunId};
use tokio::time::Instant;
use tracing::{Instrument, Span, field};

use crate::{
    handler::{Ack, Handler},
    metrics::Metrics,
    trace_context::TraceContext,
};

/// Hands `delivery` to `handler` inside its own span, in the trace of its event. A panic ends as [`Ack::Retry`]; a retry's reason is logged here and
/// nowhere else.
pub async fn deliver(handler: &dyn Handler, delivery: &Envelope, metrics: &Metrics) -> Ack {
    let function = handler.name();
    let started = Instant::now();
    let span = delivery_span(function, delivery);
    let trace = enter_trace(&span, delivery);
    let handled = async {
        let (ack, result) = match catch_panic(handler.handle(delivery)).await {
            Ok(ack) => {
                let result = label(&ack);
                (ack, result)
            }
            Err(message) => (Ack::Retry { reason: format!("the handler panicked: {message}") }, "panic"),
        };
        let elapsed = started.elapsed();
        match &ack {
            Ack::Done => tracing::debug!(?elapsed, "delivery done"),
            Ack::Pending { check_after } => tracing::debug!(?elapsed, ?check_after, "delivery pending"),
            Ack::Retry { reason } => tracing::warn!(?elapsed, reason, "delivery will be retried"),
        }
        metrics.deliveries.with_label_values(&[function, result]).inc();
        metrics.handling_seconds.with_label_values(&[function]).observe(elapsed.as_secs_f64());
        ack
    };
    trace.scope(handled.instrument(span)).await
}

/// Puts the delivery into its event's trace, or into one that begins here.
fn enter_trace(span: &Span, delivery: &Envelope) -> TraceContext {
    let parent = TraceContext::of(delivery);
    #[cfg(feature = "otel")]
    let own = crate::telemetry::begin(span, parent);
    #[cfg(not(feature = "otel"))]
    let own = None;
    let context = own.or(parent).unwrap_or_else(|| TraceContext::beginning(delivery));
    context.keep_with(span);
    context
}

/// Runs a future to its end or its panic; the panic's message is returned.
pub(crate) async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, String> {
    // What a handler holds across an unwind is either dropped with it or a port, whose effects are atomic by contract.
    AssertUnwindSafe(future).catch_unwind().await.map_err(|panic| panic_message(panic.as_ref()))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

fn label(ack: &Ack) -> &'static str {
    match ack {
        Ack::Done => "done",
        Ack::Pending { .. } => "pending",
        Ack::Retry { .. } => "retry",
    }
}

/// At the level of errors, so that whatever is logged of a delivery says which one it was.
fn delivery_span(function: &'static str, delivery: &Envelope) -> Span {
    let step = delivery.event.step();
    let run = run_of(&delivery.event);
    tracing::error_span!(
        "delivery",
        function,
        event = delivery.event.event_type(),
        pipeline = run.map(|run| field::display(&run.pipeline)),
        run = run.map(|run| field::display(&run.key)),
        step = step.map(|step| field::display(&step.step)),
        fingerprint = step.map(|step| field::display(&step.fingerprint)),
        attempt = step.map(|step| step.attempt),
    )
}

/// The run an event belongs to; most triggers find theirs only in `plan-run`.
pub(crate) fn run_of(event: &Event) -> Option<&RunId> {
    match event {
        Event::RetryRequested(retry) => Some(&retry.run),
        Event::TrafficMoved(moved) => Some(&moved.run),
        other => other.step().map(|step| &step.run),
    }
}
