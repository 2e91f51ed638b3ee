//! The forms in which Google's services send events.
//!
//! Sources: the Pub/Sub push formats (<https://cloud.google.com/pubsub/docs/push>,
//! <https://cloud.google.com/pubsub/docs/payload-unwrapping>), Cloud Storage notifications
//! (<https://cloud.google.com/storage/docs/pubsub-notifications>), and `StorageObjectData` and `MessagePublishedData` of
//! <https://github.com/googleapis/google-cloudevents>.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use cloudevents::binding::http::to_event;
use http::{HeaderMap, HeaderName, HeaderValue};
use millstream_events::{
    Event,
    names::ObjectPath,
    trigger::{MessagePublished, ObjectFinalized},
};
use serde_json::Value;

use super::{
    STRUCTURED,
    decode::{Decoder, header_text, parse_json},
    scheduler,
    undecodable::Undecodable,
};

/// The header of an unwrapped message's publish time.
pub(super) const PUBLISH_TIME: &str = "x-goog-pubsub-publish-time";

const FINALIZED: &str = "google.cloud.storage.object.v1.finalized";
const PUBLISHED: &str = "google.cloud.pubsub.topic.v1.messagePublished";
const OBJECT_DATA: &str = "the Cloud Storage object's data";
const NOTIFICATION: &str = "the Cloud Storage notification";

/// Says what an event is whose type is known and asks for nothing.
pub(super) fn uninteresting(event_type: &str) -> Option<&'static str> {
    match event_type {
        "google.cloud.storage.object.v1.deleted" => Some("an object was deleted"),
        "google.cloud.storage.object.v1.archived" => Some("an object was archived"),
        "google.cloud.storage.object.v1.metadataUpdated" => Some("an object's metadata was updated"),
        _ => None,
    }
}

/// Whether this is a finalized object in Google's form (ours names it `object`).
pub(super) fn is_storage_object(event_type: &str, data: &Value) -> bool {
    event_type == FINALIZED && data.get("object").is_none()
}

/// Whether this is a published message in Google's form (ours names its `topic`).
pub(super) fn is_published_message(event_type: &str, data: &Value) -> bool {
    event_type == PUBLISHED && data.get("message").is_some()
}

/// Reads `StorageObjectData`: numbers are strings, the checksum is the big-endian bytes in base64.
pub(super) fn object_finalized(data: &Value) -> Result<ObjectFinalized, Undecodable> {
    let text = |field| required(OBJECT_DATA, data, field);
    Ok(ObjectFinalized {
        object: ObjectPath::new(text("bucket")?, text("name")?)?,
        generation: number("generation", &text("generation")?)?,
        size: number("size", &text("size")?)?,
        crc32c: checksum(&text("crc32c")?)?,
    })
}

/// The last part of a resource name: `projects/p/topics/t` is `t`.
pub(super) fn short_name(resource: &str) -> String {
    resource.rsplit('/').next().unwrap_or(resource).to_owned()
}

fn required(what: &'static str, data: &Value, field: &'static str) -> Result<String, Undecodable> {
    match data.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        None | Some(Value::Null) => Err(Undecodable::Missing { what, field }),
        Some(other) => Err(Undecodable::field(field, &other.to_string(), "expected a string")),
    }
}

fn number(field: &'static str, text: &str) -> Result<u64, Undecodable> {
    text.parse().map_err(|_| Undecodable::field(field, text, "expected a whole number of at most 64 bits"))
}

fn checksum(text: &str) -> Result<u32, Undecodable> {
    let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    bytes.map(u32::from_be_bytes).ok_or_else(|| Undecodable::field("crc32c", text, "expected four bytes as base64"))
}

/// A Pub/Sub message, however it was delivered.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// Names in lower case: an unwrapped message's attributes come as headers, which have no case.
    attributes: BTreeMap<String, String>,
    data: Vec<u8>,
    /// The topic's short name, where the delivery tells it.
    pub(super) topic: Option<String>,
    subscription: Option<String>,
    pub(super) time: Option<DateTime<Utc>>,
}

impl Message {
    /// `{"message": {"data", "attributes", ..}, "subscription"}`; keys come in camel and in snake case.
    pub(super) fn wrapped(json: &Value) -> Result<Self, Undecodable> {
        let message = json.get("message").ok_or(Undecodable::Missing { what: "the push body", field: "message" })?;
        let data = match message.get("data") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => BASE64_STANDARD.decode(text)?,
            Some(other) => {
                return Err(Undecodable::field("message.data", &other.to_string(), "expected a base64 string"));
            }
        };
        let mut attributes = BTreeMap::new();
        if let Some(given) = message.get("attributes").filter(|given| !given.is_null()) {
            let map = given.as_object().ok_or_else(|| {
                Undecodable::field("message.attributes", &given.to_string(), "expected an object of strings")
            })?;
            for (name, value) in map {
                let value = value.as_str().ok_or_else(|| {
                    Undecodable::field("message.attributes", &value.to_string(), "expected an object of strings")
                })?;
                attributes.insert(name.to_ascii_lowercase(), value.to_owned());
            }
        }
        let time = message.get("publishTime").or_else(|| message.get("publish_time")).and_then(Value::as_str);
        Ok(Self {
            attributes,
            data,
            topic: None,
            subscription: json.get("subscription").and_then(Value::as_str).map(short_name),
            time: time.and_then(parse_time),
        })
    }

    /// The body is the data, attributes are headers, and `x-goog-pubsub-*` tells the rest.
    pub(super) fn unwrapped(headers: &HeaderMap, body: &[u8]) -> Result<Self, Undecodable> {
        let mut attributes = BTreeMap::new();
        for (name, value) in headers {
            // A header that is not text cannot be one of Pub/Sub's attributes, which are UTF-8; it is of no use here.
            if let Ok(value) = value.to_str() {
                attributes.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(Self {
            attributes,
            data: body.to_vec(),
            topic: None,
            subscription: header_text(headers, "x-goog-pubsub-subscription-name").map(short_name),
            time: header_text(headers, PUBLISH_TIME).and_then(parse_time),
        })
    }

    /// A body sent to a topic's own path by hand.
    pub(super) fn plain(body: &[u8]) -> Self {
        Self { data: body.to_vec(), ..Self::default() }
    }

    /// Finds out what the message carries: a CloudEvent, a Cloud Storage notification, a tick, or data.
    pub(super) fn open(self, decoder: &mut Decoder<'_>) -> Result<(), Undecodable> {
        decoder.tick = self.time.map(scheduler::to_the_minute).or(decoder.tick);
        if self.attributes.contains_key("ce-specversion") {
            return decoder.cloud_event(to_event(&self.cloud_event_headers()?, self.data)?);
        }
        if self.attributes.get("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with(STRUCTURED)) {
            let event = serde_json::from_slice(&self.data).map_err(cloudevents::message::Error::from)?;
            return decoder.cloud_event(event);
        }
        if let (Some(kind), true) = (self.attributes.get("eventtype"), self.attributes.contains_key("bucketid")) {
            return self.notification(kind, decoder);
        }
        if self.data.is_empty() {
            let attribute = |name: &str| self.attributes.get(name).map(String::as_str);
            if let Some(event) = scheduler::by_attributes(attribute, decoder.tick)? {
                decoder.push(event, self.time, None);
                return Ok(());
            }
        }
        let topic = decoder
            .arrival
            .topic
            .clone()
            .or(self.topic)
            .or_else(|| self.attributes.get("topic").map(|topic| short_name(topic)))
            .or(self.subscription)
            .filter(|topic| !topic.is_empty())
            .ok_or(Undecodable::Missing { what: "the message", field: "topic or subscription" })?;
        let data = String::from_utf8(self.data).map_err(|_| Undecodable::NotText)?;
        decoder.push(Event::MessagePublished(MessagePublished { topic, data }), self.time, None);
        Ok(())
    }

    fn notification(&self, kind: &str, decoder: &mut Decoder<'_>) -> Result<(), Undecodable> {
        if kind != "OBJECT_FINALIZE" {
            let object = self.attributes.get("objectid").map_or("an object", String::as_str);
            decoder.ignore(format!("Cloud Storage says {kind} of {object}"));
            return Ok(());
        }
        match self.attributes.get("payloadformat").map(String::as_str) {
            Some("JSON_API_V1") => {}
            Some(other) => return Err(Undecodable::field("payloadFormat", other, "expected JSON_API_V1")),
            None => return Err(Undecodable::Missing { what: NOTIFICATION, field: "payloadFormat" }),
        }
        let object = object_finalized(&parse_json(NOTIFICATION, &self.data)?)?;
        decoder.push(Event::ObjectFinalized(object), self.time, None);
        Ok(())
    }

    fn cloud_event_headers(&self) -> Result<HeaderMap, Undecodable> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.attributes {
            if name.starts_with("ce-") || name == "content-type" {
                let rule = "expected printable ASCII";
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| Undecodable::field("a ce-* attribute's name", name, rule))?;
                let value =
                    HeaderValue::from_str(value).map_err(|_| Undecodable::field("a ce-* attribute", value, rule))?;
                headers.insert(name, value);
            }
        }
        Ok(headers)
    }
}

pub(super) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}
