//! The port's contract, with a time as the cursor and with a number.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::extract::{Lookback, Selection};
use millstream_ports::{
    Source,
    contracts::source::{Item, SourceFixture},
};

use crate::support::Database;

struct Items {
    database: Database,
    /// The cursor's type, and the SQL that makes one of ticks.
    cursor: (&'static str, &'static str),
    lookback: fn(u64) -> Lookback,
}

#[async_trait]
impl SourceFixture for Items {
    fn source(&self) -> Arc<dyn Source> {
        self.database.source.clone()
    }

    fn table(&self) -> Selection {
        Selection::Table("public.items".into())
    }

    fn lookback(&self, ticks: u64) -> Lookback {
        (self.lookback)(ticks)
    }

    async fn recreate(&mut self) {
        let (of, _) = self.cursor;
        let create = format!("CREATE TABLE items (id integer PRIMARY KEY, name text, changed {of})");
        self.database.run(&format!("DROP TABLE IF EXISTS items; {create}")).await;
    }

    async fn remove(&mut self) {
        self.database.run("DROP TABLE items").await;
    }

    async fn insert(&mut self, items: &[Item]) {
        let (_, ticks) = self.cursor;
        let sql = format!("INSERT INTO items VALUES ($1::int8::integer, $2, {ticks})");
        for Item { id, name, changed } in items {
            self.database.client.execute(&sql, &[id, name, changed]).await.unwrap();
        }
    }

    async fn update(&mut self, item: &Item) {
        let (_, ticks) = self.cursor;
        let sql = format!("UPDATE items SET name = $2, changed = {ticks} WHERE id = $1::int8");
        let Item { id, name, changed } = item;
        self.database.client.execute(&sql, &[id, name, changed]).await.unwrap();
    }

    async fn delete(&mut self, id: i64) {
        self.database.client.execute("DELETE FROM items WHERE id = $1::int8", &[&id]).await.unwrap();
    }
}

#[tokio::test]
async fn the_contract_is_kept_with_a_time_as_the_cursor() {
    let mut items = Items {
        database: Database::new().await,
        cursor: ("timestamptz", "timestamptz '2026-03-29 00:59:58.123456+00' + $3::int8 * interval '1 second'"),
        lookback: Lookback::Seconds,
    };
    millstream_ports::contracts::source::all(&mut items).await;
}

#[tokio::test]
async fn the_contract_is_kept_with_a_number_as_the_cursor() {
    let mut items =
        Items { database: Database::new().await, cursor: ("bigint", "$3::int8"), lookback: Lookback::Count };
    millstream_ports::contracts::source::all(&mut items).await;
}
