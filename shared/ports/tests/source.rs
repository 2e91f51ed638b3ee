//! The contract of sources on the one in memory, and what it does when it is told to fail.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use millstream_events::{
    contract::ColumnType,
    extract::{Changes, Connection, Lookback, Selection, SourceKind},
};
use millstream_ports::{
    BatchSize, ErrorKind, KeyRange, Read, Source, Sources, Ties,
    contracts::{self, Item, SourceFixture},
    memory::{MemoryCell, MemorySource, MemorySources, MemoryTable},
};

struct Items(MemorySource);

fn row(item: &Item) -> Vec<MemoryCell> {
    vec![item.id.into(), item.name.as_deref().into(), item.changed.into()]
}

fn items() -> MemoryTable {
    let columns = [("id", ColumnType::Int64), ("name", ColumnType::String), ("changed", ColumnType::Int64)];
    MemoryTable::new(&columns, &["id"])
}

#[async_trait]
impl SourceFixture for Items {
    fn source(&self) -> Arc<dyn Source> {
        Arc::new(self.0.clone())
    }

    fn table(&self) -> Selection {
        Selection::Table("items".into())
    }

    fn lookback(&self, ticks: u64) -> Lookback {
        Lookback::Count(ticks)
    }

    async fn recreate(&mut self) {
        self.0.put_table("items", items());
    }

    async fn remove(&mut self) {
        self.0.remove_table("items");
    }

    async fn insert(&mut self, items: &[Item]) {
        self.0.change("items", |table| table.rows.extend(items.iter().map(row)));
    }

    async fn update(&mut self, item: &Item) {
        self.0.upsert("items", row(item));
    }

    async fn delete(&mut self, id: i64) {
        self.0.change("items", |table| table.rows.retain(|row| row[0] != id.into()));
    }
}

#[tokio::test]
async fn the_source_keeps_its_contract() {
    contracts::source(&mut Items(MemorySource::new())).await;
}

fn filled() -> MemorySource {
    let source = MemorySource::new();
    let rows = (1..=9).map(|id| row(&Item { id, name: None, changed: id })).collect();
    source.put_table("items", MemoryTable { rows, ..items() });
    source
}

fn read() -> Read {
    Read {
        select: Selection::Table("items".into()),
        only: Vec::new(),
        changes: Changes::Everything,
        since: None,
        ties: Ties::Again,
        split_by: None,
        range_rows: 3,
        statement_timeout: Duration::from_secs(60),
        batch: BatchSize { rows: 1, bytes: 1 << 20 },
    }
}

#[tokio::test]
async fn a_source_that_refuses_cannot_be_reached() {
    let source = filled();
    let sources = MemorySources::new();
    let connection = Connection { from: SourceKind::Postgres, secret: None, ca: None };
    assert_eq!(sources.connect(&connection).await.unwrap_err().kind(), ErrorKind::NotFound);
    sources.put(connection.clone(), source.clone());
    sources.connect(&connection).await.unwrap();
    source.refuse(Some((ErrorKind::Denied, "the password was refused")));
    assert_eq!(sources.connect(&connection).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(source.tables().await.unwrap_err().to_string(), "the password was refused");
    source.refuse(None);
    sources.connect(&connection).await.unwrap();
}

#[tokio::test]
async fn a_connection_is_lost_after_so_many_batches() {
    let source = filled();
    let plan = source.plan(&read()).await.unwrap();
    assert_eq!(plan.ranges.len(), 3);
    source.drop_connections_after([2]);
    let open = source.open(&read(), &plan).await.unwrap();
    let outcomes: Vec<_> = open.read(&plan.ranges[0]).await.unwrap().collect().await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
    let again: Vec<_> = open.read(&plan.ranges[0]).await.unwrap().try_collect().await.unwrap();
    assert_eq!(again.len(), 3);
    assert_eq!(source.ranges_read(), [plan.ranges[0].clone(), plan.ranges[0].clone()]);
}

#[tokio::test]
async fn a_held_source_goes_on_when_it_is_released() {
    let source = filled();
    let everything = KeyRange { from: None, until: None };
    let plan = source.plan(&read()).await.unwrap();
    source.hold();
    let mut rows = source.open(&read(), &plan).await.unwrap().read(&everything).await.unwrap();
    assert!(futures::poll!(rows.next()).is_pending());
    source.release();
    assert_eq!(rows.try_collect::<Vec<_>>().await.unwrap().len(), 9);
}

#[tokio::test]
async fn a_changed_column_is_told() {
    let source = filled();
    let plan = source.plan(&read()).await.unwrap();
    source.change("items", |table| table.columns[1].kind = Ok(ColumnType::Int64));
    let open = source.open(&read(), &plan).await.unwrap();
    let error = open.read(&plan.ranges[0]).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("the column name"), "{error}");
}
