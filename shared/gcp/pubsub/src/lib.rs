//! The event bus on Pub/Sub.
//!
//! In: [`Envelope`](millstream_events::Envelope)s. Out: one message each on one topic, a CloudEvent in binary mode, so that
//! subscriptions can filter by its attributes and an unwrapped push is a CloudEvents request. What a message looks like and
//! what the emulator does differently from the service is in this crate's README.

mod bus;
mod failure;
mod message;
mod topic;

pub use bus::{PubSubBus, RETRY_LIMIT};
