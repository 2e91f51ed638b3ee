//! The port's suite.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::extract::{Lookback, Selection};
use millstream_ports::{
    Source,
    contracts::source::{self, Abilities, Item, SourceFixture},
};
use scylla::{
    frame::response::result::{ColumnType, NativeType},
    value::{CqlTimestamp, CqlTimeuuid, CqlValue},
};

use crate::{
    server::{Kind, Row, Server, State, Table},
    support::{self, INT, TEXT},
};

/// The suite's ticks as values of the cursor's type.
type Tick = fn(i64) -> CqlValue;

struct Items {
    server: Server,
    source: Arc<dyn Source>,
    cursor: NativeType,
    tick: Tick,
    lookback: fn(u64) -> Lookback,
}

impl Items {
    fn row(&self, item: &Item) -> Row {
        let name = item.name.clone().map(CqlValue::Text);
        vec![Some(CqlValue::Int(item.id as i32)), Some((self.tick)(item.changed)), name]
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Row>)) {
        self.server.with(|state| {
            change(&mut state.tables[0].rows);
            let rows = state.tables[0].rows.len() as i64;
            state.estimates = vec![("shop".into(), "items".into(), 40, rows)];
        });
    }
}

#[async_trait]
impl SourceFixture for Items {
    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source)
    }

    fn table(&self) -> Selection {
        support::table("shop.items")
    }

    fn query(&self) -> Selection {
        Selection::Query("SELECT * FROM shop.items".into())
    }

    fn lookback(&self, ticks: u64) -> Lookback {
        (self.lookback)(ticks)
    }

    fn abilities(&self) -> Abilities {
        // Cassandra cannot compare the partition key with a value.
        Abilities { unique_cursor: false, ..Abilities::default() }
    }

    async fn recreate(&mut self) {
        self.remove().await;
        let columns = [
            ("id", Kind::PartitionKey, INT),
            ("changed", Kind::Regular, ColumnType::Native(self.cursor.clone())),
            ("name", Kind::Regular, TEXT),
        ];
        self.server.with(|state| state.tables.push(Table::new("shop.items", &columns)));
    }

    async fn remove(&mut self) {
        self.server.with(|state| {
            state.tables.clear();
            state.estimates.clear();
        });
    }

    async fn insert(&mut self, items: &[Item]) {
        let rows: Vec<Row> = items.iter().map(|item| self.row(item)).collect();
        self.change(|table| table.extend(rows));
    }

    async fn update(&mut self, item: &Item) {
        let row = self.row(item);
        self.change(|table| {
            let at = table.iter().position(|found| found[0] == row[0]).unwrap();
            table[at] = row;
        });
    }

    async fn delete(&mut self, id: i64) {
        self.change(|table| table.retain(|row| row[0] != Some(CqlValue::Int(id as i32))));
    }
}

async fn run(cursor: NativeType, tick: Tick, lookback: fn(u64) -> Lookback) {
    let server = Server::start(State::default(), None).await;
    // Pages of a few rows, so that most readings have several.
    let source = support::source(&server, "page_rows=5").await;
    source::all(&mut Items { server, source, cursor, tick, lookback }).await;
}

#[tokio::test]
async fn a_cursor_of_timestamps() {
    let tick = |tick| CqlValue::Timestamp(CqlTimestamp(1_700_000_000_000 + tick * 1_000));
    run(NativeType::Timestamp, tick, Lookback::Seconds).await;
}

#[tokio::test]
async fn a_cursor_of_integers() {
    run(NativeType::BigInt, CqlValue::BigInt, Lookback::Count).await;
}

#[tokio::test]
async fn a_cursor_of_timeuuids() {
    // Version 1: the low 32 bits of the time first, in hundreds of nanoseconds.
    let tick = |tick: i64| {
        let ticks = 0x01ef_0000_0000_0000 + tick as u64 * 10_000_000;
        let high = (ticks & 0xffff_ffff) << 32 | (ticks >> 32 & 0xffff) << 16 | 0x1000 | ticks >> 48;
        CqlValue::Timeuuid(CqlTimeuuid::from_u64_pair(high, 0x8000_0000_0000_0001))
    };
    run(NativeType::Timeuuid, tick, Lookback::Seconds).await;
}
