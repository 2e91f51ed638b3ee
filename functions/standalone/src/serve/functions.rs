//! One function with the adapters it needs, and no others: what it does not touch it is not connected to.

use std::{sync::Arc, time::Duration};

use millstream_cluster_kubernetes::TokenSource;
use millstream_embedded::{
    models::{FileEndpoints, FileRegistry, OnnxScorer},
    trainer::ProcessTrainer,
};
use millstream_events::compute::RunOn;
use millstream_export_table::ExportTable;
use millstream_extract_source::ExtractSource;
use millstream_gcp_bigquery::{BigQueryWarehouse, Settings};
use millstream_gcp_client::{Connection, Service};
use millstream_gcp_pubsub::PubSubBus;
use millstream_gcp_secrets::SecretManager;
use millstream_gcp_storage::GcsObjectStore;
use millstream_gcp_vertex::{VertexEndpoints, VertexRegistry, VertexTrainer};
use millstream_ingest_file::IngestFile;
use millstream_load_table::LoadTable;
use millstream_plan_run::Ports;
use millstream_ports::{
    Clock, Endpoints, EventBus, ModelRegistry, ObjectLedger, ObjectStore, PortError, PortResult, Secrets, Warehouse,
};
use millstream_promote_model::PromoteModel;
use millstream_runtime::{Function, Handler, Patient, Settings as Everything, StepHandler, settings::Gcp};
use millstream_train_model::{BackEnds, TrainModel};
use millstream_transform_table::TransformTable;

use super::{Role, planner::Planner};
use crate::{back_ends, project::Project, sources::AdapterSources, vertex, wiring};

/// How much shorter than a request's limit the wait for a step's end is: its fact is published within it.
const MARGIN: Duration = Duration::from_secs(10);

/// Google Cloud as a function's adapters see it.
pub(super) struct Cloud {
    project: Project,
    gcp: Gcp,
    connection: Connection,
    clock: Arc<dyn Clock>,
    bus: Arc<dyn EventBus>,
    store: Arc<dyn ObjectStore>,
}

impl Cloud {
    /// Connects to what every function needs: its events' topic and the buckets.
    pub(super) async fn connect(
        project: Project,
        gcp: Gcp,
        connection: Connection,
        clock: Arc<dyn Clock>,
    ) -> PortResult<Self> {
        let bus = Arc::new(PubSubBus::connect(&connection, &gcp.events_topic).await?);
        let store = Arc::new(GcsObjectStore::connect(&connection).await?);
        Ok(Self { project, gcp, connection, clock, bus, store })
    }

    /// The function, waiting within a request for what is done soon.
    pub(super) async fn function(&self, role: Role) -> anyhow::Result<Arc<dyn Handler>> {
        let handler = match role {
            Role::PlanRun => self.planner()?,
            Role::IngestFile => {
                let scratch = self.project.settings.data_dir.join("scratch/ingest");
                self.step(IngestFile::new(self.store.clone(), wiring::ingest_limits(&self.project), scratch))
            }
            Role::ExtractSource => {
                let secrets = Arc::new(SecretManager::new(self.connection.clone(), self.clock.clone())?);
                let scratch = self.project.settings.data_dir.join("scratch/extract");
                let sources = Arc::new(AdapterSources::new(secrets, self.store.clone(), scratch.clone()));
                let limits = wiring::ingest_limits(&self.project);
                self.step(ExtractSource::new(sources, self.store.clone(), limits, scratch))
            }
            Role::LoadTable => self.step(LoadTable::new(self.warehouse().await?)),
            Role::TransformTable => self.step(TransformTable::new(self.warehouse().await?)),
            Role::ExportTable => self.step(ExportTable::new(self.warehouse().await?)),
            Role::TrainModel => {
                let secrets = Arc::new(SecretManager::new(self.connection.clone(), self.clock.clone())?);
                let settings = wiring::trainer_settings(&self.project)?;
                let trainer = ProcessTrainer::new(self.store.clone(), secrets.clone(), settings)?;
                let here = BackEnds::new().with(RunOn::Local, Arc::new(trainer));
                let back_ends = self.elsewhere(here, secrets).await?;
                let prices = back_ends::price_book(&self.project.settings, &self.project.folder)?;
                let (warehouse, store) = (self.warehouse().await?, self.store.clone());
                self.step(TrainModel::new(warehouse, back_ends, store, self.clock.clone(), prices))
            }
            Role::PromoteModel => {
                let (registry, endpoints) = registry_and_endpoints(
                    &self.project.settings,
                    &self.connection,
                    self.store.clone(),
                    self.clock.clone(),
                )?;
                let scorer = Arc::new(OnnxScorer::new(self.store.clone()));
                self.step(PromoteModel::new(registry, endpoints, scorer, self.clock.clone()))
            }
        };
        let limit = Duration::from_secs(self.project.settings.http.request_timeout_seconds.get());
        Ok(Arc::new(Patient::new(handler, limit.saturating_sub(MARGIN))))
    }

    /// The back-ends that the settings name, each as this service's own account.
    async fn elsewhere(&self, here: BackEnds, secrets: Arc<dyn Secrets>) -> anyhow::Result<BackEnds> {
        let settings = &self.project.settings;
        let connection = self.connection.clone();
        let token = TokenSource::new(move || {
            let connection = connection.clone();
            async move {
                let token = connection.bearer(Service::Kubernetes).await?;
                token.ok_or_else(|| PortError::internal("a cluster of Kubernetes has no emulator"))
            }
        });
        let world = back_ends::World {
            secrets,
            clock: self.clock.clone(),
            paths: millstream_cluster_ray::Paths::Uri,
            token: Some(token),
        };
        let there = back_ends::elsewhere(here, settings, &world).await?;
        let Some(vertex) = vertex::settings(settings)? else { return Ok(there) };
        let trainer = VertexTrainer::new(self.connection.clone(), vertex, self.clock.clone())?;
        Ok(there.with(RunOn::Vertex, Arc::new(trainer)))
    }

    fn step<F: Function>(&self, function: F) -> Arc<dyn Handler> {
        Arc::new(StepHandler::new(function, self.bus.clone(), self.clock.clone()))
    }

    fn planner(&self) -> anyhow::Result<Arc<dyn Handler>> {
        let bucket = self.project.settings.buckets.ledger.clone();
        let ports = Ports {
            ledger: Arc::new(ObjectLedger::new(self.store.clone(), bucket, self.clock.clone())),
            store: self.store.clone(),
            bus: self.bus.clone(),
            clock: self.clock.clone(),
        };
        Ok(Arc::new(Planner::new(self.project.clone(), ports)?))
    }

    async fn warehouse(&self) -> PortResult<Arc<dyn Warehouse>> {
        let settings = Settings {
            location: self.gcp.location.clone(),
            maximum_bytes_billed: self.gcp.maximum_gib_billed.get().saturating_mul(1 << 30),
            daily_modifications: u32::try_from(self.gcp.daily_table_modifications.get()).unwrap_or(u32::MAX),
        };
        let warehouse =
            BigQueryWarehouse::connect(&self.connection, settings, self.store.clone(), self.clock.clone()).await?;
        Ok(Arc::new(warehouse))
    }
}

/// Where versions are registered and served: on Vertex AI, or as files of the models bucket.
pub(super) fn registry_and_endpoints(
    settings: &Everything,
    connection: &Connection,
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Arc<dyn ModelRegistry>, Arc<dyn Endpoints>)> {
    let Some(vertex) = vertex::settings(settings)?.filter(|_| settings.vertex.serves) else {
        let registry = FileRegistry::new(store.clone(), clock.clone());
        return Ok((Arc::new(registry), Arc::new(FileEndpoints::new(store, clock))));
    };
    let registry = VertexRegistry::new(connection.clone(), vertex.clone(), store.clone(), clock.clone())?;
    let endpoints = VertexEndpoints::new(connection.clone(), vertex, store, clock)?;
    Ok((Arc::new(registry), Arc::new(endpoints)))
}
