//! Parquet files through `ingest`.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, dead_code, reason = "a panic is how a test fails")]

mod common;

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
        TimestampNanosecondArray,
    },
    datatypes::{Int32Type, Int64Type},
};
use common::case;
use millstream_events::contract::OnNewColumn;
use millstream_tabular::RejectionKind;
use parquet::arrow::ArrowWriter;

fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    out
}

#[test]
fn columns_are_cast_where_nothing_is_lost_and_the_other_rows_are_bad() {
    let bytes = file(vec![
        ("small", Arc::new(Int32Array::from(vec![1, 2, 3]))),
        ("amount", Arc::new(Float64Array::from(vec![1.25, 1.125, 3.0]))),
        ("day", Arc::new(StringArray::from(vec![Some("2024-01-31"), None, Some("soon")]))),
        ("at", Arc::new(TimestampNanosecondArray::from(vec![1_000, 2_000, 3_000]))),
        ("zoned", Arc::new(TimestampNanosecondArray::from(vec![1_000, 2_000, 3_000]).with_timezone("UTC"))),
        ("word", Arc::new(vec!["x", "y", "x"].into_iter().collect::<DictionaryArray<Int32Type>>())),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1)]), None, Some(vec![])])),
        ),
    ]);
    let columns = "small INT64 required, amount NUMERIC(10, 2), day DATE, at TIMESTAMP, zoned TIMESTAMP, word STRING, list ARRAY<INT64>";
    let outcome = case("f.parquet", columns).run(bytes);
    assert_eq!(outcome.faults(), [(2, "amount", "lossy"), (3, "day", "not_date")]);
    assert_eq!(outcome.bad[0].value.as_deref(), Some("1.125"));
    assert!(outcome.bad[0].raw.as_deref().unwrap().contains("\"small\":2"));
    let at = "1970-01-01T00:00:00.000001";
    assert_eq!(outcome.rows(), [["1", "1.25", "2024-01-31", at, at, "x", "[1]"]]);
}

#[test]
fn null_items_and_whole_numbers_that_do_not_fit_are_bad_rows() {
    let bytes = file(vec![
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
                Some(vec![Some(1), None]),
                Some(vec![Some(2)]),
            ])),
        ),
        ("big", Arc::new(Int64Array::from(vec![1, (1 << 53) + 1]))),
    ]);
    let outcome = case("f.parquet", "list ARRAY<INT64>, big FLOAT64").run(bytes);
    assert_eq!(outcome.faults(), [(1, "list", "null_element"), (2, "big", "lossy")]);
}

#[test]
fn types_that_do_not_meet_and_missing_columns_reject_the_file() {
    let bytes = file(vec![("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    for (columns, kind) in [
        ("id STRING", RejectionKind::TypeMismatch),
        ("id DATE", RejectionKind::TypeMismatch),
        ("ids INT64 required", RejectionKind::MissingColumn),
    ] {
        assert_eq!(case("f.parquet", columns).rejection(&bytes).kind, kind, "{columns}");
    }
    assert_eq!(case("f.parquet", "id INT64").rejection("id\n1\n").kind, RejectionKind::Corrupt);
    assert_eq!(case("f.csv", "id INT64").rejection(&bytes).kind, RejectionKind::WrongFormat);
}

#[test]
fn new_columns_are_added_as_the_file_types_them() {
    let bytes = file(vec![
        ("new", Arc::new(Int32Array::from(vec![7])) as ArrayRef),
        ("skip", Arc::new(StringArray::from(vec!["s"]))),
        ("id", Arc::new(Int64Array::from(vec![1]))),
    ]);
    let mut case = case("f.parquet", "id INT64");
    assert_eq!(case.run(&bytes).report.ignored_columns, ["new", "skip"]);
    case.contract.on_new_column = OnNewColumn::Add;
    let outcome = case.run(&bytes);
    assert_eq!(outcome.rows(), [["1", "7", "s"]]);
    assert_eq!(outcome.report.columns[1].kind.to_string(), "INT64");
    assert_eq!(outcome.report.bytes_read, bytes.len() as u64);
}
