//! A pipeline that has a step of every kind, and the platform's functions over given ports.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use millstream_events::{
    compute::{Compute, RunOn},
    contract::{Column, ColumnType, Contract},
    names::TableName,
    work::{DataFormat, Program, Serving, TableLayout, WriteMode},
};
use millstream_pipeline::model::{Buckets, Export, Pipeline, Pipelines, Source, SqlModel, Training};
use millstream_plan_run::{PlanRun, Ports};
use millstream_ports::{Clock, Endpoints, EventBus, Ledger, ModelRegistry, ObjectStore, Scorer, Trainer, Warehouse};
use millstream_prices::Book;
use millstream_runtime::{Handler, StepHandler};
use millstream_sql::Select;
use millstream_tabular::Limits;
use millstream_train_model::BackEnds;

fn source(name: &str, upload: &str, write: WriteMode) -> Source {
    let column = Column { name: "id".into(), kind: ColumnType::Int64, required: true, description: None };
    Source {
        name: name.into(),
        upload: upload.parse().unwrap(),
        topic: None,
        contract: Contract { columns: vec![column], ..Contract::default() },
        options: Default::default(),
        table: format!("source.{name}").parse().unwrap(),
        write,
        window: None,
        layout: TableLayout::default(),
    }
}

fn model(table: &str, inputs: &[&str]) -> SqlModel {
    let inputs: Vec<TableName> = inputs.iter().map(|table| table.parse().unwrap()).collect();
    let text =
        format!("SELECT * FROM {}", inputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" CROSS JOIN "));
    SqlModel {
        table: table.parse().unwrap(),
        select: Select { canonical: text.clone(), text, inputs },
        write: WriteMode::Replace,
        layout: TableLayout::default(),
        expect: vec![],
    }
}

fn gathered(mut source: Source, window: Duration) -> Source {
    source.window = Some(window);
    source
}

/// Four sources (one of each write mode, one that gathers its files), two models, an export and a served model.
#[must_use]
pub fn pipelines() -> Pipelines {
    let pipeline = Pipeline {
        name: "shop".parse().unwrap(),
        description: None,
        schedule: None,
        message: None,
        extracts: Vec::new(),
        sources: vec![
            source("sales", "sales/*.csv", WriteMode::Append),
            source("products", "products.csv", WriteMode::Replace),
            source("customers", "customers/*.csv", WriteMode::Merge { key: vec!["id".into()] }),
            gathered(source("clicks", "clicks/*.csv", WriteMode::Append), Duration::from_secs(30)),
        ],
        models: vec![
            model("staging.sales", &["source.customers", "source.sales", "source.clicks"]),
            model("production.joined", &["source.products", "staging.sales"]),
        ],
        exports: vec![Export {
            name: "joined".into(),
            table: "production.joined".parse().unwrap(),
            to: "gs://lake/shop/{run}/".into(),
        }],
        trainings: vec![Training {
            model: "demand".parse().unwrap(),
            data: "production.joined".parse().unwrap(),
            data_format: DataFormat::Parquet,
            target: None,
            program: Program::Tabular,
            args: vec![],
            env: BTreeMap::new(),
            code: None,
            wall: Duration::from_secs(3_600),
            compute: Compute::default(),
            serving: Some(Serving { endpoint: "demand".parse().unwrap(), promote_when: vec![], canary: None }),
        }],
    };
    Pipelines {
        buckets: Buckets::default(),
        direct_loads: false,
        by_name: BTreeMap::from([(pipeline.name.clone(), pipeline)]),
    }
}

/// The ports that the functions work on.
#[derive(Debug, Clone)]
pub struct World {
    /// Buckets.
    pub store: Arc<dyn ObjectStore>,
    /// Tables.
    pub warehouse: Arc<dyn Warehouse>,
    /// Training jobs.
    pub trainer: Arc<dyn Trainer>,
    /// Model versions.
    pub registry: Arc<dyn ModelRegistry>,
    /// Endpoints.
    pub endpoints: Arc<dyn Endpoints>,
    /// Scores for the gate.
    pub scorer: Arc<dyn Scorer>,
    /// What is known of every run.
    pub ledger: Arc<dyn Ledger>,
    /// Where events go.
    pub bus: Arc<dyn EventBus>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// Every function of the platform, as `millstream up` wires them.
#[must_use]
pub fn functions(pipelines: Pipelines, world: &World, scratch: &Path) -> Vec<Arc<dyn Handler>> {
    let World { store, warehouse, trainer, registry, endpoints, scorer, ledger, bus, clock } = world.clone();
    let ports = Ports { ledger, store: store.clone(), bus: bus.clone(), clock: clock.clone() };
    let ingest = millstream_ingest_file::IngestFile::new(store.clone(), Limits::default(), scratch);
    let load = millstream_load_table::LoadTable::new(warehouse.clone());
    let transform = millstream_transform_table::TransformTable::new(warehouse.clone());
    let export = millstream_export_table::ExportTable::new(warehouse.clone());
    let here = BackEnds::new().with(RunOn::Local, trainer.clone()).with(RunOn::Vertex, trainer);
    let prices = Arc::new(Book::open("list-2026-07").expect("it is built in"));
    let train = millstream_train_model::TrainModel::new(warehouse, here, store, clock.clone(), prices);
    let promote = millstream_promote_model::PromoteModel::new(registry, endpoints, scorer, clock.clone());
    vec![
        Arc::new(PlanRun::new(pipelines, ports)),
        Arc::new(StepHandler::new(ingest, bus.clone(), clock.clone())),
        Arc::new(StepHandler::new(load, bus.clone(), clock.clone())),
        Arc::new(StepHandler::new(transform, bus.clone(), clock.clone())),
        Arc::new(StepHandler::new(export, bus.clone(), clock.clone())),
        Arc::new(StepHandler::new(train, bus.clone(), clock.clone())),
        Arc::new(StepHandler::new(promote, bus, clock)),
    ]
}
