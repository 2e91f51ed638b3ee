//! The contract of [`Warehouse`], as far as it needs no SQL; the rest is in [`warehouse_sql`](super::warehouse_sql).

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::future::join_all;
use millstream_events::{
    contract::{Column, ColumnType},
    names::{ObjectPath, TableName},
    work::{DataFormat, LoadTable, TableLayout, TransformTable, WriteMode},
};
use serde_json::{Value, json};

use super::{
    warehouse_batches::{
        of_a_merges_rows_with_one_key_the_last_file_wins, of_several_batches_one_that_fails_leaves_the_old_rows,
        several_batches_of_one_load_go_in_together,
    },
    warehouse_deletes::{
        a_merge_takes_out_the_rows_that_are_marked, an_append_and_a_replace_leave_out_the_rows_that_are_marked,
        of_a_merges_rows_with_one_key_only_the_last_ones_mark_counts,
    },
};
use crate::{
    contracts::done,
    error::{ErrorKind, PortResult},
    object_store::{ObjectStore, ObjectStoreExt},
    warehouse::{ExportJob, ExportWrite, TableWrite, Warehouse},
};

/// What the suite needs besides the warehouse itself.
#[async_trait]
pub trait WarehousePeer: Sync {
    /// The warehouse.
    fn warehouse(&self) -> &dyn Warehouse;

    /// Where its batches and exports are, and a bucket in it.
    fn store(&self) -> (&dyn ObjectStore, &str);

    /// A dataset without tables.
    fn dataset(&self) -> &str;

    /// Writes rows as a batch the warehouse can load. Each row is a JSON object; a column it lacks is NULL, also where the
    /// column is `required`: that is for the warehouse to find out.
    async fn write_batch(&self, to: &ObjectPath, columns: &[Column], rows: &[Value]);

    /// All rows of a table as JSON objects, in any order.
    async fn rows(&self, table: &TableName) -> Vec<Value> {
        let answer = self.warehouse().query(&format!("SELECT * FROM `{table}`"), 10_000).await.unwrap();
        let names: Vec<&String> = answer.columns.iter().map(|column| &column.name).collect();
        answer
            .rows
            .into_iter()
            .map(|row| names.iter().map(|name| (*name).clone()).zip(row).collect())
            .map(Value::Object)
            .collect()
    }
}

/// Every rule that needs no SQL.
pub async fn all(peer: &dyn WarehousePeer) {
    run_rules!((peer):
        a_job_asked_for_again_has_one_effect,
        a_job_asked_for_by_many_at_once_has_one_effect,
        an_append_under_another_job_adds_again,
        a_replace_leaves_only_its_own_rows,
        an_older_replace_is_superseded,
        a_merge_overwrites_by_key_and_the_last_row_of_a_key_wins,
        a_new_column_is_added_and_null_in_older_rows,
        a_column_that_a_batch_lacks_is_null,
        several_batches_of_one_load_go_in_together,
        of_a_merges_rows_with_one_key_the_last_file_wins,
        of_several_batches_one_that_fails_leaves_the_old_rows,
        a_merge_takes_out_the_rows_that_are_marked,
        of_a_merges_rows_with_one_key_only_the_last_ones_mark_counts,
        an_append_and_a_replace_leave_out_the_rows_that_are_marked,
        a_load_that_fails_leaves_the_old_rows,
        a_row_without_a_required_value_is_refused,
        versions_grow_with_every_commit,
        what_is_not_there_is_not_found,
        tables_are_listed_with_what_they_hold,
        an_export_can_be_loaded_again,
        an_export_asked_for_again_is_the_same,
    );
}

pub(super) fn table(peer: &dyn WarehousePeer, name: &str) -> TableName {
    format!("{}.{name}", peer.dataset()).parse().unwrap()
}

pub(super) fn column(name: &str, kind: ColumnType, required: bool) -> Column {
    Column { name: name.to_owned(), kind, required, description: None }
}

/// The columns of the suite's batches: the key is required.
pub(super) fn columns() -> Vec<Column> {
    vec![column("id", ColumnType::Int64, true), column("name", ColumnType::String, false)]
}

pub(super) fn row(id: i64, name: &str) -> Value {
    json!({ "id": id, "name": name })
}

/// Without NULLs and in a fixed order, so that tables can be compared.
fn normal(rows: Vec<Value>) -> Vec<String> {
    let mut rows: Vec<String> = rows
        .into_iter()
        .map(|row| match row {
            Value::Object(fields) => {
                let given: BTreeMap<String, Value> = fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
                json!(given).to_string()
            }
            other => other.to_string(),
        })
        .collect();
    rows.sort();
    rows
}

pub(super) async fn assert_rows(peer: &dyn WarehousePeer, table: &TableName, expected: Vec<Value>) {
    assert_eq!(normal(peer.rows(table).await), normal(expected), "the rows of {table}");
    let facts = peer.warehouse().table(table).await.unwrap();
    assert_eq!(facts.rows, peer.rows(table).await.len() as u64, "the number of rows of {table}");
}

pub(super) fn merge() -> WriteMode {
    WriteMode::Merge { key: vec!["id".to_owned()] }
}

pub(super) async fn batch(
    peer: &dyn WarehousePeer,
    job: &str,
    columns: Vec<Column>,
    table: &TableName,
    rows: &[Value],
) -> LoadTable {
    let batch = ObjectPath::new(peer.store().1, format!("contract/{table}/{job}.parquet")).unwrap();
    peer.write_batch(&batch, &columns, rows).await;
    LoadTable {
        batches: vec![batch],
        table: table.clone(),
        columns,
        write: WriteMode::Append,
        layout: TableLayout::default(),
        sequence: 1,
        uploaded: None,
        deletes: false,
    }
}

pub(super) async fn ensure(peer: &dyn WarehousePeer, job: &str, load: &LoadTable) -> PortResult<TableWrite> {
    // Job ids are the warehouse's, not the table's: the table makes them the rule's own.
    let job = format!("load-{}-{job}", load.table.table());
    done(async || peer.warehouse().ensure_load(&job, load).await).await
}

/// Writes a batch and loads it under a job of this name.
pub(super) async fn load(
    peer: &dyn WarehousePeer,
    job: &str,
    table: &TableName,
    write: WriteMode,
    rows: &[Value],
) -> TableWrite {
    let load = LoadTable { write, ..batch(peer, job, columns(), table, rows).await };
    ensure(peer, job, &load).await.unwrap()
}

pub(super) async fn export(peer: &dyn WarehousePeer, job: &str, table: &TableName, format: DataFormat) -> ExportWrite {
    let to = ObjectPath::new(peer.store().1, format!("contract/{table}/export/{job}")).unwrap();
    let export = ExportJob { table: table.clone(), to, format };
    let job = format!("export-{}-{}", table.table(), job.replace('.', "-"));
    done(async || peer.warehouse().ensure_export(&job, &export).await).await.unwrap()
}

/// The second answer is the first one, the table is as after the first.
pub async fn a_job_asked_for_again_has_one_effect(peer: &dyn WarehousePeer) {
    let table = table(peer, "asked_again");
    let append = batch(peer, "a", columns(), &table, &[row(1, "one"), row(2, "two")]).await;
    let first = ensure(peer, "a", &append).await.unwrap();
    assert_eq!((first.rows, first.total_rows, first.superseded), (2, 2, false));
    load(peer, "b", &table, WriteMode::Append, &[row(3, "three")]).await;
    assert_eq!(ensure(peer, "a", &append).await.unwrap(), first);
    assert_rows(peer, &table, vec![row(1, "one"), row(2, "two"), row(3, "three")]).await;
}

/// A redelivered command may run beside the first.
pub async fn a_job_asked_for_by_many_at_once_has_one_effect(peer: &dyn WarehousePeer) {
    let table = table(peer, "asked_at_once");
    let append = batch(peer, "a", columns(), &table, &[row(1, "one")]).await;
    let answers = join_all((0..6).map(|_| ensure(peer, "a", &append))).await;
    let answers: Vec<TableWrite> = answers.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    assert_rows(peer, &table, vec![row(1, "one")]).await;
}

/// The job is what is remembered, not the batch.
pub async fn an_append_under_another_job_adds_again(peer: &dyn WarehousePeer) {
    let table = table(peer, "added_again");
    let append = batch(peer, "a", columns(), &table, &[row(1, "one"), row(1, "one")]).await;
    ensure(peer, "a", &append).await.unwrap();
    let second = ensure(peer, "b", &append).await.unwrap();
    assert_eq!((second.rows, second.total_rows), (2, 4));
    assert_rows(peer, &table, vec![row(1, "one"); 4]).await;
}

/// Columns included: the table is the new batch.
pub async fn a_replace_leaves_only_its_own_rows(peer: &dyn WarehousePeer) {
    let table = table(peer, "replaced");
    load(peer, "a", &table, WriteMode::Replace, &[row(1, "one"), row(2, "two")]).await;
    let new_columns = vec![column("id", ColumnType::Int64, true), column("weight", ColumnType::Float64, false)];
    let rows = [json!({ "id": 3, "weight": 0.5 })];
    let replace = LoadTable { write: WriteMode::Replace, ..batch(peer, "b", new_columns, &table, &rows).await };
    let written = ensure(peer, "b", &replace).await.unwrap();
    assert_eq!((written.rows, written.total_rows), (1, 1));
    assert_rows(peer, &table, rows.to_vec()).await;
    let names: Vec<String> =
        peer.warehouse().table(&table).await.unwrap().columns.into_iter().map(|column| column.name).collect();
    assert_eq!(names, ["id", "weight"]);
}

/// Uploads that overtake each other: the newest one stays.
pub async fn an_older_replace_is_superseded(peer: &dyn WarehousePeer) {
    let table = table(peer, "superseded");
    let mut loads = Vec::new();
    for (job, sequence) in [("new", 20), ("old", 10), ("newest", 30)] {
        let load = batch(peer, job, columns(), &table, &[row(sequence, job)]).await;
        loads.push(LoadTable { write: WriteMode::Replace, sequence: sequence.unsigned_abs(), ..load });
    }
    let new = ensure(peer, "new", &loads[0]).await.unwrap();
    let old = ensure(peer, "old", &loads[1]).await.unwrap();
    assert!(old.superseded && !new.superseded);
    assert_eq!(old.total_rows, 1);
    assert_rows(peer, &table, vec![row(20, "new")]).await;
    assert_eq!(ensure(peer, "old", &loads[1]).await.unwrap(), old);
    assert!(!ensure(peer, "newest", &loads[2]).await.unwrap().superseded);
    assert_rows(peer, &table, vec![row(30, "newest")]).await;
}

/// Also in the batch that makes the table.
pub async fn a_merge_overwrites_by_key_and_the_last_row_of_a_key_wins(peer: &dyn WarehousePeer) {
    let table = table(peer, "merged");
    let first = load(peer, "a", &table, merge(), &[row(1, "one"), row(2, "old"), row(1, "uno")]).await;
    assert_eq!(first.total_rows, 2);
    assert_rows(peer, &table, vec![row(1, "uno"), row(2, "old")]).await;
    let second = load(peer, "b", &table, merge(), &[row(2, "new"), row(3, "three"), row(2, "newest")]).await;
    assert_eq!(second.total_rows, 3);
    assert_rows(peer, &table, vec![row(1, "uno"), row(2, "newest"), row(3, "three")]).await;
}

/// For appends and merges.
pub async fn a_new_column_is_added_and_null_in_older_rows(peer: &dyn WarehousePeer) {
    for (name, write) in [("widened_by_append", WriteMode::Append), ("widened_by_merge", merge())] {
        let table = table(peer, name);
        load(peer, "a", &table, write.clone(), &[row(1, "one")]).await;
        let mut wider = columns();
        wider.push(column("note", ColumnType::String, false));
        let rows = [json!({ "id": 2, "name": "two", "note": "new" })];
        let wider = LoadTable { write, ..batch(peer, "b", wider, &table, &rows).await };
        ensure(peer, "b", &wider).await.unwrap();
        assert_rows(peer, &table, vec![row(1, "one"), rows[0].clone()]).await;
        let facts = peer.warehouse().table(&table).await.unwrap();
        let names: Vec<&str> = facts.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "name", "note"], "the new column comes last");
    }
}

/// A file without an optional column still fits its table.
pub async fn a_column_that_a_batch_lacks_is_null(peer: &dyn WarehousePeer) {
    let table = table(peer, "narrower");
    load(peer, "a", &table, WriteMode::Append, &[row(1, "one")]).await;
    let narrow = vec![column("id", ColumnType::Int64, true)];
    let narrow = batch(peer, "b", narrow, &table, &[json!({ "id": 2 })]).await;
    ensure(peer, "b", &narrow).await.unwrap();
    assert_rows(peer, &table, vec![row(1, "one"), json!({ "id": 2 })]).await;
}

/// Whatever the way of writing: a replace that fails has not emptied the table. The job may be asked for again.
pub async fn a_load_that_fails_leaves_the_old_rows(peer: &dyn WarehousePeer) {
    let table = table(peer, "failed_load");
    load(peer, "a", &table, WriteMode::Replace, &[row(1, "one")]).await;
    let version = peer.warehouse().table(&table).await.unwrap().version;
    for (job, write) in [("b", WriteMode::Replace), ("c", WriteMode::Append), ("d", merge())] {
        let whole = batch(peer, job, columns(), &table, &[row(2, "two")]).await;
        let absent = LoadTable {
            batches: vec![whole.batches[0].join("absent.parquet").unwrap()],
            write: write.clone(),
            sequence: 2,
            ..whole.clone()
        };
        ensure(peer, job, &absent).await.unwrap_err();
        assert_rows(peer, &table, vec![row(1, "one")]).await;
    }
    assert_eq!(peer.warehouse().table(&table).await.unwrap().version, version);
    let whole = batch(peer, "c", columns(), &table, &[row(2, "two")]).await;
    ensure(peer, "c", &whole).await.unwrap();
    assert_rows(peer, &table, vec![row(1, "one"), row(2, "two")]).await;
}

/// The whole batch is `Invalid`: none of its rows is loaded.
pub async fn a_row_without_a_required_value_is_refused(peer: &dyn WarehousePeer) {
    let table = table(peer, "required");
    load(peer, "a", &table, WriteMode::Append, &[row(1, "one")]).await;
    for (job, write) in [("b", WriteMode::Replace), ("c", WriteMode::Append)] {
        let rows = [row(2, "two"), json!({ "name": "nobody" })];
        let load = LoadTable { write, sequence: 2, ..batch(peer, job, columns(), &table, &rows).await };
        assert_eq!(ensure(peer, job, &load).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_rows(peer, &table, vec![row(1, "one")]).await;
    }
}

/// A write's version is what the table then has.
pub async fn versions_grow_with_every_commit(peer: &dyn WarehousePeer) {
    let table = table(peer, "versions");
    let mut last = 0;
    for (job, write) in [("a", WriteMode::Append), ("b", merge()), ("c", WriteMode::Replace), ("d", WriteMode::Append)]
    {
        let version = load(peer, job, &table, write, &[row(1, "one")]).await.version;
        assert!(version > last, "{job}: {version} after {last}");
        assert_eq!(peer.warehouse().table(&table).await.unwrap().version, version);
        last = version;
    }
}

/// Facts and exports of an absent table, and a transform one of whose inputs is absent. No table comes of it.
pub async fn what_is_not_there_is_not_found(peer: &dyn WarehousePeer) {
    let (present, absent, made) = (table(peer, "present"), table(peer, "absent"), table(peer, "made_of_absent"));
    load(peer, "a", &present, WriteMode::Append, &[row(1, "one")]).await;
    let warehouse = peer.warehouse();
    assert_eq!(warehouse.table(&absent).await.unwrap_err().kind(), ErrorKind::NotFound);
    let to = ObjectPath::new(peer.store().1, "contract/absent.parquet").unwrap();
    let export = ExportJob { table: absent.clone(), to, format: DataFormat::Parquet };
    let error = done(async || warehouse.ensure_export("export-absent", &export).await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let transform = TransformTable {
        table: made.clone(),
        sql: format!("SELECT id FROM `{present}` JOIN `{absent}` USING (id)"),
        inputs: vec![present, absent.clone()],
        write: WriteMode::Replace,
        layout: TableLayout::default(),
        expect: Vec::new(),
    };
    let error = done(async || warehouse.ensure_transform("transform-absent", &transform).await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let tables = warehouse.tables().await.unwrap();
    assert!(tables.iter().all(|facts| facts.table != absent && facts.table != made));
}

/// `tables` says the same as `table`, with the columns as they were declared.
pub async fn tables_are_listed_with_what_they_hold(peer: &dyn WarehousePeer) {
    let table = table(peer, "listed");
    load(peer, "a", &table, WriteMode::Append, &[row(1, "one")]).await;
    let facts = peer.warehouse().table(&table).await.unwrap();
    assert_eq!((&facts.table, facts.rows), (&table, 1));
    let shape = |columns: &[Column]| columns.iter().map(|c| (c.name.clone(), c.kind.clone())).collect::<Vec<_>>();
    assert_eq!(shape(&facts.columns), shape(&columns()));
    let listed = peer.warehouse().tables().await.unwrap();
    assert_eq!(listed.into_iter().filter(|listed| listed.table == table).collect::<Vec<_>>(), [facts]);
}

/// The files are there with the bytes the answer says, and hold the table's rows.
pub async fn an_export_can_be_loaded_again(peer: &dyn WarehousePeer) {
    let (table, copy) = (table(peer, "exported"), table(peer, "exported_copy"));
    let rows = vec![row(1, "one"), json!({ "id": 2 }), row(3, "three, \"quoted\"")];
    load(peer, "a", &table, WriteMode::Append, &rows).await;
    let written = export(peer, "a.parquet", &table, DataFormat::Parquet).await;
    assert_eq!(written.rows, 3);
    let mut bytes = 0;
    for (at, file) in written.files.iter().enumerate() {
        bytes += peer.store().0.stat(file).await.unwrap().size;
        let load = LoadTable {
            batches: vec![file.clone()],
            table: copy.clone(),
            columns: columns(),
            write: WriteMode::Append,
            layout: TableLayout::default(),
            sequence: 1,
            uploaded: None,
            deletes: false,
        };
        ensure(peer, &at.to_string(), &load).await.unwrap();
    }
    assert!(bytes > 0 && bytes == written.bytes, "{bytes} bytes in files, {} in the answer", written.bytes);
    assert_rows(peer, &copy, rows).await;
}

/// A copy is of the moment it was made.
pub async fn an_export_asked_for_again_is_the_same(peer: &dyn WarehousePeer) {
    let table = table(peer, "exported_again");
    load(peer, "a", &table, WriteMode::Append, &[row(1, "one")]).await;
    let first = export(peer, "a.parquet", &table, DataFormat::Parquet).await;
    let file = peer.store().0.read(&first.files[0], 1 << 20).await.unwrap();
    load(peer, "b", &table, WriteMode::Append, &[row(2, "two")]).await;
    assert_eq!(export(peer, "a.parquet", &table, DataFormat::Parquet).await, first);
    assert_eq!(peer.store().0.read(&first.files[0], 1 << 20).await.unwrap(), file);
    assert_eq!(export(peer, "b.parquet", &table, DataFormat::Parquet).await.rows, 2);
}
