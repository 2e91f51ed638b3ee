//! Cloud Storage as an object store.
//!
//! In: object paths and byte streams. Out: the objects of Cloud Storage, and port errors that say what to do.
//!
//! Bytes go through Google's own client: reads that resume where a line broke, uploads in one request or in a resumable
//! session, checksums compared at the end of both. Metadata goes through the JSON API: the client would ask a gRPC
//! service for it, which no emulator has, and one way for the service and for fake-gcs-server is worth more than one
//! library. `README.md` says what of this is tested against what.

mod api;
mod errors;
mod options;
mod preconditions;
mod read;
mod resource;
mod retry;
mod upload;
mod write;

use async_trait::async_trait;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use google_cloud_storage::client::Storage;
use millstream_events::names::ObjectPath;
use millstream_gcp_client::{Connection, Service, install_tls};
use millstream_ports::{ByteStream, ObjectMeta, ObjectRead, ObjectStore, PortError, PortResult, Precondition};

use self::{
    api::{Fields, JsonApi},
    errors::said,
    resource::Listed,
};

pub use self::options::StoreOptions;

/// An [`ObjectStore`] whose buckets are Cloud Storage's. They are there already: making buckets is no function's work.
#[derive(Debug, Clone)]
pub struct GcsObjectStore {
    data: Storage,
    api: JsonApi,
    options: StoreOptions,
}

impl GcsObjectStore {
    /// The store of a connection, on the service or on the emulator that stands in for it.
    ///
    /// # Errors
    /// When the emulator's address is no URL. Whether there are credentials and a service is known at the first call.
    pub async fn connect(connection: &Connection) -> PortResult<Self> {
        let options = match connection.emulator(Service::Storage) {
            Some(_) => StoreOptions::emulator(),
            None => StoreOptions::default(),
        };
        Self::connect_with(connection, options).await
    }

    /// As [`connect`](Self::connect), with other limits.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(connection: &Connection, options: StoreOptions) -> PortResult<Self> {
        install_tls();
        let api = JsonApi::new(connection, &options)?;
        let mut builder = Storage::builder()
            .with_credentials(connection.credentials(Service::Storage))
            .with_backoff_policy(retry::backoff(&options))
            // Which way an upload goes is decided here, where its size is known (see `upload`).
            .with_resumable_upload_threshold(usize::MAX)
            .with_resumable_upload_buffer_size(options.session_piece);
        if let Some(emulator) = connection.emulator(Service::Storage) {
            builder = builder.with_endpoint(emulator);
        }
        let data = builder.build().await.map_err(|error| {
            PortError::internal(format!("the Cloud Storage client cannot be set up: {}", said(&error))).caused_by(error)
        })?;
        Ok(Self { data, api, options })
    }
}

#[async_trait]
impl ObjectStore for GcsObjectStore {
    async fn get(&self, path: &ObjectPath, generation: Option<u64>) -> PortResult<ObjectRead> {
        read::get(self, path, generation).await
    }

    async fn put_stream(&self, path: &ObjectPath, body: ByteStream, when: Precondition) -> PortResult<ObjectMeta> {
        write::put(self, path, body, when).await
    }

    async fn stat(&self, path: &ObjectPath) -> PortResult<ObjectMeta> {
        self.api.stat(path).await
    }

    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, PortResult<ObjectMeta>> {
        self.api
            .pages(bucket, prefix, Fields::All)
            .map_ok(|page| stream::iter(page).map(Listed::meta))
            .try_flatten()
            .boxed()
    }

    async fn names(&self, bucket: &str, prefix: &str) -> PortResult<Vec<ObjectPath>> {
        let mut pages = self.api.pages(bucket, prefix, Fields::Name);
        let mut names = Vec::new();
        while let Some(page) = pages.try_next().await? {
            names.extend(page.into_iter().map(|listed| listed.path));
        }
        Ok(names)
    }

    async fn delete(&self, path: &ObjectPath, when: Precondition) -> PortResult<()> {
        self.api.delete(path, when).await
    }
}
