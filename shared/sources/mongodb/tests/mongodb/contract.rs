//! The port's suite.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::extract::{Lookback, Selection};
use millstream_peers::mongodb::SecantusOptions;
use millstream_ports::{
    Source,
    contracts::source::{self, Abilities, Item, SourceFixture},
};
use mongodb::bson::{Bson, DateTime, Document, doc};

use crate::support::{Server, table};

/// What the cursor is: the suite's ticks as this.
type Tick = fn(i64) -> Bson;

struct Items {
    server: Server,
    source: Arc<dyn Source>,
    tick: Tick,
    lookback: fn(u64) -> Lookback,
}

impl Items {
    fn document(&self, item: &Item) -> Document {
        let mut document = doc! { "_id": item.id as i32 };
        document.insert("name", item.name.clone());
        document.insert("changed", (self.tick)(item.changed));
        document
    }
}

#[async_trait]
impl SourceFixture for Items {
    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source)
    }

    fn table(&self) -> Selection {
        table("items")
    }

    fn query(&self) -> Selection {
        Selection::Query(r#"{"collection": "items", "pipeline": [{"$match": {}}]}"#.into())
    }

    fn columns(&self) -> [String; 3] {
        ["_id".into(), "name".into(), "changed".into()]
    }

    fn lookback(&self, ticks: u64) -> Lookback {
        (self.lookback)(ticks)
    }

    fn abilities(&self) -> Abilities {
        Abilities { columns_when_empty: false, ..Abilities::default() }
    }

    async fn recreate(&mut self) {
        self.remove().await;
        self.server.database().create_collection("items").await.unwrap();
    }

    async fn remove(&mut self) {
        self.server.collection("items").drop().await.unwrap();
    }

    async fn insert(&mut self, items: &[Item]) {
        let documents: Vec<Document> = items.iter().map(|item| self.document(item)).collect();
        if !documents.is_empty() {
            self.server.collection("items").insert_many(documents).await.unwrap();
        }
    }

    async fn update(&mut self, item: &Item) {
        let items = self.server.collection("items");
        let replaced = items.replace_one(doc! { "_id": item.id as i32 }, self.document(item)).await.unwrap();
        assert_eq!(replaced.matched_count, 1);
    }

    async fn delete(&mut self, id: i64) {
        let deleted = self.server.collection("items").delete_one(doc! { "_id": id as i32 }).await.unwrap();
        assert_eq!(deleted.deleted_count, 1);
    }
}

async fn run(options: SecantusOptions, tick: Tick, lookback: fn(u64) -> Lookback) {
    let server = Server::start_with(options).await;
    // The suite's tables have no columns besides its own.
    let source = server.source("unknown=quarantine").await;
    source::all(&mut Items { server, source, tick, lookback }).await;
}

#[tokio::test]
async fn a_cursor_of_dates_on_a_replica_set() {
    let date = |tick| DateTime::from_millis(1_700_000_000_000 + tick * 1_000).into();
    run(SecantusOptions::default(), date, Lookback::Seconds).await;
}

#[tokio::test]
async fn a_cursor_of_numbers_on_a_server_without_snapshots() {
    run(SecantusOptions { standalone: true, ..SecantusOptions::default() }, Bson::Int64, Lookback::Count).await;
}
