//! A bus that keeps what it is given.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use millstream_events::{Envelope, Event};

use crate::{bus::EventBus, error::PortResult};

/// An [`EventBus`] that delivers nothing by itself: a test takes the events and hands them on as it likes.
#[derive(Debug, Default)]
pub struct MemoryBus {
    published: Mutex<Vec<Envelope>>,
}

impl MemoryBus {
    /// An empty bus.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was published since the last call, in order.
    #[must_use]
    pub fn take(&self) -> Vec<Envelope> {
        std::mem::take(&mut self.published.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The events that were published and not taken yet, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.iter().map(|envelope| envelope.event.clone()).collect()
    }
}

#[async_trait]
impl EventBus for MemoryBus {
    async fn publish(&self, events: Vec<Envelope>) -> PortResult<()> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
        Ok(())
    }
}
