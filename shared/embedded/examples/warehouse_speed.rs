//! How long a million rows take to be loaded, merged, transformed and exported.
//!
//! `cargo run --release -p millstream-embedded --example warehouse_speed`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints, and stops at the first failure")]

use std::{future::Future, sync::Arc, time::Instant};

use duckdb::Connection;
use millstream_embedded::{
    objects::{LocalObjectStore, StoreOptions},
    warehouse::{DuckDbWarehouse, WarehouseSettings},
};
use millstream_events::{
    contract::Column,
    names::ObjectPath,
    work::{DataFormat, LoadTable, TableLayout, TransformTable, WriteMode},
};
use millstream_ports::{ExportJob, ObjectStore, ObjectStoreExt, Precondition, Warehouse};

const ROWS: u32 = 1_000_000;

async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = work.await;
    println!("{what:<32} {:>6} ms", start.elapsed().as_millis());
    result
}

#[tokio::main]
async fn main() {
    let folder = std::env::temp_dir().join(format!("millstream-warehouse-speed-{}", std::process::id()));
    let store = Arc::new(LocalObjectStore::open(folder.join("objects"), StoreOptions::default()).unwrap());
    let file = folder.join("rows.parquet");
    Connection::open_in_memory()
        .unwrap()
        .execute_batch(&format!(
            "COPY (SELECT i AS id, 'customer ' || (i % 10000) AS name, (i * 37 % 100000) / 100.0 AS amount,
                          TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL (i) SECOND AS created_at FROM range({ROWS}) AS r(i))
             TO '{}' (FORMAT parquet)",
            file.display()
        ))
        .unwrap();
    let batch = ObjectPath::new("lake", "rows.parquet").unwrap();
    store.put(&batch, std::fs::read(&file).unwrap(), Precondition::None).await.unwrap();
    let settings = WarehouseSettings { memory_limit: None, threads: None, scratch: folder.join("scratch") };
    let shared: Arc<dyn ObjectStore> = store;
    let warehouse = DuckDbWarehouse::open(&folder.join("warehouse.duckdb"), shared, &settings).unwrap();
    let columns = [("id", "INT64"), ("name", "STRING"), ("amount", "FLOAT64"), ("created_at", "TIMESTAMP")].map(
        |(name, kind)| Column { name: name.into(), kind: kind.parse().unwrap(), required: false, description: None },
    );
    let replace = LoadTable {
        batches: vec![batch],
        table: "source.rows".parse().unwrap(),
        columns: columns.to_vec(),
        write: WriteMode::Replace,
        layout: TableLayout::default(),
        sequence: 1,
        uploaded: None,
        deletes: false,
    };
    let merge = LoadTable { write: WriteMode::Merge { key: vec!["id".into()] }, ..replace.clone() };
    let transform = TransformTable {
        table: "production.features".parse().unwrap(),
        sql: "SELECT name, COUNT(*) AS n, SUM(amount) AS total, MAX(created_at) AS last, DATE_TRUNC(DATE(MIN(created_at)), MONTH) AS month \
              FROM source.rows GROUP BY name"
            .into(),
        inputs: vec![replace.table.clone()],
        write: WriteMode::Replace,
        layout: TableLayout::default(),
        expect: vec!["n > 0".into(), "unique(name)".into()],
    };
    let to = ObjectPath::new("lake", "export.parquet").unwrap();
    let export = ExportJob { table: replace.table.clone(), to, format: DataFormat::Parquet };
    timed("load, replace", warehouse.ensure_load("replace", &replace)).await.unwrap();
    timed("load, merge of the same rows", warehouse.ensure_load("merge", &merge)).await.unwrap();
    timed("transform, 10,000 groups", warehouse.ensure_transform("transform", &transform)).await.unwrap();
    timed("export as Parquet", warehouse.ensure_export("export", &export)).await.unwrap();
    timed("the same job again", warehouse.ensure_load("replace", &replace)).await.unwrap();
    timed("a query", warehouse.query("SELECT COUNT(*) AS n FROM source.rows", 1)).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
