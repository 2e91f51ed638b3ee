//! What takes a delivered event, and how a delivery ends.

use std::time::Duration;

use async_trait::async_trait;
use millstream_events::Envelope;

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ack {
    /// Effects and publishing are done, or there was nothing to do: do not deliver it again.
    Done,
    /// The work goes on by itself; the sweep (or a nearer timer) will ask again: do not deliver it again.
    Pending {
        /// When it is worth asking again.
        check_after: Duration,
    },
    /// Deliver it again after a while.
    Retry {
        /// Why, for the log.
        reason: String,
    },
}

/// Takes events of some types.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// The function's name, for logs and metrics.
    fn name(&self) -> &'static str;

    /// Whether it takes events of this CloudEvents type.
    fn takes(&self, event_type: &str) -> bool;

    /// Handles one delivery. Nothing may be lost by dropping this future at any await point.
    async fn handle(&self, delivery: &Envelope) -> Ack;
}
