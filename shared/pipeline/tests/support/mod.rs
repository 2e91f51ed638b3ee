//! A pipeline to plan with, and answers to its commands.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use millstream_events::{
    Command, Fingerprint, StepFact,
    compute::Compute,
    contract::{Column, ColumnType, Contract},
    extract::Bookmark,
    fact::{BatchIngested, ModelJudged, ModelTrained, Outcome, SourceExtracted, TableExported, TableUpdated},
    history::{Entry, Record},
    names::{ObjectPath, RunId, TableName},
    trigger::ObjectFinalized,
    work::{DataFormat, Program, Serving, TableLayout, Work, WriteMode},
};
use millstream_pipeline::model::{Buckets, Export, Pipeline, Pipelines, Source, SqlModel, Training};
use millstream_sql::Select;

pub(crate) fn source(name: &str, upload: &str, write: WriteMode) -> Source {
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

pub(crate) fn model(table: &str, inputs: &[&str]) -> SqlModel {
    let inputs: Vec<TableName> = inputs.iter().map(|table| table.parse().unwrap()).collect();
    let text = format!("SELECT * FROM {}", inputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" JOIN "));
    SqlModel {
        table: table.parse().unwrap(),
        select: Select { canonical: text.clone(), text, inputs },
        write: WriteMode::Replace,
        layout: TableLayout::default(),
        expect: vec![],
    }
}

/// Two sources, one appended and one replaced, two models, an export and a served model.
pub(crate) fn pipeline() -> Pipeline {
    Pipeline {
        name: "shop".parse().unwrap(),
        description: None,
        schedule: None,
        message: None,
        extracts: Vec::new(),
        sources: vec![
            source("sales", "sales/*.csv", WriteMode::Append),
            source("products", "products.csv", WriteMode::Replace),
        ],
        models: vec![
            model("staging.sales", &["source.sales"]),
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
            target: Some("id".into()),
            program: Program::Tabular,
            args: vec![],
            env: BTreeMap::new(),
            code: None,
            wall: Duration::from_secs(60),
            compute: Compute::default(),
            serving: Some(Serving { endpoint: "demand".parse().unwrap(), promote_when: vec![], canary: None }),
        }],
    }
}

pub(crate) fn project(pipeline: Pipeline) -> Pipelines {
    Pipelines {
        buckets: Buckets::default(),
        direct_loads: false,
        by_name: BTreeMap::from([(pipeline.name.clone(), pipeline)]),
    }
}

pub(crate) fn run() -> RunId {
    "shop/latest".parse().unwrap()
}

pub(crate) fn entry(record: Record) -> Entry {
    Entry { at: DateTime::<Utc>::UNIX_EPOCH, record }
}

pub(crate) fn upload(name: &str, generation: u64, crc32c: u32) -> Record {
    let object = ObjectPath::new("landing", name).unwrap();
    Record::Uploaded { source: String::new(), object: ObjectFinalized { object, generation, size: 10, crc32c } }
}

/// What the command's function would answer.
pub(crate) fn outcome(command: &Command, version: u64) -> Outcome {
    match &command.work {
        Work::IngestFile(work) => Outcome::BatchIngested(BatchIngested {
            object: work.object.clone(),
            batch: work.batch.clone(),
            rows: 1,
            bad_rows: 0,
            quarantine: None,
            reasons: BTreeMap::new(),
            columns: work.contract.columns.clone(),
            notes: vec![],
        }),
        Work::ExtractSource(work) => Outcome::SourceExtracted(SourceExtracted {
            batches: vec![work.batches.join("range-00000.parquet").unwrap()],
            rows: 1,
            bad_rows: 0,
            quarantine: vec![],
            reasons: BTreeMap::new(),
            columns: work.contract.columns.clone(),
            bookmark: Bookmark { shape: Fingerprint::of("shape", []), position: Some(format!("after-{version}")) },
            everything: work.since.is_none(),
            deletes: false,
            notes: vec![],
        }),
        Work::LoadTable(work) => updated(&work.table, version),
        Work::TransformTable(work) => updated(&work.table, version),
        Work::ExportTable(work) => Outcome::TableExported(TableExported {
            table: work.table.clone(),
            files: vec![work.to.clone()],
            rows: 1,
            bytes: 1,
        }),
        Work::TrainModel(work) => Outcome::ModelTrained(ModelTrained {
            model: work.model.clone(),
            artifact: work.output.clone(),
            metrics: BTreeMap::new(),
            log: None,
            seconds: 1.0,
            cost: None,
        }),
        Work::PromoteModel(work) => Outcome::ModelPromoted(ModelJudged {
            model: work.trained.model.clone(),
            version: 1,
            endpoint: None,
            checks: vec![],
            champion: None,
            rolled_back: None,
        }),
    }
}

fn updated(table: &TableName, version: u64) -> Outcome {
    Outcome::TableUpdated(TableUpdated { table: table.clone(), rows: 1, total_rows: 1, version, superseded: false })
}

pub(crate) fn done(command: &Command, version: u64) -> Record {
    Record::Done(StepFact { step: command.step.clone(), fact: outcome(command, version) })
}
