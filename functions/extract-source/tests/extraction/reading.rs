//! What is read, and what is refused.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use millstream_events::{
    contract::{ColumnType, MaxBad, OnNewColumn},
    extract::ExtractLimits,
};
use millstream_ports::{CellFaultKind, memory::MemoryCell};
use millstream_runtime::{Function, Progress};

use crate::world::{World, changes, columns, command, everything, extracted, item, item_rows, items, until};

fn misfit(id: i64) -> Vec<MemoryCell> {
    vec![id.into(), MemoryCell::Misfit(CellFaultKind::Text, "\u{fffd}".into()), id.into()]
}

#[tokio::test]
async fn every_range_is_a_batch_and_bad_rows_go_to_quarantine() {
    let mut table = items(10);
    table.rows[4] = misfit(5);
    let world = World::with(table);
    world.source.cut_into(4, 3);
    let extracted = world.extract(&everything("1")).await;
    assert_eq!((extracted.rows, extracted.bad_rows), (9, 1));
    let names: Vec<&str> = extracted.batches.iter().map(|batch| batch.name()).collect();
    let batch = |number: u32| format!("batches/shop/items/1/range-0000{number}.parquet");
    assert_eq!(names, [batch(0), batch(1), batch(2)]);
    assert_eq!(world.rows(&extracted).await, item_rows((1..=10).filter(|id| *id != 5)));
    assert_eq!(extracted.columns, columns("id INT64 required, name STRING, changed INT64"));
    assert_eq!(extracted.reasons, BTreeMap::from([("name: not_text".to_owned(), 1)]));
    assert!(extracted.everything && !extracted.deletes && extracted.notes.is_empty(), "{extracted:?}");
    assert_eq!(extracted.bookmark.position, None);
    let [quarantine] = &extracted.quarantine[..] else { panic!("{extracted:?}") };
    assert_eq!(quarantine.name(), "quarantine/shop/items/1/range-00001.jsonl");
    let bad = world.text(quarantine).await;
    assert!(bad.contains("\"line\":1") && bad.contains("\\\"id\\\":5"), "{bad}");
    assert!(world.scratch_is_empty());
}

#[tokio::test]
async fn asked_again_it_is_answered_without_the_source() {
    let world = World::with(items(3));
    let first = world.extract(&everything("1")).await;
    world.source.remove_table("items");
    assert_eq!(world.extract(&everything("1")).await, first);
    assert_eq!(world.source.plans_and_openings(), (1, 1));
}

#[tokio::test]
async fn an_empty_table_is_a_batch_that_says_what_its_columns_are() {
    let world = World::with(items(0));
    let extracted = world.extract(&changes("1", None)).await;
    assert_eq!((extracted.rows, extracted.batches.len(), extracted.everything), (0, 1, true));
    let schema = world.batch(&extracted.batches[0]).await.schema();
    let types: Vec<&DataType> = schema.fields().iter().map(|field| field.data_type()).collect();
    assert_eq!(types, [&DataType::Int64, &DataType::Utf8, &DataType::Int64]);
}

#[tokio::test]
async fn columns_are_laid_out_against_the_contract_and_the_others_stay_where_they_are() {
    let mut table = items(2);
    table.columns[2].kind = Err("arrays of several dimensions".into());
    let world = World::with(table);
    let mut work = everything("1");
    work.contract.columns = columns("NAME STRING, id NUMERIC required, note STRING");
    let extracted = world.extract(&work).await;
    assert_eq!(world.rows(&extracted).await, [["item 1", "1.000000000", "NULL"], ["item 2", "2.000000000", "NULL"]]);
    assert_eq!(
        extracted.notes,
        [
            "the source's columns that the contract has not were left out: changed",
            "the contract's columns that the source has not are NULL: note",
        ]
    );
}

#[tokio::test]
async fn new_columns_are_added_or_refused_by_the_contract() {
    let world = World::with(items(1));
    let mut work = everything("1");
    work.contract.columns = columns("id INT64, name STRING");
    work.contract.on_new_column = OnNewColumn::Add;
    let extracted = world.extract(&work).await;
    assert_eq!(extracted.notes, ["the source's new columns were added: changed INT64"]);
    assert_eq!(world.rows(&extracted).await, item_rows([1]));
    work.contract.on_new_column = OnNewColumn::Reject;
    work.batches = work.batches.join("rejecting").unwrap();
    let reason = world.refusal(&work).await;
    assert!(reason.message.contains("the source has the column \"changed\""), "{reason:?}");
}

#[tokio::test]
async fn columns_that_no_table_can_hold_are_all_named_before_anything_is_read() {
    let mut table = items(2);
    table.columns[1].kind = Err("a range has two ends".into());
    table.columns[2].kind = Err("a polygon".into());
    let world = World::with(table);
    let reason = world.refusal(&everything("1")).await;
    assert_eq!(
        reason.message,
        "columns that no table can hold: name (string): a range has two ends; changed (int64): a polygon; leave them out \
         by naming the others in `columns`, or cast them in a `query`"
    );
    assert_eq!(world.source.plans_and_openings(), (1, 0));
    let mut work = everything("1");
    work.only = vec!["id".into()];
    assert_eq!(world.rows(&world.extract(&work).await).await, [["1"], ["2"]]);
}

#[tokio::test]
async fn a_contract_that_the_columns_do_not_keep_is_told_before_anything_is_read() {
    let world = World::with(items(2));
    for (contract, expect, words) in [
        ("id INT64, nme STRING required", "", "the source has \"name\""),
        ("id DATE", "", "INT64 in the source and DATE in the contract"),
        ("name STRING", "", "the key \"id\" is no column"),
        ("id INT64", "amount > 0", "the expectation `amount > 0` is wrong"),
    ] {
        let mut work = everything("1");
        work.contract.columns = columns(contract);
        work.contract.expect = Vec::from_iter((!expect.is_empty()).then(|| expect.to_owned()));
        let reason = world.refusal(&work).await;
        assert!(reason.message.contains(words), "{reason:?}");
    }
    assert_eq!(world.source.ranges_read(), []);
    assert!(world.names().await.is_empty(), "nothing is kept of what was not begun");
}

#[tokio::test]
async fn more_rows_or_bytes_than_the_limit_are_refused_for_good() {
    let world = World::with(items(100));
    world.source.cut_into(10, 5);
    let mut work = everything("rows");
    work.limits = ExtractLimits { rows: Some(99), ..ExtractLimits::default() };
    let reason = world.refusal(&work).await;
    assert!(reason.message.starts_with("there are more than 99 rows to read"), "{reason:?}");
    assert!(reason.message.contains("raise `limits.rows`"), "{reason:?}");
    let read = world.source.ranges_read().len();
    assert_eq!(world.refusal(&work).await, reason);
    assert_eq!(world.source.ranges_read().len(), read, "what was refused is not read again");

    let bytes = ExtractLimits { bytes: Some(500), ..ExtractLimits::default() };
    let reason = world.refusal(&millstream_events::extract::ExtractSource { limits: bytes, ..everything("b") }).await;
    assert!(reason.message.contains("raise `limits.bytes`"), "{reason:?}");

    let enough = ExtractLimits { rows: Some(100), bytes: Some(1 << 20), ..ExtractLimits::default() };
    let work = millstream_events::extract::ExtractSource { limits: enough, ..everything("enough") };
    assert_eq!(world.extract(&work).await.rows, 100);
}

#[tokio::test]
async fn bad_rows_are_judged_over_all_ranges() {
    let mut table = items(20);
    for id in 1..=5 {
        table.rows[id - 1] = misfit(id as i64);
    }
    let world = World::with(table);
    world.source.cut_into(5, 5);
    for (step, max_bad, is_refused) in [
        ("a", MaxBad::Share(0.25), false),
        ("b", MaxBad::Share(0.24), true),
        ("c", MaxBad::Rows(5), false),
        ("d", MaxBad::Rows(4), true),
    ] {
        let mut work = everything(step);
        work.contract.max_bad = max_bad;
        if !is_refused {
            assert_eq!(world.extract(&work).await.bad_rows, 5, "{step}");
            continue;
        }
        let reason = world.refusal(&work).await;
        assert!(reason.message.contains("bad"), "{reason:?}");
        assert!(reason.message.contains("the text is not UTF-8") || step == "d", "{reason:?}");
        assert_eq!(reason.kept.len(), 1, "{reason:?}");
        assert_eq!(world.text(&reason.kept[0]).await.lines().count(), 5, "{step}");
    }
}

#[tokio::test]
async fn rows_that_must_differ_are_compared_over_all_ranges() {
    let mut table = items(9);
    table.rows[8] = item(9, "item 1", 9);
    let world = World::with(table);
    world.source.cut_into(3, 3);
    let mut work = everything("all");
    work.contract.expect = vec!["unique(name)".into()];
    let extracted = world.extract(&work).await;
    assert_eq!((extracted.rows, extracted.bad_rows, extracted.batches.len()), (8, 1, 1));
    // Rows of different ranges differ in what the ranges are of.
    let mut work = everything("each");
    work.contract.expect = vec!["unique(name, id)".into(), "unique(ID)".into()];
    let extracted = world.extract(&work).await;
    assert_eq!((extracted.rows, extracted.bad_rows, extracted.batches.len()), (9, 0, 3));
}

#[tokio::test]
async fn as_many_ranges_are_read_at_once_as_the_limit_says() {
    let world = World::with(items(30));
    world.source.cut_into(3, 3);
    world.source.hold();
    let mut work = everything("1");
    work.limits.parallel = 3;
    let function = world.function();
    let asked = command(&work);
    let reading = function.ensure(&asked);
    tokio::pin!(reading);
    assert!(futures::poll!(&mut reading).is_pending());
    until(|| world.source.ranges_read().len() == 3).await;
    let Progress::Pending { reason, .. } = function.ensure(&asked).await.unwrap() else { panic!("started twice") };
    assert_eq!(reason, "the extraction is under way: 0 of 10 ranges, 0 rows so far");
    assert_eq!(world.source.ranges_read().len(), 3);
    world.source.release();
    assert_eq!(world.rows(&extracted(reading.await.unwrap())).await, item_rows(1..=30));
}

#[tokio::test]
async fn a_query_is_read_in_one_range() {
    let world = World::with(items(5));
    world.source.cut_into(2, 2);
    let mut work = everything("1");
    work.select = millstream_events::extract::Selection::Query("SELECT * FROM items".into());
    let extracted = world.extract(&work).await;
    assert_eq!((extracted.batches.len(), world.rows(&extracted).await), (1, item_rows(1..=5)));
}

#[tokio::test]
async fn every_type_of_the_source_arrives() {
    let definition = [
        ("id", ColumnType::Int64),
        ("flag", ColumnType::Bool),
        ("price", ColumnType::Numeric { precision: 10, scale: 2 }),
        ("at", ColumnType::Datetime),
        ("ratio", ColumnType::Float64),
        ("document", ColumnType::Json),
    ];
    let mut table = millstream_ports::memory::MemoryTable::new(&definition, &["id"]);
    table.rows = vec![
        vec![1.into(), true.into(), 1_250.into(), 1_000_000.into(), 0.5.into(), "{\"a\":1}".into()],
        vec![2.into(), MemoryCell::Null, MemoryCell::Null, MemoryCell::Null, MemoryCell::Null, MemoryCell::Null],
    ];
    let world = World::with(table);
    let extracted = world.extract(&everything("1")).await;
    assert_eq!(
        world.rows(&extracted).await,
        [
            ["1", "true", "12.50", "1970-01-01T00:00:01", "0.5", "{\"a\":1}"],
            ["2", "NULL", "NULL", "NULL", "NULL", "NULL"],
        ]
    );
}
