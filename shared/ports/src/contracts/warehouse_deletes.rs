//! The rules of [`Warehouse`](crate::Warehouse) for rows that are marked as deleted at their source; part of
//! [`warehouse::all`](super::warehouse::all).

use millstream_events::{
    contract::{Column, ColumnType},
    extract::DELETED_COLUMN,
    names::TableName,
    work::{LoadTable, WriteMode},
};
use serde_json::{Value, json};

use super::warehouse::{WarehousePeer, assert_rows, batch, column, columns, ensure, load, merge, row, table};

/// The suite's columns; the name too is required of a row that is there.
fn demanding() -> Vec<Column> {
    vec![column("id", ColumnType::Int64, true), column("name", ColumnType::String, true)]
}

/// A row that is gone, of which only the key is known.
fn gone(id: i64) -> Value {
    json!({ "id": id, DELETED_COLUMN: true })
}

/// A row that is there.
fn there(id: i64, name: &str) -> Value {
    json!({ "id": id, "name": name, DELETED_COLUMN: false })
}

/// A load of marked rows; the marks are no column of the load.
async fn marked(
    peer: &dyn WarehousePeer,
    job: &str,
    columns: Vec<Column>,
    table: &TableName,
    rows: &[Value],
) -> LoadTable {
    let mut with_marks = columns.clone();
    with_marks.push(column(DELETED_COLUMN, ColumnType::Bool, false));
    LoadTable { columns, deletes: true, ..batch(peer, job, with_marks, table, rows).await }
}

async fn assert_no_marks(peer: &dyn WarehousePeer, table: &TableName) {
    let columns = peer.warehouse().table(table).await.unwrap().columns;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "name"], "the columns of {table}");
}

/// The others are put in as ever, one without a mark too; a row that was not there is none that is taken out.
pub(super) async fn a_merge_takes_out_the_rows_that_are_marked(peer: &dyn WarehousePeer) {
    let table = table(peer, "deleted");
    let first = LoadTable {
        write: merge(),
        ..batch(peer, "a", demanding(), &table, &[row(1, "one"), row(2, "two"), row(3, "three")]).await
    };
    ensure(peer, "a", &first).await.unwrap();
    let rows = [gone(2), there(3, "drei"), row(4, "four"), gone(9)];
    let changes = LoadTable { write: merge(), ..marked(peer, "b", demanding(), &table, &rows).await };
    let written = ensure(peer, "b", &changes).await.unwrap();
    assert_eq!(written.total_rows, 3);
    assert_rows(peer, &table, vec![row(1, "one"), row(3, "drei"), row(4, "four")]).await;
    assert_no_marks(peer, &table).await;
    assert_eq!(ensure(peer, "b", &changes).await.unwrap(), written);
    load(peer, "c", &table, merge(), &[row(2, "again")]).await;
    assert_eq!(ensure(peer, "b", &changes).await.unwrap(), written);
    assert_rows(peer, &table, vec![row(1, "one"), row(2, "again"), row(3, "drei"), row(4, "four")]).await;
}

/// Over several files, and also in the load that makes the table.
pub(super) async fn of_a_merges_rows_with_one_key_only_the_last_ones_mark_counts(peer: &dyn WarehousePeer) {
    for (name, before) in
        [("deleted_at_once", vec![]), ("deleted_later", vec![row(1, "old"), row(2, "old"), row(7, "kept")])]
    {
        let table = table(peer, name);
        if !before.is_empty() {
            load(peer, "before", &table, merge(), &before).await;
        }
        let first = [there(1, "one"), gone(2), there(3, "three"), gone(3), there(4, "four")];
        let last = [gone(1), there(2, "two"), gone(5), there(5, "five")];
        let first = marked(peer, "z", columns(), &table, &first).await;
        let last = marked(peer, "a", columns(), &table, &last).await;
        let both = LoadTable { batches: [first.batches, last.batches.clone()].concat(), write: merge(), ..last };
        ensure(peer, "both", &both).await.unwrap();
        let mut expected = vec![row(2, "two"), row(4, "four"), row(5, "five")];
        expected.extend(before.into_iter().filter(|row| row["id"] == 7));
        assert_rows(peer, &table, expected).await;
        assert_no_marks(peer, &table).await;
    }
}

/// The row that is there is neither changed nor taken out.
pub(super) async fn an_append_and_a_replace_leave_out_the_rows_that_are_marked(peer: &dyn WarehousePeer) {
    for (name, write) in [("deleted_appended", WriteMode::Append), ("deleted_replaced", WriteMode::Replace)] {
        let table = table(peer, name);
        load(peer, "before", &table, write.clone(), &[row(1, "one")]).await;
        let rows = [there(2, "two"), gone(1), row(3, "three"), gone(4)];
        let load =
            LoadTable { write: write.clone(), sequence: 2, ..marked(peer, "a", demanding(), &table, &rows).await };
        let written = ensure(peer, "a", &load).await.unwrap();
        let mut expected = vec![row(2, "two"), row(3, "three")];
        expected.extend((write == WriteMode::Append).then(|| row(1, "one")));
        assert_eq!((written.rows, written.total_rows), (2, expected.len() as u64), "{name}");
        assert_rows(peer, &table, expected).await;
        assert_no_marks(peer, &table).await;
        assert_eq!(ensure(peer, "a", &load).await.unwrap(), written);
    }
}
