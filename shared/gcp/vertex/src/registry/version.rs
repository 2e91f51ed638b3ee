//! A model version as Vertex AI lists it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use millstream_events::Fingerprint;
use serde::Deserialize;

use super::FINGERPRINT_LABEL;

/// A version, as far as it is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) version_id: String,
    pub(super) version_aliases: Vec<String>,
    version_create_time: Option<DateTime<Utc>>,
    create_time: Option<DateTime<Utc>>,
    labels: BTreeMap<String, String>,
}

impl Listed {
    /// Its number.
    pub(super) fn number(&self) -> Option<u64> {
        self.version_id.parse().ok()
    }

    /// The training it is of; `None` for one that was not registered by Millstream.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.labels.get(FINGERPRINT_LABEL)?.parse().ok()
    }

    /// When it was uploaded.
    pub(super) fn created(&self) -> Option<DateTime<Utc>> {
        self.version_create_time.or(self.create_time)
    }
}
