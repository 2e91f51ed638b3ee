//! Tables, views, shapes, sizes and ranges.

use millstream_events::extract::Selection;
use millstream_ports::{ErrorKind, Read, TableSummary};
use scylla::{
    frame::response::result::{ColumnType, NativeType},
    value::CqlValue,
};

use crate::{
    server::{Kind, Server, State, Table},
    support::{INT, TEXT, list, read_all, read_of, source, table},
};

fn wide() -> Table {
    Table::new(
        "shop.events",
        &[
            ("day", Kind::PartitionKey, INT),
            ("shard", Kind::PartitionKey, TEXT),
            ("at", Kind::Clustering, ColumnType::Native(NativeType::Timeuuid)),
            ("Updated_At", Kind::Regular, ColumnType::Native(NativeType::Timestamp)),
            ("tags", Kind::Regular, list(TEXT)),
        ],
    )
}

#[tokio::test]
async fn tables_and_views_are_listed_with_their_sizes() {
    let other = Table::new("other.things", &[("id", Kind::PartitionKey, INT)]);
    let view = Table { is_view: true, ..Table::new("shop.by_name", &[("name", Kind::PartitionKey, TEXT)]) };
    let items = Table::new("shop.items", &[("id", Kind::PartitionKey, INT)]);
    let estimate = |name: &str, size, partitions| ("shop".to_owned(), name.to_owned(), size, partitions);
    let state = State {
        tables: vec![items, wide(), other, view],
        estimates: vec![estimate("items", 100, 41), estimate("events", 1_000, 10)],
        ..State::default()
    };
    let server = Server::start(state, None).await;
    let summary = |name: &str, rows, bytes, is_view| TableSummary { name: name.into(), rows, bytes, is_view };
    let expected = [
        summary("shop.by_name", None, None, true),
        // A partition has any number of rows.
        summary("shop.events", None, Some(10_000), false),
        summary("shop.items", Some(41), Some(4_100), false),
    ];
    assert_eq!(source(&server, "").await.tables().await.unwrap(), expected);
}

#[tokio::test]
async fn a_shape_has_the_whole_key_and_the_types_as_cql_writes_them() {
    let server = Server::start(State { tables: vec![wide()], ..State::default() }, None).await;
    let shape = source(&server, "").await.describe(&table("events")).await.unwrap();
    assert_eq!(shape.key, ["day", "shard", "at"]);
    assert_eq!(shape.cursors, ["Updated_At"]);
    let columns: Vec<_> = shape
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.source_type.as_str(), column.required))
        .collect();
    let expected = [
        ("day", "int", true),
        ("shard", "text", true),
        ("at", "timeuuid", true),
        ("Updated_At", "timestamp", false),
        ("tags", "list<text>", false),
    ];
    assert_eq!(columns, expected);
}

#[tokio::test]
async fn a_key_of_several_columns_is_split_by_all_of_them() {
    let mut events = wide();
    for n in 0..60 {
        let at = CqlValue::Timeuuid(uuid::Uuid::from_u128(0x1000_8000_0000_0000_0000 + n).into());
        let day = Some(CqlValue::Int(n as i32 / 7));
        let shard = Some(CqlValue::Text(format!("s{}", n % 3)));
        events.rows.push(vec![day, shard, Some(at), None, None]);
    }
    let estimates = vec![("shop".into(), "events".into(), 100, 27)];
    let server = Server::start(State { tables: vec![events], estimates, ..State::default() }, None).await;
    let read = Read { range_rows: 3, ..read_of(table("shop.events")) };
    let (plan, batch, faults) = read_all(&*source(&server, "page_rows=2").await, &read).await.unwrap();
    assert_eq!(plan.split_by.as_deref(), Some("day, shard"));
    assert_eq!((plan.ranges.len(), batch.num_rows(), faults.len()), (9, 60, 0));
}

#[tokio::test]
async fn a_ring_of_other_tokens_is_read_in_one_range() {
    let mut items = Table::new("shop.items", &[("id", Kind::PartitionKey, INT)]);
    items.rows = (0..50).map(|id| vec![Some(CqlValue::Int(id))]).collect();
    let partitioner = Some("org.apache.cassandra.dht.RandomPartitioner".to_owned());
    let server = Server::start(State { tables: vec![items], partitioner, ..State::default() }, None).await;
    let (plan, batch, _) = read_all(&*source(&server, "").await, &read_of(table("items"))).await.unwrap();
    assert_eq!((plan.ranges.len(), plan.split_by, batch.num_rows()), (1, None, 50));
}

#[tokio::test]
async fn a_table_without_an_estimate_is_read_in_some_ranges() {
    let mut items = Table::new("shop.items", &[("id", Kind::PartitionKey, INT)]);
    items.rows = (0..50).map(|id| vec![Some(CqlValue::Int(id))]).collect();
    let server = Server::start(State { tables: vec![items], ..State::default() }, None).await;
    let (plan, batch, _) = read_all(&*source(&server, "").await, &read_of(table("items"))).await.unwrap();
    assert_eq!((plan.ranges.len(), plan.rows, batch.num_rows()), (16, None, 50));
}

#[tokio::test]
async fn a_query_is_answered_as_it_is() {
    let mut items = Table::new("shop.items", &[("id", Kind::PartitionKey, INT), ("name", Kind::Regular, TEXT)]);
    items.rows = (0..5).map(|id| vec![Some(CqlValue::Int(id)), Some(CqlValue::Text(format!("n{id}")))]).collect();
    let server = Server::start(State { tables: vec![items], ..State::default() }, None).await;
    let source = source(&server, "").await;
    let query = |text: &str| Selection::Query(text.into());
    let one = query("SELECT name FROM shop.items WHERE name = 'n3' ALLOW FILTERING");
    let (plan, batch, _) = read_all(&*source, &read_of(one)).await.unwrap();
    assert_eq!((plan.columns.len(), batch.num_rows()), (1, 1));
    for (wrong, says) in [
        ("SELECT name FROM shop.items WHERE name = 'n3'", "ALLOW FILTERING"),
        ("SELECT nothing FROM shop.items", "Undefined column name nothing"),
        ("SELECT name FROM shop.items WHERE name = ? ALLOW FILTERING", "parameters"),
        ("INSERT INTO shop.items (id) VALUES (1)", "no SELECT"),
        ("SELECT name FROM", "query"),
    ] {
        let error = source.describe(&query(wrong)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}: {error:?}");
        assert!(error.to_string().contains(says), "{wrong}: {error}");
    }
}
