//! What keeps changes from being read, each with what to do.

use millstream_events::extract::{ChangeLog, Changes, Selection};
use millstream_peers::postgres::{Postgres, PostgresSettings};
use millstream_ports::{ErrorKind, Read, Source};
use millstream_source_postgres::PostgresSource;

use crate::{
    database::{Database, source},
    warehouse::reading,
};

fn log_of(table: &str, publication: &str, slot: &str) -> Read {
    reading(table, Changes::Log(ChangeLog { publication: publication.into(), slot: slot.into() }))
}

async fn refused(source: &PostgresSource, read: &Read, kind: ErrorKind, advice: &str) {
    let error = source.plan(read).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(advice), "{advice:?} is not in {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_set_up_is_said() {
    let database = Database::new("refused");
    database.execute(
        "CREATE TABLE items (id int PRIMARY KEY, name text);
         CREATE TABLE keyless (id int, name text);
         CREATE TABLE silent (id int PRIMARY KEY, name text);
         ALTER TABLE silent REPLICA IDENTITY NOTHING;
         CREATE TABLE computed (id int, at point);
         ALTER TABLE computed REPLICA IDENTITY FULL;
         CREATE VIEW seen AS SELECT * FROM items;
         CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE part PARTITION OF parted DEFAULT;
         CREATE PUBLICATION \"My Changes\";
         CREATE PUBLICATION filtered FOR TABLE items WHERE (id > 5);
         CREATE PUBLICATION listed FOR TABLE items (id);
         CREATE PUBLICATION inserts FOR TABLE items WITH (publish = 'insert');
         CREATE PUBLICATION everything FOR ALL TABLES;",
    );
    database.execute("SELECT pg_create_logical_replication_slot('other_plugin', 'test_decoding')");
    let source = database.source().await;
    let invalid = ErrorKind::Invalid;
    let missing = log_of("public.items", "Not There", "a");
    refused(&source, &missing, ErrorKind::NotFound, "CREATE PUBLICATION \"Not There\" FOR TABLE \"public\".\"items\"")
        .await;
    let outside = log_of("public.items", "My Changes", "a");
    refused(&source, &outside, invalid, "ALTER PUBLICATION \"My Changes\" ADD TABLE \"public\".\"items\"").await;
    let filtered = log_of("public.items", "filtered", "a");
    refused(&source, &filtered, invalid, "ALTER PUBLICATION \"filtered\" SET TABLE").await;
    let listed = log_of("public.items", "listed", "a");
    refused(&source, &listed, invalid, "ALTER PUBLICATION \"listed\" SET TABLE").await;
    let inserts = log_of("public.items", "inserts", "a");
    refused(&source, &inserts, invalid, "SET (publish = 'insert, update, delete, truncate')").await;
    let keyless = log_of("keyless", "everything", "a");
    refused(&source, &keyless, invalid, "ALTER TABLE \"public\".\"keyless\" REPLICA IDENTITY FULL").await;
    let silent = log_of("silent", "everything", "a");
    refused(&source, &silent, invalid, "ALTER TABLE \"public\".\"silent\" REPLICA IDENTITY DEFAULT").await;
    let computed = log_of("computed", "everything", "a");
    refused(&source, &computed, invalid, "primary key").await;
    refused(&source, &log_of("seen", "everything", "a"), invalid, "no table").await;
    refused(&source, &log_of("parted", "everything", "a"), invalid, "publish_via_partition_root").await;
    refused(&source, &log_of("items", "everything", "other_plugin"), invalid, "another slot").await;
    refused(&source, &log_of("items", "everything", "No Slot's Name"), invalid, "lower-case").await;
    let query = Read { select: Selection::Query("SELECT 1 AS one".into()), ..log_of("items", "everything", "a") };
    refused(&source, &query, invalid, "name the table").await;
    let since = Read { since: Some("yesterday".into()), ..log_of("items", "everything", "a") };
    refused(&source, &since, invalid, "16/B374D848").await;
    assert_eq!(
        database.server.query(&database.name, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'a'"),
        "0"
    );
    database.execute("SELECT pg_drop_replication_slot('other_plugin')");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_replicate_is_told() {
    let database = Database::new("unprivileged");
    database.execute(
        "CREATE TABLE items (id int PRIMARY KEY);
         CREATE PUBLICATION changes FOR TABLE items;
         CREATE ROLE follower LOGIN PASSWORD 'follower';
         GRANT SELECT ON items TO follower;",
    );
    let follower = source(&database.server.url_of("follower", "follower", &database.name)).await;
    let read = log_of("items", "changes", "unprivileged");
    refused(&follower, &read, ErrorKind::Denied, "ALTER ROLE \"follower\" REPLICATION").await;
    database.execute("ALTER ROLE follower REPLICATION");
    let plan = follower.plan(&read).await.unwrap();
    assert!(plan.everything);
    let since = Read { since: plan.position, ..read };
    assert!(!follower.plan(&since).await.unwrap().everything);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_logical_log_is_told() {
    let server = Postgres::start(PostgresSettings::default());
    server.create_database("plain");
    server.execute("plain", "CREATE TABLE items (id int PRIMARY KEY); CREATE PUBLICATION changes FOR TABLE items");
    let source = source(&server.url("plain")).await;
    refused(&source, &log_of("items", "changes", "a"), ErrorKind::Invalid, "wal_level = logical").await;
}
