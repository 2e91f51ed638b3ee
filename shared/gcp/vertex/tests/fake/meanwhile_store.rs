//! An object store in the middle of one of whose reads something else happens.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture, stream::BoxStream};
use millstream_events::names::ObjectPath;
use millstream_ports::{ByteStream, ObjectMeta, ObjectRead, ObjectStore, PortResult, Precondition};
use tokio::sync::Mutex;

/// In the middle of which use something else happens: after the first write, before the second look at an object, or after
/// the second read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Written,
    Looking,
    Read,
}

/// A store in the middle of one of whose uses something else happens.
pub(crate) struct MeanwhileStore {
    store: Arc<dyn ObjectStore>,
    when: When,
    /// Uses of that kind until then.
    left: AtomicUsize,
    what: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl MeanwhileStore {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        when: When,
        what: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<Self> {
        let left = AtomicUsize::new(if when == When::Written { 1 } else { 2 });
        Arc::new(Self { store, when, left, what: Mutex::new(Some(what.boxed())) })
    }

    async fn at(&self, when: When) {
        if self.when == when && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let what = self.what.lock().await.take();
            what.unwrap().await;
        }
    }
}

impl std::fmt::Debug for MeanwhileStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeanwhileStore").field("store", &self.store).finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStore for MeanwhileStore {
    async fn get(&self, path: &ObjectPath, generation: Option<u64>) -> PortResult<ObjectRead> {
        let read = self.store.get(path, generation).await;
        self.at(When::Read).await;
        read
    }

    async fn put_stream(&self, path: &ObjectPath, body: ByteStream, when: Precondition) -> PortResult<ObjectMeta> {
        let written = self.store.put_stream(path, body, when).await;
        self.at(When::Written).await;
        written
    }

    async fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta> {
        self.at(When::Looking).await;
        self.store.stat(path).await
    }

    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, PortResult<ObjectMeta>> {
        self.store.list(bucket, prefix)
    }

    async fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        self.store.delete(path, when).await
    }
}
