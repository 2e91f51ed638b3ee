//! Every function of the platform in one process, on the embedded adapters.
//!
//! In: a project. Out: a [`Platform`] that answers questions once it is open, works once it is [started](Platform::start),
//! and leaves nothing undone that the next start would not find.

mod background;
mod ingress;
pub(crate) mod lock;
mod schedule;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use millstream_embedded::{
    models::{FileEndpoints, FileRegistry, OnnxScorer},
    objects::{LocalObjectStore, StoreOptions},
    trainer::ProcessTrainer,
    warehouse::{DuckDbWarehouse, WarehouseSettings},
};
use millstream_events::{Envelope, Event, compute::RunOn};
use millstream_export_table::ExportTable;
use millstream_extract_source::ExtractSource;
use millstream_ingest_file::IngestFile;
use millstream_load_table::LoadTable;
use millstream_pipeline::Pipelines;
use millstream_plan_run::{PlanRun, Ports};
use millstream_ports::{
    Clock, Endpoints, Ledger, ModelRegistry, ObjectLedger, PortError, PortResult, SystemClock, Warehouse,
};
use millstream_promote_model::PromoteModel;
use millstream_runtime::{
    Ack, DispatchSettings, Dispatcher, Handler, Metrics, StepHandler, delivery::deliver, host::Readiness,
    secrets::EnvSecrets,
};
use millstream_train_model::{BackEnds, TrainModel};
use millstream_transform_table::TransformTable;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::lock::DataLock;
pub(crate) use self::{background::Background, ingress::Ingress};
use crate::{back_ends, project::Project, sources::AdapterSources, wiring};

/// How long a stop waits for what runs. Whatever is cut off then is found again by the next start's sweep.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// The platform of one project.
pub(crate) struct Platform {
    pub(crate) project: Project,
    pub(crate) store: LocalObjectStore,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) warehouse: Arc<dyn Warehouse>,
    pub(crate) registry: Arc<dyn ModelRegistry>,
    pub(crate) endpoints: Arc<dyn Endpoints>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) planner: Arc<PlanRun>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    /// What trains, wherever.
    pub(crate) back_ends: BackEnds,
    trainer: ProcessTrainer,
    handlers: Vec<Arc<dyn Handler>>,
    stopping: CancellationToken,
    _lock: DataLock,
}

impl Platform {
    /// Opens the project's data, which `lock` says is ours. Nothing works yet.
    pub(crate) async fn open(project: Project, pipelines: Pipelines, lock: DataLock) -> anyhow::Result<Self> {
        let settings = &project.settings;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = LocalObjectStore::open(project.buckets_folder(), StoreOptions::default())?;
        let objects: Arc<LocalObjectStore> = Arc::new(store.clone());
        let ledger: Arc<dyn Ledger> =
            Arc::new(ObjectLedger::new(objects.clone(), settings.buckets.ledger.clone(), clock.clone()));
        let warehouse: Arc<dyn Warehouse> = Arc::new(DuckDbWarehouse::open(
            &settings.data_dir.join("warehouse.duckdb"),
            objects.clone(),
            &warehouse_settings(&project),
        )?);
        let secrets = Arc::new(EnvSecrets::of_process(&settings.data_dir));
        let trainer = ProcessTrainer::new(objects.clone(), secrets.clone(), wiring::trainer_settings(&project)?)?;
        let back_ends = {
            let here = BackEnds::new().with(RunOn::Local, Arc::new(trainer.clone())).or_local();
            let world = back_ends::World {
                #[cfg(any(feature = "ray", feature = "kubeflow"))]
                secrets: secrets.clone(),
                #[cfg(any(feature = "ray", feature = "kubeflow"))]
                clock: clock.clone(),
                #[cfg(feature = "ray")]
                paths: millstream_cluster_ray::Paths::Folder(project.buckets_folder()),
                #[cfg(feature = "kubeflow")]
                token: None,
            };
            back_ends::elsewhere(here, settings, &world).await?
        };
        let registry: Arc<dyn ModelRegistry> = Arc::new(FileRegistry::new(objects.clone(), clock.clone()));
        let endpoints: Arc<dyn Endpoints> = Arc::new(FileEndpoints::new(objects.clone(), clock.clone()));
        let scorer = Arc::new(OnnxScorer::new(objects.clone()));

        let metrics = Metrics::new()?;
        let dispatcher = Dispatcher::new(dispatch_settings(&project), metrics.clone());
        let bus = Arc::new(dispatcher.clone());
        let ports = Ports { ledger: ledger.clone(), store: objects.clone(), bus: bus.clone(), clock: clock.clone() };
        let planner = Arc::new(PlanRun::new(pipelines, ports));

        let scratch = settings.data_dir.join("scratch/ingest");
        let ingest = IngestFile::new(objects.clone(), wiring::ingest_limits(&project), scratch);
        let scratch = settings.data_dir.join("scratch/extract");
        let sources = Arc::new(AdapterSources::new(secrets, objects.clone(), scratch.clone()));
        let extract = ExtractSource::new(sources, objects.clone(), wiring::ingest_limits(&project), scratch);
        let prices = back_ends::price_book(settings, &project.folder)?;
        let train = TrainModel::new(warehouse.clone(), back_ends.clone(), objects, clock.clone(), prices);
        let promote = PromoteModel::new(registry.clone(), endpoints.clone(), scorer, clock.clone());
        let handlers: Vec<Arc<dyn Handler>> = vec![
            planner.clone(),
            Arc::new(StepHandler::new(ingest, bus.clone(), clock.clone())),
            Arc::new(StepHandler::new(extract, bus.clone(), clock.clone())),
            Arc::new(StepHandler::new(LoadTable::new(warehouse.clone()), bus.clone(), clock.clone())),
            Arc::new(StepHandler::new(TransformTable::new(warehouse.clone()), bus.clone(), clock.clone())),
            Arc::new(StepHandler::new(ExportTable::new(warehouse.clone()), bus.clone(), clock.clone())),
            Arc::new(StepHandler::new(train, bus.clone(), clock.clone())),
            Arc::new(StepHandler::new(promote, bus, clock.clone())),
        ];
        Ok(Self {
            project,
            store,
            ledger,
            warehouse,
            registry,
            endpoints,
            clock,
            planner,
            dispatcher,
            metrics,
            readiness: Readiness::default(),
            back_ends,
            trainer,
            handlers,
            stopping: CancellationToken::new(),
            _lock: lock,
        })
    }

    /// Begins to work: events are delivered, and what `background` names goes on by itself. The first sweep comes at once.
    pub(crate) async fn start(self: &Arc<Self>, background: Background) -> anyhow::Result<JoinSet<()>> {
        self.dispatcher.start(self.handlers.clone());
        let tasks = background::spawn(self, background, &self.stopping).await?;
        self.readiness.set(true);
        Ok(tasks)
    }

    /// Stops: takes nothing new, lets what runs end, ends training programs (the next start runs them again).
    pub(crate) async fn stop(&self, mut tasks: JoinSet<()>) -> anyhow::Result<()> {
        self.readiness.set(false);
        self.stopping.cancel();
        while tasks.join_next().await.is_some() {}
        let stopped = self.dispatcher.shutdown(STOP_PATIENCE).await;
        if stopped.dropped > 0 || !stopped.finished {
            tracing::info!(dropped = stopped.dropped, "deliveries that waited are asked for again at the next start");
        }
        self.trainer.shutdown().await?;
        Ok(())
    }

    /// Hands an event to `plan-run` and waits for its answer: what it says is then in the ledger.
    pub(crate) async fn tell(&self, event: Event) -> PortResult<()> {
        let envelope = Envelope { event, time: self.clock.now(), traceparent: None };
        match deliver(self.planner.as_ref(), &envelope, &self.metrics).await {
            Ack::Done | Ack::Pending { .. } => Ok(()),
            Ack::Retry { reason } => Err(PortError::unavailable(reason)),
        }
    }
}

fn warehouse_settings(project: &Project) -> WarehouseSettings {
    let settings = &project.settings;
    WarehouseSettings {
        memory_limit: Some(settings.warehouse.memory_limit.clone()),
        threads: u16::try_from(settings.warehouse.threads).ok().filter(|threads| *threads > 0),
        scratch: settings.data_dir.join("scratch/warehouse"),
    }
}

fn dispatch_settings(project: &Project) -> DispatchSettings {
    let files = usize::try_from(project.settings.ingest.max_running.get()).unwrap_or(usize::MAX);
    DispatchSettings { concurrency_of: BTreeMap::from([("ingest-file".to_owned(), files)]), ..Default::default() }
}
