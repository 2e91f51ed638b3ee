//! From events to requests.

use bytes::Bytes;
use cloudevents::{EventBuilder, EventBuilderV10};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use millstream_events::{Envelope, Event};

/// An event that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Its data is not JSON (a number that is not finite).
    #[error("the event's data cannot be written as JSON: {0}")]
    Data(#[from] serde_json::Error),
    /// An attribute was refused.
    #[error("the event's attributes were refused: {0}")]
    Attributes(#[from] cloudevents::event::EventBuilderError),
    /// An attribute cannot be a header.
    #[error("the attribute {0} cannot be sent as a header")]
    Header(String),
}

/// The event as a CloudEvent. Its extensions `pipeline`, `run`, `step` and `attempt` are there for subscription filters.
///
/// # Errors
/// When its data or attributes have no CloudEvents form.
pub fn to_cloud_event(envelope: &Envelope) -> Result<cloudevents::Event, EncodeError> {
    let event = &envelope.event;
    let mut builder = EventBuilderV10::new()
        .id(event.id())
        .ty(event.event_type())
        .source(source(event))
        .time(envelope.time)
        .data("application/json", event.data()?);
    if let Some(subject) = event.subject() {
        builder = builder.subject(subject);
    }
    if let Some(traceparent) = &envelope.traceparent {
        builder = builder.extension("traceparent", traceparent.as_str());
    }
    if let Some(run) = crate::delivery::run_of(event) {
        builder = builder.extension("pipeline", run.pipeline.as_str()).extension("run", run.key.as_str());
    }
    if let Some(step) = event.step() {
        builder = builder.extension("step", step.step.as_str()).extension("attempt", i64::from(step.attempt));
    }
    Ok(builder.build()?)
}

/// The event as one JSON document, content type [`STRUCTURED`](super::STRUCTURED).
///
/// # Errors
/// As [`to_cloud_event`].
pub fn to_structured(envelope: &Envelope) -> Result<Bytes, EncodeError> {
    Ok(serde_json::to_vec(&to_cloud_event(envelope)?)?.into())
}

/// The events as one JSON array, content type [`BATCH`](super::BATCH).
///
/// # Errors
/// As [`to_cloud_event`].
pub fn to_batch(envelopes: &[Envelope]) -> Result<Bytes, EncodeError> {
    let events = envelopes.iter().map(to_cloud_event).collect::<Result<Vec<_>, _>>()?;
    Ok(serde_json::to_vec(&events)?.into())
}

/// The event with its attributes as `ce-*` headers and its data as the body.
///
/// # Errors
/// As [`to_cloud_event`].
pub fn to_binary(envelope: &Envelope) -> Result<(HeaderMap, Bytes), EncodeError> {
    let event = to_cloud_event(envelope)?;
    let mut headers = HeaderMap::new();
    for (name, value) in event.iter() {
        let (name, value) = match name {
            "datacontenttype" => (header::CONTENT_TYPE, value.to_string()),
            name => {
                let header = HeaderName::try_from(format!("ce-{name}"));
                (header.map_err(|_| EncodeError::Header(name.to_owned()))?, percent_encode(&value.to_string()))
            }
        };
        let value = HeaderValue::try_from(value).map_err(|_| EncodeError::Header(name.to_string()))?;
        headers.insert(name, value);
    }
    let body = event.data().cloned().map(Vec::<u8>::try_from).transpose()?;
    Ok((headers, body.unwrap_or_default().into()))
}

/// Where the event came from, as Google's services name it for the types that are theirs.
fn source(event: &Event) -> String {
    match event {
        Event::ObjectFinalized(object) => {
            format!("//storage.googleapis.com/projects/_/buckets/{}", object.object.bucket())
        }
        Event::MessagePublished(message) => {
            // A topic named by hand may hold anything; what a URI reference may not hold is encoded.
            format!("//pubsub.googleapis.com/topics/{}", percent_encode(&message.topic))
        }
        other => match crate::delivery::run_of(other) {
            Some(run) => format!("//millstream.dev/runs/{run}"),
            None => "//millstream.dev/triggers".to_owned(),
        },
    }
}

/// The HTTP binding's rule: space, quote, percent and all but printable ASCII.
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values>
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
