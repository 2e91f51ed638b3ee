//! Buckets as folders.
//!
//! In: object paths and bytes. Out: plain files that people can look at, `{root}/{bucket}/{name}`, and what is known of
//! them. A file that a person copies or moves into a bucket's folder is an object like any other; [`Watcher`] tells of
//! it and [`LocalObjectStore::scan`] finds it.

mod disk;
mod errors;
mod identity;
mod read;
mod scan;
mod walk;
mod watcher;
mod write;

use std::{fmt, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use millstream_events::names::ObjectPath;
use millstream_ports::{
    ByteStream, Clock, ErrorKind, ObjectMeta, ObjectRead, ObjectStore, PortResult, Precondition, SystemClock,
};

use self::disk::Disk;
pub(crate) use self::errors::io_error;
pub use self::{
    scan::{Refused, Scan},
    watcher::{Arrival, Watcher},
};
use crate::blocking::blocking;

/// How a [`LocalObjectStore`] writes.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Whether a write is on the disk itself before it counts. Off: the end of the process at any point loses nothing, but
    /// a power cut may lose the last seconds of writes.
    pub durable: bool,
    /// Gives the time that generations are made from.
    pub clock: Arc<dyn Clock>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { durable: false, clock: Arc::new(SystemClock) }
    }
}

/// An [`ObjectStore`] whose buckets are the folders below one root.
///
/// An object's generation is its file's modification time in microseconds, moved on where needed so that it grows with
/// every write of a name. It therefore survives a restart, a backup and `rsync -t` without a file of its own.
#[derive(Clone)]
pub struct LocalObjectStore {
    disk: Arc<Disk>,
}

impl fmt::Debug for LocalObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalObjectStore").field("root", &self.disk.root()).finish_non_exhaustive()
    }
}

impl LocalObjectStore {
    /// Opens the store at `root`, which is created where it is not there.
    pub fn open(root: impl Into<PathBuf>, options: StoreOptions) -> PortResult<Self> {
        Ok(Self { disk: Arc::new(Disk::open(root.into(), options)?) })
    }

    /// The folder of a bucket, created where it is not there, so that a person has a place to put files.
    pub async fn bucket_folder(&self, bucket: &str) -> PortResult<PathBuf> {
        let (disk, bucket) = (self.disk.clone(), bucket.to_owned());
        blocking(move || disk.bucket_folder(&bucket)).await
    }
}

#[async_trait]
impl ObjectStore for LocalObjectStore {
    async fn get(&self, path: &ObjectPath, generation: Option<u64>) -> PortResult<ObjectRead> {
        read::get(self.disk.clone(), path.clone(), generation).await
    }

    async fn put_stream(&self, path: &ObjectPath, body: ByteStream, when: Precondition) -> PortResult<ObjectMeta> {
        write::put(self.disk.clone(), path.clone(), body, when).await
    }

    async fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta> {
        let (disk, path) = (self.disk.clone(), path.clone());
        blocking(move || disk.stat(&path)).await
    }

    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, PortResult<ObjectMeta>> {
        let (store, bucket, prefix) = (self.clone(), bucket.to_owned(), prefix.to_owned());
        stream::once(async move {
            let names = store.names(&bucket, &prefix).await?;
            let metas = stream::iter(names).then(move |path| {
                let store = store.clone();
                async move { store.stat(&path).await }
            });
            // What is deleted between the walk and the look at it is not listed.
            Ok(metas.filter(|meta| {
                let gone = matches!(meta, Err(error) if error.kind() == ErrorKind::NotFound);
                futures::future::ready(!gone)
            }))
        })
        .try_flatten()
        .boxed()
    }

    async fn names(&self, bucket: &str, prefix: &str) -> PortResult<Vec<ObjectPath>> {
        let (disk, bucket, prefix) = (self.disk.clone(), bucket.to_owned(), prefix.to_owned());
        blocking(move || disk.names(&bucket, &prefix)).await
    }

    async fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        let (disk, path) = (self.disk.clone(), path.clone());
        blocking(move || disk.delete(&path, when)).await
    }

    fn local_path(&self, path: &ObjectPath) -> Option<PathBuf> {
        Some(self.disk.file(path))
    }
}
