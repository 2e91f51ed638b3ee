//! Kubernetes manifests mended before they are applied.
//!
//! Tools that generate manifests, and people who keep what `kubectl get -o yaml` prints, leave fields in them that only the API
//! server may set. Most are ignored; some stop the apply, as `creationTimestamp: "null"` does. [`sanitize`] takes them out and
//! says what it did. It parses the text, so a `jsonPath: .metadata.creationTimestamp` or a schema with a property of that name
//! is safe from it.
//!
//! In: the text of a file, YAML of any number of documents or JSON. Out: the text to apply and a list of changes. A document
//! without a change comes out byte for byte. Bounds on size, depth and expanded aliases keep a hostile file from growing.

mod error;
mod json;
mod read;
mod rules;
mod tree;
mod write;

use serde::Serialize;

pub use self::error::ManifestError;

/// The largest text that is read, in bytes: more than any bundle of custom resource definitions.
pub const MAX_BYTES: usize = 32 << 20;
/// The deepest nesting that is read.
pub const MAX_DEPTH: usize = 128;
/// The most values that a text may have, aliases counted as all that they stand for.
pub const MAX_NODES: usize = 1_000_000;

/// A text that was looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanitized {
    /// What to apply. The text that was given, where there are no changes.
    pub text: String,
    /// What was taken out, in the order of the text.
    pub changes: Vec<Change>,
}

/// A field that was taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which document of the text, counted from 1.
    pub document: usize,
    /// The object as people name it, `Deployment/web`.
    pub object: String,
    /// Where the field was, `spec.template.metadata.creationTimestamp`.
    pub path: String,
    /// What stood there, shortened.
    pub value: String,
    /// Whether an apply fails with it.
    pub severity: Severity,
    /// Why it does not belong there.
    pub why: &'static str,
}

/// What a field that was taken out does to an apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The API server ignores it, or a tool on the way may make an error of it.
    Warning,
    /// The API server refuses the object.
    Error,
}

/// Takes out of a text's Kubernetes objects what only the API server may set.
///
/// A document that is no Kubernetes object (it has no `apiVersion` or no `kind`) stays as it is. In one that changes, the order
/// of keys, the quoting and the text of plain values stay; comments stay before and after it, those within are lost, and
/// aliases are written out. JSON stays JSON. Saying it again changes nothing.
///
/// # Errors
///
/// Where the text is neither YAML nor JSON, or passes [`MAX_BYTES`], [`MAX_DEPTH`] or [`MAX_NODES`].
pub fn sanitize(text: &str) -> Result<Sanitized, ManifestError> {
    if text.len() > MAX_BYTES {
        return Err(ManifestError::TooLarge);
    }
    let is_json = text.trim_start().starts_with('{');
    let documents = match is_json.then(|| json::documents(text)).flatten() {
        Some(documents) => documents,
        None => read::documents(text)?,
    };
    let mut changes = Vec::new();
    let mut mended = String::with_capacity(text.len());
    for (index, document) in documents.into_iter().enumerate() {
        let before = changes.len();
        let mut root = document.root;
        rules::mend(&mut root, index + 1, &mut changes);
        if changes.len() == before {
            mended.push_str(&text[document.whole]);
        } else {
            document.frame.write(&root, text, &mut mended)?;
        }
    }
    Ok(Sanitized { text: mended, changes })
}
