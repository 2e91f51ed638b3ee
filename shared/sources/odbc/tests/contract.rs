//! The contract of sources on a real PostgreSQL through its ODBC driver, with a cursor that is a time and one that is a number.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::extract::{Lookback, Selection};
use millstream_ports::{
    Source,
    contracts::source::{self, Item, SourceFixture},
};
use support::Database;

struct Table {
    database: Database,
    source: Arc<dyn Source>,
    cursor: &'static str,
}

impl Table {
    async fn new(cursor: &'static str) -> Self {
        let database = Database::create();
        Self { source: database.source().await, database, cursor }
    }

    fn values(&self, item: &Item) -> (String, String) {
        let name = item.name.as_ref().map_or("NULL".to_owned(), |name| format!("'{}'", name.replace('\'', "''")));
        let changed = match self.cursor {
            "integer" => item.changed.to_string(),
            _ => format!("TIMESTAMP '2024-01-01 00:00:00.123456' + {} * INTERVAL '1 second'", item.changed),
        };
        (name, changed)
    }
}

#[async_trait]
impl SourceFixture for Table {
    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source)
    }

    fn table(&self) -> Selection {
        Selection::Table("public.items".into())
    }

    fn lookback(&self, ticks: u64) -> Lookback {
        if self.cursor == "integer" { Lookback::Count(ticks) } else { Lookback::Seconds(ticks) }
    }

    async fn recreate(&mut self) {
        self.database.execute(&format!(
            "DROP TABLE IF EXISTS items; CREATE TABLE items (id integer PRIMARY KEY, name varchar(50), changed {})",
            self.cursor
        ));
    }

    async fn remove(&mut self) {
        self.database.execute("DROP TABLE items");
    }

    async fn insert(&mut self, items: &[Item]) {
        let rows: Vec<String> = items
            .iter()
            .map(|item| {
                let (name, changed) = self.values(item);
                format!("({}, {name}, {changed})", item.id)
            })
            .collect();
        if !rows.is_empty() {
            self.database.execute(&format!("INSERT INTO items VALUES {}", rows.join(", ")));
        }
    }

    async fn update(&mut self, item: &Item) {
        let (name, changed) = self.values(item);
        self.database.execute(&format!("UPDATE items SET name = {name}, changed = {changed} WHERE id = {}", item.id));
    }

    async fn delete(&mut self, id: i64) {
        self.database.execute(&format!("DELETE FROM items WHERE id = {id}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_time_as_the_cursor() {
    source::all(&mut Table::new("timestamp(6)").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_number_as_the_cursor() {
    source::all(&mut Table::new("integer").await).await;
}
