//! The contract of sources against fakesnow, with a cursor that is a number and with one that is a time.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::extract::{Lookback, Selection};
use millstream_peers::snowflake::Snowflake;
use millstream_ports::{
    Secret, Source,
    contracts::source::{self, Abilities, Item, SourceFixture},
};
use millstream_source_snowflake::SnowflakeSource;

struct Fixture {
    server: Snowflake,
    source: Arc<dyn Source>,
    cursor: &'static str,
}

impl Fixture {
    async fn start(cursor: &'static str) -> Self {
        let server = Snowflake::start();
        let source = SnowflakeSource::connect(&Secret::new(server.url()), None).await.unwrap();
        Self { server, source: Arc::new(source), cursor }
    }

    fn changed(&self, tick: i64) -> String {
        match self.cursor {
            "NUMBER(12,2)" => format!("{tick}"),
            kind => format!("DATEADD(second, {tick}, CAST('2024-01-01T00:00:00+00:00' AS {kind}))"),
        }
    }

    fn name(item: &Item) -> String {
        item.name.as_ref().map_or_else(|| "NULL".to_owned(), |name| format!("'{}'", name.replace('\'', "''")))
    }
}

#[async_trait]
impl SourceFixture for Fixture {
    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source)
    }

    fn table(&self) -> Selection {
        Selection::Table("PUBLIC.ITEMS".into())
    }

    fn columns(&self) -> [String; 3] {
        ["ID".into(), "NAME".into(), "CHANGED".into()]
    }

    fn lookback(&self, ticks: u64) -> Lookback {
        if self.cursor == "NUMBER(12,2)" { Lookback::Count(ticks) } else { Lookback::Seconds(ticks) }
    }

    fn abilities(&self) -> Abilities {
        // Keys are declared and not enforced, so that none is known to have no value twice.
        Abilities { unique_cursor: false, ..Abilities::default() }
    }

    async fn recreate(&mut self) {
        self.server.execute(&format!(
            "CREATE OR REPLACE TABLE items (id NUMBER(10,0) NOT NULL PRIMARY KEY, name VARCHAR, changed {})",
            self.cursor
        ));
    }

    async fn remove(&mut self) {
        self.server.execute("DROP TABLE items");
    }

    async fn insert(&mut self, items: &[Item]) {
        if items.is_empty() {
            return;
        }
        let rows: Vec<String> = items
            .iter()
            .map(|item| format!("SELECT {}, {}, {}", item.id, Self::name(item), self.changed(item.changed)))
            .collect();
        self.server.execute(&format!("INSERT INTO items {}", rows.join(" UNION ALL ")));
    }

    async fn update(&mut self, item: &Item) {
        let (name, changed) = (Self::name(item), self.changed(item.changed));
        self.server.execute(&format!("UPDATE items SET name = {name}, changed = {changed} WHERE id = {}", item.id));
    }

    async fn delete(&mut self, id: i64) {
        self.server.execute(&format!("DELETE FROM items WHERE id = {id}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_number_as_the_cursor() {
    source::all(&mut Fixture::start("NUMBER(12,2)").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_time_as_the_cursor() {
    source::all(&mut Fixture::start("TIMESTAMP_NTZ").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_time_that_has_a_zone_as_the_cursor() {
    source::all(&mut Fixture::start("TIMESTAMP_TZ").await).await;
}
