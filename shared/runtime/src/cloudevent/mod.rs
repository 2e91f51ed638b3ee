//! CloudEvents 1.0 on the wire, and Google's forms of it: bytes and headers in, [`Envelope`]s out, and back.
//!
//! | what comes in                                            | how it is recognised                                  |
//! |----------------------------------------------------------|-------------------------------------------------------|
//! | a batch of CloudEvents                                   | content type `application/cloudevents-batch+json`     |
//! | a structured CloudEvent                                  | content type `application/cloudevents+json`, or JSON with `specversion` |
//! | a binary CloudEvent (Eventarc's form)                    | header `ce-specversion`                               |
//! | a Pub/Sub message, unwrapped with metadata               | header `x-goog-pubsub-message-id`                     |
//! | a Pub/Sub push, wrapped                                  | JSON with `message`                                   |
//!
//! A Pub/Sub message, in this order, is what its attributes say:
//!
//! | its attributes and data                                  | what it becomes                                       |
//! |----------------------------------------------------------|-------------------------------------------------------|
//! | `ce-*`, or a structured content type                     | that CloudEvent                                       |
//! | `eventType` and `bucketId`                               | a Cloud Storage notification's object                 |
//! | `schedule=PIPELINE`, no data                             | [`ScheduleFired`](millstream_events::trigger::ScheduleFired) |
//! | `sweep=due`, no data                                     | [`SweepDue`](millstream_events::trigger::SweepDue)    |
//! | anything else                                            | a [`MessagePublished`](millstream_events::trigger::MessagePublished) on its topic |
//!
//! A `dev.millstream.schedule.fired.v1` whose data names its `pipeline` and no `scheduled_at` is given it: a Cloud Scheduler
//! job sends the same body at every tick. It is the minute of the header `X-CloudScheduler-ScheduleTime`, or of the
//! message's publish time, so that a tick sent or delivered again is the same tick.
//!
//! What answers what, at the [host](crate::host):
//!
//! | the body                                    | answer                                                           |
//! |---------------------------------------------|------------------------------------------------------------------|
//! | decoded, and every handler is done          | 204                                                              |
//! | decoded, some step goes on by itself        | 204: the sweep asks again                                        |
//! | decoded, but of no interest (a deletion)    | 204, logged                                                      |
//! | decoded, a handler asks for another delivery| 503 with `Retry-After`: the sender backs off and delivers again   |
//! | not decodable                               | 400 with the reason, logged with the body's first bytes; see below |
//! | too large                                   | 413                                                              |
//!
//! Pub/Sub takes a 400 as a refusal, delivers again with growing pauses, and after the subscription's
//! `maxDeliveryAttempts` forwards the message to its dead-letter topic. That is how an undecodable message is kept: whole,
//! with its attributes, where a person can look at it and publish it again once the sender or this decoder is mended.
//! Answering 204 would lose it. Every push subscription therefore needs a dead-letter policy, and the dead-letter topic a
//! subscription of its own: without the first a broken message is delivered again until the topic's retention ends,
//! without the second it is lost. Eventarc's subscriptions are Pub/Sub's and take the same policy; Cloud Scheduler counts a
//! 400 as a failed attempt and shows it with the job.
//!
//! An event's identity is derived from its content. The sender's `id` is checked to be there, as the specification
//! asks, and then not used: a file uploaded once may be notified under two message ids.

mod decode;
mod encode;
mod google;
mod scheduler;
mod undecodable;

pub use decode::{Arrival, Decoded, decode};
pub use encode::{EncodeError, to_batch, to_binary, to_cloud_event, to_structured};
pub use undecodable::Undecodable;

/// Content type of one CloudEvent as JSON.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// Content type of a JSON array of CloudEvents.
pub const BATCH: &str = "application/cloudevents-batch+json";
