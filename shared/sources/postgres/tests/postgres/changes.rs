//! What a cursor finds, beyond the contract.

use millstream_events::extract::{Changes, Cursor, Lookback};
use millstream_ports::{ErrorKind, Read, Source, Ties};

use crate::support::{Database, by_cursor, read_query, read_table};

#[tokio::test]
async fn positions_are_exact_to_the_microsecond_in_every_zone() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, local timestamp, day date);
             INSERT INTO t VALUES
                 (1, '2026-03-29 02:59:59.999999+02', '2026-03-29 02:30:00.000001', '2026-03-29'),
                 (2, '2026-03-29 01:00:00+00', '2026-03-29 02:30:00.000002', '2026-03-30')",
        )
        .await;
    for (column, first, next) in [
        ("at", "2026-03-29 01:00:00+00", "'2026-03-29 01:00:00.000001+00'"),
        ("local", "2026-03-29 02:30:00.000002", "'2026-03-29 02:30:00.000003'"),
        ("day", "2026-03-30", "'2026-03-31'"),
    ] {
        let read = Read { changes: by_cursor(column), ..read_table("t") };
        let extracted = database.extract(&read).await;
        assert_eq!((extracted.plan.position.as_deref(), extracted.ids().len()), (Some(first), 2), "{column}");
        database.run(&format!("INSERT INTO t (id, {column}) VALUES (3, {next})")).await;
        let read = Read { since: extracted.plan.position, ties: Ties::Once, ..read };
        let again = database.extract(&read).await;
        assert_eq!(again.ids(), [2], "{column}: the newest row waits");
        assert_eq!(again.plan.position.as_deref(), Some(&next[1..next.len() - 1]));
        assert!(!again.plan.everything);
        database.run("DELETE FROM t WHERE id = 3").await;
    }
}

#[tokio::test]
async fn texts_numbers_and_uuids_are_cursors_too_and_others_are_not() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE t (id integer PRIMARY KEY, version text, revision numeric, ulid uuid, ratio float8, j jsonb);
             INSERT INTO t SELECT i, 'v' || lpad(i::text, 5, '0'), i * 0.1, lpad(i::text, 32, '0')::uuid
             FROM generate_series(1, 10) i",
        )
        .await;
    for (column, position) in
        [("version", "v00010"), ("revision", "1.0"), ("ulid", "00000000-0000-0000-0000-000000000010")]
    {
        let read = Read { changes: by_cursor(column), ..read_table("t") };
        let extracted = database.extract(&read).await;
        assert_eq!(extracted.plan.position.as_deref(), Some(position));
        database.run("INSERT INTO t SELECT 11, 'v00011', 1.1, lpad('11', 32, '0')::uuid").await;
        let read = Read { since: extracted.plan.position, ..read };
        assert_eq!(database.extract(&read).await.ids(), [10, 11], "{column}");
        database.run("DELETE FROM t WHERE id = 11").await;
    }
    for column in ["ratio", "j"] {
        let error = database.source.plan(&Read { changes: by_cursor(column), ..read_table("t") }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("cannot be a cursor"), "{error}");
    }
}

#[tokio::test]
async fn rows_without_a_time_or_with_an_endless_one_come_with_the_first_reading() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE t (id integer PRIMARY KEY, at timestamptz);
             INSERT INTO t VALUES (1, NULL), (2, 'infinity'), (3, '2026-01-01+00'), (4, '2026-01-02+00')",
        )
        .await;
    let read = Read { changes: by_cursor("at"), ..read_table("t") };
    let first = database.extract(&read).await;
    assert_eq!((first.ids(), first.plan.position.as_deref()), (vec![1, 2, 3, 4], Some("2026-01-02 00:00:00+00")));
    assert_eq!(first.faults.len(), 1, "and is a fault");
    let once = database.extract(&Read { ties: Ties::Once, ..read.clone() }).await;
    assert_eq!(once.ids(), [1, 2, 3]);
    let next = Read { since: first.plan.position, ..read };
    assert_eq!(database.extract(&next).await.ids(), [4]);
}

#[tokio::test]
async fn while_no_row_has_a_value_rows_are_not_added_twice() {
    let database = Database::new().await;
    database.run("CREATE TABLE t (id integer PRIMARY KEY, at timestamptz); INSERT INTO t VALUES (1, NULL)").await;
    let read = Read { changes: by_cursor("at"), ties: Ties::Once, ..read_table("t") };
    let first = database.extract(&read).await;
    assert_eq!((first.ids(), first.plan.position), (vec![], None));
    let again = database.extract(&Read { ties: Ties::Again, ..read.clone() }).await;
    assert_eq!((again.ids(), again.plan.position), (vec![1], None));
    database.run("INSERT INTO t VALUES (2, '2026-01-01+00'), (3, '2026-01-02+00')").await;
    assert_eq!(database.extract(&read).await.ids(), [1, 2]);
}

#[tokio::test]
async fn a_lookback_is_of_the_cursors_kind() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE t (id bigint PRIMARY KEY, small smallint, revision numeric, at timestamp, day date);
             INSERT INTO t SELECT i, i, i, '2026-01-01'::timestamp + i * interval '1 hour', '2026-01-01'::date + i::int
             FROM generate_series(1, 100) i",
        )
        .await;
    let looking_back = |column: &str, lookback| Read {
        changes: Changes::Cursor(Cursor { column: column.into(), lookback: Some(lookback), deleted: None }),
        ..read_table("t")
    };
    for (column, lookback, since, oldest) in [
        ("id", Lookback::Count(5), "100", 95),
        ("id", Lookback::Count(u64::MAX), "100", 1),
        ("small", Lookback::Count(40_000), "100", 1),
        ("revision", Lookback::Count(5), "100", 95),
        ("at", Lookback::Seconds(5 * 3_600), "2026-01-05 04:00:00", 95),
        ("at", Lookback::Seconds(u64::MAX), "2026-01-05 04:00:00", 1),
        ("day", Lookback::Seconds(5 * 86_400), "2026-04-11", 95),
    ] {
        let read = Read { since: Some(since.into()), ..looking_back(column, lookback) };
        let ids = database.extract(&read).await.ids();
        assert_eq!(ids, (oldest..=100).collect::<Vec<i64>>(), "{column} {lookback:?}");
        let once = Read { ties: Ties::Once, ..read };
        assert!(database.extract(&once).await.ids().len() <= 1, "there is no lookback without a key");
    }
    for (column, lookback) in [("id", Lookback::Seconds(1)), ("at", Lookback::Count(1))] {
        let read = Read {
            since: Some(if column == "id" { "1" } else { "2026-01-01" }.into()),
            ..looking_back(column, lookback)
        };
        let error = database.source.plan(&read).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("lookback"), "{error}");
    }
}

#[tokio::test]
async fn a_query_has_a_cursor_and_ranges_of_what_changed() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE t (id integer PRIMARY KEY, at timestamptz);
             INSERT INTO t SELECT i, '2026-01-01+00'::timestamptz + i * interval '1 second' FROM generate_series(1, 5000) i;
             CREATE INDEX ON t (at); ANALYZE t",
        )
        .await;
    let since = Some("2026-01-01 01:00:00+00".to_owned());
    for read in
        [read_table("t"), Read { split_by: Some("id".into()), ..read_query("SELECT * FROM t WHERE id <> 4000") }]
    {
        let read = Read { changes: by_cursor("at"), since: since.clone(), range_rows: 200, ..read };
        let extracted = database.extract(&read).await;
        let of_query = matches!(read.select, millstream_events::extract::Selection::Query(_));
        let expected: Vec<_> = (3_600..=5_000).filter(|id| !of_query || *id != 4_000).collect();
        let mut ids = extracted.ids();
        ids.sort_unstable();
        assert_eq!(ids, expected);
        assert!(extracted.plan.ranges.len() > 3, "{:?}", extracted.plan);
        assert!(extracted.plan.rows.is_some_and(|rows| (700..3_000).contains(&rows)), "{:?}", extracted.plan.rows);
    }
}

#[tokio::test]
async fn a_place_that_is_none_of_the_cursor_is_told() {
    let database = Database::new().await;
    database.run("CREATE TABLE t (id integer PRIMARY KEY, at timestamptz)").await;
    for since in ["yesterday noon", "it's", "0/1"] {
        let read = Read { changes: by_cursor("at"), since: Some(since.into()), ..read_table("t") };
        assert_eq!(database.source.plan(&read).await.unwrap_err().kind(), ErrorKind::Invalid, "{since}");
    }
}
