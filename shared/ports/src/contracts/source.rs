//! The contract of [`Source`]: what is there, what a plan covers, and how its ranges are read. What a cursor finds is in
//! [`source_changes`](super::source_changes).

use std::{collections::BTreeMap, time::Duration};

use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::{DataType, Int64Type},
};
use futures::{StreamExt, TryStreamExt, future::try_join_all};
use millstream_events::{
    contract::ColumnType,
    extract::{Changes, Selection},
};

use super::source_changes::{
    a_position_never_goes_back, a_reading_is_of_what_the_plan_covers, a_unique_cursor_reads_its_newest_row_at_once,
    an_unknown_cursor_is_told, by_cursor, no_row_is_missed_or_doubled_when_ties_wait,
    no_row_is_missed_when_ties_are_read_again, rows_that_were_late_are_found_by_the_lookback,
};
pub use super::source_fixture::{Abilities, Item, SourceFixture};
use crate::{
    error::{ErrorKind, PortError, PortResult},
    source::{BatchSize, Read, ReadPlan, Rows, Source, SourceColumn, Ties},
};

/// Every rule.
pub async fn all(fixture: &mut dyn SourceFixture) {
    run_rules!((fixture):
        tables_are_listed,
        columns_are_described,
        all_rows_are_read,
        a_table_without_rows_gives_none,
        only_the_columns_asked_for_are_read_in_that_order,
        what_a_query_gives_is_read,
        what_is_not_there_is_told,
        a_table_that_vanished_is_told,
        ranges_cover_every_row_once,
        ranges_of_another_column_cover_every_row_once,
        a_plan_read_twice_gives_the_same_rows,
        batches_keep_their_size,
        a_stream_may_be_dropped_early,
        no_row_is_missed_when_ties_are_read_again,
        no_row_is_missed_or_doubled_when_ties_wait,
        a_unique_cursor_reads_its_newest_row_at_once,
        rows_that_were_late_are_found_by_the_lookback,
        a_reading_is_of_what_the_plan_covers,
        a_position_never_goes_back,
        an_unknown_cursor_is_told,
    );
}

/// Everything of a table, in one range.
pub(super) fn read_of(select: Selection) -> Read {
    Read {
        select,
        only: Vec::new(),
        changes: Changes::Everything,
        since: None,
        ties: Ties::Again,
        split_by: None,
        range_rows: 1_000_000,
        statement_timeout: Duration::from_secs(60),
        batch: BatchSize::default(),
    }
}

/// All ranges of a plan, read at once; the batches of each, in their order.
pub(super) async fn try_read(source: &dyn Source, read: &Read, plan: &ReadPlan) -> PortResult<Vec<Vec<Rows>>> {
    let open = &source.open(read, plan).await?;
    try_join_all(plan.ranges.iter().map(|range| async move { open.read(range).await?.try_collect().await })).await
}

/// The rows of a plan. Every batch has the plan's columns.
pub(super) async fn rows_of(fixture: &dyn SourceFixture, read: &Read, plan: &ReadPlan) -> Vec<(i64, Option<String>)> {
    let [id, name, _] = fixture.columns();
    let batches = try_read(&*fixture.source(), read, plan).await.unwrap().concat();
    let mut items = Vec::new();
    for Rows { batch, faults } in batches {
        let schema = batch.schema();
        let names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
        assert_eq!(names, plan.columns.iter().map(|column| &column.name).collect::<Vec<_>>());
        assert_eq!(faults, [], "every value of the suite fits");
        let ids = cast(batch.column_by_name(&id).unwrap(), &DataType::Int64).unwrap();
        let ids = ids.as_primitive::<Int64Type>();
        assert_eq!(ids.null_count(), 0);
        let names = batch.column_by_name(&name).unwrap().as_string::<i32>();
        items.extend(ids.values().iter().zip(names).map(|(id, name)| (*id, name.map(str::to_owned))));
    }
    items
}

/// Plans and reads.
pub(super) async fn extract(fixture: &dyn SourceFixture, read: &Read) -> Vec<(i64, Option<String>)> {
    let plan = fixture.source().plan(read).await.unwrap();
    rows_of(fixture, read, &plan).await
}

pub(super) fn sorted<T: Ord>(rows: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut rows: Vec<T> = rows.into_iter().collect();
    rows.sort();
    rows
}

pub(super) fn sorted_items(items: &[Item]) -> Vec<(i64, Option<String>)> {
    sorted(items.iter().map(|item| (item.id, item.name.clone())))
}

pub(super) fn assert_is_not_there<T: std::fmt::Debug>(outcome: PortResult<T>, what: &str) {
    let kind = outcome.as_ref().map_err(PortError::kind);
    assert!(matches!(kind, Err(ErrorKind::NotFound | ErrorKind::Invalid)), "{what}: {outcome:?}");
}

fn three() -> [Item; 3] {
    [Item::new(1, "one", 10), Item::new(2, None, 10), Item::new(3, "it's \"three\" \u{e4}\u{1f600}", 20)]
}

/// By the names that they are read by.
pub async fn tables_are_listed(fixture: &mut dyn SourceFixture) {
    let (true, Selection::Table(table)) = (fixture.abilities().tables, fixture.table()) else { return };
    fixture.recreate().await;
    fixture.insert(&three()).await;
    let tables = fixture.source().tables().await.unwrap();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert!(tables.iter().any(|found| found.name == table && !found.is_view), "{table} in {names:?}");
}

/// Their names and types; which are the key, and which are never NULL.
pub async fn columns_are_described(fixture: &mut dyn SourceFixture) {
    fixture.recreate().await;
    fixture.insert(&three()).await;
    let shape = fixture.source().describe(&fixture.table()).await.unwrap();
    let [id, name, changed] = fixture.columns();
    let columns: BTreeMap<&str, &SourceColumn> =
        shape.columns.iter().map(|column| (column.name.as_str(), column)).collect();
    assert_eq!(columns.keys().copied().collect::<Vec<_>>(), sorted([id.as_str(), &name, &changed]));
    let numeric = |kind: &ColumnType| {
        use ColumnType::{BigNumeric, Float64, Int64, Numeric};
        matches!(kind, Int64 | Float64 | Numeric { .. } | BigNumeric { .. })
    };
    assert!(columns[&*id].kind.as_ref().is_ok_and(numeric), "{shape:?}");
    assert_eq!(columns[&*name].kind, Ok(ColumnType::String));
    assert!(columns[&*changed].kind.is_ok(), "{shape:?}");
    assert!(shape.columns.iter().all(|column| !column.source_type.is_empty()), "{shape:?}");
    let abilities = fixture.abilities();
    assert_eq!(shape.key, if abilities.key { vec![id.clone()] } else { Vec::new() });
    assert_eq!(columns[&*id].required, abilities.key || abilities.required);
    assert!(!columns[&*name].required);
}

/// NULL is NULL, and a text is the same to the last character.
pub async fn all_rows_are_read(fixture: &mut dyn SourceFixture) {
    fixture.recreate().await;
    fixture.insert(&three()).await;
    let read = read_of(fixture.table());
    assert_eq!(sorted(extract(fixture, &read).await), sorted_items(&three()));
    fixture.delete(2).await;
    fixture.update(&Item::new(1, "first", 30)).await;
    let plan = fixture.source().plan(&read).await.unwrap();
    assert_eq!((plan.everything, &plan.position), (true, &None), "everything is read each time");
    let items = [Item::new(1, "first", 30), three()[2].clone()];
    assert_eq!(sorted(rows_of(fixture, &read, &plan).await), sorted_items(&items));
}

/// There is a range all the same, and no position.
pub async fn a_table_without_rows_gives_none(fixture: &mut dyn SourceFixture) {
    fixture.recreate().await;
    let mut reads = vec![read_of(fixture.table())];
    if fixture.abilities().cursor {
        let again = Read { changes: by_cursor(fixture), ..read_of(fixture.table()) };
        reads.extend([Read { ties: Ties::Once, ..again.clone() }, again]);
    }
    for read in reads {
        let plan = fixture.source().plan(&read).await.unwrap();
        assert!(!plan.ranges.is_empty());
        assert_eq!(plan.position, None);
        let batches = try_read(&*fixture.source(), &read, &plan).await.unwrap().concat();
        assert_eq!(batches.iter().map(|rows| rows.batch.num_rows()).sum::<usize>(), 0);
        if fixture.abilities().columns_when_empty {
            assert_eq!(plan.columns.len(), 3, "{plan:?}");
        }
    }
}

/// The others do not even leave the source.
pub async fn only_the_columns_asked_for_are_read_in_that_order(fixture: &mut dyn SourceFixture) {
    fixture.recreate().await;
    fixture.insert(&three()).await;
    let [id, name, changed] = fixture.columns();
    let all = extract(fixture, &read_of(fixture.table())).await;
    for only in [vec![name.clone(), id.clone()], vec![changed, id, name]] {
        let read = Read { only: only.clone(), ..read_of(fixture.table()) };
        let plan = fixture.source().plan(&read).await.unwrap();
        assert_eq!(plan.columns.iter().map(|column| &column.name).collect::<Vec<_>>(), only.iter().collect::<Vec<_>>());
        assert_eq!(sorted(rows_of(fixture, &read, &plan).await), sorted(all.clone()));
    }
}

/// A query has columns and rows, but no key.
pub async fn what_a_query_gives_is_read(fixture: &mut dyn SourceFixture) {
    if !fixture.abilities().queries {
        return;
    }
    fixture.recreate().await;
    fixture.insert(&three()).await;
    let query = fixture.query();
    let shape = fixture.source().describe(&query).await.unwrap();
    assert_eq!((shape.columns.len(), shape.key.len()), (3, 0), "{shape:?}");
    assert_eq!(sorted(extract(fixture, &read_of(query.clone())).await), sorted_items(&three()));
    let [id, name, _] = fixture.columns();
    let pruned = Read { only: vec![name.clone(), id.clone()], split_by: Some(id), range_rows: 1, ..read_of(query) };
    assert_eq!(sorted(extract(fixture, &pruned).await), sorted_items(&three()));
    let wrong = Selection::Query("this is no query".into());
    assert_is_not_there(fixture.source().describe(&wrong).await, "a query that is none");
    assert_is_not_there(fixture.source().plan(&read_of(wrong)).await, "a query that is none");
}

/// Before anything is read.
pub async fn what_is_not_there_is_told(fixture: &mut dyn SourceFixture) {
    fixture.recreate().await;
    fixture.insert(&three()).await;
    let source = fixture.source();
    let unknown = fixture.unknown_table();
    assert_eq!(source.describe(&unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(source.plan(&read_of(unknown)).await.unwrap_err().kind(), ErrorKind::NotFound);
    let no_column = || "no_such_column".to_owned();
    let only = Read { only: vec![fixture.columns()[0].clone(), no_column()], ..read_of(fixture.table()) };
    assert_is_not_there(source.plan(&only).await, "an unknown column");
    if fixture.abilities().ranges {
        let split = Read { split_by: Some(no_column()), ..read_of(fixture.table()) };
        assert_is_not_there(source.plan(&split).await, "an unknown column to split by");
    }
}

/// It is not taken for one without rows.
pub async fn a_table_that_vanished_is_told(fixture: &mut dyn SourceFixture) {
    fixture.recreate().await;
    fixture.insert(&three()).await;
    let read = read_of(fixture.table());
    let plan = fixture.source().plan(&read).await.unwrap();
    fixture.remove().await;
    assert_is_not_there(try_read(&*fixture.source(), &read, &plan).await, "a table that was there when it was planned");
}

/// Negative keys, a cluster of them and some far away.
fn skewed() -> Vec<Item> {
    let keys = (1..=40).chain([-2_000_000_000, -7, -6, -1, 0, 1_000, 1_001, 900_000, 2_000_000_000]);
    keys.map(|id| Item { id, name: (id % 3 != 0).then(|| format!("n{id}")), changed: id.rem_euclid(4) }).collect()
}

/// Whatever their size.
pub async fn ranges_cover_every_row_once(fixture: &mut dyn SourceFixture) {
    fixture.recreate().await;
    let items = skewed();
    fixture.insert(&items).await;
    for range_rows in [1, 3, 7, items.len() as u64, 1_000_000] {
        let read = Read { range_rows, ..read_of(fixture.table()) };
        let plan = fixture.source().plan(&read).await.unwrap();
        assert_eq!(sorted(rows_of(fixture, &read, &plan).await), sorted_items(&items), "{plan:?}");
        if fixture.abilities().ranges && range_rows == 7 {
            assert!(plan.ranges.len() > 1, "{plan:?}");
            assert_eq!(plan.split_by, Some(fixture.columns()[0].clone()));
        }
    }
}

/// Also where it has no value in some rows and the same in many. A source that cannot split by it makes one range.
pub async fn ranges_of_another_column_cover_every_row_once(fixture: &mut dyn SourceFixture) {
    if !fixture.abilities().ranges {
        return;
    }
    fixture.recreate().await;
    let items = skewed();
    fixture.insert(&items).await;
    let [_, name, changed] = fixture.columns();
    for column in [name, changed] {
        let read = Read { split_by: Some(column), range_rows: 5, ..read_of(fixture.table()) };
        let plan = fixture.source().plan(&read).await.unwrap();
        assert_eq!(sorted(rows_of(fixture, &read, &plan).await), sorted_items(&items), "{plan:?}");
    }
}

/// Also by a process that has only its JSON.
pub async fn a_plan_read_twice_gives_the_same_rows(fixture: &mut dyn SourceFixture) {
    fixture.recreate().await;
    fixture.insert(&skewed()).await;
    let read = Read { range_rows: 10, ..read_of(fixture.table()) };
    let plan = fixture.source().plan(&read).await.unwrap();
    let kept: ReadPlan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(kept, plan);
    for range in &plan.ranges {
        let one = ReadPlan { ranges: vec![range.clone()], ..plan.clone() };
        let again = ReadPlan { ranges: vec![range.clone()], ..kept.clone() };
        assert_eq!(sorted(rows_of(fixture, &read, &one).await), sorted(rows_of(fixture, &read, &again).await));
    }
}

/// By rows and by bytes.
pub async fn batches_keep_their_size(fixture: &mut dyn SourceFixture) {
    fixture.recreate().await;
    fixture.insert(&skewed()).await;
    for (size, most) in [
        (BatchSize { rows: 7, bytes: 1 << 20 }, 7),
        (BatchSize { rows: 1_000, bytes: 1 }, 1),
        (BatchSize { rows: 1_000, bytes: 1 << 20 }, 1_000),
    ] {
        let read = Read { batch: size, ..read_of(fixture.table()) };
        let plan = fixture.source().plan(&read).await.unwrap();
        let batches = try_read(&*fixture.source(), &read, &plan).await.unwrap().concat();
        let rows: Vec<usize> = batches.iter().map(|rows| rows.batch.num_rows()).collect();
        assert_eq!(rows.iter().sum::<usize>(), skewed().len());
        assert!(rows.iter().all(|rows| *rows <= most), "{size:?}: {rows:?}");
    }
}

/// More often than a pool has connections.
pub async fn a_stream_may_be_dropped_early(fixture: &mut dyn SourceFixture) {
    fixture.recreate().await;
    fixture.insert(&skewed()).await;
    let read = Read { batch: BatchSize { rows: 1, bytes: 1 << 20 }, ..read_of(fixture.table()) };
    let source = fixture.source();
    let plan = source.plan(&read).await.unwrap();
    for _ in 0..12 {
        let open = source.open(&read, &plan).await.unwrap();
        let mut first = open.read(&plan.ranges[0]).await.unwrap();
        assert_eq!(first.next().await.unwrap().unwrap().batch.num_rows(), 1);
        drop(first);
        drop(open.read(&plan.ranges[0]).await.unwrap());
    }
    assert_eq!(sorted(rows_of(fixture, &read, &plan).await), sorted_items(&skewed()));
}
