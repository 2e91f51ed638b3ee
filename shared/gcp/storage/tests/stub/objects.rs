//! The bucket's objects and the sessions that may become some.

use std::collections::{BTreeMap, HashMap};

use axum::{body::Bytes, http::StatusCode};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{BUCKET, QUANTUM};

/// What an object's writer says of it.
pub(super) type Metadata = serde_json::Map<String, Value>;

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) bytes: Vec<u8>,
    pub(super) generation: u64,
    metadata: Metadata,
}

impl Object {
    pub(super) fn crc32c(&self) -> String {
        encoded(&self.bytes)
    }

    pub(super) fn resource(&self, name: &str) -> Value {
        json!({"kind": "storage#object", "bucket": BUCKET, "name": name, "generation": self.generation.to_string(),
            "size": self.bytes.len().to_string(), "crc32c": self.crc32c(), "metadata": self.metadata})
    }
}

#[derive(Debug)]
struct Session {
    name: String,
    expected: Option<u64>,
    metadata: Metadata,
    bytes: Vec<u8>,
    /// It has become an object.
    done: bool,
}

/// What a session's request leads to.
#[derive(Debug)]
pub(super) enum Step {
    /// This many bytes are kept.
    Kept(usize),
    /// It is an object.
    Done(Value),
}

#[derive(Debug, Default)]
pub(super) struct Objects {
    objects: BTreeMap<String, Object>,
    sessions: HashMap<String, Session>,
    generation: u64,
}

impl Objects {
    pub(super) fn get(&self, name: &str) -> Option<&Object> {
        self.objects.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Object)> {
        self.objects.iter()
    }

    pub(super) fn put(&mut self, name: &str, bytes: Vec<u8>, metadata: Metadata) -> u64 {
        self.generation += 1;
        self.objects.insert(name.to_owned(), Object { bytes, generation: self.generation, metadata });
        self.generation
    }

    /// `ifGenerationMatch`: 0 is "no object".
    pub(super) fn matches(&self, name: &str, expected: Option<u64>) -> Result<(), StatusCode> {
        let found = self.get(name).map_or(0, |object| object.generation);
        match expected {
            Some(expected) if expected != found => Err(StatusCode::PRECONDITION_FAILED),
            _ => Ok(()),
        }
    }

    pub(super) fn delete(&mut self, name: &str, expected: Option<u64>) -> Result<(), StatusCode> {
        if self.get(name).is_none() {
            return Err(StatusCode::NOT_FOUND);
        }
        self.matches(name, expected)?;
        self.objects.remove(name);
        Ok(())
    }

    /// An upload in one request; `resource` may bring the checksum of what was sent.
    pub(super) fn upload(
        &mut self,
        name: &str,
        resource: &Value,
        bytes: Vec<u8>,
        expected: Option<u64>,
    ) -> Result<Value, StatusCode> {
        self.matches(name, expected)?;
        same_checksum(resource["crc32c"].as_str(), &bytes)?;
        self.put(name, bytes, metadata(resource));
        Ok(self.objects[name].resource(name))
    }

    pub(super) fn start(&mut self, name: &str, resource: &Value, expected: Option<u64>) -> Result<String, StatusCode> {
        self.matches(name, expected)?;
        let id = format!("session-{}", self.sessions.len());
        let session =
            Session { name: name.to_owned(), expected, metadata: metadata(resource), bytes: Vec::new(), done: false };
        self.sessions.insert(id.clone(), session);
        Ok(id)
    }

    /// A piece with the range it names, or a question. A session ends where the range has a total and it is reached.
    pub(super) fn piece(
        &mut self,
        id: &str,
        range: &str,
        checksum: Option<&str>,
        piece: &Bytes,
    ) -> Result<Step, StatusCode> {
        let session = self.sessions.get_mut(id).ok_or(StatusCode::NOT_FOUND)?;
        if session.done {
            return Ok(Step::Done(self.objects[&session.name].resource(&session.name)));
        }
        let (span, total) = range.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
        if let Some((first, last)) = span.split_once('-') {
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            if first != session.bytes.len() || last + 1 - first != piece.len() {
                return Err(StatusCode::BAD_REQUEST);
            }
            if total == "*" && !piece.len().is_multiple_of(QUANTUM) {
                return Err(StatusCode::BAD_REQUEST);
            }
            session.bytes.extend_from_slice(piece);
        }
        if total.parse() != Ok(session.bytes.len()) {
            return Ok(Step::Kept(session.bytes.len()));
        }
        let (name, expected) = (session.name.clone(), session.expected);
        let (bytes, metadata) = (session.bytes.clone(), session.metadata.clone());
        self.matches(&name, expected)?;
        same_checksum(checksum.and_then(|hash| hash.strip_prefix("crc32c=")), &bytes)?;
        self.put(&name, bytes, metadata);
        self.sessions.get_mut(id).unwrap().done = true;
        Ok(Step::Done(self.objects[&name].resource(&name)))
    }

    /// What a session was started for.
    pub(super) fn name_of(&self, id: &str) -> String {
        self.sessions[id].name.clone()
    }
}

fn metadata(resource: &Value) -> Metadata {
    resource["metadata"].as_object().cloned().unwrap_or_default()
}

fn same_checksum(told: Option<&str>, bytes: &[u8]) -> Result<(), StatusCode> {
    match told {
        Some(told) if told != encoded(bytes) => Err(StatusCode::BAD_REQUEST),
        _ => Ok(()),
    }
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(crc32c::crc32c(bytes).to_be_bytes())
}
