//! Collections, views and their shapes.

use millstream_events::{
    contract::ColumnType,
    extract::{Changes, Cursor, Selection},
};
use millstream_ports::{ErrorKind, Read, TableSummary, Ties};
use mongodb::{
    IndexModel,
    bson::{Bson, DateTime, doc, oid::ObjectId},
    options::IndexOptions,
};

use crate::support::{Server, read_all, read_of, table};

#[tokio::test]
async fn collections_and_views_are_listed_with_their_sizes() {
    let server = Server::start().await;
    server.collection("orders.lines").insert_many((0..7).map(|n| doc! { "_id": n })).await.unwrap();
    server.collection("a").insert_one(doc! { "_id": 1 }).await.unwrap();
    let view = doc! { "create": "some", "viewOn": "orders.lines", "pipeline": [{ "$match": { "_id": { "$gt": 4 } } }] };
    server.database().run_command(view).await.unwrap();
    let source = server.source("").await;
    let summary = |name: &str, rows, is_view| TableSummary { name: name.into(), rows, bytes: None, is_view };
    let expected = [summary("a", Some(1), false), summary("orders.lines", Some(7), false), summary("some", None, true)];
    // SecantusDB says 0 for every size in bytes.
    assert_eq!(source.tables().await.unwrap(), expected);

    let shape = source.describe(&table("some")).await.unwrap();
    assert_eq!((shape.key.len(), shape.rows), (0, None), "a view may give an _id twice");
    let (_, batch, _) = read_all(&*source, &read_of(table("some"))).await.unwrap();
    assert_eq!(batch.num_rows(), 2);
}

#[tokio::test]
async fn sizes_are_left_out_where_the_server_does_not_say_them() {
    let server = Server::start().await;
    server.collection("a").insert_one(doc! { "_id": 1 }).await.unwrap();
    let source = server.source("").await;
    let fail = |code: i32| doc! { "failCommands": ["aggregate"], "errorCode": code };
    server.fail(doc! { "times": 1 }, fail(40_324)).await;
    assert_eq!(source.tables().await.unwrap()[0].rows, Some(1), "counted by the older command");
    server.fail(doc! { "times": 1 }, fail(13)).await;
    assert_eq!(source.tables().await.unwrap()[0].rows, None, "not granted");
}

#[tokio::test]
async fn a_shape_names_the_key_the_cursors_and_the_column_of_other_fields() {
    let server = Server::start().await;
    let now = DateTime::from_millis(1_700_000_000_000);
    let order = doc! { "_id": ObjectId::new(), "created_at": now, "updatedAt": now, "updated": "yes", "total": 1.5 };
    server.collection("orders").insert_one(order).await.unwrap();
    let shape = server.source("").await.describe(&table("orders")).await.unwrap();
    assert_eq!(shape.key, ["_id"]);
    assert_eq!(shape.cursors, ["updatedAt", "_id"]);
    assert_eq!(shape.rows, Some(1));
    let columns: Vec<_> = shape
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.source_type.as_str(), column.required))
        .collect();
    let expected = [
        ("_id", "objectId", true),
        ("created_at", "date", false),
        ("updatedAt", "date", false),
        ("updated", "string", false),
        ("total", "double", false),
        ("_other", "fields of no column", false),
    ];
    assert_eq!(columns, expected);
}

#[tokio::test]
async fn the_first_and_the_last_documents_are_the_sample() {
    let server = Server::start().await;
    let documents = (0..100).map(|n| match n {
        0 => doc! { "_id": n, "at_first": 1 },
        50 => doc! { "_id": n, "in_between": 1 },
        99 => doc! { "_id": n, "at_last": 1 },
        _ => doc! { "_id": n },
    });
    server.collection("items").insert_many(documents).await.unwrap();
    let source = server.source("sample=10").await;
    let shape = source.describe(&table("items")).await.unwrap();
    let names: Vec<_> = shape.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["_id", "at_first", "at_last", "_other"]);
    // A column that is asked for is looked for in all documents.
    let only = Read { only: vec!["in_between".into(), "_id".into()], ..read_of(table("items")) };
    let (plan, batch, faults) = read_all(&*source, &only).await.unwrap();
    assert_eq!(plan.columns[0].kind, Ok(ColumnType::Int64));
    assert_eq!((batch.num_rows(), batch.column(0).null_count(), faults.len()), (100, 99, 0));
}

#[tokio::test]
async fn a_cursor_is_unique_where_an_index_says_so_of_every_document() {
    let server = Server::start().await;
    let items = server.collection("items");
    items.insert_many((0..5).map(|n| doc! { "_id": n, "plain": n, "unique": n, "partial": n })).await.unwrap();
    for (field, partial) in [("unique", None), ("partial", Some(doc! { "partial": { "$gt": 2 } }))] {
        let options = IndexOptions::builder().unique(true).partial_filter_expression(partial).build();
        items.create_index(IndexModel::builder().keys(doc! { field: 1 }).options(options).build()).await.unwrap();
    }
    let source = server.source("").await;
    for (column, rows) in [("_id", 5), ("unique", 5), ("partial", 4), ("plain", 4)] {
        let changes = Changes::Cursor(Cursor { column: column.into(), lookback: None, deleted: None });
        let read = Read { changes, ties: Ties::Once, ..read_of(table("items")) };
        let (plan, batch, _) = read_all(&*source, &read).await.unwrap();
        assert_eq!(batch.num_rows(), rows, "the newest of {column} waits unless it is alone");
        assert_eq!(plan.position.as_deref(), Some(r#"{"$numberInt":"4"}"#));
        assert!(plan.everything);
    }
}

#[tokio::test]
async fn a_cursor_without_an_order_is_refused() {
    let server = Server::start().await;
    let documents = [doc! { "_id": 1, "mixed": 1, "flag": true }, doc! { "_id": 2, "mixed": "a", "flag": false }];
    server.collection("items").insert_many(documents).await.unwrap();
    let source = server.source("").await;
    for column in ["mixed", "flag", "a.b"] {
        let changes = Changes::Cursor(Cursor { column: column.into(), lookback: None, deleted: None });
        let error = source.plan(&Read { changes, ..read_of(table("items")) }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(column), "{error}");
    }
}

#[tokio::test]
async fn object_ids_of_another_type_are_in_one_of_the_ranges() {
    let server = Server::start().await;
    let mut ids: Vec<Bson> = (0..60).map(|_| ObjectId::new().into()).collect();
    ids.extend((0..20).map(|n| Bson::String(format!("key {n}"))));
    let documents = ids.iter().map(|id| doc! { "_id": id, "n": Bson::Array(vec![1.into(), 9.into()]) });
    server.collection("items").insert_many(documents).await.unwrap();
    let ids_only = doc! { "_id": { "$type": "objectId" } };
    let sampled = server.source("sample=20").await;
    assert_eq!(server.collection("items").count_documents(ids_only).await.unwrap(), 60);
    // The first documents by _id are texts and the last ones object ids: no common order, one range.
    let read = Read { range_rows: 9, ..read_of(table("items")) };
    let (plan, batch, faults) = read_all(&*sampled, &read).await.unwrap();
    assert_eq!((plan.ranges.len(), batch.num_rows(), faults.len()), (1, 80, 0));

    // A text that comes after the plan is read all the same.
    server.collection("items").delete_many(doc! { "_id": { "$type": "string" } }).await.unwrap();
    let plan = sampled.plan(&read).await.unwrap();
    assert!(plan.ranges.len() > 3, "{plan:?}");
    server.collection("items").insert_one(doc! { "_id": "late" }).await.unwrap();
    let open = sampled.open(&read, &plan).await.unwrap();
    let mut rows = 0;
    for range in &plan.ranges {
        let batches: Vec<_> = futures::TryStreamExt::try_collect(open.read(range).await.unwrap()).await.unwrap();
        rows += batches.iter().map(|rows: &millstream_ports::Rows| rows.batch.num_rows()).sum::<usize>();
    }
    assert_eq!(rows, 61);
}

#[tokio::test]
async fn a_query_is_a_pipeline() {
    let server = Server::start().await;
    let orders = (0..30).map(|n| doc! { "_id": n, "customer": n % 3, "total": n });
    server.collection("orders").insert_many(orders).await.unwrap();
    let source = server.source("unknown=quarantine").await;
    let query = Selection::Query(
        r#"{"collection": "orders", "pipeline": [{"$group": {"_id": "$customer", "sum": {"$sum": "$total"}}},
            {"$sort": {"_id": 1}}]}"#
            .into(),
    );
    let (plan, batch, _) = read_all(&*source, &read_of(query)).await.unwrap();
    assert_eq!(plan.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["_id", "sum"]);
    assert_eq!(format!("{:?}", batch.column(1)).matches("135").count(), 1);
    let broken = Selection::Query(r#"{"collection": "orders", "pipeline": [{"$nothing": 1}]}"#.into());
    let error = source.describe(&broken).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let writes = Selection::Query(r#"{"collection": "orders", "pipeline": [{"$out": "copy"}]}"#.into());
    assert_eq!(source.describe(&writes).await.unwrap_err().kind(), ErrorKind::Invalid);
}
