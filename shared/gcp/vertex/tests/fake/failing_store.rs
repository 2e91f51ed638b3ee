//! An object store whose n-th call fails.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use millstream_events::names::ObjectPath;
use millstream_ports::{
    ByteStream, ObjectMeta, ObjectRead, ObjectStore, PortError, PortResult, Precondition, memory::MemoryObjectStore,
};

/// A store in memory whose n-th call, from 1, fails: before it has its effect, or after.
#[derive(Debug)]
pub(crate) struct FailingStore {
    store: MemoryObjectStore,
    left: AtomicUsize,
    after: bool,
}

impl FailingStore {
    pub(crate) fn new(n: usize, after: bool) -> Arc<Self> {
        Arc::new(Self { store: MemoryObjectStore::new(), left: AtomicUsize::new(n), after })
    }

    /// Whether the call that fails has come.
    pub(crate) fn has_failed(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    async fn call<T>(&self, call: impl Future<Output = PortResult<T>> + Send) -> PortResult<T> {
        let take = |left: usize| left.checked_sub(1);
        let fails = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) == Ok(1);
        if fails && !self.after {
            return Err(PortError::unavailable("the store is away"));
        }
        let answer = call.await?;
        if fails { Err(PortError::unavailable("the store's answer is lost")) } else { Ok(answer) }
    }
}

#[async_trait]
impl ObjectStore for FailingStore {
    async fn get(&self, path: &ObjectPath, generation: Option<u64>) -> PortResult<ObjectRead> {
        self.call(self.store.get(path, generation)).await
    }

    async fn put_stream(&self, path: &ObjectPath, body: ByteStream, when: Precondition) -> PortResult<ObjectMeta> {
        self.call(self.store.put_stream(path, body, when)).await
    }

    async fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta> {
        self.call(self.store.stat(path)).await
    }

    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, PortResult<ObjectMeta>> {
        self.store.list(bucket, prefix)
    }

    async fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        self.call(self.store.delete(path, when)).await
    }
}
