//! What a cursor asks the cluster for.

use millstream_events::extract::{Changes, Cursor};
use millstream_ports::{ErrorKind, Read, Ties};
use scylla::{
    frame::response::result::{ColumnType, NativeType},
    value::{CqlDate, CqlTimestamp, CqlValue},
};

use crate::{
    server::{Kind, Server, State, Table},
    support::{INT, TEXT, list, read_all, read_of, source, table},
};

fn by(column: &str) -> Changes {
    Changes::Cursor(Cursor { column: column.into(), lookback: None, deleted: None })
}

async fn server() -> Server {
    let mut items = Table::new(
        "shop.items",
        &[
            ("id", Kind::PartitionKey, INT),
            ("at", Kind::Clustering, ColumnType::Native(NativeType::Date)),
            ("Changed", Kind::Regular, ColumnType::Native(NativeType::Timestamp)),
            ("name", Kind::Regular, TEXT),
            ("tags", Kind::Regular, list(TEXT)),
        ],
    );
    let day = |n: i32| Some(CqlValue::Date(CqlDate((1 << 31) + n as u32)));
    let at = |n: i32| (n % 5 != 0).then(|| CqlValue::Timestamp(CqlTimestamp(i64::from(n) * 1_000)));
    items.rows = (0..40).map(|n| vec![Some(CqlValue::Int(n)), day(n), at(n), None, None]).collect();
    Server::start(State { tables: vec![items], ..State::default() }, None).await
}

#[tokio::test]
async fn only_what_changed_leaves_the_cluster() {
    let server = server().await;
    let source = source(&server, "").await;
    let first = Read { changes: by("Changed"), only: vec!["id".into()], ..read_of(table("items")) };
    let (plan, batch, _) = read_all(&*source, &first).await.unwrap();
    assert_eq!(batch.num_rows(), 40, "also the rows without a value, which are read this once");
    assert_eq!((batch.num_columns(), plan.position.as_deref()), (1, Some("39000")));
    server.with(|state| state.executed.clear());
    let next = Read { since: Some("36000".into()), ..first };
    let (plan, batch, _) = read_all(&*source, &next).await.unwrap();
    assert_eq!((batch.num_rows(), plan.everything), (4, false));
    let executed = server.with(|state| state.executed.clone());
    let reading = executed.iter().filter(|text| !text.contains("max(")).collect::<Vec<_>>();
    assert_eq!(reading.len(), plan.ranges.len());
    let filters = r#""Changed" >= ? AND "Changed" <= ? ALLOW FILTERING"#;
    assert!(reading.iter().all(|text| text.contains(filters)), "{reading:?}");
    let newest = executed.iter().filter(|text| text.contains("max(")).collect::<Vec<_>>();
    assert!(newest.iter().all(|text| text.contains("token")), "each part of the ring by itself: {newest:?}");
}

#[tokio::test]
async fn a_clustering_column_may_be_one() {
    let server = server().await;
    let read = Read { changes: by("at"), ties: Ties::Once, since: Some("30".into()), ..read_of(table("items")) };
    let (plan, batch, _) = read_all(&*source(&server, "").await, &read).await.unwrap();
    assert_eq!((plan.position.as_deref(), batch.num_rows()), (Some("39"), 9));
}

#[tokio::test]
async fn what_cassandra_cannot_go_by_is_refused() {
    let server = server().await;
    let source = source(&server, "").await;
    for (column, says) in
        [("id", "partition key"), ("name", "type text"), ("tags", "list<text>"), ("changed", "no column")]
    {
        let error = source.plan(&Read { changes: by(column), ..read_of(table("items")) }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(says), "{column}: {error}");
    }
    let read = Read { changes: by("Changed"), since: Some("soon".into()), ..read_of(table("items")) };
    assert!(source.plan(&read).await.unwrap_err().to_string().contains("everything again"));
    let query = millstream_events::extract::Selection::Query("SELECT * FROM shop.items".into());
    assert!(source.plan(&Read { changes: by("Changed"), ..read_of(query) }).await.is_err());
}
