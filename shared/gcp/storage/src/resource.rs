//! The JSON API's object resource: numbers are strings, the checksum is base64 of four big-endian bytes.

use std::collections::HashMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use millstream_events::names::ObjectPath;
use millstream_ports::{ObjectMeta, PortError, PortResult};
use serde::Deserialize;

/// An object as the JSON API describes it; what was not asked for is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Resource {
    pub(crate) name: String,
    generation: String,
    size: String,
    crc32c: String,
    pub(crate) metadata: HashMap<String, String>,
}

impl Resource {
    pub(crate) fn meta(&self, path: ObjectPath) -> PortResult<ObjectMeta> {
        let incomplete = |what: &str| PortError::internal(format!("the description of {path} has no {what}"));
        Ok(ObjectMeta {
            generation: self.generation.parse().map_err(|_| incomplete("generation"))?,
            size: self.size.parse().map_err(|_| incomplete("size"))?,
            crc32c: crc32c(&self.crc32c).ok_or_else(|| incomplete("CRC32C checksum"))?,
            path,
        })
    }
}

/// A listed object whose name is one of ours.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) path: ObjectPath,
    pub(crate) resource: Resource,
}

impl Listed {
    pub(crate) fn meta(self) -> PortResult<ObjectMeta> {
        self.resource.meta(self.path)
    }
}

/// A page of a listing.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Page {
    pub(crate) items: Vec<Resource>,
    pub(crate) next_page_token: Option<String>,
}

fn crc32c(text: &str) -> Option<u32> {
    Some(u32::from_be_bytes(BASE64_STANDARD.decode(text).ok()?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_described_by_strings() {
        let json = r#"{"name":"a","generation":"1795554263083307","size":"9","crc32c":"4waSgw==","timeCreated":"x"}"#;
        let path: ObjectPath = "gs://lake/a".parse().unwrap();
        let meta = serde_json::from_str::<Resource>(json).unwrap().meta(path.clone()).unwrap();
        assert_eq!(meta, ObjectMeta { path, generation: 1_795_554_263_083_307, size: 9, crc32c: 0xE306_9283 });
    }

    #[test]
    fn a_description_without_a_checksum_is_an_error() {
        let resource: Resource = serde_json::from_str(r#"{"name":"a","generation":"1","size":"9"}"#).unwrap();
        let error = resource.meta("gs://lake/a".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("CRC32C"), "{error}");
    }
}
