//! The contract of sources against pysqlbridge, with a cursor that is a number and with one that is a time.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use millstream_events::extract::{Lookback, Selection};
use millstream_peers::sqlserver::SqlServer;
use millstream_ports::{
    Source,
    contracts::source::{self, Item, SourceFixture},
};
use serde_json::{Value, json};
use support::source_of;

struct Bridge {
    server: SqlServer,
    source: Arc<dyn Source>,
    cursor: &'static str,
    items: BTreeMap<i64, Item>,
}

impl Bridge {
    async fn start(cursor: &'static str) -> Self {
        let server = SqlServer::start();
        Self { source: source_of(&server).await, server, cursor, items: BTreeMap::new() }
    }

    fn write(&self) {
        let changed = |tick: i64| match self.cursor {
            "datetime" => Value::from(format!("2024-01-01T{:02}:{:02}:{:02}", tick / 3_600, tick / 60 % 60, tick % 60)),
            _ => Value::from(tick),
        };
        let rows: Vec<_> =
            self.items.values().map(|item| vec![json!(item.id), json!(item.name), changed(item.changed)]).collect();
        self.server.put("items", &[("id", "int"), ("name", "nvarchar(50)"), ("changed", self.cursor)], &["id"], &rows);
    }
}

#[async_trait]
impl SourceFixture for Bridge {
    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source)
    }

    fn table(&self) -> Selection {
        Selection::Table("dbo.items".into())
    }

    fn lookback(&self, ticks: u64) -> Lookback {
        if self.cursor == "datetime" { Lookback::Seconds(ticks) } else { Lookback::Count(ticks) }
    }

    async fn recreate(&mut self) {
        self.items.clear();
        self.write();
    }

    async fn remove(&mut self) {
        self.server.remove("items");
    }

    async fn insert(&mut self, items: &[Item]) {
        self.items.extend(items.iter().map(|item| (item.id, item.clone())));
        self.write();
    }

    async fn update(&mut self, item: &Item) {
        self.items.insert(item.id, item.clone());
        self.write();
    }

    async fn delete(&mut self, id: i64) {
        self.items.remove(&id);
        self.write();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_number_as_the_cursor() {
    source::all(&mut Bridge::start("int").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_time_as_the_cursor() {
    source::all(&mut Bridge::start("datetime").await).await;
}
