//! Random changes in random transactions, with readings in between.

use std::cell::Cell;

use millstream_ports::Source;
use proptest::{prelude::*, test_runner::TestRunner};
use tokio_postgres::Client;

use crate::{database::Database, warehouse::Warehouse};

/// Writers, each with keys of its own so that none waits for another.
const WRITERS: usize = 2;

/// How many keys a writer has.
const KEYS: i64 = 8;

#[derive(Debug, Clone)]
enum Step {
    Put { key: i64, value: i64, is_long: bool },
    Touch { key: i64, value: i64 },
    Move { from: i64, to: i64 },
    Remove { key: i64 },
    Undone { key: i64 },
    Begin,
    Commit,
    Rollback,
}

#[derive(Debug, Clone)]
enum Event {
    Write(usize, Step),
    Read,
    /// A reading after which the process ends before its rows are recorded; whether they were loaded.
    Lose(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS;
    prop_oneof![
        4 => (key.clone(), 0..1_000_i64, any::<bool>()).prop_map(|(key, value, is_long)| Step::Put { key, value, is_long }),
        4 => (key.clone(), 0..1_000_i64).prop_map(|(key, value)| Step::Touch { key, value }),
        3 => (key.clone(), key.clone()).prop_map(|(from, to)| Step::Move { from, to }),
        2 => key.clone().prop_map(|key| Step::Remove { key }),
        1 => key.prop_map(|key| Step::Undone { key }),
        3 => Just(Step::Begin),
        3 => Just(Step::Commit),
        1 => Just(Step::Rollback),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0..WRITERS, step()).prop_map(|(writer, step)| Event::Write(writer, step)),
        2 => Just(Event::Read),
        1 => any::<bool>().prop_map(Event::Lose),
    ]
}

/// The step as SQL, on keys of the writer's own. A step that does not apply to what is there changes nothing.
fn sql(table: &str, writer: usize, step: &Step) -> String {
    let own = |key: i64| key * WRITERS as i64 + writer as i64;
    match *step {
        Step::Put { key, value, is_long } => {
            let times = if is_long { 1_500 } else { 1 };
            format!(
                "INSERT INTO {table} VALUES ({}, {value}, repeat('{value} ', {times}))
                 ON CONFLICT (id) DO UPDATE SET value = excluded.value, note = excluded.note",
                own(key)
            )
        }
        Step::Touch { key, value } => format!("UPDATE {table} SET value = {value} WHERE id = {}", own(key)),
        Step::Move { from, to } => format!(
            "UPDATE {table} SET id = {to}, value = value + 1 WHERE id = {} AND NOT EXISTS (SELECT FROM {table} WHERE id = {to})",
            own(from),
            to = own(to)
        ),
        Step::Remove { key } => format!("DELETE FROM {table} WHERE id = {}", own(key)),
        Step::Undone { key } => {
            format!("SAVEPOINT a; DELETE FROM {table} WHERE id = {}; ROLLBACK TO a; RELEASE a", own(key))
        }
        Step::Begin => "BEGIN".into(),
        Step::Commit => "COMMIT".into(),
        Step::Rollback => "ROLLBACK".into(),
    }
}

/// Does a step, where it makes sense within or outside of a transaction.
async fn write(client: &Client, is_open: &mut bool, table: &str, writer: usize, step: &Step) {
    match step {
        Step::Begin if *is_open => return,
        Step::Commit | Step::Rollback | Step::Undone { .. } if !*is_open => return,
        Step::Begin => *is_open = true,
        Step::Commit | Step::Rollback => *is_open = false,
        _ => {}
    }
    client.batch_execute(&sql(table, writer, step)).await.unwrap();
}

#[test]
fn whatever_happens_the_table_is_followed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = Database::new("random");
    database.execute("CREATE PUBLICATION changes FOR ALL TABLES");
    let cases = Cell::new(0);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() });
    runner
        .run(&(proptest::collection::vec(event(), 1..80), any::<bool>()), |(events, is_full)| {
            cases.set(cases.get() + 1);
            runtime.block_on(follow(&database, &format!("items_{}", cases.get()), is_full, &events));
            Ok(())
        })
        .unwrap();
}

async fn follow(database: &Database, table: &str, is_full: bool, events: &[Event]) {
    let identity = if is_full { "FULL" } else { "DEFAULT" };
    database.execute(&format!(
        "CREATE TABLE {table} (id int8 PRIMARY KEY, value int, note text);
         ALTER TABLE {table} ALTER note SET STORAGE EXTERNAL;
         ALTER TABLE {table} REPLICA IDENTITY {identity}"
    ));
    let source = database.source().await;
    let mut warehouse = Warehouse::new(&source, table, table);
    warehouse.extract().await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..WRITERS {
        clients.push((database.client().await, false));
    }
    for event in events {
        match event {
            Event::Write(writer, step) => {
                let (client, is_open) = &mut clients[*writer];
                write(client, is_open, table, *writer, step).await;
            }
            Event::Read => assert!(!warehouse.follow().await),
            Event::Lose(is_loaded) => {
                let plan = source.plan(&warehouse.read).await.unwrap();
                if *is_loaded {
                    warehouse.load(&plan).await.unwrap();
                }
            }
        }
    }
    drop(clients);
    // What was open when its client went is rolled back, and that may take a moment: it never was visible.
    assert!(!warehouse.follow().await);
    database.execute(&format!("SELECT pg_drop_replication_slot('{table}'); DROP TABLE {table}"));
}
