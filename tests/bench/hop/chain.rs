//! A pipeline whose models follow one from the other, each with nothing to do.

use std::collections::BTreeMap;

use millstream_events::{
    contract::{Column, ColumnType, Contract},
    names::{ObjectPath, RunId, TableName},
    work::{TableLayout, WriteMode},
};
use millstream_pipeline::model::{Buckets, Pipeline, Pipelines, Source, SqlModel};
use millstream_sql::Select;

/// How many models follow one another.
pub(crate) const MODELS: usize = 20;

/// The pipeline `chain`; every upload is a run of its own.
pub(crate) fn pipelines() -> Pipelines {
    let column = Column { name: "id".into(), kind: ColumnType::Int64, required: true, description: None };
    let source = Source {
        name: "rows".into(),
        upload: "chain/{batch}.csv".parse().unwrap(),
        topic: None,
        contract: Contract { columns: vec![column], ..Contract::default() },
        options: Default::default(),
        table: table(0),
        write: WriteMode::Replace,
        window: None,
        layout: TableLayout::default(),
    };
    let pipeline = Pipeline {
        name: "chain".parse().unwrap(),
        description: None,
        schedule: None,
        message: None,
        extracts: Vec::new(),
        sources: vec![source],
        models: (1..=MODELS).map(model).collect(),
        exports: vec![],
        trainings: vec![],
    };
    Pipelines {
        buckets: Buckets::default(),
        direct_loads: false,
        by_name: BTreeMap::from([(pipeline.name.clone(), pipeline)]),
    }
}

/// The object of the chain with this number, and its run.
pub(crate) fn upload(number: usize) -> (ObjectPath, RunId) {
    let path = ObjectPath::new("landing", format!("chain/{number:04}.csv")).unwrap();
    (path, format!("chain/batch={number:04}").parse().unwrap())
}

fn table(number: usize) -> TableName {
    let dataset = if number == 0 { "source" } else { "staging" };
    format!("{dataset}.step_{number:02}").parse().unwrap()
}

fn model(number: usize) -> SqlModel {
    let input = table(number - 1);
    let text = format!("SELECT * FROM {input}");
    SqlModel {
        table: table(number),
        select: Select { canonical: text.clone(), text, inputs: vec![input] },
        write: WriteMode::Replace,
        layout: TableLayout::default(),
        expect: vec![],
    }
}
