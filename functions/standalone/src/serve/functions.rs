//! One function with the adapters it needs, and no others: what it does not touch it is not connected to.

use std::{sync::Arc, time::Duration};

use millstream_embedded::{
    models::{FileEndpoints, FileRegistry, OnnxScorer},
    trainer::ProcessTrainer,
};
use millstream_export_table::ExportTable;
use millstream_gcp_bigquery::{BigQueryWarehouse, Settings};
use millstream_gcp_client::Connection;
use millstream_gcp_pubsub::PubSubBus;
use millstream_gcp_secrets::SecretManager;
use millstream_gcp_storage::GcsObjectStore;
use millstream_ingest_file::IngestFile;
use millstream_load_table::LoadTable;
use millstream_plan_run::Ports;
use millstream_ports::{Clock, EventBus, ObjectLedger, ObjectStore, PortResult, Warehouse};
use millstream_promote_model::PromoteModel;
use millstream_runtime::{Function, Handler, Patient, StepHandler, settings::Gcp};
use millstream_train_model::TrainModel;
use millstream_transform_table::TransformTable;

use super::{Role, planner::Planner};
use crate::{project::Project, wiring};

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
            Role::LoadTable => self.step(LoadTable::new(self.warehouse().await?)),
            Role::TransformTable => self.step(TransformTable::new(self.warehouse().await?)),
            Role::ExportTable => self.step(ExportTable::new(self.warehouse().await?)),
            Role::TrainModel => {
                let secrets = Arc::new(SecretManager::new(self.connection.clone(), self.clock.clone())?);
                let settings = wiring::trainer_settings(&self.project)?;
                let trainer = ProcessTrainer::new(self.store.clone(), secrets, settings)?;
                self.step(TrainModel::new(self.warehouse().await?, Arc::new(trainer), self.store.clone()))
            }
            Role::PromoteModel => {
                let registry = Arc::new(FileRegistry::new(self.store.clone(), self.clock.clone()));
                let endpoints = Arc::new(FileEndpoints::new(self.store.clone(), self.clock.clone()));
                let scorer = Arc::new(OnnxScorer::new(self.store.clone()));
                self.step(PromoteModel::new(registry, endpoints, scorer, self.clock.clone()))
            }
        };
        let limit = Duration::from_secs(self.project.settings.http.request_timeout_seconds.get());
        Ok(Arc::new(Patient::new(handler, limit.saturating_sub(MARGIN))))
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
