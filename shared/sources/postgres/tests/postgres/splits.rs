//! Ranges of about the same number of rows, read from one snapshot.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use millstream_ports::{ErrorKind, OpenSource, Read, ReadPlan, Rows, Source};

use crate::support::{Database, read_query, read_table};

async fn rows_of(open: &dyn OpenSource, plan: &ReadPlan) -> Vec<usize> {
    let mut counts = Vec::new();
    for range in &plan.ranges {
        let rows: Vec<Rows> = open.read(range).await.unwrap().try_collect().await.unwrap();
        counts.push(rows.iter().map(|rows| rows.batch.num_rows()).sum());
    }
    counts
}

/// 10,000 rows whose key is of this type, in ranges of 1,000.
async fn check(database: &Database, of: &str, key: &str) {
    database
        .run(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (k {of} PRIMARY KEY); INSERT INTO t SELECT {key} FROM generate_series(1, 10000) i; ANALYZE t"
        ))
        .await;
    let read = Read { range_rows: 1_000, ..read_table("public.t") };
    let plan = database.source.plan(&read).await.unwrap();
    assert_eq!(plan.split_by.as_deref(), Some("k"));
    assert_eq!(plan.rows, Some(10_000));
    let counts = rows_of(&*database.source.open(&read, &plan).await.unwrap(), &plan).await;
    assert_eq!(counts.iter().sum::<usize>(), 10_000, "{of}");
    assert_eq!(counts.len(), 10, "{of}: {counts:?}");
    assert!(counts.iter().all(|count| (900..=1_100).contains(count)), "{of}: {counts:?}");
    let whole = Read { range_rows: 10_000, ..read };
    assert_eq!(database.source.plan(&whole).await.unwrap().ranges.len(), 1);
}

#[tokio::test]
async fn keys_of_each_type_are_split_evenly_however_they_are_spread() {
    let database = &Database::new().await;
    // Most keys close together, some far away.
    check(database, "bigint", "(i::int8 * i * i) * CASE WHEN i % 2 = 0 THEN 1 ELSE -1 END").await;
    check(database, "integer", "CASE WHEN i < 9000 THEN i ELSE i * 100000 END").await;
    check(database, "numeric(20,3)", "i * 0.001").await;
    check(database, "uuid", "md5(i::text)::uuid").await;
    check(database, "text", "md5(i::text) || CASE i % 3 WHEN 0 THEN '''' WHEN 1 THEN 'ÄÖ' ELSE '\\' END").await;
    check(database, "text COLLATE \"und-x-icu\"", "CASE WHEN i % 2 = 0 THEN 'a' ELSE 'B' END || i").await;
    check(database, "char(12)", "i::text").await;
    check(database, "timestamptz", "'2026-03-29 00:00+00'::timestamptz + i * interval '7 minutes 1 microsecond'").await;
    check(database, "timestamp", "'2026-10-25 00:00'::timestamp - i * interval '1 hour'").await;
    check(database, "date", "'2026-01-01'::date - i").await;
}

#[tokio::test]
async fn a_large_table_is_split_by_a_sample_of_it() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE t (id integer PRIMARY KEY, filler text);
             INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 200000) i; ANALYZE t",
        )
        .await;
    let read = Read { range_rows: 20_000, ..read_table("public.t") };
    let plan = database.source.plan(&read).await.unwrap();
    let counts = rows_of(&*database.source.open(&read, &plan).await.unwrap(), &plan).await;
    assert_eq!((counts.len(), counts.iter().sum::<usize>()), (10, 200_000));
    assert!(counts.iter().all(|count| (5_000..=60_000).contains(count)), "{counts:?}");
}

#[tokio::test]
async fn all_ranges_see_one_moment() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000); ANALYZE t")
        .await;
    let read = Read { range_rows: 100, ..read_table("public.t") };
    let plan = database.source.plan(&read).await.unwrap();
    assert!(plan.ranges.len() > 5);
    let open = database.source.open(&read, &plan).await.unwrap();
    let mut ids = BTreeSet::new();
    for range in &plan.ranges {
        let batches: Vec<Rows> = open.read(range).await.unwrap().try_collect().await.unwrap();
        for Rows { batch, .. } in batches {
            use arrow::{array::AsArray, datatypes::Int64Type};
            ids.extend(batch.column(0).as_primitive::<Int64Type>().values().to_vec());
        }
        // Every key moves to another range before that one is read.
        database.run("UPDATE t SET id = id + 100000 WHERE id <= 1000; UPDATE t SET id = id - 100001; DELETE FROM t WHERE id < 0").await;
    }
    assert_eq!(ids, (1..=1_000).collect());
    assert_ne!(database.count("SELECT count(*) FROM t").await, 1_000);
}

#[tokio::test]
async fn what_cannot_be_split_is_read_in_one_piece() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE pairs (a integer, b integer, j jsonb, PRIMARY KEY (a, b));
             INSERT INTO pairs SELECT i, i, '{}' FROM generate_series(1, 5000) i;
             CREATE TABLE heap (a integer); INSERT INTO heap SELECT generate_series(1, 5000);
             ANALYZE pairs; ANALYZE heap",
        )
        .await;
    for read in [
        read_table("pairs"),
        read_table("heap"),
        read_query("SELECT * FROM heap"),
        Read { split_by: Some("j".into()), ..read_table("pairs") },
    ] {
        let read = Read { range_rows: 100, ..read };
        let plan = database.source.plan(&read).await.unwrap();
        assert_eq!((plan.ranges.len(), &plan.split_by), (1, &None), "{read:?}");
        assert_eq!(database.read(&read, &plan).await.unwrap().rows.num_rows(), 5_000);
    }
    let named = Read { split_by: Some("a".into()), range_rows: 1_000, ..read_table("pairs") };
    let plan = database.source.plan(&named).await.unwrap();
    assert_eq!(plan.ranges.len(), 5);
    assert_eq!(database.read(&named, &plan).await.unwrap().rows.num_rows(), 5_000);
}

#[tokio::test]
async fn views_and_queries_are_split_where_that_is_asked_for() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE t (id integer PRIMARY KEY, name text);
             INSERT INTO t SELECT i, nullif(i % 50, 0)::text FROM generate_series(1, 5000) i;
             CREATE VIEW v AS SELECT * FROM t WHERE id % 2 = 0; ANALYZE t",
        )
        .await;
    for (read, rows) in [
        (Read { split_by: Some("id".into()), ..read_table("v") }, 2_500),
        (Read { split_by: Some("name".into()), ..read_table("v") }, 2_500),
        (Read { split_by: Some("id".into()), ..read_query("SELECT * FROM t WHERE id > 10 -- more") }, 4_990),
        (Read { split_by: Some("name".into()), ..read_query("SELECT * FROM t") }, 5_000),
    ] {
        let read = Read { range_rows: 100, ..read };
        let plan = database.source.plan(&read).await.unwrap();
        assert!(plan.ranges.len() > 3, "{read:?}: {plan:?}");
        assert_eq!(database.read(&read, &plan).await.unwrap().rows.num_rows(), rows, "{read:?}");
    }
}

#[tokio::test]
async fn a_plan_of_other_columns_is_refused() {
    let database = Database::new().await;
    database.run("CREATE TABLE t (id integer PRIMARY KEY, v integer); INSERT INTO t VALUES (1, 2)").await;
    let read = read_table("public.t");
    let plan = database.source.plan(&read).await.unwrap();
    database.run("ALTER TABLE t ADD COLUMN w text").await;
    assert_eq!(database.read(&read, &plan).await.unwrap().rows.num_columns(), 2, "what is new is the next plan's");
    database.run("ALTER TABLE t ALTER COLUMN v TYPE bigint").await;
    let error = database.read(&read, &plan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("the column v of public.t has another type"), "{error}");
    database.run("ALTER TABLE t DROP COLUMN v").await;
    let error = database.read(&read, &plan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("no column v"), "{error}");
    database.run("DROP TABLE t").await;
    assert_eq!(database.read(&read, &plan).await.unwrap_err().kind(), ErrorKind::NotFound);
}
