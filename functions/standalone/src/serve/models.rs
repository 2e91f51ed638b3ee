//! A deployment's models, for a person at a command line.

use std::sync::Arc;

use millstream_gcp_client::Connection;
use millstream_gcp_pubsub::PubSubBus;
use millstream_gcp_storage::GcsObjectStore;
use millstream_ports::{Clock, Endpoints, EventBus, ModelRegistry, SystemClock};

use super::{emulators, functions::registry_and_endpoints};
use crate::{api::models::Models, project::Project};

/// Where a deployment keeps its models, and where moves of their traffic are told.
pub(crate) struct DeployedModels {
    registry: Arc<dyn ModelRegistry>,
    endpoints: Arc<dyn Endpoints>,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
}

/// Connects to the deployment that the settings name, as whoever calls.
pub(crate) async fn models(project: Project) -> anyhow::Result<DeployedModels> {
    let gcp = project.settings.gcp()?;
    let connection = Connection::new(&gcp.project, emulators())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(GcsObjectStore::connect(&connection).await?);
    let bus = Arc::new(PubSubBus::connect(&connection, &gcp.events_topic).await?);
    let (registry, endpoints) = registry_and_endpoints(&project.settings, &connection, store, clock.clone())?;
    Ok(DeployedModels { registry, endpoints, bus, clock })
}

impl DeployedModels {
    pub(crate) fn desk(&self) -> Models<'_> {
        Models { registry: &*self.registry, endpoints: &*self.endpoints, bus: &*self.bus, clock: &*self.clock }
    }
}
