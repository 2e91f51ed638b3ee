//! Ticks under the test's clock, and what changes between them.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use millstream_embedded::{
    objects::{LocalObjectStore, StoreOptions},
    warehouse::{DuckDbWarehouse, WarehouseSettings},
};
use millstream_events::{
    Envelope, Event,
    extract::{Connection, SourceKind},
    names::RunId,
    trigger::{ScheduleFired, SweepDue},
};
use millstream_extract_source::ExtractSource;
use millstream_peers::postgres::Postgres;
use millstream_pipeline::{
    Buckets,
    plan::RunState,
    spec::{self, NoChecks, Project},
};
use millstream_plan_run::{PlanRun, Ports};
use millstream_ports::{
    Clock, EventBus, Ledger, ObjectLedger, PortResult, Secret, Source, Sources, Warehouse, memory::ManualClock,
};
use millstream_runtime::{DispatchSettings, Dispatcher, Handler, Metrics, StepHandler};
use millstream_source_postgres::PostgresSource;
use millstream_tabular::Limits;

use crate::shop::{self, PRODUCTS};

/// The one database, whatever secret names it.
#[derive(Debug)]
struct OneDatabase(Secret);

#[async_trait]
impl Sources for OneDatabase {
    async fn connect(&self, _: &Connection) -> PortResult<Arc<dyn Source>> {
        Ok(Arc::new(PostgresSource::connect(&self.0, None).await?))
    }

    fn kinds(&self) -> Vec<SourceKind> {
        vec![SourceKind::Postgres]
    }
}

/// The functions that the chain takes, on local files and DuckDB.
struct Platform {
    planner: Arc<PlanRun>,
    dispatcher: Dispatcher,
    warehouse: Arc<dyn Warehouse>,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

impl Platform {
    fn start(database: &Postgres) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new("2026-11-24T05:30:00Z".parse().unwrap()));
        let store = Arc::new(LocalObjectStore::open(folder.path().join("buckets"), StoreOptions::default()).unwrap());
        let ledger: Arc<dyn Ledger> = Arc::new(ObjectLedger::new(store.clone(), "ledger", clock.clone()));
        let settings = WarehouseSettings {
            memory_limit: None,
            threads: Some(1),
            scratch: folder.path().join("scratch/warehouse"),
        };
        let warehouse: Arc<dyn Warehouse> =
            Arc::new(DuckDbWarehouse::open(&folder.path().join("warehouse.duckdb"), store.clone(), &settings).unwrap());
        let dispatcher = Dispatcher::new(DispatchSettings::default(), Metrics::new().unwrap());
        let bus: Arc<dyn EventBus> = Arc::new(dispatcher.clone());
        let time: Arc<dyn Clock> = clock.clone();
        let ports = Ports { ledger, store: store.clone(), bus: bus.clone(), clock: time.clone() };
        let planner = Arc::new(PlanRun::new(pipelines(folder.path()), ports));
        let sources = Arc::new(OneDatabase(Secret::new(shop::url(database))));
        let extract = ExtractSource::new(sources, store, Limits::default(), folder.path().join("scratch/extract"));
        let handlers: Vec<Arc<dyn Handler>> = vec![
            planner.clone(),
            Arc::new(StepHandler::new(extract, bus.clone(), time.clone())),
            Arc::new(StepHandler::new(
                millstream_load_table::LoadTable::new(warehouse.clone()),
                bus.clone(),
                time.clone(),
            )),
            Arc::new(StepHandler::new(
                millstream_transform_table::TransformTable::new(warehouse.clone()),
                bus.clone(),
                time.clone(),
            )),
            Arc::new(StepHandler::new(millstream_export_table::ExportTable::new(warehouse.clone()), bus, time)),
        ];
        dispatcher.start(handlers);
        Self { planner, dispatcher, warehouse, clock, _folder: folder }
    }

    async fn publish(&self, event: Event) {
        let envelope = Envelope { event, time: self.clock.now(), traceparent: None };
        self.dispatcher.publish(vec![envelope]).await.unwrap();
    }

    /// Moves the clock to the next full hour, fires the schedule, and waits until the run has ended well.
    async fn tick(&self) {
        let hour = Duration::from_secs(3_600);
        self.clock.advance(hour);
        let now = self.clock.now();
        let scheduled_at = DateTime::from_timestamp(now.timestamp() - now.timestamp().rem_euclid(3_600), 0).unwrap();
        let pipeline: millstream_events::names::PipelineName = "products".parse().unwrap();
        self.publish(Event::ScheduleFired(ScheduleFired { pipeline: pipeline.clone(), scheduled_at, source: None }))
            .await;
        let run: RunId = format!("products/{}", key_of(scheduled_at)).parse().unwrap();
        for look in 0.. {
            let plan = self.planner.plan(&run).await.unwrap().unwrap();
            match plan.state() {
                RunState::Succeeded if !plan.steps.is_empty() && self.has_started(&run).await => return,
                RunState::Failed => panic!("the run failed: {:#?}", plan.steps),
                _ => assert!(look < 6_000, "the run does not end: {:#?}", plan.steps),
            }
            if look % 50 == 49 {
                self.publish(Event::SweepDue(SweepDue {})).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Before its trigger is taken in, a run is one over nothing.
    async fn has_started(&self, run: &RunId) -> bool {
        let plan = self.planner.plan(run).await.unwrap().unwrap();
        plan.steps.iter().any(|step| step.name.as_str().starts_with("extract/"))
    }

    /// A query's rows as texts, in order.
    async fn texts(&self, query: &str) -> Vec<Vec<Option<String>>> {
        let answer = self.warehouse.query(query, 1_000_000).await.unwrap_or_else(|error| panic!("{query}: {error}"));
        let text = |value: serde_json::Value| match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        answer.rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect()
    }
}

fn key_of(at: DateTime<Utc>) -> String {
    format!("tick-{}", at.format("%Y%m%dT%H%M%SZ"))
}

fn pipelines(folder: &Path) -> millstream_pipeline::Pipelines {
    shop::write_pipeline(&folder.join("pipelines"));
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for path in [
        "products.yaml",
        "staging/stg_product.sql",
        "staging/stg_product_subcategory.sql",
        "staging/stg_product_category.sql",
        "production/products.sql",
    ] {
        let name = format!("pipelines/products/{path}");
        files.insert(name.clone(), std::fs::read(folder.join(name)).unwrap());
    }
    let project = Project { files: &files, buckets: Buckets::default(), checks: &NoChecks };
    spec::load(&project).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(120)))
}

/// A column as BigQuery writes it: a decimal without zeros at its end.
fn text_of(column: &str) -> String {
    match column {
        "StandardCost" | "ListPrice" => format!("trim_scale(\"{column}\")::text"),
        _ => format!("\"{column}\"::text"),
    }
}

/// Row by row, so that a difference can be seen.
#[track_caller]
fn assert_same(there: &[Vec<Option<String>>], wanted: &[Vec<Option<String>>], what: &str) {
    for (there, wanted) in there.iter().zip(wanted) {
        assert_eq!(there, wanted, "{what}");
    }
    assert_eq!(there.len(), wanted.len(), "{what}: rows");
}

/// Every row of every table on both sides, and the join that is made of them.
async fn assert_equal(platform: &Platform, client: &tokio_postgres::Client, when: &str) {
    let quoted = |names: &[&str]| names.iter().map(|name| text_of(name)).collect::<Vec<_>>().join(", ");
    let casts =
        |names: &[&str]| names.iter().map(|name| format!("CAST({name} AS STRING)")).collect::<Vec<_>>().join(", ");
    let subcategories = [
        "ProductSubcategoryKey",
        "ProductSubcategoryAlternateKey",
        "EnglishProductSubcategoryName",
        "ProductCategoryKey",
    ];
    let categories = ["ProductCategoryKey", "ProductCategoryAlternateKey", "EnglishProductCategoryName"];
    for (table, copy, names, alive) in [
        ("DimProduct", "source.dim_product", PRODUCTS, "WHERE \"DeletedAt\" IS NULL"),
        ("DimProductSubcategory", "source.dim_product_subcategory", &subcategories[..], ""),
        ("DimProductCategory", "source.dim_product_category", &categories[..], ""),
    ] {
        let key = names[0];
        let wanted = shop::texts(
            client,
            &format!("SELECT {} FROM shop.\"{table}\" t {alive} ORDER BY t.\"{key}\"", quoted(names)),
        )
        .await;
        let there = platform.texts(&format!("SELECT {} FROM {copy} ORDER BY {key}", casts(names))).await;
        assert!(!wanted.is_empty(), "{table} {when}");
        assert_same(&there, &wanted, &format!("{table} {when}"));
    }
    let photos = "SELECT \"ProductKey\"::text, replace(encode(\"LargePhoto\", 'base64'), E'\\n', '') FROM shop.\"DimProduct\" t \
                  WHERE \"DeletedAt\" IS NULL ORDER BY t.\"ProductKey\"";
    let copies = "SELECT CAST(ProductKey AS STRING), TO_BASE64(LargePhoto) FROM source.dim_product ORDER BY ProductKey";
    assert_same(&platform.texts(copies).await, &shop::texts(client, photos).await, &format!("the photos {when}"));
    let joined = "SELECT p.\"ProductKey\"::text, coalesce(s.\"EnglishProductSubcategoryName\", 'Unknown'), \
                  coalesce(c.\"EnglishProductCategoryName\", 'Unknown') FROM shop.\"DimProduct\" p \
                  LEFT JOIN shop.\"DimProductSubcategory\" s ON s.\"ProductSubcategoryKey\" = coalesce(p.\"ProductSubcategoryKey\", 0) \
                  LEFT JOIN shop.\"DimProductCategory\" c ON c.\"ProductCategoryKey\" = coalesce(s.\"ProductCategoryKey\", 0) \
                  WHERE p.\"DeletedAt\" IS NULL ORDER BY p.\"ProductKey\"";
    let made = "SELECT CAST(ProductKey AS STRING), ProductSubcategoryName, ProductCategoryName FROM production.products \
                ORDER BY ProductKey";
    let what = format!("what is made of them {when}");
    assert_same(&platform.texts(made).await, &shop::texts(client, joined).await, &what);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_warehouse_is_what_the_source_is_after_each_tick() {
    let database = shop::database();
    let client = shop::connect(&database).await;
    shop::fill(&client).await;
    let platform = Platform::start(&database);
    platform.tick().await;
    assert_equal(&platform, &client, "after the first tick").await;

    for (when, changes) in [
        ("when nothing changed", ""),
        (
            "after rows changed, with one time for many of them",
            r#"UPDATE shop."DimProduct" SET "ListPrice" = "ListPrice" + 1, "ChangedAt" = now() WHERE "ProductKey" % 3 = 0;
               UPDATE shop."DimProductSubcategory" SET "EnglishProductSubcategoryName" = 'Hills' WHERE "ProductSubcategoryKey" = 1;
               UPDATE shop."DimProductCategory" SET "EnglishProductCategoryName" = 'Parts' WHERE "ProductCategoryKey" = 2"#,
        ),
        (
            "after rows were deleted, marked as such and not",
            r#"UPDATE shop."DimProduct" SET "DeletedAt" = now(), "ChangedAt" = now() WHERE "ProductKey" % 5 = 0;
               DELETE FROM shop."DimProductSubcategory" WHERE "ProductSubcategoryKey" IN (2, 3);
               DELETE FROM shop."DimProductCategory" WHERE "ProductCategoryKey" = 3"#,
        ),
        (
            "after rows came back, came new, and keys moved",
            r#"UPDATE shop."DimProduct" SET "DeletedAt" = NULL, "ChangedAt" = now() WHERE "ProductKey" % 10 = 0;
               INSERT INTO shop."DimProduct" ("ProductKey", "ProductAlternateKey", "EnglishProductName", "LargePhoto", "ListPrice")
                   SELECT 900000 + n, 'N-' || n, 'New ' || n, decode(repeat('00ff', n), 'hex'), n / 7.0 FROM generate_series(1, 50) n;
               INSERT INTO shop."DimProductSubcategory" VALUES (2, 2, 'Roads again', 1);
               UPDATE shop."DimProductSubcategory" SET "ProductSubcategoryKey" = 700 WHERE "ProductSubcategoryKey" = 4;
               INSERT INTO shop."DimProductCategory" VALUES (9, NULL, 'Nines')"#,
        ),
        (
            "after a row that was committed late, within the lookback",
            r#"UPDATE shop."DimProduct" SET "Color" = 'Late', "ChangedAt" = now() - interval '1 minute' WHERE "ProductKey" = 900001"#,
        ),
    ] {
        client.batch_execute(changes).await.unwrap();
        platform.tick().await;
        assert_equal(&platform, &client, when).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_changed_table_is_read_anew() {
    let database = shop::database();
    let client = shop::connect(&database).await;
    shop::fill(&client).await;
    let platform = Platform::start(&database);
    platform.tick().await;
    // Rows that no cursor finds are found with the column that came.
    client
        .batch_execute(
            r#"ALTER TABLE shop."DimProduct" ADD "Ean" bigint; UPDATE shop."DimProduct" SET "Ean" = "ProductKey" * 1000;
               ALTER TABLE shop."DimProductSubcategory" ADD "Note" text DEFAULT 'none'"#,
        )
        .await
        .unwrap();
    platform.tick().await;
    assert_equal(&platform, &client, "after columns came").await;
    let wanted = shop::texts(
        &client,
        "SELECT count(*)::text, sum(\"Ean\")::text FROM shop.\"DimProduct\" WHERE \"DeletedAt\" IS NULL",
    )
    .await;
    let query = "SELECT CAST(COUNT(*) AS STRING), CAST(SUM(Ean) AS STRING) FROM source.dim_product";
    assert_eq!(platform.texts(query).await, wanted);
    let notes = "SELECT DISTINCT Note FROM source.dim_product_subcategory";
    assert_eq!(platform.texts(notes).await, [[Some("none".to_owned())]]);
}
