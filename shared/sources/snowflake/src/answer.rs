//! What the service answers, as its own drivers read it.

use std::collections::HashMap;

use serde::Deserialize;

/// The statement still runs; its result is asked for at another place.
const IN_PROGRESS: [&str; 2] = ["333333", "333334"];

/// An answer to anything.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer<T> {
    pub(crate) success: bool,
    #[serde(default)]
    pub(crate) code: Option<String>,
    #[serde(default)]
    pub(crate) message: Option<String>,
    pub(crate) data: Option<T>,
}

/// Of a sign-in.
#[derive(Deserialize)]
pub(crate) struct SignedIn {
    #[serde(default)]
    pub(crate) token: Option<String>,
}

/// Of a statement.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Outcome {
    pub(crate) rowtype: Vec<RowType>,
    pub(crate) rowset: Option<Vec<Vec<Option<String>>>>,
    pub(crate) rowset_base64: Option<String>,
    pub(crate) query_result_format: Option<String>,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) chunk_headers: HashMap<String, String>,
    pub(crate) qrmk: Option<String>,
    pub(crate) get_result_url: Option<String>,
}

/// A column of a result.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RowType {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) ext_type_name: Option<String>,
    #[serde(default)]
    pub(crate) precision: Option<i64>,
    #[serde(default)]
    pub(crate) scale: Option<i64>,
    /// Of a vector: what its items are.
    #[serde(default)]
    pub(crate) fields: Option<Vec<FieldType>>,
}

/// The type within a type.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FieldType {
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// A part of a result, in the store of a cloud.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Chunk {
    pub(crate) url: String,
}

impl<T> Answer<T> {
    /// Whether the statement still runs.
    pub(crate) fn is_in_progress(&self) -> bool {
        self.code.as_deref().is_some_and(|code| IN_PROGRESS.contains(&code))
    }
}
