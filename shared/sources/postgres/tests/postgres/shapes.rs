//! What is there, and what it looks like.

use millstream_events::extract::Selection;
use millstream_ports::{ErrorKind, Source, TableSummary};

use crate::support::{Database, read_query, read_table, source};

const SHOP: &str = r#"
    CREATE TABLE orders (
        region text, id bigint GENERATED ALWAYS AS IDENTITY, updated_at timestamptz NOT NULL DEFAULT now(),
        created date, changed_by text, last_change timestamp, total numeric(8,2), twice numeric GENERATED ALWAYS AS (total * 2) STORED,
        legacy serial, gone integer, PRIMARY KEY (id, region));
    ALTER TABLE orders DROP COLUMN gone;
    COMMENT ON COLUMN orders.total IS 'with tax';
    INSERT INTO orders (region, total) SELECT 'r', i FROM generate_series(1, 1000) i;
    CREATE SCHEMA "my.shop";
    CREATE TABLE "my.shop"."Odd ""name""" ("Key" integer PRIMARY KEY);
    CREATE TABLE sales (day date NOT NULL, units integer) PARTITION BY RANGE (day);
    CREATE TABLE sales_1 PARTITION OF sales FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE sales_2 PARTITION OF sales FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    INSERT INTO sales SELECT '2026-01-31'::date + i % 2, i FROM generate_series(1, 500) i;
    CREATE VIEW totals AS SELECT region, sum(total) AS total FROM orders GROUP BY region;
    CREATE MATERIALIZED VIEW kept AS SELECT * FROM totals;
    CREATE EXTENSION postgres_fdw;
    CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
    CREATE FOREIGN TABLE far (id integer) SERVER elsewhere;
    CREATE DOMAIN code AS text NOT NULL;
    CREATE TABLE coded (code code);
    ANALYZE orders; ANALYZE sales;"#;

#[tokio::test]
async fn tables_views_and_partitioned_tables_are_listed_with_their_size() {
    let database = Database::new().await;
    database.run(SHOP).await;
    let tables = database.source.tables().await.unwrap();
    let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "\"my.shop\".\"Odd \"\"name\"\"\"",
            "public.coded",
            "public.far",
            "public.kept",
            "public.orders",
            "public.sales",
            "public.totals",
        ]
    );
    let of = |name: &str| -> &TableSummary { tables.iter().find(|table| table.name == name).unwrap() };
    assert_eq!((of("public.orders").rows, of("public.sales").rows), (Some(1_000), Some(500)));
    assert!(of("public.orders").bytes.unwrap() >= 8_192 * 5);
    assert!(of("public.sales").bytes.unwrap() >= 8_192 * 2);
    assert_eq!((of("public.coded").rows, of("public.totals").rows, of("public.totals").bytes), (None, None, None));
    let views: Vec<_> = tables.iter().filter(|table| table.is_view).map(|table| table.name.as_str()).collect();
    assert_eq!(views, ["public.kept", "public.totals"]);
    for table in &tables {
        database.source.describe(&Selection::Table(table.name.clone())).await.unwrap();
    }
}

#[tokio::test]
async fn a_table_has_its_columns_its_key_and_what_could_be_a_cursor() {
    let database = Database::new().await;
    database.run(SHOP).await;
    let shape = database.source.describe(&Selection::Table("orders".into())).await.unwrap();
    let columns: Vec<_> = shape
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.source_type.as_str(), column.required))
        .collect();
    assert_eq!(
        columns,
        [
            ("region", "text", true),
            ("id", "bigint", true),
            ("updated_at", "timestamp with time zone", true),
            ("created", "date", false),
            ("changed_by", "text", false),
            ("last_change", "timestamp without time zone", false),
            ("total", "numeric(8,2)", false),
            ("twice", "numeric", false),
            ("legacy", "integer", true),
        ]
    );
    assert_eq!(shape.columns[6].description.as_deref(), Some("with tax"));
    assert_eq!(shape.key, ["id", "region"]);
    assert_eq!(shape.cursors, ["updated_at", "last_change", "id", "legacy"]);
    assert_eq!(shape.rows, Some(1_000));
    assert!(shape.bytes.is_some());
    let coded = database.source.describe(&Selection::Table("coded".into())).await.unwrap();
    assert!(coded.columns[0].required, "the domain refuses NULL");
    let partitioned = database.extract(&read_table("sales")).await;
    assert_eq!(partitioned.rows.num_rows(), 500);
    assert_eq!(database.extract(&read_table("kept")).await.rows.num_rows(), 1);
}

#[tokio::test]
async fn a_query_has_columns_and_no_key() {
    let database = Database::new().await;
    database.run(SHOP).await;
    let query = "WITH a AS (SELECT id, total FROM orders WHERE id <= 10) SELECT * FROM a ORDER BY id;";
    let shape = database.source.describe(&Selection::Query(query.into())).await.unwrap();
    let types: Vec<_> = shape.columns.iter().map(|column| column.source_type.as_str()).collect();
    assert_eq!(types, ["bigint", "numeric(8,2)"]);
    assert!(shape.key.is_empty() && shape.cursors.is_empty() && shape.rows.is_some());
    assert_eq!(database.extract(&read_query(query)).await.ids(), (1..=10).collect::<Vec<_>>());
    assert_eq!(database.extract(&read_query("VALUES (1::int8), (2)")).await.ids(), [1, 2]);
    assert_eq!(database.extract(&read_query("TABLE orders")).await.rows.num_rows(), 1_000);
}

#[tokio::test]
async fn a_query_that_is_more_than_one_or_writes_is_refused() {
    let database = Database::new().await;
    database.run(SHOP).await;
    database.run("CREATE FUNCTION write() RETURNS int LANGUAGE sql AS 'DELETE FROM orders RETURNING 1'").await;
    for query in [
        "DELETE FROM orders",
        "SELECT 1; DELETE FROM orders",
        "SELECT 1) AS source; DELETE FROM orders; --",
        "WITH gone AS (DELETE FROM orders RETURNING id) SELECT * FROM gone",
        "SELECT write()",
        "SELECT nextval('orders_id_seq')",
        "SELECT id INTO other FROM orders",
        "SELECT 1 AS a, 2 AS a",
        "SELECT $1::int",
        "SELECT nothing FROM orders",
    ] {
        let read = read_query(query);
        let outcome = async {
            let plan = database.source.plan(&read).await?;
            database.read(&read, &plan).await
        }
        .await;
        let error = outcome.expect_err(query);
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound), "{query}: {error}");
    }
    assert_eq!(database.count("SELECT count(*) FROM orders").await, 1_000);
    assert_eq!(database.count("SELECT last_value FROM orders_id_seq").await, 1_000);
}

#[tokio::test]
async fn names_are_exact_and_what_is_alike_is_named() {
    let database = Database::new().await;
    database.run(SHOP).await;
    let error = database.source.describe(&Selection::Table("Orders".into())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("public.orders"), "{error}");
    let error = database.source.describe(&Selection::Table("x\"; DROP TABLE orders; --".into())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let read = millstream_ports::Read { only: vec!["Total".into()], ..read_table("orders") };
    let error = database.source.plan(&read).await.unwrap_err();
    assert!(error.to_string().contains("no column Total; it has region, id"), "{error}");
    let odd = r#""my.shop"."Odd ""name""""#;
    database.run(&format!("INSERT INTO {odd} VALUES (3)")).await;
    assert_eq!(database.table(odd).await.ids(), [3]);
}

#[tokio::test]
async fn what_the_user_may_not_read_is_not_listed_and_named_when_it_is_asked_for() {
    let database = Database::new().await;
    database.run(SHOP).await;
    let (name, user) = (&database.name, format!("{}_reader", database.name));
    database
        .run(&format!(
            "CREATE USER {user} PASSWORD 'a secret'; GRANT SELECT (region, total) ON orders TO {user};
             GRANT SELECT ON totals TO {user}; REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {user}"
        ))
        .await;
    let source = source(&database.server, &database.server.url_of(&user, "a secret", name)).await;
    let tables: Vec<_> = source.tables().await.unwrap().into_iter().map(|table| table.name).collect();
    assert_eq!(tables, ["public.orders", "public.totals"]);
    let error = source.plan(&read_table("public.orders")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("GRANT SELECT"), "{error}");
    let error = source.plan(&read_query("SELECT * FROM sales")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains(&format!("GRANT SELECT on it to {user}")), "{error}");
    let only = vec!["total".to_owned()];
    let read = millstream_ports::Read { only, ..read_table("public.orders") };
    assert_eq!(Database { source, ..database }.extract(&read).await.rows.num_rows(), 1_000);
}
