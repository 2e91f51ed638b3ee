//! Pub/Sub as an event bus.
