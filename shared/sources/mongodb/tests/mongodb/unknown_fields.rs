//! Fields that the sample did not show are not lost.

use arrow::array::{Array, AsArray};
use millstream_ports::{CellFaultKind, Read};
use mongodb::bson::{Bson, doc};

use crate::support::{Server, read_all, read_of, table};

async fn server() -> Server {
    let server = Server::start().await;
    let documents = (0..9).map(|at| match at {
        4 => doc! { "_id": at, "s": { "x": 1, "y": 2 }, "l": [{ "x": 1 }, { "x": 2, "z": "q" }], "late": { "a": [1] }, "none": Bson::Null },
        5 => doc! { "_id": at, "a.b": 1, "$c": true },
        _ => doc! { "_id": at, "s": { "x": 1 }, "l": [{ "x": 1 }] },
    });
    // The sample is of the first and the last two.
    server.collection("items").insert_many(documents).await.unwrap();
    server
}

#[tokio::test]
async fn they_are_in_a_column_of_their_own_by_their_paths() {
    let server = server().await;
    let (plan, batch, faults) = read_all(&*server.source("sample=2").await, &read_of(table("items"))).await.unwrap();
    assert_eq!(plan.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["_id", "s", "l", "_other"]);
    assert_eq!(faults, []);
    let other: Vec<Option<&str>> = batch.column(3).as_string::<i32>().iter().collect();
    assert_eq!(other[4], Some(r#"{"late":{"a":[1]},"s.y":2,"l.1.z":"q"}"#));
    assert_eq!(other[5], Some(r#"{"a.b":1,"$c":true}"#));
    assert_eq!(batch.column(3).null_count(), 7, "NULL where every field has a column");
    assert_eq!(batch.column(1).as_struct().column(0).null_count(), 1, "what has a column is in it");
}

#[tokio::test]
async fn they_send_their_document_to_quarantine_where_the_url_says_so() {
    let server = server().await;
    let source = server.source("sample=2&unknown=quarantine").await;
    let (plan, batch, faults) = read_all(&*source, &read_of(table("items"))).await.unwrap();
    assert_eq!(plan.columns.len(), 3);
    assert_eq!(batch.num_rows(), 9);
    let told: Vec<(usize, usize, CellFaultKind)> =
        faults.iter().map(|fault| (fault.row, fault.column, fault.kind)).collect();
    let wrong = CellFaultKind::Type;
    assert_eq!(told, [(4, 0, wrong), (4, 1, wrong), (4, 2, wrong), (5, 0, wrong)]);
    assert!(faults[0].value.contains(r#"late: {"a":[1]}"#), "{faults:?}");
    assert!(faults[1].value.contains("s.y: 2"), "{faults:?}");
    assert!(faults[2].value.contains("l.1.z"), "{faults:?}");
}

#[tokio::test]
async fn columns_that_are_chosen_leave_the_others_at_the_server() {
    let server = server().await;
    let source = server.source("sample=2").await;
    let (_, batch, faults) =
        read_all(&*source, &Read { only: vec!["s".into()], ..read_of(table("items")) }).await.unwrap();
    assert_eq!((batch.num_columns(), faults.len()), (1, 0));
    let only = vec!["_other".into(), "_id".into()];
    let (_, batch, _) = read_all(&*source, &Read { only, ..read_of(table("items")) }).await.unwrap();
    let other = batch.column(0).as_string::<i32>();
    assert_eq!(other.value(0), r#"{"s":{"x":1},"l":[{"x":1}]}"#, "all that no chosen column holds");
}

#[tokio::test]
async fn a_field_of_that_name_does_not_collide() {
    let server = Server::start().await;
    server.collection("items").insert_one(doc! { "_id": 1, "_other": "mine" }).await.unwrap();
    let (plan, batch, _) = read_all(&*server.source("").await, &read_of(table("items"))).await.unwrap();
    assert_eq!(plan.columns[2].name, "_other_");
    assert_eq!(batch.column(1).as_string::<i32>().value(0), "mine");
}
