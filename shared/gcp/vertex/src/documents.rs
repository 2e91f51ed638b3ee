//! What Vertex AI has no place for, as JSON objects in the models bucket.

use millstream_events::names::ObjectPath;
use millstream_ports::{ObjectStore, ObjectStoreExt, PortError, PortResult, Precondition, optional};
use serde::{Serialize, de::DeserializeOwned};

/// No document here comes near this size.
const DOCUMENT_LIMIT: u64 = 4 << 20;

/// A document's place.
pub(crate) fn path(bucket: &str, name: String) -> PortResult<ObjectPath> {
    ObjectPath::new(bucket, name).map_err(|error| PortError::invalid(error.to_string()))
}

/// A document and its generation.
pub(crate) async fn read<T: DeserializeOwned>(
    store: &dyn ObjectStore,
    path: &ObjectPath,
) -> PortResult<Option<(T, u64)>> {
    let Some(meta) = optional(store.stat(path).await)? else { return Ok(None) };
    // Whatever is read now has this generation or a newer one; a matched write over a newer one fails, as it should.
    let Some(bytes) = optional(store.read(path, DOCUMENT_LIMIT).await)? else { return Ok(None) };
    let value = serde_json::from_slice(&bytes)
        .map_err(|error| PortError::internal(format!("{path} is damaged and cannot be read")).caused_by(error))?;
    Ok(Some((value, meta.generation)))
}

/// Writes a document; gives its generation.
pub(crate) async fn write(
    store: &dyn ObjectStore,
    path: &ObjectPath,
    value: &(impl Serialize + Sync),
    when: Precondition,
) -> PortResult<u64> {
    let json = serde_json::to_vec_pretty(value)
        .map_err(|error| PortError::internal(format!("{path} cannot be written as JSON")).caused_by(error))?;
    Ok(store.put(path, json, when).await?.generation)
}
