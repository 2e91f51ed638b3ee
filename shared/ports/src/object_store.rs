//! Buckets of objects.

use std::{fmt::Debug, path::PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use millstream_events::names::ObjectPath;

use crate::error::{PortError, PortResult};

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Where it is.
    pub path: ObjectPath,
    /// Grows with every write of the name.
    pub generation: u64,
    /// Bytes.
    pub size: u64,
    /// CRC32C of the bytes.
    pub crc32c: u32,
}

/// An object's bytes as they come.
pub type ByteStream = BoxStream<'static, PortResult<Bytes>>;

/// An object being read.
pub struct ObjectRead {
    /// What is read: the generation stays the same to the end of the stream.
    pub meta: ObjectMeta,
    /// Its bytes.
    pub body: ByteStream,
}

impl ObjectRead {
    /// All of its bytes, of which there are at most `limit`.
    pub async fn bytes(mut self, limit: u64) -> PortResult<Bytes> {
        let ObjectMeta { path, size, .. } = &self.meta;
        if *size > limit {
            return Err(PortError::invalid(format!("{path} has {size} bytes, more than {limit}")));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(*size).unwrap_or_default());
        while let Some(chunk) = self.body.try_next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    }
}

impl Debug for ObjectRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectRead").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// When a write may go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Always: the object is replaced.
    None,
    /// Only where no object of that name exists; otherwise [`ErrorKind::Conflict`](crate::ErrorKind::Conflict).
    Absent,
    /// Only over exactly this generation; otherwise `Conflict`.
    Generation(u64),
}

/// Buckets of objects: whole-object writes, atomic, with preconditions.
#[async_trait]
pub trait ObjectStore: Debug + Send + Sync {
    /// Reads an object; `generation` asks for exactly that one and answers `NotFound` when it is no longer there.
    async fn get(&self, path: &ObjectPath, generation: Option<u64>) -> PortResult<ObjectRead>;

    /// Writes an object from a stream. Nobody sees a part of it: it is there whole or, after an error, not at all.
    async fn put_stream(&self, path: &ObjectPath, body: ByteStream, when: Precondition) -> PortResult<ObjectMeta>;

    /// What is known of an object.
    async fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta>;

    /// The objects of a bucket whose name starts with `prefix`, in name order.
    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, PortResult<ObjectMeta>>;

    /// Only the names, in order: cheaper than [`ObjectStore::list`] where meta data costs a read.
    async fn names(&self, bucket: &str, prefix: &str) -> PortResult<Vec<ObjectPath>> {
        self.list(bucket, prefix).map_ok(|meta| meta.path).try_collect().await
    }

    /// Removes an object; with a precondition, only where it holds. One that is not there is `NotFound`.
    async fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()>;

    /// The object as a file on this machine, for a store that has it as one. It is the store's own: read it only.
    fn local_path(&self, _path: &ObjectPath) -> Option<PathBuf> {
        None
    }
}

/// Conveniences over [`ObjectStore`].
#[async_trait]
pub trait ObjectStoreExt: ObjectStore {
    /// Writes bytes that are already in memory.
    async fn put(
        &self,
        path: &ObjectPath,
        bytes: impl Into<Bytes> + Send,
        when: Precondition,
    ) -> PortResult<ObjectMeta> {
        let bytes = bytes.into();
        self.put_stream(path, futures::stream::once(async move { Ok(bytes) }).boxed(), when).await
    }

    /// Reads a whole object of at most `limit` bytes.
    async fn read(&self, path: &ObjectPath, limit: u64) -> PortResult<Bytes> {
        self.get(path, None).await?.bytes(limit).await
    }

    /// Whether an object is there.
    async fn exists(&self, path: &ObjectPath) -> PortResult<bool> {
        Ok(crate::error::optional(self.stat(path).await)?.is_some())
    }
}

impl<S: ObjectStore + ?Sized> ObjectStoreExt for S {}
