//! Values into columns: what fits arrives as it was, what does not is a fault and no error.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use arrow::{
    array::{Array, AsArray},
    datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType},
};
use millstream_ports::{BatchSize, CellFaultKind, Rows, SourceColumn};
use millstream_source_columns::{Cell, Civil, Columns};

fn column(kind: &str) -> SourceColumn {
    SourceColumn {
        name: "value".into(),
        source_type: "any".into(),
        kind: Ok(kind.parse().unwrap()),
        required: false,
        description: None,
    }
}

/// One value in a column of a type.
fn put(kind: &str, value: impl FnOnce(Cell<'_>)) -> Rows {
    let mut columns = Columns::new(&[column(kind)], BatchSize::default()).unwrap();
    value(columns.cell(0));
    columns.end_row();
    columns.take().unwrap().unwrap()
}

#[track_caller]
fn is_fault(rows: &Rows, kind: CellFaultKind) {
    assert_eq!(rows.faults.len(), 1, "{rows:?}");
    assert_eq!((rows.faults[0].row, rows.faults[0].column, rows.faults[0].kind), (0, 0, kind));
    assert!(rows.batch.column(0).is_null(0), "a value that does not fit leaves NULL");
}

#[test]
fn integers_fit_or_are_told() {
    assert_eq!(
        put("INT64", |cell| cell.int64(i64::MIN)).batch.column(0).as_primitive::<Int64Type>().value(0),
        i64::MIN
    );
    is_fault(&put("INT64", |cell| cell.uint64(u64::MAX)), CellFaultKind::Int64Range);
    let wide = put("NUMERIC(20, 0)", |cell| cell.uint64(u64::MAX));
    assert_eq!(wide.batch.column(0).as_primitive::<Decimal128Type>().value(0), i128::from(u64::MAX));
    let exact = put("FLOAT64", |cell| cell.int64(1 << 53));
    assert_eq!(exact.batch.column(0).as_primitive::<Float64Type>().value(0), 9_007_199_254_740_992.0);
    is_fault(&put("FLOAT64", |cell| cell.int64((1 << 53) + 1)), CellFaultKind::Type);
    assert_eq!(put("STRING", |cell| cell.int64(-7)).batch.column(0).as_string::<i32>().value(0), "-7");
}

#[test]
fn no_digit_of_a_decimal_is_lost() {
    let read = |kind: &str, text: &str| put(kind, |cell| cell.decimal_text(text));
    assert_eq!(read("NUMERIC(10, 2)", "-12.50").batch.column(0).as_primitive::<Decimal128Type>().value(0), -1_250);
    assert_eq!(read("NUMERIC(10, 2)", "7.100").batch.column(0).as_primitive::<Decimal128Type>().value(0), 710);
    is_fault(&read("NUMERIC(10, 2)", "0.005"), CellFaultKind::DecimalRange);
    is_fault(&read("NUMERIC(10, 2)", "123456789.00"), CellFaultKind::DecimalRange);
    is_fault(&read("NUMERIC(10, 2)", "NaN"), CellFaultKind::NotFinite);
    is_fault(&put("NUMERIC(5, 1)", |cell| cell.decimal(i128::MAX, 3)), CellFaultKind::DecimalRange);
    assert_eq!(read("INT64", "42.0").batch.column(0).as_primitive::<Int64Type>().value(0), 42);
    is_fault(&read("INT64", "9223372036854775808"), CellFaultKind::Int64Range);
}

#[test]
fn dates_and_times_are_within_the_years_1_to_9999() {
    let date = |year, month, day| Civil { year, month, day, micros: 0 };
    let days = |civil: Civil| put("DATE", |cell| cell.date(civil.days(), || "shown".into()));
    assert_eq!(days(date(1970, 1, 2)).batch.column(0).as_primitive::<Date32Type>().value(0), 1);
    assert!(days(date(1, 1, 1)).faults.is_empty() && days(date(9999, 12, 31)).faults.is_empty());
    for civil in [date(0, 12, 31), date(10_000, 1, 1), date(0, 0, 0), date(2020, 2, 30)] {
        is_fault(&days(civil), CellFaultKind::DateRange);
    }
    let at = |micros| put("TIMESTAMP", |cell| cell.timestamp(micros, || "infinity".into()));
    let last = Civil { year: 9999, month: 12, day: 31, micros: 86_399_999_999 }.since_epoch().unwrap();
    assert_eq!(at(Some(last)).batch.column(0).as_primitive::<TimestampMicrosecondType>().value(0), last);
    is_fault(&at(Some(last + 1)), CellFaultKind::DateRange);
    let endless = at(None);
    is_fault(&endless, CellFaultKind::DateRange);
    assert_eq!(endless.faults[0].value, "infinity");
    is_fault(&put("TIME", |cell| cell.time(86_400_000_000, || "24:00:00".into())), CellFaultKind::DateRange);
    is_fault(&put("TIMESTAMP", |cell| cell.datetime(Some(0), || "a time without a zone".into())), CellFaultKind::Type);
}

#[test]
fn texts_are_utf_8_without_a_nul_and_documents_are_json() {
    assert_eq!(put("STRING", |cell| cell.text("größe")).batch.column(0).as_string::<i32>().value(0), "größe");
    is_fault(&put("STRING", |cell| cell.text("a\0b")), CellFaultKind::Text);
    is_fault(&put("STRING", |cell| cell.text_bytes(&[0xff])), CellFaultKind::Text);
    assert!(put("JSON", |cell| cell.text("{\"a\": [1, \"]\"]}")).faults.is_empty());
    is_fault(&put("JSON", |cell| cell.json("{\"a\": 1} x")), CellFaultKind::Json);
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(put("JSON", |cell| cell.json(&deep(500))).faults.is_empty());
    is_fault(&put("JSON", |cell| cell.json(&deep(501))), CellFaultKind::Json);
    let long = put("INT64", |cell| cell.text(&"x".repeat(1_000)));
    is_fault(&long, CellFaultKind::Type);
    assert!(long.faults[0].value.len() <= 200, "a value is cut for people");
}

#[test]
fn an_array_with_a_null_is_a_fault_and_the_next_row_is_right() {
    let mut columns = Columns::new(&[column("ARRAY<INT64>")], BatchSize::default()).unwrap();
    let mut array = |items: &[Option<i64>]| {
        let put = |index: usize, place: Cell<'_>| match items[index] {
            Some(value) => {
                place.int64(value);
                true
            }
            None => {
                place.null();
                false
            }
        };
        columns.cell(0).array(items.len(), put, || format!("{items:?}"));
        columns.end_row();
    };
    array(&[Some(1), Some(2)]);
    array(&[Some(3), None]);
    array(&[]);
    array(&[Some(4)]);
    let rows = columns.take().unwrap().unwrap();
    let lists = rows.batch.column(0).as_list::<i32>();
    let items = |row: usize| lists.value(row).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!((items(0), items(2), items(3)), (vec![1, 2], vec![], vec![4]));
    assert!(lists.is_null(1));
    assert_eq!((rows.faults[0].row, rows.faults[0].kind), (1, CellFaultKind::Array));
}

#[test]
fn a_structure_is_filled_field_by_field() {
    let rows = put("STRUCT<a INT64, b ARRAY<STRUCT<c STRING>>>", |cell| {
        let fill = |_: usize, name: &str, place: Cell<'_>| match name {
            "a" => place.int64(1),
            _ => {
                let item = |index: usize, place: Cell<'_>| {
                    place.structure(|_, _, place| place.text(&format!("item {index}")), String::new);
                    true
                };
                place.array(2, item, String::new);
            }
        };
        cell.structure(fill, String::new);
    });
    assert!(rows.faults.is_empty(), "{rows:?}");
    let structure = rows.batch.column(0).as_struct();
    assert_eq!(structure.column(0).as_primitive::<Int64Type>().value(0), 1);
    let items = structure.column(1).as_list::<i32>().value(0);
    assert_eq!(items.as_struct().column(0).as_string::<i32>().value(1), "item 1");
}

#[test]
fn a_batch_ends_at_its_rows_or_its_bytes() {
    let mut columns = Columns::new(&[column("STRING")], BatchSize { rows: 3, bytes: 1_000 }).unwrap();
    let mut row = |text: &str| {
        columns.cell(0).text(text);
        columns.end_row()
    };
    assert_eq!([row("a"), row("b"), row("c")], [false, false, true]);
    assert_eq!(columns.take().unwrap().unwrap().batch.num_rows(), 3);
    assert!(columns.take().unwrap().is_none(), "it is empty again");
    columns.cell(0).text(&"x".repeat(1_000));
    assert!(columns.end_row());
}

#[test]
fn a_column_that_is_mapped_to_nothing_is_named() {
    let unmapped = SourceColumn {
        kind: Err("cast it to text in a query".into()),
        source_type: "point".into(),
        ..column("STRING")
    };
    let error = Columns::new(&[unmapped], BatchSize::default()).unwrap_err().to_string();
    assert_eq!(error, "the column value of type point cannot be extracted: cast it to text in a query");
}
