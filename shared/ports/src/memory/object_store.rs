//! Buckets in a map.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use millstream_events::names::ObjectPath;

use crate::{
    error::{PortError, PortResult},
    object_store::{ByteStream, ObjectMeta, ObjectRead, ObjectStore, Precondition},
};

/// Objects are read in chunks of this size, so that a reader that takes only the first one is found out.
const CHUNK: usize = 64 << 10;

/// An [`ObjectStore`] in memory.
#[derive(Debug, Default)]
pub struct MemoryObjectStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<ObjectPath, Object>,
    // One counter for all names: a name that was deleted and written again gets a larger generation too.
    last_generation: u64,
}

#[derive(Debug, Clone)]
struct Object {
    generation: u64,
    crc32c: u32,
    bytes: Bytes,
}

impl Object {
    fn meta(&self, path: &ObjectPath) -> ObjectMeta {
        ObjectMeta {
            path: path.clone(),
            generation: self.generation,
            size: self.bytes.len() as u64,
            crc32c: self.crc32c,
        }
    }
}

impl State {
    fn find(&self, path: &ObjectPath) -> PortResult<&Object> {
        self.objects.get(path).ok_or_else(|| PortError::not_found(format!("{path} does not exist")))
    }

    fn check(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        let found = self.objects.get(path).map(|object| object.generation);
        match (when, found) {
            (Precondition::None, _) | (Precondition::Absent, None) => Ok(()),
            (Precondition::Absent, Some(_)) => Err(PortError::conflict(format!("{path} exists already"))),
            (Precondition::Generation(wanted), Some(found)) if wanted == found => Ok(()),
            (Precondition::Generation(wanted), Some(found)) => {
                Err(PortError::conflict(format!("{path} is at generation {found}, not {wanted}")))
            }
            (Precondition::Generation(wanted), None) => {
                Err(PortError::conflict(format!("{path} does not exist, generation {wanted} was expected")))
            }
        }
    }
}

impl MemoryObjectStore {
    /// A store without objects. Any bucket name will do.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ObjectStore for MemoryObjectStore {
    async fn get(&self, path: &ObjectPath, generation: Option<u64>) -> PortResult<ObjectRead> {
        let object = self.state().find(path)?.clone();
        if let Some(wanted) = generation.filter(|wanted| *wanted != object.generation) {
            return Err(PortError::not_found(format!("{path} has no generation {wanted} any more")));
        }
        let meta = object.meta(path);
        let starts = (0..object.bytes.len()).step_by(CHUNK);
        let chunks: Vec<_> =
            starts.map(|start| Ok(object.bytes.slice(start..object.bytes.len().min(start + CHUNK)))).collect();
        Ok(ObjectRead { meta, body: stream::iter(chunks).boxed() })
    }

    async fn put_stream(&self, path: &ObjectPath, body: ByteStream, when: Precondition) -> PortResult<ObjectMeta> {
        let bytes: Vec<u8> = body
            .try_fold(Vec::new(), |mut bytes, chunk| async move {
                bytes.extend_from_slice(&chunk);
                Ok(bytes)
            })
            .await?;
        // Checked only now, with the whole body here: check and write are one step under the lock.
        let mut state = self.state();
        state.check(path, when)?;
        state.last_generation += 1;
        let object =
            Object { generation: state.last_generation, crc32c: crc32c::crc32c(&bytes), bytes: Bytes::from(bytes) };
        let meta = object.meta(path);
        state.objects.insert(path.clone(), object);
        Ok(meta)
    }

    async fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta> {
        self.state().find(path).map(|object| object.meta(path))
    }

    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, PortResult<ObjectMeta>> {
        let state = self.state();
        let found: Vec<_> = state
            .objects
            .iter()
            .filter(|(path, _)| path.bucket() == bucket && path.name().starts_with(prefix))
            .map(|(path, object)| Ok(object.meta(path)))
            .collect();
        stream::iter(found).boxed()
    }

    async fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        let mut state = self.state();
        state.find(path)?;
        state.check(path, when)?;
        state.objects.remove(path);
        Ok(())
    }
}
