//! The port's contract.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::extract::{Lookback, Selection};
use millstream_ports::{
    Source,
    contracts::source::{Item, SourceFixture, all},
};
use mysql_async::prelude::Queryable;

use crate::support::Database;

/// Ticks are seconds after this.
const START: &str = "2024-01-01 00:00:00";

struct Fixture {
    database: Database,
    source: Arc<dyn Source>,
    /// The cursor's type.
    cursor: &'static str,
}

impl Fixture {
    async fn new(database: &str, cursor: &'static str) -> Self {
        let database = Database::new(database).await;
        let source = Arc::new(database.source().await);
        Self { database, source, cursor }
    }

    fn is_time(&self) -> bool {
        !self.cursor.contains("int")
    }

    fn changed(&self, ticks: i64) -> String {
        match self.is_time() {
            true => format!("TIMESTAMPADD(SECOND, {ticks}, '{START}')"),
            false => ticks.to_string(),
        }
    }

    async fn run(&mut self, sql: &str, name: Option<&str>) {
        match sql.contains('?') {
            true => self.database.admin.exec_drop(sql, (name,)).await.unwrap(),
            false => self.database.admin.query_drop(sql).await.unwrap(),
        }
    }
}

#[async_trait]
impl SourceFixture for Fixture {
    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source)
    }

    fn table(&self) -> Selection {
        Selection::Table("items".into())
    }

    fn lookback(&self, ticks: u64) -> Lookback {
        if self.is_time() { Lookback::Seconds(ticks) } else { Lookback::Count(ticks) }
    }

    async fn recreate(&mut self) {
        self.run("DROP TABLE IF EXISTS items", None).await;
        let columns = format!("id int PRIMARY KEY, name text NULL, changed {}", self.cursor);
        self.run(&format!("CREATE TABLE items ({columns})"), None).await;
    }

    async fn remove(&mut self) {
        self.run("DROP TABLE items", None).await;
    }

    async fn insert(&mut self, items: &[Item]) {
        for Item { id, name, changed } in items {
            let sql = format!("INSERT INTO items VALUES ({id}, ?, {})", self.changed(*changed));
            self.run(&sql, name.as_deref()).await;
        }
    }

    async fn update(&mut self, Item { id, name, changed }: &Item) {
        let sql = format!("UPDATE items SET name = ?, changed = {} WHERE id = {id}", self.changed(*changed));
        self.run(&sql, name.as_deref()).await;
    }

    async fn delete(&mut self, id: i64) {
        self.run(&format!("DELETE FROM items WHERE id = {id}"), None).await;
    }
}

#[tokio::test]
async fn the_contract_holds_with_a_cursor_of_seconds() {
    all(&mut Fixture::new("contract_datetime", "datetime NOT NULL").await).await;
}

#[tokio::test]
async fn the_contract_holds_with_an_indexed_timestamp() {
    all(&mut Fixture::new("contract_timestamp", "timestamp(6) NOT NULL, INDEX (changed)").await).await;
}

#[tokio::test]
async fn the_contract_holds_with_a_version_number() {
    all(&mut Fixture::new("contract_version", "int unsigned NOT NULL").await).await;
}
