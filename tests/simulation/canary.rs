//! Versions that do well or badly once they serve.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::names::{ModelName, ObjectPath};
use millstream_ports::{
    EndpointState, Endpoints, ModelRegistry, ModelVersion, ObjectStore, ObjectStoreExt, PortResult, PredictError,
    ServingStats,
    memory::{MemoryModels, MemoryObjectStore},
};

/// The rows that a version learned from.
pub(crate) fn rows_of(store: &MemoryObjectStore, version: &ModelVersion) -> Vec<String> {
    let artifact = &version.registered.artifact;
    let folder = format!("{}-data/", artifact.name());
    let files = futures::executor::block_on(store.names(artifact.bucket(), &folder)).unwrap();
    let read = |path: &ObjectPath| futures::executor::block_on(store.read(path, 1 << 20)).unwrap();
    files.iter().map(|path| String::from_utf8_lossy(&read(path)).into_owned()).collect()
}

/// Whether every prediction of a version fails: so it is with every third kind of rows. Those of the last upload are good.
pub(crate) fn is_bad(store: &MemoryObjectStore, version: &ModelVersion) -> bool {
    let bytes: u32 = rows_of(store, version).iter().flat_map(|rows| rows.bytes()).map(u32::from).sum();
    bytes % 3 == 1
}

/// Endpoints whose traffic never ceases.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) models: Arc<MemoryModels>,
    pub(crate) store: Arc<MemoryObjectStore>,
    /// A planted mistake: nobody counts the failures.
    pub(crate) blind: bool,
}

#[async_trait]
impl Endpoints for Watched {
    async fn endpoint(&self, endpoint: &ModelName) -> PortResult<EndpointState> {
        self.models.endpoint(endpoint).await
    }

    async fn endpoints(&self) -> PortResult<Vec<EndpointState>> {
        self.models.endpoints().await
    }

    async fn set(&self, state: &EndpointState, expected: Option<u64>) -> PortResult<EndpointState> {
        self.models.set(state, expected).await
    }

    async fn stats(&self, endpoint: &ModelName, version: u64) -> PortResult<ServingStats> {
        let deployed = self.models.endpoint(endpoint).await?.deployed;
        let Some(at) = deployed.iter().find(|at| at.version == version) else { return Ok(ServingStats::default()) };
        let versions = self.models.versions(&at.model).await?;
        let bad = !self.blind && versions.iter().any(|known| known.version == version && is_bad(&self.store, known));
        Ok(ServingStats { requests: 100, errors: if bad { 100 } else { 0 }, ..ServingStats::default() })
    }

    async fn predict(
        &self,
        endpoint: &ModelName,
        request: serde_json::Value,
    ) -> Result<serde_json::Value, PredictError> {
        self.models.predict(endpoint, request).await
    }
}
