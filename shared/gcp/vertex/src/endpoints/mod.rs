//! Endpoints on Vertex AI.
//!
//! What is deployed and how traffic is split is Vertex AI's to say; since when, by whom and what was there before is kept in
//! the models bucket, as `vertex/endpoints/{endpoint}.json`, whose generation is the revision. A change is written there
//! first, as pending, under the revision it was decided on: of two writers one goes on. Then Vertex AI is brought there step by
//! step ([`change`]), each step decided from what is seen, so that a change that was cut off anywhere is gone on with by the
//! next call. Last, the record says that it is so.

mod change;
mod deployed;
mod predict;
mod record;
mod stats;

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::try_join;
use millstream_events::names::{ModelName, ObjectPath};
use millstream_gcp_client::Connection;
use millstream_ports::{
    Clock, EndpointState, Endpoints, ErrorKind, ObjectStore, PortError, PortResult, Precondition, PredictError,
    ServingStats, optional,
};
use serde_json::Value;

use self::{
    change::Change,
    deployed::Endpoint,
    record::{Kept, Record, standing},
};
use crate::{
    api::{Api, Call},
    documents,
    names::{MANAGED_BY, last, with_label},
    operations::Patience,
    settings::VertexSettings,
    turns::Turns,
};

/// [`Endpoints`] on Vertex AI.
#[derive(Debug)]
pub struct VertexEndpoints {
    api: Api,
    settings: VertexSettings,
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    turns: Turns,
}

/// An endpoint as it was seen: Vertex AI's side and ours.
#[derive(Debug, Default)]
struct Seen {
    endpoint: Option<Endpoint>,
    record: Record,
    /// The record's generation; absent where there is none yet.
    generation: Option<u64>,
}

impl Seen {
    fn state(&self, name: &ModelName) -> Option<EndpointState> {
        standing(name, self.endpoint.as_ref()?, &self.record, self.generation)
    }
}

impl VertexEndpoints {
    /// The endpoints of the connection's project and the settings' region; `store` has the settings' bucket.
    ///
    /// # Errors
    /// When a setting cannot be right. Whether Vertex AI answers is known at the first call.
    pub fn new(
        connection: Connection,
        settings: VertexSettings,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
    ) -> PortResult<Self> {
        settings.check()?;
        Ok(Self { api: Api::new(connection, &settings), settings, store, clock, turns: Turns::default() })
    }

    fn resource(&self, name: &ModelName) -> String {
        format!("{}/endpoints/{name}", self.api.parent())
    }

    fn model_version(&self, model: &ModelName, version: u64) -> String {
        format!("{}/models/{model}@{version}", self.api.parent())
    }

    fn record_path(&self, name: &ModelName) -> PortResult<ObjectPath> {
        documents::path(&self.settings.bucket, format!("vertex/endpoints/{name}.json"))
    }

    async fn look(&self, name: &ModelName) -> PortResult<Option<Endpoint>> {
        let doing = format!("look up the endpoint {name}");
        optional(self.api.call(&doing, Call::get(self.resource(name))).await)
    }

    async fn record(&self, name: &ModelName) -> PortResult<(Record, Option<u64>)> {
        let found = documents::read(&*self.store, &self.record_path(name)?).await?;
        Ok(found.map_or_else(Default::default, |(record, generation)| (record, Some(generation))))
    }

    async fn seen(&self, name: &ModelName) -> PortResult<Seen> {
        let (endpoint, (record, generation)) = try_join(self.look(name), self.record(name)).await?;
        Ok(Seen { endpoint, record, generation })
    }

    /// Every version must be there before anything changes.
    async fn check_registered(&self, state: &EndpointState) -> PortResult<()> {
        for deployed in &state.deployed {
            let doing = format!("look up version {} of model {}", deployed.version, deployed.model);
            let path = self.model_version(&deployed.model, deployed.version);
            let _: Value = self.api.call(&doing, Call::get(path)).await?;
        }
        Ok(())
    }
}

fn changed_meanwhile(name: &ModelName) -> PortError {
    PortError::conflict(format!("endpoint {name} was changed meanwhile: read it and decide again"))
}

fn not_there(name: &ModelName) -> PortError {
    PortError::not_found(format!("there is no endpoint {name}; nothing was deployed to it yet"))
}

fn check_traffic(state: &EndpointState) -> PortResult<()> {
    let traffic: u32 = state.deployed.iter().map(|deployed| u32::from(deployed.traffic)).sum();
    if traffic != 100 {
        let name = &state.endpoint;
        return Err(PortError::invalid(format!("the traffic of endpoint {name} adds up to {traffic}, not 100")));
    }
    for (at, deployed) in state.deployed.iter().enumerate() {
        let mut before = state.deployed[..at].iter();
        if before.any(|known| known.model == deployed.model && known.version == deployed.version) {
            return Err(PortError::invalid(format!(
                "version {} of model {} is named twice for endpoint {}",
                deployed.version, deployed.model, state.endpoint
            )));
        }
    }
    Ok(())
}

#[async_trait]
impl Endpoints for VertexEndpoints {
    async fn endpoint(&self, endpoint: &ModelName) -> PortResult<EndpointState> {
        self.seen(endpoint).await?.state(endpoint).ok_or_else(|| not_there(endpoint))
    }

    async fn endpoints(&self) -> PortResult<Vec<EndpointState>> {
        let path = format!("{}/endpoints", self.api.parent());
        let filter = with_label(MANAGED_BY.0, MANAGED_BY.1);
        let found: Vec<Endpoint> = self.api.list("list the endpoints", "endpoints", &path, &filter).await?;
        let mut states = Vec::new();
        for endpoint in found {
            let Ok(name) = last(&endpoint.name).parse::<ModelName>() else { continue };
            let (record, generation) = self.record(&name).await?;
            states.extend(standing(&name, &endpoint, &record, generation));
        }
        states.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        Ok(states)
    }

    async fn set(&self, state: &EndpointState, expected: Option<u64>) -> PortResult<EndpointState> {
        check_traffic(state)?;
        let name = &state.endpoint;
        let _turn = self.turns.take(name.as_str()).await;
        self.check_registered(state).await?;
        let seen = self.seen(name).await?;
        let current = seen.state(name);
        if current.as_ref().map(|current| current.revision) != expected {
            return Err(changed_meanwhile(name));
        }
        let record = Record {
            settled: current.map(Kept::from),
            pending: Some(Kept::from(state.clone())),
            // What an earlier change has begun may still be under way.
            operations: seen.record.operations,
        };
        let when = seen.generation.map_or(Precondition::Absent, Precondition::Generation);
        let written = documents::write(&*self.store, &self.record_path(name)?, &record, when).await;
        let generation = written.map_err(|error| match error.kind() {
            ErrorKind::Conflict => changed_meanwhile(name),
            _ => error,
        })?;
        let patience = Patience::of(&self.settings);
        let revision = Change { endpoints: self, state, record, generation, patience, overtaken: 0 }.make().await?;
        Ok(EndpointState { revision, ..state.clone() })
    }

    async fn stats(&self, endpoint: &ModelName, version: u64) -> PortResult<ServingStats> {
        let seen = self.seen(endpoint).await?;
        let state = seen.state(endpoint).ok_or_else(|| not_there(endpoint))?;
        let ids = seen.endpoint.map(|endpoint| endpoint.ids_of(version)).unwrap_or_default();
        stats::of(&self.api, endpoint, version, &ids, state.since, self.clock.now()).await
    }

    async fn predict(&self, endpoint: &ModelName, request: Value) -> Result<Value, PredictError> {
        predict::ask(&self.api, self.resource(endpoint), endpoint, request).await
    }
}
