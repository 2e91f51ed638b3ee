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

/// When something happens: before the n-th look at an object, or after that object was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
}

/// A store in the middle of whose n-th read, from 1, something else happens.
pub(crate) struct MeanwhileStore {
    store: Arc<dyn ObjectStore>,
    looks: AtomicUsize,
    reads: AtomicUsize,
    when: When,
    what: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl MeanwhileStore {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        n: usize,
        when: When,
        what: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<Self> {
        let (looks, reads) = (AtomicUsize::new(n), AtomicUsize::new(n));
        Arc::new(Self { store, looks, reads, when, what: Mutex::new(Some(what.boxed())) })
    }

    async fn at(&self, counter: &AtomicUsize, when: When) {
        if self.when == when && counter.fetch_sub(1, Ordering::SeqCst) == 1 {
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
        self.at(&self.reads, When::After).await;
        read
    }

    async fn put_stream(&self, path: &ObjectPath, body: ByteStream, when: Precondition) -> PortResult<ObjectMeta> {
        self.store.put_stream(path, body, when).await
    }

    async fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta> {
        self.at(&self.looks, When::Before).await;
        self.store.stat(path).await
    }

    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, PortResult<ObjectMeta>> {
        self.store.list(bucket, prefix)
    }

    async fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        self.store.delete(path, when).await
    }
}
