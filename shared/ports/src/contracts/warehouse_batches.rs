//! The rules of [`Warehouse`](crate::Warehouse) for several batches in one load; part of [`warehouse::all`](super::warehouse::all).

use millstream_events::{
    contract::ColumnType,
    work::{LoadTable, WriteMode},
};
use serde_json::json;

use super::warehouse::{WarehousePeer, assert_rows, batch, column, columns, ensure, load, merge, row, table};

/// One commit, and the columns are those of all batches: a row of a batch without one has no value there.
pub(super) async fn several_batches_of_one_load_go_in_together(peer: &dyn WarehousePeer) {
    for (name, write) in [("several_appended", WriteMode::Append), ("several_replaced", WriteMode::Replace)] {
        let table = table(peer, name);
        load(peer, "before", &table, write.clone(), &[row(1, "one")]).await;
        let mut wide = columns();
        wide.push(column("note", ColumnType::String, false));
        let noted = json!({ "id": 2, "name": "two", "note": "new" });
        let narrow = batch(peer, "a", columns(), &table, &[row(3, "three"), row(4, "four")]).await;
        let wide = batch(peer, "b", wide, &table, std::slice::from_ref(&noted)).await;
        let batches = [narrow.batches, wide.batches.clone()].concat();
        let both = LoadTable { batches, write: write.clone(), sequence: 2, ..wide };
        let version = peer.warehouse().table(&table).await.unwrap().version;
        let written = ensure(peer, "both", &both).await.unwrap();
        let mut expected = vec![noted, row(3, "three"), row(4, "four")];
        if write == WriteMode::Append {
            expected.push(row(1, "one"));
        }
        assert_eq!((written.rows, written.total_rows), (3, expected.len() as u64), "{name}");
        assert!(written.version > version);
        assert_eq!(peer.warehouse().table(&table).await.unwrap().version, written.version);
        assert_eq!(ensure(peer, "both", &both).await.unwrap(), written);
        assert_rows(peer, &table, expected).await;
    }
}

/// The load's order of files counts, not their names'.
pub(super) async fn of_a_merges_rows_with_one_key_the_last_file_wins(peer: &dyn WarehousePeer) {
    let table = table(peer, "several_merged");
    load(peer, "before", &table, merge(), &[row(1, "old"), row(2, "kept")]).await;
    let first = batch(peer, "z", columns(), &table, &[row(1, "first"), row(3, "three"), row(1, "second")]).await;
    let last = batch(peer, "a", columns(), &table, &[row(1, "last"), row(4, "four")]).await;
    let both = LoadTable { batches: [first.batches, last.batches.clone()].concat(), write: merge(), ..last };
    ensure(peer, "both", &both).await.unwrap();
    assert_rows(peer, &table, vec![row(1, "last"), row(2, "kept"), row(3, "three"), row(4, "four")]).await;
}

/// None of the others' rows is loaded.
pub(super) async fn of_several_batches_one_that_fails_leaves_the_old_rows(peer: &dyn WarehousePeer) {
    let table = table(peer, "several_failed");
    load(peer, "before", &table, WriteMode::Append, &[row(1, "one")]).await;
    let good = batch(peer, "a", columns(), &table, &[row(2, "two")]).await;
    let nobody = batch(peer, "b", columns(), &table, &[json!({ "name": "nobody" })]).await;
    let absent = vec![good.batches[0].join("absent.parquet").unwrap()];
    for (job, bad) in [("c", nobody.batches), ("d", absent)] {
        let both = LoadTable { batches: [good.batches.clone(), bad].concat(), ..good.clone() };
        ensure(peer, job, &both).await.unwrap_err();
        assert_rows(peer, &table, vec![row(1, "one")]).await;
    }
}
