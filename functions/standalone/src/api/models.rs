//! Models: what there is of them, and what a person may do to their traffic.

use millstream_events::names::ModelName;
use millstream_ports::{Clock, EndpointState, Endpoints, EventBus, ModelRegistry};
use millstream_promote_model::{PRODUCTION, by_hand::ByHand};

use super::{
    Answer, Refusal,
    views::{ModelDetails, ModelSummary, Shifted},
};

/// The models of one registry and the endpoints that serve them, on this machine or in a deployment.
pub(crate) struct Models<'a> {
    pub(crate) registry: &'a dyn ModelRegistry,
    pub(crate) endpoints: &'a dyn Endpoints,
    /// Where moves of traffic are told.
    pub(crate) bus: &'a dyn EventBus,
    pub(crate) clock: &'a dyn Clock,
}

impl Models<'_> {
    /// Every model.
    pub(crate) async fn all(&self) -> Answer<Vec<ModelSummary>> {
        let endpoints = self.endpoints.endpoints().await?;
        let mut models = Vec::new();
        for model in self.registry.models().await? {
            let versions = self.registry.versions(&model).await?;
            models.push(ModelSummary {
                latest: versions.last().map_or(0, |version| version.version),
                production: self.registry.aliases(&model).await?.get(PRODUCTION).copied(),
                endpoints: endpoints
                    .iter()
                    .filter(|state| serves(state, &model))
                    .map(|state| state.endpoint.clone())
                    .collect(),
                model,
            });
        }
        Ok(models)
    }

    /// A model with its versions.
    pub(crate) async fn one(&self, model: &ModelName) -> Answer<ModelDetails> {
        let versions = self.registry.versions(model).await?;
        if versions.is_empty() {
            return Err(Refusal::not_found(format!(
                "no model is called {model}; `millstream models` lists those that were trained"
            )));
        }
        let mut endpoints = self.endpoints.endpoints().await?;
        endpoints.retain(|state| serves(state, model));
        Ok(ModelDetails { model: model.clone(), aliases: self.registry.aliases(model).await?, versions, endpoints })
    }

    /// Gives the traffic back to the version before.
    pub(crate) async fn roll_back(&self, model: &ModelName) -> Answer<Vec<Shifted>> {
        self.one(model).await?;
        Ok(self.by_hand().rollback(model).await?.into_iter().map(Shifted::from).collect())
    }

    /// Gives all the traffic to a version, whatever its gate said.
    pub(crate) async fn promote(&self, model: &ModelName, version: u64) -> Answer<Vec<Shifted>> {
        self.one(model).await?;
        Ok(self.by_hand().promote(model, version).await?.into_iter().map(Shifted::from).collect())
    }

    fn by_hand(&self) -> ByHand<'_> {
        ByHand { registry: self.registry, endpoints: self.endpoints, bus: self.bus, clock: self.clock }
    }
}

fn serves(state: &EndpointState, model: &ModelName) -> bool {
    state.deployed.iter().any(|deployed| deployed.model == *model)
}
