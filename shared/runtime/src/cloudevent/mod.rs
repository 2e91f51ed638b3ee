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
//! A Pub/Sub message may itself be a CloudEvent (attributes `ce-*`, or a structured content type), a Cloud Storage
//! notification (`eventType`), or anything else, which becomes a [`MessagePublished`](millstream_events::trigger::MessagePublished).
//!
//! What answers what, at the [host](crate::host):
//!
//! | the body                                    | answer                                                           |
//! |---------------------------------------------|------------------------------------------------------------------|
//! | decoded, and every handler is done          | 204                                                              |
//! | decoded, some step goes on by itself        | 204: the sweep asks again                                        |
//! | decoded, but of no interest (a deletion)    | 204, logged                                                      |
//! | decoded, a handler asks for another delivery| 503 with `Retry-After`: the sender backs off and delivers again   |
//! | not decodable                               | 400 with the reason, logged with the body's first bytes          |
//! | too large                                   | 413                                                              |
//!
//! An event's identity is derived from its content. The sender's `id` is checked to be there, as the specification
//! asks, and then not used: a file uploaded once may be notified under two message ids.

mod decode;
mod encode;
mod google;
mod undecodable;

pub use decode::{Arrival, Decoded, decode};
pub use encode::{EncodeError, to_batch, to_binary, to_cloud_event, to_structured};
pub use undecodable::Undecodable;

/// Content type of one CloudEvent as JSON.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// Content type of a JSON array of CloudEvents.
pub const BATCH: &str = "application/cloudevents-batch+json";
