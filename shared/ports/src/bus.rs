//! Where events go.

use std::fmt::Debug;

use async_trait::async_trait;
use millstream_events::Envelope;

use crate::error::PortResult;

/// Takes events for delivery, at least once, in any order.
#[async_trait]
pub trait EventBus: Debug + Send + Sync {
    /// Returns once the bus has taken them all: only then may the cause be acknowledged.
    async fn publish(&self, events: Vec<Envelope>) -> PortResult<()>;
}
