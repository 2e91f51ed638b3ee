//! What changed since the last extraction that was loaded.

use millstream_events::{
    contract::{ColumnType, MaxBad},
    extract::{Bookmark, Changes, Cursor, DELETED_COLUMN, ExtractSource as Extract},
};
use millstream_ports::memory::{MemoryCell, MemoryTable};

use crate::world::{World, changes, columns, everything, item, items};

#[tokio::test]
async fn only_what_changed_is_read_and_the_bookmark_moves() {
    let world = World::with(items(3));
    let first = world.extract(&changes("1", None)).await;
    assert_eq!((first.rows, first.everything, first.bookmark.position.as_deref()), (3, true, Some("3")));
    world.source.upsert("items", item(1, "item 1", 4));
    world.source.upsert("items", item(4, "item 4", 4));
    let second = world.extract(&changes("2", Some(&first.bookmark))).await;
    // The row at the position is read again: another may have come beside it.
    let ids: Vec<String> = world.rows(&second).await.into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(ids, ["1", "3", "4"]);
    assert_eq!((second.everything, second.bookmark.position.as_deref()), (false, Some("4")));
    assert_eq!(second.bookmark.shape, first.bookmark.shape);
}

#[tokio::test]
async fn where_nothing_changed_there_is_no_batch() {
    let world = World::with(items(3));
    let adding = |step: &str, since: Option<&Bookmark>| Extract { appends: true, ..changes(step, since) };
    let first = world.extract(&adding("1", None)).await;
    assert_eq!(first.rows, 2, "the newest one may not be the last of its time");
    let second = world.extract(&adding("2", Some(&first.bookmark))).await;
    assert_eq!((&second.batches[..], second.rows, second.everything), (&[][..], 0, false));
    assert_eq!(second.bookmark, first.bookmark);
    assert_eq!(second.columns, first.columns);
    world.source.upsert("items", item(4, "item 4", 3));
    world.source.upsert("items", item(5, "item 5", 5));
    let third = world.extract(&adding("3", Some(&second.bookmark))).await;
    let names: Vec<String> = world.rows(&third).await.into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(names, ["item 3", "item 4"]);
}

#[tokio::test]
async fn a_table_that_was_emptied_keeps_its_position() {
    let world = World::with(items(3));
    let first = world.extract(&changes("1", None)).await;
    world.source.change("items", |table| table.rows.clear());
    let second = world.extract(&changes("2", Some(&first.bookmark))).await;
    assert_eq!((second.rows, second.bookmark.position.as_deref()), (0, Some("3")));
}

#[tokio::test]
async fn other_columns_mean_that_everything_is_read_again() {
    let world = World::with(items(3));
    let first = world.extract(&changes("1", None)).await;
    world.source.change("items", |table| {
        let mut colour = table.columns[1].clone();
        colour.name = "colour".into();
        table.columns.push(colour);
        table.rows.iter_mut().for_each(|row| row.push("red".into()));
        table.columns[1].source_type = "varchar(20)".into();
    });
    let second = world.extract(&changes("2", Some(&first.bookmark))).await;
    assert_eq!((second.rows, second.everything, second.bookmark.position.as_deref()), (3, true, Some("3")));
    assert_ne!(second.bookmark.shape, first.bookmark.shape);
    assert_eq!(
        second.notes,
        [
            "the source's columns changed (colour is new, name was string as STRING and is varchar(20) as STRING), so that \
          everything was read again"
        ]
    );
    let third = world.extract(&changes("3", Some(&second.bookmark))).await;
    assert_eq!((third.everything, &third.notes[..]), (false, &[][..]));
}

#[tokio::test]
async fn columns_that_are_not_read_may_change() {
    let world = World::with(items(3));
    let narrow = |step: &str, since: Option<&Bookmark>| {
        let mut work = changes(step, since);
        work.contract.columns = columns("id INT64, name STRING");
        work
    };
    let first = world.extract(&narrow("1", None)).await;
    world.source.change("items", |table| table.columns[2].source_type = "bigint".into());
    assert!(!world.extract(&narrow("2", Some(&first.bookmark))).await.everything);
}

#[tokio::test]
async fn a_full_reading_tells_of_other_columns_too() {
    let world = World::with(items(1));
    let first = world.extract(&everything("1")).await;
    world.source.change("items", |table| table.columns[1].source_type = "text".into());
    let second = world.extract(&Extract { since: Some(first.bookmark), ..everything("2") }).await;
    assert_eq!(second.notes, ["the source's columns changed (name was string as STRING and is text as STRING)"]);
}

/// A table whose rows are deleted by a mark of any type.
fn marked(kind: ColumnType, marks: Vec<MemoryCell>) -> MemoryTable {
    let definition = [("id", ColumnType::Int64), ("gone", kind), ("changed", ColumnType::Int64)];
    let mut table = MemoryTable::new(&definition, &["id"]);
    table.rows = (1..).zip(marks).map(|(id, mark)| vec![id.into(), mark, id.into()]).collect();
    table
}

fn by_mark(step: &str) -> Extract {
    let cursor = Cursor { column: "changed".into(), lookback: None, deleted: Some("gone".into()) };
    Extract { changes: Changes::Cursor(cursor), ..changes(step, None) }
}

#[tokio::test]
async fn rows_are_deleted_by_a_mark_of_any_type() {
    for (kind, marks, deleted) in [
        (ColumnType::Bool, vec![true.into(), false.into(), MemoryCell::Null], ["true", "false", "false"]),
        (ColumnType::Int64, vec![0.into(), 2.into(), MemoryCell::Null], ["false", "true", "false"]),
        (ColumnType::Float64, vec![0.0.into(), 0.5.into(), MemoryCell::Null], ["false", "true", "false"]),
        (ColumnType::String, vec!["".into(), "y".into(), MemoryCell::Null], ["false", "true", "false"]),
        (ColumnType::Datetime, vec![0.into(), 7.into(), MemoryCell::Null], ["true", "true", "false"]),
        (
            ColumnType::Numeric { precision: 5, scale: 1 },
            vec![0.into(), 1.into(), MemoryCell::Null],
            ["false", "true", "false"],
        ),
    ] {
        let world = World::with(marked(kind.clone(), marks));
        let extracted = world.extract(&by_mark("1")).await;
        assert!(extracted.deletes);
        let names: Vec<&str> = extracted.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "gone", "changed"], "the mark stays a column");
        let last: Vec<String> = world.rows(&extracted).await.into_iter().map(|row| row[3].clone()).collect();
        assert_eq!(last, deleted, "{kind}");
        let schema = world.batch(&extracted.batches[0]).await.schema();
        assert_eq!(schema.field(3).name(), DELETED_COLUMN);
    }
}

#[tokio::test]
async fn a_mark_that_the_table_is_not_to_have_is_read_all_the_same() {
    let marks = || vec![true.into(), false.into()];
    let world = World::with(marked(ColumnType::Bool, marks()));
    let mut chosen = by_mark("chosen");
    chosen.only = vec!["id".into()];
    let Changes::Cursor(cursor) = &mut chosen.changes else { panic!() };
    cursor.deleted = Some("GONE".into());
    let mut contracted = by_mark("contracted");
    contracted.contract.columns = columns("id INT64");
    for work in [chosen, contracted] {
        let extracted = world.extract(&work).await;
        assert_eq!(world.rows(&extracted).await, [["1", "true"], ["2", "false"]]);
        assert_eq!(extracted.columns.len(), 1);
    }
}

#[tokio::test]
async fn a_mark_that_is_not_there_fails_the_step() {
    let world = World::with(items(2));
    assert_eq!(
        world.refusal(&by_mark("1")).await.message,
        "the column gone, which is to mark deleted rows, is not in the source"
    );
    assert!(world.names().await.is_empty());
}

#[tokio::test]
async fn what_is_deleted_need_not_keep_the_contract() {
    let world = World::with(marked(ColumnType::Bool, vec![true.into(), false.into(), MemoryCell::Null]));
    let mut work = by_mark("1");
    work.contract.expect = vec!["changed > 2".into()];
    work.contract.max_bad = MaxBad::Rows(1);
    let extracted = world.extract(&work).await;
    let ids: Vec<String> = world.rows(&extracted).await.into_iter().map(|row| row[0].clone()).collect();
    assert_eq!((ids, extracted.bad_rows), (vec!["1".to_owned(), "3".to_owned()], 1));
}

#[tokio::test]
async fn rounds_of_changes_merged_by_key_are_the_table() {
    let world = World::with(items(5));
    world.source.cut_into(2, 1);
    let mut bookmark = None;
    let mut merged = std::collections::BTreeMap::new();
    for round in 0..6_i64 {
        world.source.upsert("items", item(round + 1, &format!("in round {round}"), 5 + round / 2));
        world.source.upsert("items", item(100 + round, "new", 5 + round / 2));
        let extracted = world.extract(&changes(&format!("round-{round}"), bookmark.as_ref())).await;
        merged.extend(world.rows(&extracted).await.into_iter().map(|row| (row[0].clone(), row)));
        bookmark = Some(extracted.bookmark);
        let whole = world.extract(&everything(&format!("whole-{round}"))).await;
        let there: std::collections::BTreeMap<_, _> =
            world.rows(&whole).await.into_iter().map(|row| (row[0].clone(), row)).collect();
        assert_eq!(merged, there, "round {round}");
    }
}
