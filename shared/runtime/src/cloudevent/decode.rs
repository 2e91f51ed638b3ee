//! From a request to events.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cloudevents::{AttributesReader, binding::http::to_event, event::ExtensionValue};
use http::{HeaderMap, header};
use millstream_events::{Envelope, Event, Fingerprint};
use serde_json::Value;

use super::{
    BATCH, STRUCTURED,
    google::{self, Message},
    scheduler,
    undecodable::Undecodable,
};

/// What is known of a request besides its headers and body.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When it came; the event's time where it names none itself.
    pub at: DateTime<Utc>,
    /// The topic in the request's path. It wins over what the message says of its topic, which is often only the
    /// subscription's name.
    pub topic: Option<String>,
}

/// What a request held.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Its events, in order.
    pub events: Vec<Envelope>,
    /// What was understood and is of no interest, for the log.
    pub ignored: Vec<String>,
}

/// Reads a request's events: all of them or, if one is wrong, none.
///
/// # Errors
/// [`Undecodable`] says what is wrong and what to do about it.
pub fn decode(headers: &HeaderMap, body: &Bytes, arrival: &Arrival) -> Result<Decoded, Undecodable> {
    let mut decoder = Decoder {
        arrival,
        tick: scheduler::tick_of(headers),
        traceparent: header_text(headers, "traceparent"),
        decoded: Decoded::default(),
    };
    decoder.request(headers, body)?;
    Ok(decoder.decoded)
}

pub(super) struct Decoder<'a> {
    pub(super) arrival: &'a Arrival,
    /// Which tick this is, if it is one.
    pub(super) tick: Option<DateTime<Utc>>,
    traceparent: Option<&'a str>,
    decoded: Decoded,
}

impl Decoder<'_> {
    fn request(&mut self, headers: &HeaderMap, body: &Bytes) -> Result<(), Undecodable> {
        let content_type = header_text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
        if content_type.starts_with(BATCH) {
            return self.batch(body);
        }
        if content_type.starts_with(STRUCTURED) {
            return self.structured(parse_json("the body", body)?);
        }
        if headers.contains_key("ce-specversion") {
            return self.cloud_event(to_event(headers, body.to_vec())?);
        }
        if headers.contains_key("x-goog-pubsub-message-id") {
            return self.message(Message::unwrapped(headers, body)?);
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(json) if json.get("specversion").is_some() => self.structured(json),
            Ok(json) if json.get("message").is_some_and(Value::is_object) => self.message(Message::wrapped(&json)?),
            _ if self.arrival.topic.is_some() => self.message(Message::plain(body)),
            Err(source) if content_type.starts_with("application/json") => {
                Err(Undecodable::Json { what: "the body", source })
            }
            _ => Err(Undecodable::Unrecognised),
        }
    }

    fn batch(&mut self, body: &[u8]) -> Result<(), Undecodable> {
        let events: Vec<Value> =
            serde_json::from_slice(body).map_err(|source| Undecodable::Json { what: "the batch", source })?;
        for (index, event) in events.into_iter().enumerate() {
            self.structured(event).map_err(|error| Undecodable::InBatch { index, source: Box::new(error) })?;
        }
        Ok(())
    }

    fn structured(&mut self, json: Value) -> Result<(), Undecodable> {
        self.cloud_event(serde_json::from_value(json).map_err(cloudevents::message::Error::from)?)
    }

    pub(super) fn cloud_event(&mut self, mut event: cloudevents::Event) -> Result<(), Undecodable> {
        let event_type = event.ty().to_owned();
        let time = event.time().copied();
        if let Some(what) = google::uninteresting(&event_type) {
            self.decoded.ignored.push(format!("{what} ({})", event.subject().unwrap_or("no subject")));
            return Ok(());
        }
        let traceparent = match event.extension("traceparent") {
            Some(ExtensionValue::String(text)) => Some(text.clone()),
            _ => None,
        };
        let source = event.source().clone();
        let (.., data) = event.take_data();
        let mut data = match data {
            None => Value::Object(serde_json::Map::new()),
            Some(data) => {
                Value::try_from(data).map_err(|source| Undecodable::Json { what: "the event's data", source })?
            }
        };
        // Google's data under Google's types; Millstream's own producers send the decoded form under the same types.
        if google::is_storage_object(&event_type, &data) {
            let object = google::object_finalized(&data)?;
            self.push(Event::ObjectFinalized(object), time, traceparent);
            return Ok(());
        }
        if google::is_published_message(&event_type, &data) {
            let mut message = Message::wrapped(&data)?;
            message.topic = source.strip_prefix("//pubsub.googleapis.com/").map(google::short_name).or(message.topic);
            message.time = time.or(message.time);
            return self.message(message);
        }
        scheduler::complete(&event_type, &mut data, self.tick);
        self.push(Event::from_parts(&event_type, data)?, time, traceparent);
        Ok(())
    }

    fn message(&mut self, message: Message) -> Result<(), Undecodable> {
        message.open(self)
    }

    pub(super) fn ignore(&mut self, what: String) {
        self.decoded.ignored.push(what);
    }

    pub(super) fn push(&mut self, event: Event, time: Option<DateTime<Utc>>, traceparent: Option<String>) {
        let traceparent = traceparent
            .filter(|text| is_traceparent(text))
            .or_else(|| self.traceparent.filter(|text| is_traceparent(text)).map(str::to_owned))
            .unwrap_or_else(|| new_traceparent(&event, self.arrival.at));
        let time = time.unwrap_or(self.arrival.at);
        self.decoded.events.push(Envelope { event, time, traceparent: Some(traceparent) });
    }
}

pub(super) fn parse_json(what: &'static str, bytes: &[u8]) -> Result<Value, Undecodable> {
    serde_json::from_slice(bytes).map_err(|source| Undecodable::Json { what, source })
}

pub(super) fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// W3C Trace Context, version 00: <https://www.w3.org/TR/trace-context/#traceparent-header>. Anything else from outside
/// is dropped, as the specification asks.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |length: usize| {
        parts.next().is_some_and(|part| {
            part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        })
    };
    hex(2) && hex(32) && hex(16) && hex(2) && parts.next().is_none() && !text.starts_with("ff")
}

/// The start of a trace for an event that came without one. The arrival's time tells repetitions of an event apart.
fn new_traceparent(event: &Event, at: DateTime<Utc>) -> String {
    let trace = Fingerprint::of("trace", [event.id().as_bytes(), &at.timestamp_micros().to_le_bytes()]);
    format!("00-{trace}-{}-01", &trace.as_str()[..16])
}
