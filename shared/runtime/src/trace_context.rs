//! Which trace a delivery belongs to: W3C's `traceparent` in, the same for what the delivery publishes out
//! (<https://www.w3.org/TR/trace-context/>).
//!
//! A delivery goes on with the trace of its event. One whose event has none begins a trace, so that a whole chain shares
//! one trace id, with traces exported (feature `otel`) or without. Its id is derived from the event: an event delivered
//! twice is in one trace.

use std::{fmt, future::Future, str::FromStr};

use millstream_events::{Envelope, Fingerprint};
use tracing::Span;
use tracing_subscriber::{Registry, registry::LookupSpan};

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; not 0.
    pub trace_id: u128,
    /// The span that is the parent of what follows; not 0.
    pub span_id: u64,
    /// Whether the trace is recorded.
    pub is_sampled: bool,
}

/// A text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is written VERSION-TRACE-SPAN-FLAGS, in lower-case hexadecimal digits")]
pub struct NotATraceparent;

impl TraceContext {
    /// The beginning of the trace of an event that has none.
    #[must_use]
    pub fn beginning(delivery: &Envelope) -> Self {
        let time = delivery.time.timestamp_micros().to_le_bytes();
        let digits = Fingerprint::of("trace", [delivery.event.id().as_bytes(), &time]);
        // A fingerprint is 32 hexadecimal digits; zero is not a trace.
        let trace_id = u128::from_str_radix(digits.as_str(), 16).unwrap_or(1).max(1);
        let span_id = ((trace_id >> 64) as u64).max(1);
        Self { trace_id, span_id, is_sampled: true }
    }

    /// The delivery's own context, or the beginning of a trace; a broken one is no context.
    pub(crate) fn of(delivery: &Envelope) -> Option<Self> {
        delivery.traceparent.as_deref().and_then(|text| text.parse().ok())
    }

    /// Runs a delivery's handler in this context.
    pub(crate) async fn scope<T>(self, handling: impl Future<Output = T>) -> T {
        CURRENT.scope(self, handling).await
    }

    /// Keeps it with the span, for the lines logged in it.
    pub(crate) fn keep_with(self, span: &Span) {
        span.with_subscriber(|(id, subscriber)| {
            if let Some(span) = subscriber.downcast_ref::<Registry>().and_then(|registry| registry.span(id)) {
                span.extensions_mut().replace(self);
            }
        });
    }
}

/// The `traceparent` of what the handler at work publishes; `None` outside a delivery, and in a task that the handler has
/// started.
#[must_use]
pub fn current() -> Option<String> {
    CURRENT.try_with(ToString::to_string).ok()
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.is_sampled))
    }
}

impl FromStr for TraceContext {
    type Err = NotATraceparent;

    fn from_str(text: &str) -> Result<Self, NotATraceparent> {
        let is_lower_hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let mut parts = text.split('-');
        let mut part = |length: usize| {
            parts.next().filter(|part| part.len() == length && is_lower_hex(part)).ok_or(NotATraceparent)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        // A later version may add parts; this one has four.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(NotATraceparent);
        }
        let trace_id = u128::from_str_radix(trace, 16).map_err(|_| NotATraceparent)?;
        let span_id = u64::from_str_radix(span, 16).map_err(|_| NotATraceparent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| NotATraceparent)?;
        if trace_id == 0 || span_id == 0 {
            return Err(NotATraceparent);
        }
        Ok(Self { trace_id, span_id, is_sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use millstream_events::{Event, trigger::SweepDue};

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let context: TraceContext = EXAMPLE.parse().unwrap();
        assert_eq!((context.span_id, context.is_sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(context.to_string(), EXAMPLE);
        let later: TraceContext = format!("cc{}-what-comes", &EXAMPLE[2..]).parse().unwrap();
        assert_eq!(later, context);
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for text in [
            "",
            "00-t",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(NotATraceparent), "{text}");
        }
    }

    #[test]
    fn an_event_delivered_twice_begins_one_trace_and_another_tick_another() {
        let sweep = |second| Envelope {
            event: Event::SweepDue(SweepDue {}),
            time: DateTime::from_timestamp(second, 0).unwrap(),
            traceparent: None,
        };
        assert_eq!(TraceContext::beginning(&sweep(1)), TraceContext::beginning(&sweep(1)));
        assert_ne!(TraceContext::beginning(&sweep(1)).trace_id, TraceContext::beginning(&sweep(2)).trace_id);
        let written = TraceContext::beginning(&sweep(1)).to_string();
        assert_eq!(written.parse(), Ok(TraceContext::beginning(&sweep(1))));
    }
}
