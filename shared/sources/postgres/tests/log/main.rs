//! What is loaded from the log of a real PostgreSQL is what the table has.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod database;
mod random;
mod refusals;
mod warehouse;

use std::time::Duration;

use millstream_peers::postgres::{Postgres, PostgresSettings};
use millstream_ports::{ErrorKind, Source};

use self::{database::Database, warehouse::Warehouse};

/// A table with a value that is kept out of its rows (TOAST) where it is long.
const ITEMS: &str = "
    CREATE TABLE items (id int8 PRIMARY KEY, name text NOT NULL, amount numeric(12, 2), note text);
    ALTER TABLE items ALTER note SET STORAGE EXTERNAL;
    CREATE PUBLICATION changes FOR TABLE items;
    INSERT INTO items SELECT id, 'item ' || id, id / 4.0, CASE WHEN id % 2 = 0 THEN repeat(id || ' ', 2000) END
        FROM generate_series(1, 40) AS id;";

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_change_and_go_are_followed() {
    let database = Database::new("follow");
    database.execute(ITEMS);
    let source = database.source().await;
    let mut warehouse = Warehouse::new(&source, "public.items", "follow");
    assert!(warehouse.follow().await, "the first reading is of everything");
    assert!(!warehouse.follow().await);

    database.execute("INSERT INTO items VALUES (100, 'new', 1.5, NULL), (101, 'too', NULL, repeat('long', 5000))");
    database.execute("UPDATE items SET amount = amount + 1, note = 'short' WHERE id <= 4");
    database.execute("DELETE FROM items WHERE id BETWEEN 30 AND 35");
    assert!(!warehouse.follow().await);
    assert!(warehouse.rows.contains_key(&vec!["101".to_owned()]));
    assert!(!warehouse.rows.contains_key(&vec!["30".to_owned()]));

    // Keys that change, also into one that another row had a moment ago; what was rolled back did not happen.
    database.execute("BEGIN; DELETE FROM items WHERE id = 6; UPDATE items SET id = 6 WHERE id = 5; COMMIT");
    database.execute("UPDATE items SET id = id + 1000 WHERE id > 20");
    database.execute("BEGIN; DELETE FROM items; ROLLBACK");
    database.execute(
        "BEGIN; SAVEPOINT a; DELETE FROM items; ROLLBACK TO a; UPDATE items SET name = 'kept' WHERE id = 7; COMMIT",
    );
    assert!(!warehouse.follow().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_as_good_as_the_key_where_it_has_the_key() {
    let database = Database::new("index");
    database.execute(ITEMS);
    database
        .execute("CREATE UNIQUE INDEX name_and_id ON items (name, id); ALTER TABLE items REPLICA IDENTITY USING INDEX name_and_id");
    let source = database.source().await;
    let mut warehouse = Warehouse::new(&source, "items", "index");
    assert!(warehouse.follow().await);
    database.execute("UPDATE items SET name = 'other' WHERE id < 5; UPDATE items SET id = id + 100 WHERE id < 3");
    database.execute("UPDATE items SET amount = 0 WHERE id = 6; DELETE FROM items WHERE id = 7");
    assert!(!warehouse.follow().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_values_that_an_update_does_not_touch_are_kept() {
    let database = Database::new("toast");
    database.execute(ITEMS);
    let source = database.source().await;
    let mut warehouse = Warehouse::new(&source, "items", "toast");
    assert!(warehouse.follow().await);

    // More of them than are read from the table at once, some changed again or gone afterwards.
    database.execute(
        "INSERT INTO items SELECT id, 'many', 0, repeat(id || ' ', 800) FROM generate_series(1001, 3500) AS id",
    );
    assert!(!warehouse.follow().await);
    database.execute("UPDATE items SET amount = 1");
    database.execute("UPDATE items SET note = 'short' WHERE id % 10 = 0");
    database.execute("DELETE FROM items WHERE id % 10 = 1");
    database.execute("UPDATE items SET amount = 2 WHERE id % 10 = 2");
    database.execute("UPDATE items SET id = -id WHERE id % 10 = 3");
    assert!(!warehouse.follow().await);

    database.execute("ALTER TABLE items REPLICA IDENTITY FULL");
    database.execute("UPDATE items SET amount = 3 WHERE id < 2000; DELETE FROM items WHERE id BETWEEN 2001 AND 2100");
    assert!(!warehouse.follow().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_key_is_followed_by_its_whole_rows() {
    let database = Database::new("whole");
    database.execute(
        "CREATE TABLE \"Odd Name\" (\"The Key\" text, part int, note text);
         ALTER TABLE \"Odd Name\" ALTER note SET STORAGE EXTERNAL;
         ALTER TABLE \"Odd Name\" REPLICA IDENTITY FULL;
         CREATE PUBLICATION changes FOR ALL TABLES;
         INSERT INTO \"Odd Name\" VALUES ('a', 1, repeat('x', 5000)), ('b', 1, NULL), ('c', 1, '')",
    );
    let source = database.source().await;
    let mut warehouse = Warehouse { key: &["The Key", "part"], ..Warehouse::new(&source, "Odd Name", "whole") };
    assert!(warehouse.follow().await);
    database.execute(
        "UPDATE \"Odd Name\" SET part = 2 WHERE \"The Key\" = 'a'; DELETE FROM \"Odd Name\" WHERE \"The Key\" = 'b';
         INSERT INTO \"Odd Name\" VALUES ('b', 2, 'again'); UPDATE \"Odd Name\" SET note = NULL WHERE \"The Key\" = 'c'",
    );
    assert!(!warehouse.follow().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_read_from_the_log_as_from_the_table() {
    let database = Database::new("types");
    database.execute(
        "CREATE TYPE mood AS ENUM ('good', 'bad');
         CREATE TYPE pair AS (x int, y text);
         CREATE DOMAIN code AS varchar(8);
         CREATE TABLE items (
            id code, part uuid, PRIMARY KEY (id, part),
            a bool, b int2, c int4, d int8, e float4, f float8, g numeric, h numeric(20, 3), i money, j text, k char(6), l bytea,
            m date, n time, o timetz, p timestamp, q timestamptz, r interval, s json, t jsonb, u inet, v bit(4), w mood,
            x pair, y int4range, z point, aa int[], ab text[], ac mood[], ad point[], ae xml,
            af int GENERATED ALWAYS AS (c * 2) STORED, ag oid, ah code[]);
         CREATE PUBLICATION changes FOR TABLE items",
    );
    let row = "'0190a6c0-0000-7000-8000-000000000001', true, -3, 4, 5, 0.1, 1e-9, 123456789.000000001, -2.5, '12.34', 'ä', 'ab',
        '\\x00ff', '2026-11-28', '12:34:56.789', '12:34:56+02', '2026-11-28 01:02:03.000004', '2026-11-28 01:02:03+05',
        '1 year 2 days 03:04:05.6', '{\"a\": 1}', '[1, null]', '10.0.0.1/8', B'1010', 'bad', ROW(1, 'y'), '[1,5)', '(1,2)',
        '{1,2}', '{a,\"b c\"}', '{good}', '{\"(1,2)\"}', '<a/>', DEFAULT, 7, '{x,y}'";
    database.execute(&format!("INSERT INTO items VALUES ('first', {row})"));
    let source = database.source().await;
    let mut warehouse = Warehouse { key: &["id", "part"], ..Warehouse::new(&source, "public.items", "types") };
    assert!(warehouse.follow().await);
    database.execute(&format!("INSERT INTO items VALUES ('second', {row}), ('third', {row})"));
    database.execute("INSERT INTO items (id, part) VALUES ('empty', '0190a6c0-0000-7000-8000-000000000002')");
    database.execute(
        "UPDATE items SET c = 9, w = NULL WHERE id = 'first'; UPDATE items SET id = 'fourth' WHERE id = 'third'",
    );
    assert!(!warehouse.follow().await);
    assert_eq!(warehouse.rows.len(), 4);

    // Read from the log alone, without those that have to be looked up.
    let only = "id part a b c d e f g h i j k l m n o p q r s t u v w aa ab ac ag ah";
    let told = Warehouse::new(&source, "public.items", "told");
    let mut told = Warehouse { key: &["id", "part"], ..told };
    told.read.only = only.split(' ').map(str::to_owned).collect();
    assert!(told.follow().await);
    database.execute(&format!("INSERT INTO items VALUES ('fifth', {row}); UPDATE items SET g = 0 WHERE id = 'first'"));
    assert!(!told.follow().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_read_again_where_the_log_does_not_tell_the_change() {
    let database = Database::new("again");
    database.execute(ITEMS);
    let source = database.source().await;
    let mut warehouse = Warehouse::new(&source, "public.items", "again");
    assert!(warehouse.follow().await);

    database.execute("TRUNCATE items; INSERT INTO items VALUES (1, 'after', NULL, NULL)");
    assert!(warehouse.follow().await, "the table was emptied");
    assert!(!warehouse.follow().await);

    database.execute("UPDATE items SET amount = 1");
    database.execute("ALTER TABLE items ADD extra int DEFAULT 5");
    database.execute("UPDATE items SET amount = 2");
    assert!(warehouse.follow().await, "the table had other columns");
    assert!(!warehouse.follow().await);

    database.execute("INSERT INTO items VALUES (2, 'more', NULL, NULL, 1)");
    database.execute("SELECT pg_replication_slot_advance('again', pg_current_wal_flush_lsn())");
    assert!(warehouse.follow().await, "another reader took the changes");
    assert!(!warehouse.follow().await);

    database.execute("INSERT INTO items VALUES (3, 'more', NULL, NULL, 1); SELECT pg_drop_replication_slot('again')");
    assert!(warehouse.follow().await, "the slot is gone");
    assert!(!warehouse.follow().await);

    database.execute("DROP PUBLICATION changes");
    database.execute("DELETE FROM items WHERE id = 3");
    database.execute("CREATE PUBLICATION changes FOR TABLE items");
    assert!(warehouse.follow().await, "the publication was not there for a while");
    assert!(!warehouse.follow().await);

    // A table of another server, or of one that was set back.
    warehouse.read.since = Some("FFFFFF/0".into());
    assert!(warehouse.follow().await, "the place is not in this log");

    // Of other tables nothing is read.
    database.execute("CREATE TABLE other (id int PRIMARY KEY); ALTER PUBLICATION changes ADD TABLE other; INSERT INTO other VALUES (1)");
    database.execute("TRUNCATE other");
    assert!(!warehouse.follow().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_was_read_and_not_loaded_is_read_again() {
    let database = Database::new("crash");
    database.execute(ITEMS);
    let source = database.source().await;
    let mut warehouse = Warehouse::new(&source, "public.items", "crash");
    let first = source.plan(&warehouse.read).await.unwrap();
    // Between the plan and the reading, and again before what it is of is recorded.
    database.execute("UPDATE items SET name = 'changed' WHERE id = 1; DELETE FROM items WHERE id = 2");
    warehouse.load(&first).await.unwrap();
    database.execute("UPDATE items SET id = 3000 WHERE id = 3");
    assert!(warehouse.follow().await, "the first one was never recorded");

    database.execute("UPDATE items SET name = 'one', note = NULL WHERE id = 4");
    let (old, lost) = (warehouse.read.clone(), source.plan(&warehouse.read).await.unwrap());
    warehouse.load(&lost).await.unwrap();
    database.execute("UPDATE items SET name = 'two' WHERE id = 4; DELETE FROM items WHERE id = 5");
    // The plan that is gone on with is of its own window: a later change is not in it.
    warehouse.load(&lost).await.unwrap();
    assert!(warehouse.rows.contains_key(&vec!["5".to_owned()]));
    assert!(!warehouse.follow().await);
    assert!(!warehouse.follow().await);
    let error = source.open(&old, &lost).await.unwrap_err();
    assert!(error.to_string().contains("extract again"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_are_open_meanwhile_are_read_once_they_have_ended() {
    let database = Database::new("open");
    database.execute(ITEMS);
    let source = database.source().await;
    let mut warehouse = Warehouse::new(&source, "public.items", "open");
    assert!(warehouse.follow().await);

    let (mut one, mut two) = (database.client().await, database.client().await);
    let one = one.transaction().await.unwrap();
    one.batch_execute("UPDATE items SET name = 'one' WHERE id = 1; DELETE FROM items WHERE id = 2").await.unwrap();
    let second = two.transaction().await.unwrap();
    second
        .batch_execute("UPDATE items SET name = 'two' WHERE id = 3; UPDATE items SET id = 4000 WHERE id = 4")
        .await
        .unwrap();
    assert!(!warehouse.follow().await);
    second.commit().await.unwrap();
    assert!(!warehouse.follow().await);
    let third = two.transaction().await.unwrap();
    third.batch_execute("INSERT INTO items VALUES (5000, 'three', 0, repeat('y', 9000))").await.unwrap();
    one.commit().await.unwrap();
    assert!(!warehouse.follow().await);

    // Everything is not read past a transaction of which nobody knows on which side it will be.
    let mut again = Warehouse::new(&source, "public.items", "open");
    again.read.statement_timeout = Duration::from_secs(1);
    let error = again.extract().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("running"), "{error}");
    third.rollback().await.unwrap();
    assert!(again.follow().await);
    assert!(!warehouse.follow().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_or_removes_its_log_loses_nothing() {
    let keep = vec![("max_slot_wal_keep_size", "1MB".to_owned()), ("wal_keep_size", "0".to_owned())];
    let mut server = Postgres::start(PostgresSettings { logical: true, tls: false, more: keep });
    let name = "killed";
    server.create_database(name);
    server.execute(name, &format!("ALTER DATABASE {name} SET synchronous_commit = on; {ITEMS}"));
    let source = database::source(&server.url(name)).await;
    let mut warehouse = Warehouse::new(&source, "public.items", "killed");
    assert!(warehouse.follow().await);
    server.execute(name, "UPDATE items SET amount = 7; DELETE FROM items WHERE id = 1");
    assert!(!warehouse.follow().await);
    server.execute(name, "UPDATE items SET amount = 8");
    // The plan moves the slot on; a server that is killed has forgotten that.
    source.plan(&warehouse.read).await.unwrap();
    server.restart();
    server.execute(name, "DELETE FROM items WHERE id = 2");
    assert!(!warehouse.follow().await);

    for _ in 0..4 {
        server.execute(name, "UPDATE items SET amount = 9");
        server.execute(name, "SELECT pg_switch_wal()");
    }
    server.execute(name, "CHECKPOINT");
    let status = server.query(name, "SELECT wal_status FROM pg_replication_slots");
    assert_eq!(status, "lost", "the server is to have removed log that the slot needed");
    assert!(warehouse.follow().await, "the log is gone");
    assert!(!warehouse.follow().await);
}
