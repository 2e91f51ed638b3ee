//! Versions that do well or badly once they serve, and what must be true of their traffic in the end.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::{
    history::Record,
    names::{ModelName, ObjectPath},
};
use millstream_ports::{
    EndpointState, Endpoints, Ledger, ModelRegistry, ModelVersion, ObjectLedger, ObjectStore, ObjectStoreExt,
    PortResult, PredictError, ServingStats,
    memory::{MemoryModels, MemoryObjectStore},
};

use crate::durable::Durable;

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

/// A move of the endpoint's traffic that the ledger does not have, has twice, or should never have seen.
pub(crate) fn wrong_moves(durable: &Durable) -> Option<String> {
    let Durable { store, models, clock, .. } = durable;
    let ledger = ObjectLedger::new(store.clone(), "ledger", clock.clone());
    let mut told = Vec::new();
    for run in futures::executor::block_on(ledger.runs()).unwrap() {
        let snapshot = futures::executor::block_on(ledger.snapshot(&run)).unwrap();
        let moves = snapshot.history.records().filter_map(|record| match record {
            Record::Moved(moved) => Some(moved.clone()),
            _ => None,
        });
        told.extend(moves);
    }
    told.sort_by_key(|moved| moved.number);
    let endpoint = futures::executor::block_on(models.endpoint(&"demand".parse().unwrap())).unwrap();
    let made = endpoint.moves.last().map_or(0, |last| last.number);
    if !told.iter().map(|moved| moved.number).eq(1..=made) {
        return Some(format!("{made} moves of the traffic were made, and the ledger has {told:#?}"));
    }
    let versions = futures::executor::block_on(models.versions(&"demand".parse().unwrap())).unwrap();
    let bad = |version: u64| versions.iter().any(|known| known.version == version && is_bad(store, known));
    // An endpoint's first version has nobody to share the traffic with.
    let first = told.first().map(|moved| moved.version);
    let trusted = told.iter().find(|moved| {
        let mut shares = moved.traffic.iter();
        shares.any(|share| share.percent == 100 && Some(share.version) != first && bad(share.version))
    });
    trusted.map(|moved| format!("a bad version got all the traffic: {moved:?}"))
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
