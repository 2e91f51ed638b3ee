//! A registry, endpoints and a scorer in maps.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use millstream_events::names::{ModelName, ObjectPath};
use serde_json::{Value, json};

use crate::{
    clock::Clock,
    error::{PortError, PortResult},
    models::{
        Deployed, EndpointState, Endpoints, ModelRegistry, ModelVersion, NewVersion, PredictError, Scorer,
        ServingStats, Verdict,
    },
};

/// A [`ModelRegistry`], its [`Endpoints`] and a [`Scorer`] in memory.
///
/// A prediction is an echo of the version that answered, so that a test sees how traffic was routed.
#[derive(Debug)]
pub struct MemoryModels {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    models: BTreeMap<ModelName, Model>,
    endpoints: BTreeMap<ModelName, Endpoint>,
    broken: BTreeSet<(ModelName, u64)>,
    scores: BTreeMap<ObjectPath, BTreeMap<String, f64>>,
}

#[derive(Debug, Default)]
struct Model {
    versions: Vec<ModelVersion>,
    aliases: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Endpoint {
    state: EndpointState,
    predictions: u64,
    stats: BTreeMap<u64, ServingStats>,
}

impl Model {
    fn version(&mut self, model: &ModelName, version: u64) -> PortResult<&mut ModelVersion> {
        let found = self.versions.iter_mut().find(|known| known.version == version);
        found.ok_or_else(|| PortError::not_found(format!("model {model} has no version {version}")))
    }
}

impl State {
    fn model(&mut self, model: &ModelName) -> PortResult<&mut Model> {
        self.models.get_mut(model).ok_or_else(|| PortError::not_found(format!("there is no model {model}")))
    }

    fn endpoint(&mut self, endpoint: &ModelName) -> PortResult<&mut Endpoint> {
        self.endpoints
            .get_mut(endpoint)
            .ok_or_else(|| PortError::not_found(format!("there is no endpoint {endpoint}: deploy a model to it")))
    }
}

impl Endpoint {
    /// Who answers the next request. The multiplier is coprime to 100, so that each hundred requests are split exactly
    /// by the shares and a small share does not wait for the end of its hundred.
    fn route(&mut self) -> Option<Deployed> {
        let mut ticket = self.predictions * 61 % 100;
        self.predictions += 1;
        for deployed in &self.state.deployed {
            match ticket.checked_sub(u64::from(deployed.traffic)) {
                None => return Some(deployed.clone()),
                Some(rest) => ticket = rest,
            }
        }
        None
    }
}

impl MemoryModels {
    /// No models and no endpoints.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// What [`Scorer::score`] answers for the model in `artifact`, on any rows. Without it the answer is `None`.
    pub fn set_score(&self, artifact: &ObjectPath, metrics: BTreeMap<String, f64>) {
        self.state().scores.insert(artifact.clone(), metrics);
    }

    /// Overwrites how a version has done at an endpoint since its traffic last changed.
    pub fn set_stats(&self, endpoint: &ModelName, version: u64, stats: ServingStats) -> PortResult<()> {
        self.state().endpoint(endpoint)?.stats.insert(version, stats);
        Ok(())
    }

    /// From now on every prediction of this version fails.
    pub fn break_version(&self, model: &ModelName, version: u64) {
        self.state().broken.insert((model.clone(), version));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ModelRegistry for MemoryModels {
    async fn ensure_version(&self, version: &NewVersion) -> PortResult<ModelVersion> {
        let at = self.clock.now();
        let mut state = self.state();
        let versions = &mut state.models.entry(version.model.clone()).or_default().versions;
        if let Some(known) = versions.iter().find(|known| known.registered.fingerprint == version.fingerprint) {
            return Ok(known.clone());
        }
        let new = ModelVersion { version: versions.len() as u64 + 1, registered: version.clone(), at, verdict: None };
        versions.push(new.clone());
        Ok(new)
    }

    async fn judge(&self, model: &ModelName, version: u64, verdict: &Verdict) -> PortResult<Verdict> {
        let mut state = self.state();
        let found = state.model(model)?.version(model, version)?;
        Ok(found.verdict.get_or_insert_with(|| verdict.clone()).clone())
    }

    async fn models(&self) -> PortResult<Vec<ModelName>> {
        Ok(self.state().models.keys().cloned().collect())
    }

    async fn versions(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>> {
        Ok(self.state().models.get(model).map(|model| model.versions.clone()).unwrap_or_default())
    }

    async fn aliases(&self, model: &ModelName) -> PortResult<BTreeMap<String, u64>> {
        Ok(self.state().models.get(model).map(|model| model.aliases.clone()).unwrap_or_default())
    }

    async fn set_alias(&self, model: &ModelName, alias: &str, version: u64) -> PortResult<()> {
        let mut state = self.state();
        let found = state.model(model)?;
        found.version(model, version)?;
        found.aliases.insert(alias.to_owned(), version);
        Ok(())
    }
}

#[async_trait]
impl Endpoints for MemoryModels {
    async fn endpoint(&self, endpoint: &ModelName) -> PortResult<EndpointState> {
        self.state().endpoint(endpoint).map(|found| found.state.clone())
    }

    async fn endpoints(&self) -> PortResult<Vec<EndpointState>> {
        Ok(self.state().endpoints.values().map(|endpoint| endpoint.state.clone()).collect())
    }

    async fn set(&self, wanted: &EndpointState, expected: Option<u64>) -> PortResult<EndpointState> {
        let name = &wanted.endpoint;
        let traffic: u32 = wanted.deployed.iter().map(|deployed| u32::from(deployed.traffic)).sum();
        if traffic != 100 {
            return Err(PortError::invalid(format!("the traffic of endpoint {name} adds up to {traffic}, not 100")));
        }
        let mut state = self.state();
        for deployed in &wanted.deployed {
            state.model(&deployed.model)?.version(&deployed.model, deployed.version)?;
        }
        let known = state.endpoints.get(name).map(|known| known.state.revision);
        if known != expected {
            return Err(PortError::conflict(format!(
                "endpoint {name} is at revision {known:?}, {expected:?} was expected: read it and decide again"
            )));
        }
        let set = EndpointState { revision: known.unwrap_or_default() + 1, ..wanted.clone() };
        let endpoint = state.endpoints.entry(name.clone()).or_insert_with(|| Endpoint {
            state: set.clone(),
            predictions: 0,
            stats: BTreeMap::new(),
        });
        if endpoint.state.deployed != set.deployed {
            endpoint.predictions = 0;
            endpoint.stats.clear();
        }
        endpoint.state = set.clone();
        Ok(set)
    }

    async fn stats(&self, endpoint: &ModelName, version: u64) -> PortResult<ServingStats> {
        Ok(self.state().endpoint(endpoint)?.stats.get(&version).copied().unwrap_or_default())
    }

    async fn predict(&self, name: &ModelName, request: Value) -> Result<Value, PredictError> {
        let mut state = self.state();
        let endpoint = state.endpoint(name)?;
        let instances = request
            .get("instances")
            .and_then(Value::as_array)
            .ok_or_else(|| PredictError::BadRequest("the request has no list \"instances\"".to_owned()))?;
        let chosen = endpoint
            .route()
            .ok_or_else(|| PortError::internal(format!("the traffic of endpoint {name} does not add up to 100")))?;
        let is_broken = state.broken.contains(&(chosen.model.clone(), chosen.version));
        let stats = state.endpoint(name)?.stats.entry(chosen.version).or_default();
        stats.requests += 1;
        if is_broken {
            stats.errors += 1;
            let message = format!("version {} of {} cannot answer", chosen.version, chosen.model);
            return Err(PortError::unavailable(message).into());
        }
        let predictions: Vec<Value> = instances.iter().map(|_| json!({ "version": chosen.version })).collect();
        Ok(json!({ "predictions": predictions, "model": chosen.model, "version": chosen.version }))
    }
}

#[async_trait]
impl Scorer for MemoryModels {
    async fn score(
        &self,
        artifact: &ObjectPath,
        _holdout_of: &ObjectPath,
    ) -> PortResult<Option<BTreeMap<String, f64>>> {
        Ok(self.state().scores.get(artifact).cloned())
    }
}
