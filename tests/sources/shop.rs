//! The product tables of the demo, in a PostgreSQL, and the pipeline that extracts them.

use std::{fs, path::Path};

use millstream_peers::postgres::{Postgres, PostgresSettings};
use millstream_tests::up::demo;
use tokio_postgres::{Client, NoTls};

/// What the sources of the demo's `products` pipeline become: the products by a cursor and a mark of deletion, their
/// subcategories from the database's log, their categories in full.
const SOURCES: &str = r#"
schedule: "0 * * * *"

sources:
  product:
    extract:
      from: postgres
      connection: secret:shop
      table: shop.DimProduct
      cursor: ChangedAt
      lookback: 10m
      deleted: DeletedAt
    table: source.dim_product
    write: {mode: merge, key: [ProductKey]}
    expect: ["ListPrice >= 0"]

  subcategory:
    extract:
      from: postgres
      connection: secret:shop
      table: shop.DimProductSubcategory
      log: {publication: millstream, slot: millstream_subcategory}
    table: source.dim_product_subcategory
    write: {mode: merge, key: [ProductSubcategoryKey]}

  category:
    extract: {from: postgres, connection: secret:shop, table: shop.DimProductCategory}
    table: source.dim_product_category

models:"#;

/// The tables, with what a cursor and a log need.
const TABLES: &str = r#"
CREATE SCHEMA shop;
CREATE TABLE shop."DimProductCategory" (
    "ProductCategoryKey" int PRIMARY KEY, "ProductCategoryAlternateKey" int, "EnglishProductCategoryName" varchar(50) NOT NULL);
CREATE TABLE shop."DimProductSubcategory" (
    "ProductSubcategoryKey" int PRIMARY KEY, "ProductSubcategoryAlternateKey" int,
    "EnglishProductSubcategoryName" varchar(50) NOT NULL, "ProductCategoryKey" int);
CREATE TABLE shop."DimProduct" (
    "ProductKey" int PRIMARY KEY, "ProductAlternateKey" varchar(25) NOT NULL, "ProductSubcategoryKey" int,
    "WeightUnitMeasureCode" char(2), "SizeUnitMeasureCode" char(2), "EnglishProductName" varchar(100) NOT NULL,
    "StandardCost" numeric(19, 4), "FinishedGoodsFlag" boolean, "Color" text, "SafetyStockLevel" smallint,
    "ReorderPoint" smallint, "ListPrice" numeric(19, 4), "Size" text, "SizeRange" text, "Weight" double precision,
    "DaysToManufacture" int, "ProductLine" text, "DealerPrice" numeric(19, 4), "Class" text, "Style" text, "ModelName" text,
    "EnglishDescription" text, "StartDate" date, "EndDate" date, "Status" text, "LargePhoto" bytea,
    "ChangedAt" timestamptz NOT NULL DEFAULT now(), "DeletedAt" timestamptz);
CREATE PUBLICATION millstream FOR TABLE shop."DimProductSubcategory";
"#;

/// Products as the warehouse is to have them; the same text is right on both sides.
pub(crate) const PRODUCTS: &[&str] = &[
    "ProductKey",
    "ProductAlternateKey",
    "ProductSubcategoryKey",
    "EnglishProductName",
    "StandardCost",
    "FinishedGoodsFlag",
    "Color",
    "SafetyStockLevel",
    "ListPrice",
    "Weight",
    "StartDate",
    "EndDate",
    "Status",
];

/// The pipeline of the demo over these sources, as a project's folder has it.
pub(crate) fn write_pipeline(pipelines: &Path) {
    let from = demo().join("pipelines/products");
    for folder in ["staging", "production"] {
        fs::create_dir_all(pipelines.join("products").join(folder)).unwrap();
        for file in fs::read_dir(from.join(folder)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), pipelines.join("products").join(folder).join(file.file_name())).unwrap();
        }
    }
    let text = fs::read_to_string(from.join("products.yaml")).unwrap();
    let (head, rest) = text.split_once("\nsources:\n").expect("the demo's pipeline has sources");
    let (_, tail) = rest.split_once("\nmodels:").expect("and models after them");
    fs::write(pipelines.join("products/products.yaml"), format!("{head}\n{SOURCES}{tail}")).unwrap();
}

/// A database whose log tells changes.
pub(crate) fn database() -> Postgres {
    Postgres::start(PostgresSettings { logical: true, ..PostgresSettings::default() })
}

/// How it is reached: over this machine's own network, in plain text.
pub(crate) fn url(database: &Postgres) -> String {
    format!("{}?sslmode=disable", database.url("postgres"))
}

/// A connection of the shop's own programs.
pub(crate) async fn connect(database: &Postgres) -> Client {
    let (client, connection) = tokio_postgres::connect(&url(database), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Makes the tables and fills them with the demo's files.
pub(crate) async fn fill(client: &Client) {
    client.batch_execute(TABLES).await.unwrap();
    for table in ["DimProductCategory", "DimProductSubcategory", "DimProduct"] {
        let csv = fs::read_to_string(demo().join(format!("uploads/{table}.csv"))).unwrap();
        let header: Vec<String> = csv.lines().next().unwrap().split(',').map(|name| format!("\"{name}\"")).collect();
        let texts: Vec<String> = header.iter().map(|name| format!("{name} text")).collect();
        client.batch_execute(&format!("CREATE TEMPORARY TABLE incoming ({})", texts.join(", "))).await.unwrap();
        let sink = client.copy_in("COPY incoming FROM STDIN (FORMAT csv, HEADER)").await.unwrap();
        futures::pin_mut!(sink);
        futures::SinkExt::send(&mut sink, bytes::Bytes::from(csv.clone())).await.unwrap();
        sink.finish().await.unwrap();
        let columns = client
            .query(
                "SELECT column_name, data_type FROM information_schema.columns \
                 WHERE table_schema = 'shop' AND table_name = $1",
                &[&table],
            )
            .await
            .unwrap();
        let kind = |name: &String| -> String {
            let plain = name.trim_matches('"');
            columns.iter().find(|row| row.get::<_, &str>(0) == plain).unwrap().get(1)
        };
        let cast = |name: &String| match kind(name).as_str() {
            "bytea" => format!("decode({name}, 'base64')"),
            kind => format!("NULLIF({name}, '')::{kind}"),
        };
        let values: Vec<String> = header.iter().map(cast).collect();
        // The demo shows bad rows too; a database has refused them long before.
        let is_good = |name: &String| {
            let pattern = match kind(name).as_str() {
                "integer" | "smallint" => "^-?[0-9]{1,6}$",
                "numeric" | "double precision" => "^[0-9]+(\\.[0-9]{1,4})?$",
                "boolean" => "^(0|1|true|false)$",
                "date" => "^[0-9]{4}-(0[1-9]|1[0-2])-([01][0-9]|2[0-8])$",
                "bytea" => "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
                _ => "^",
            };
            format!("(coalesce({name}, '') = '' OR {name} ~ '{pattern}')")
        };
        let keep: Vec<String> = header.iter().map(is_good).chain([format!("{} <> ''", header[0])]).collect();
        let statement = format!(
            "INSERT INTO shop.\"{table}\" ({}) SELECT DISTINCT ON (({})::int) {} FROM incoming WHERE {}; DROP TABLE incoming",
            header.join(", "),
            header[0],
            values.join(", "),
            keep.join(" AND ")
        );
        client.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{table}: {error:?}\n{statement}"));
    }
}

/// A query's rows as texts, in order.
pub(crate) async fn texts(client: &Client, query: &str) -> Vec<Vec<Option<String>>> {
    let rows = client.simple_query(query).await.unwrap();
    let cells =
        |row: &tokio_postgres::SimpleQueryRow| (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect();
    rows.iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(cells(row)),
            _ => None,
        })
        .collect()
}
