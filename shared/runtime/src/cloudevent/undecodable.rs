//! Why a request is not an event.

use millstream_events::{DecodeError, names::NameError};

/// A body that cannot be turned into an event, said so that its sender can mend it.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    /// Nothing about the request says what it is.
    #[error("the request is neither a CloudEvent nor a Pub/Sub message")]
    Unrecognised,
    /// JSON was announced and is not there.
    #[error("{what} is not valid JSON: {source}")]
    Json {
        /// Which part.
        what: &'static str,
        /// Where it stops being JSON.
        source: serde_json::Error,
    },
    /// The CloudEvent itself is broken: an attribute is missing or has a wrong form.
    #[error("not a valid CloudEvent: {0}")]
    CloudEvent(#[from] cloudevents::message::Error),
    /// A field is not there.
    #[error("{what} has no {field}")]
    Missing {
        /// Where it should be.
        what: &'static str,
        /// Its name.
        field: &'static str,
    },
    /// A field is there with a value that it cannot have.
    #[error("{field} is {value:?}: {rule}")]
    Field {
        /// Its name.
        field: &'static str,
        /// Its value, or the beginning of a long one.
        value: String,
        /// What it should be.
        rule: &'static str,
    },
    /// A message's data is not base64.
    #[error("the message's data is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// A message's data is binary.
    #[error("the message's data is not UTF-8 text")]
    NotText,
    /// A bucket's or object's name is not acceptable.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The type is unknown, or the data does not fit it.
    #[error(transparent)]
    Event(#[from] DecodeError),
    /// One event of a batch.
    #[error("event {index} of the batch: {source}")]
    InBatch {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        source: Box<Undecodable>,
    },
}

impl Undecodable {
    /// What the sender can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unrecognised => {
                "send a CloudEvent (content type application/cloudevents+json, or ce-* headers) or a Pub/Sub push body; \
                 to publish plain data, POST it to /topics/TOPIC"
            }
            Self::Json { .. } => "check the body: it may be cut short or be sent with the wrong content type",
            Self::CloudEvent(_) => {
                "a CloudEvent needs specversion 1.0, id, source and type; time is written as RFC 3339"
            }
            Self::Missing { .. } | Self::Field { .. } => {
                "send the event as Google sends it; Cloud Storage notifications need payload format JSON_API_V1"
            }
            Self::Base64(_) => "encode the message's data with the standard base64 alphabet and padding",
            Self::NotText => "send rows as JSON text; upload binary files to the landing bucket instead",
            Self::Name(_) => "use the object's plain name in its bucket",
            Self::Event(DecodeError::UnknownType(_)) => "the types are listed in events/README.md",
            Self::Event(DecodeError::Data { .. }) => "the schemas of all events are in events/schemas",
            Self::InBatch { source, .. } => source.hint(),
        }
    }

    /// A field with an impossible value; a long value is cut, so that an answer stays small.
    pub(super) fn field(field: &'static str, value: &str, rule: &'static str) -> Self {
        Self::Field { field, value: value.chars().take(100).collect(), rule }
    }
}
