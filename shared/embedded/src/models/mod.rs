//! Model versions, endpoints and predictions, kept as objects and answered in this process.
//!
//! In the bucket `models`:
//!
//! ```text
//! registry/{model}/versions/{n}.json   a version, created once; six digits, so that names sort as numbers
//! registry/{model}/verdicts/{n}.json   how it was judged, created once
//! registry/{model}/aliases.json        names for versions
//! endpoints/{endpoint}.json            an endpoint; its generation is its revision
//! ```

mod endpoints;
mod loaded;
mod measured;
mod registry;
mod scorer;

use std::sync::Arc;

use millstream_events::names::{NameError, ObjectPath};
use millstream_ports::{ObjectMeta, ObjectStore, ObjectStoreExt, PortError, PortResult, Precondition, optional};
use serde::{Serialize, de::DeserializeOwned};

pub use self::{endpoints::FileEndpoints, registry::FileRegistry, scorer::OnnxScorer};

/// The bucket that all of this is in.
const BUCKET: &str = "models";

/// No document here comes near this size.
const DOCUMENT_LIMIT: u64 = 16 << 20;

/// How often a change is decided anew after another writer came first.
const TRIES: usize = 64;

fn object(name: String) -> PortResult<ObjectPath> {
    ObjectPath::new(BUCKET, name).map_err(|error| name_error(&error))
}

fn name_error(error: &NameError) -> PortError {
    PortError::invalid(error.to_string())
}

async fn read<T: DeserializeOwned>(store: &dyn ObjectStore, path: &ObjectPath) -> PortResult<Option<(T, ObjectMeta)>> {
    let Some(meta) = optional(store.stat(path).await)? else { return Ok(None) };
    // Whatever is read now has this generation or a newer one; a matched write over a newer one fails, as it should.
    let Some(bytes) = optional(store.read(path, DOCUMENT_LIMIT).await)? else { return Ok(None) };
    let value = serde_json::from_slice(&bytes)
        .map_err(|error| PortError::internal(format!("{path} is damaged and cannot be read")).caused_by(error))?;
    Ok(Some((value, meta)))
}

async fn write(
    store: &Arc<dyn ObjectStore>,
    path: &ObjectPath,
    value: &(impl Serialize + Sync),
    when: Precondition,
) -> PortResult<ObjectMeta> {
    let json = serde_json::to_vec_pretty(value)
        .map_err(|error| PortError::internal(format!("{path} cannot be written as JSON")).caused_by(error))?;
    store.put(path, json, when).await
}

fn contended(what: &str) -> PortError {
    PortError::unavailable(format!("{what} is being changed by many at once"))
}
