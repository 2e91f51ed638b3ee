//! Endpoints: their state as objects, their predictions in this process.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use millstream_events::names::ModelName;
use millstream_ports::{
    Clock, Deployed, EndpointState, Endpoints, ErrorKind, ObjectStore, PortError, PortResult, Precondition,
    PredictError, ServingStats, optional,
};
use millstream_scoring::{Model, ModelError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    BUCKET,
    loaded::LoadedModels,
    measured::{Answered, Measured, Served},
    object, read,
    registry::FileRegistry,
    write,
};
use crate::blocking::blocking;

/// [`Endpoints`] that answer in this process, with models of the registry beside them.
#[derive(Debug)]
pub struct FileEndpoints {
    store: Arc<dyn ObjectStore>,
    registry: FileRegistry,
    models: LoadedModels,
    measured: Measured,
}

/// The body of a request. `parameters` has no effect: the models served here take none.
#[derive(Deserialize)]
struct Request {
    instances: Vec<Value>,
}

impl FileEndpoints {
    /// Endpoints in the store's bucket `models`, for the versions of the [`FileRegistry`] in it.
    pub fn new(store: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            registry: FileRegistry::new(store.clone(), clock),
            models: LoadedModels::new(store.clone()),
            measured: Measured::default(),
            store,
        }
    }

    async fn model(&self, deployed: &Deployed) -> PortResult<Arc<Model>> {
        let Deployed { model, version, .. } = deployed;
        let artifact = self.registry.version(model, *version).await?.registered.artifact;
        self.models.get(&artifact).await?.ok_or_else(|| {
            PortError::invalid(format!(
                "version {version} of model {model} has no model.onnx in {artifact}: only ONNX models are served in process"
            ))
        })
    }
}

/// The deployed version that answers a request: each gets its share of the hashes, and the same request, asked again, the same
/// version.
fn route<'a>(state: &'a EndpointState, request: &Value) -> Option<&'a Deployed> {
    let hash = blake3::hash(request.to_string().as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    let mut ticket = u32::from_le_bytes([a, b, c, d]) % 100;
    state.deployed.iter().find(|deployed| {
        let share = u32::from(deployed.traffic);
        let hit = ticket < share;
        ticket = ticket.saturating_sub(share);
        hit
    })
}

/// The predictions, and what they say of the version.
async fn answer(model: Arc<Model>, instances: Vec<Value>) -> Result<(Value, Answered), PredictError> {
    let scored = blocking(move || {
        Ok(model.predict_instances(&instances).map(|predictions| {
            let answered = Answered { rows: predictions.len() as u64, mean_score: predictions.mean_score() };
            serde_json::to_value(predictions).map(|json| (json, answered))
        }))
    });
    match scored.await? {
        Ok(written) => written
            .map_err(|error| PortError::internal("the predictions cannot be written as JSON").caused_by(error).into()),
        Err(ModelError::Instance(error)) => Err(PredictError::BadRequest(error.to_string())),
        Err(error) => Err(PortError::internal(format!("the model failed: {error}")).caused_by(error).into()),
    }
}

#[async_trait]
impl Endpoints for FileEndpoints {
    async fn endpoint(&self, endpoint: &ModelName) -> PortResult<EndpointState> {
        let (state, meta) =
            read::<EndpointState>(&*self.store, &object(format!("endpoints/{endpoint}.json"))?).await?.ok_or_else(
                || PortError::not_found(format!("there is no endpoint {endpoint}; nothing was deployed to it yet")),
            )?;
        Ok(EndpointState { revision: meta.generation, ..state })
    }

    async fn endpoints(&self) -> PortResult<Vec<EndpointState>> {
        let mut all = Vec::new();
        for path in self.store.names(BUCKET, "endpoints/").await? {
            let name = path.name().strip_prefix("endpoints/").and_then(|name| name.strip_suffix(".json"));
            if let Some(Ok(name)) = name.map(str::parse) {
                all.extend(optional(self.endpoint(&name).await)?);
            }
        }
        Ok(all)
    }

    async fn set(&self, state: &EndpointState, expected: Option<u64>) -> PortResult<EndpointState> {
        let name = &state.endpoint;
        let traffic: u32 = state.deployed.iter().map(|deployed| u32::from(deployed.traffic)).sum();
        if traffic != 100 {
            return Err(PortError::invalid(format!("the traffic of endpoint {name} adds up to {traffic}, not 100")));
        }
        for deployed in &state.deployed {
            self.registry.version(&deployed.model, deployed.version).await?;
        }
        let when = expected.map_or(Precondition::Absent, Precondition::Generation);
        let path = object(format!("endpoints/{name}.json"))?;
        let written = write(&self.store, &path, state, when).await.map_err(|error| match error.kind() {
            ErrorKind::Conflict => {
                PortError::conflict(format!("endpoint {name} was changed meanwhile: read it and decide again"))
            }
            _ => error,
        })?;
        Ok(EndpointState { revision: written.generation, ..state.clone() })
    }

    async fn stats(&self, endpoint: &ModelName, version: u64) -> PortResult<ServingStats> {
        let revision = self.endpoint(endpoint).await?.revision;
        let served = Served { endpoint: endpoint.clone(), version, revision };
        Ok(self.measured.stats(&served))
    }

    async fn predict(&self, endpoint: &ModelName, request: Value) -> Result<Value, PredictError> {
        let state = self.endpoint(endpoint).await?;
        let deployed = route(&state, &request)
            .ok_or_else(|| PortError::internal(format!("the traffic of endpoint {endpoint} does not add up to 100")))?;
        let Request { instances } = serde_json::from_value(request).map_err(|error| {
            PredictError::BadRequest(format!("the request is not {{\"instances\": [..]}}: {error}"))
        })?;
        let begun = Instant::now();
        let answered = match self.model(deployed).await {
            Ok(model) => answer(model, instances).await,
            Err(error) => Err(error.into()),
        };
        let served = Served { endpoint: endpoint.clone(), version: deployed.version, revision: state.revision };
        match &answered {
            Ok((_, answered)) => self.measured.answered(served, begun.elapsed(), *answered),
            Err(PredictError::Port(_)) => self.measured.failed(served),
            // A request that is wrong in itself says nothing about the version.
            Err(PredictError::BadRequest(_)) => self.measured.refused(served),
        }
        let (predictions, _) = answered?;
        Ok(json!({ "predictions": predictions, "model": deployed.model, "version": deployed.version }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(shares: &[(u64, u8)]) -> EndpointState {
        let model: ModelName = "fraud".parse().unwrap();
        let deployed = shares.iter().map(|(version, traffic)| Deployed {
            model: model.clone(),
            version: *version,
            traffic: *traffic,
        });
        EndpointState {
            endpoint: model.clone(),
            deployed: deployed.collect(),
            since: chrono::DateTime::from_timestamp(0, 0).unwrap(),
            by: String::new(),
            previous: Vec::new(),
            moves: Vec::new(),
            revision: 0,
        }
    }

    #[test]
    fn each_version_answers_its_share_of_requests_and_a_retry_lands_on_the_same() {
        let state = state(&[(1, 90), (2, 10), (3, 0)]);
        let version = |n: u32| route(&state, &json!({ "instances": [n] })).unwrap().version;
        let second = (0..10_000).filter(|n| version(*n) == 2).count();
        assert!((800..1_200).contains(&second), "{second} of 10,000 for 10 %");
        assert!((0..10_000).all(|n| version(n) != 3));
        assert_eq!(version(7), version(7));
    }
}
