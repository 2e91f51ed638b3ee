//! An endpoint as Vertex AI answers it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use millstream_events::names::ModelName;
use millstream_ports::Deployed;
use serde::Deserialize;

use crate::names::model_version;

/// An endpoint, as far as it is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Endpoint {
    pub(super) name: String,
    pub(super) etag: String,
    pub(super) update_time: Option<DateTime<Utc>>,
    deployed_models: Vec<DeployedModel>,
    traffic_split: BTreeMap<String, i64>,
}

/// A deployment of a version.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct DeployedModel {
    pub(super) id: String,
    model: String,
    model_version_id: String,
    create_time: Option<DateTime<Utc>>,
}

impl DeployedModel {
    /// The version; `None` for a model of other makers.
    pub(super) fn version(&self) -> Option<(ModelName, u64)> {
        model_version(&self.model, &self.model_version_id)
    }
}

impl Endpoint {
    /// Its deployments, oldest first, the same for everyone who looks.
    pub(super) fn deployments(&self) -> Vec<&DeployedModel> {
        let mut all: Vec<&DeployedModel> = self.deployed_models.iter().collect();
        let age = |deployed: &DeployedModel| (deployed.create_time, deployed.id.len(), deployed.id.clone());
        all.sort_by_key(|deployed| age(deployed));
        all
    }

    /// The deployment of a version: the oldest, should there be two.
    pub(super) fn deployment_of(&self, model: &ModelName, version: u64) -> Option<&DeployedModel> {
        let is_it = |deployed: &&DeployedModel| {
            deployed.version().is_some_and(|(known, number)| known == *model && number == version)
        };
        self.deployments().into_iter().find(is_it)
    }

    /// The ids of a version's deployments.
    pub(super) fn ids_of(&self, version: u64) -> Vec<String> {
        let of_it = |deployed: &&DeployedModel| deployed.version().is_some_and(|(_, number)| number == version);
        self.deployments().into_iter().filter(of_it).map(|deployed| deployed.id.clone()).collect()
    }

    /// The share of a deployment, in percent.
    pub(super) fn share(&self, id: &str) -> u8 {
        self.traffic_split.get(id).and_then(|share| u8::try_from(*share).ok()).unwrap_or_default()
    }

    /// The split without those that get nothing.
    pub(super) fn split(&self) -> BTreeMap<String, i64> {
        self.traffic_split.iter().filter(|(_, share)| **share > 0).map(|(id, share)| (id.clone(), *share)).collect()
    }

    /// The versions that have traffic, oldest deployment first.
    pub(super) fn traffic(&self) -> Vec<Deployed> {
        let mut all: Vec<Deployed> = Vec::new();
        for deployed in self.deployments() {
            let (Some((model, version)), share @ 1..) = (deployed.version(), self.share(&deployed.id)) else {
                continue;
            };
            match all.iter_mut().find(|known| known.model == model && known.version == version) {
                Some(known) => known.traffic = known.traffic.saturating_add(share),
                None => all.push(Deployed { model, version, traffic: share }),
            }
        }
        all
    }
}
