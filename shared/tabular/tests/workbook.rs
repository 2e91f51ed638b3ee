//! Workbooks through `ingest`.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, reason = "a panic is how a test fails")]

mod books;
#[allow(dead_code, reason = "each test file uses some of it")]
mod common;

use books::{Binary, archive, ods, row, text, xlsb, xlsx};
use common::{Case, case};
use millstream_events::{
    contract::{FileFormat, OnNewColumn},
    extract::Cells,
};
use millstream_tabular::RejectionKind;
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};

fn book(write: impl FnOnce(&mut Worksheet)) -> Vec<u8> {
    let mut book = Workbook::new();
    write(book.add_worksheet());
    book.save_to_buffer().unwrap()
}

fn selecting(mut case: Case, sheet: Option<&str>, range: Option<&str>, header_row: Option<u32>) -> Case {
    case.options.cells = Some(Cells { sheet: sheet.map(Into::into), range: range.map(Into::into), header_row });
    case
}

fn header(sheet: &mut Worksheet, row: u32, names: &[&str]) {
    for (column, name) in names.iter().enumerate() {
        sheet.write(row, column as u16, *name).unwrap();
    }
}

#[test]
fn values_of_every_type_are_loaded_from_typed_cells_and_from_texts() {
    let names = ["s", "i", "f", "n", "o", "d", "dt", "t", "ts", "j", "b"];
    let bytes = book(|sheet| {
        header(sheet, 0, &names);
        let format = |text: &str| Format::new().set_num_format(text);
        let at = |date: (u16, u8, u8), time: (u16, u8, f64)| {
            ExcelDateTime::from_ymd(date.0, date.1, date.2).unwrap().and_hms(time.0, time.1, time.2).unwrap()
        };
        sheet.write(1, 0, "Zoë").unwrap();
        sheet.write(1, 1, -7).unwrap();
        sheet.write(1, 2, 0.1 + 0.2).unwrap();
        sheet.write(1, 3, 0.1 + 0.2).unwrap();
        sheet.write(1, 4, true).unwrap();
        sheet.write_with_format(1, 5, at((2024, 1, 31), (0, 0, 0.0)), &format("dd.mm.yyyy")).unwrap();
        sheet.write_with_format(1, 6, at((2024, 1, 31), (12, 30, 15.5)), &format("yyyy-mm-dd hh:mm:ss")).unwrap();
        sheet.write_with_format(1, 7, ExcelDateTime::from_hms(23, 59, 58).unwrap(), &format("hh:mm:ss")).unwrap();
        sheet.write_with_format(1, 8, at((2024, 1, 31), (1, 2, 3.0)), &format("yyyy-mm-dd hh:mm")).unwrap();
        sheet.write(1, 9, 1.5).unwrap();
        sheet.write(1, 10, "aGk=").unwrap();
        for (column, text) in [
            "12.50",
            "42",
            "1e3",
            "1.25",
            "no",
            "2024/2/1",
            "2024-02-01 00:00:01",
            "01:02:03",
            "2024-02-01T00:00:00Z",
            "[1]",
        ]
        .iter()
        .enumerate()
        {
            sheet.write_string(2, column as u16, *text).unwrap();
        }
    });
    let columns =
        "s STRING, i INT64, f FLOAT64, n NUMERIC, o BOOL, d DATE, dt DATETIME, t TIME, ts TIMESTAMP, j JSON, b BYTES";
    let outcome = case("all.xlsx", columns).run(bytes);
    assert_eq!(outcome.faults(), []);
    assert_eq!(
        outcome.rows(),
        [
            [
                "Zoë",
                "-7",
                "0.30000000000000004",
                "0.300000000",
                "true",
                "2024-01-31",
                "2024-01-31T12:30:15.500",
                "23:59:58",
                "2024-01-31T01:02:03",
                "1.5",
                "6869"
            ],
            [
                "12.50",
                "42",
                "1000.0",
                "1.250000000",
                "false",
                "2024-02-01",
                "2024-02-01T00:00:01",
                "01:02:03",
                "2024-02-01T00:00:00",
                "[1]",
                "NULL"
            ]
        ]
    );
}

#[test]
fn what_does_not_fit_is_quarantined_with_its_row_in_the_sheet_and_the_row_as_json() {
    let bytes = book(|sheet| {
        header(sheet, 3, &["id", "day", "price"]);
        sheet.write(4, 0, 1.5).unwrap();
        sheet.write(4, 2, 2).unwrap();
        sheet.write(7, 0, 2).unwrap();
        sheet.write(7, 1, 45_000).unwrap();
        sheet.write(8, 0, 3).unwrap();
        sheet.write(8, 2, true).unwrap();
        sheet.write(9, 0, 4).unwrap();
        sheet.write_formula(9, 2, Formula::new("=1/0").set_result("#DIV/0!")).unwrap();
        sheet.write(10, 0, 5).unwrap();
        sheet.write_formula(10, 2, Formula::new("=A11*2").set_result("10")).unwrap();
    });
    let outcome = case("bad.xlsx", "id INT64, day DATE, price NUMERIC").run(bytes);
    assert_eq!(
        outcome.faults(),
        [(5, "id", "not_int64"), (8, "day", "not_date"), (9, "price", "not_numeric"), (10, "price", "cell_error")]
    );
    let raw: Vec<_> = outcome.bad.iter().map(|bad| bad.raw.as_deref().unwrap()).collect();
    assert_eq!(
        raw,
        [
            r##"{"id":1.5,"price":2}"##,
            r##"{"id":2,"day":45000}"##,
            r##"{"id":3,"price":true}"##,
            r##"{"id":4,"price":"#DIV/0!"}"##
        ]
    );
    assert_eq!(outcome.bad[3].value.as_deref(), Some("#DIV/0!"));
    assert_eq!(outcome.rows(), [["5", "NULL", "10.000000000"]]);
}

#[test]
fn days_count_from_1900_with_its_leap_day_that_never_was_or_from_1904() {
    let rows = |serials: &[&str]| {
        let mut rows = row(1, &[text("A", "<v>d</v>"), text("B", "<v>t</v>")]);
        for (number, serial) in serials.iter().enumerate() {
            let value = format!("<v>{serial}</v>");
            rows += &row(number as u32 + 2, &[("A", r#"s="1""#, &value), ("B", r#"s="3""#, "<v>0.5</v>")]);
        }
        rows
    };
    let case = case("days.xlsx", "d DATE, t TIME");
    let days = |outcome: common::Outcome| outcome.rows().into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    let outcome = case.run(xlsx(
        &rows(&["1", "59", "60", "61", "2958465", "2958466", "-1", "0.5", "45322.9999999999"]),
        "",
        false,
    ));
    assert_eq!(
        outcome.faults(),
        [(4, "d", "not_date"), (7, "d", "not_date"), (8, "d", "not_date"), (9, "d", "not_date")]
    );
    assert_eq!(outcome.bad[0].value.as_deref(), Some("1900-02-29"));
    assert_eq!(outcome.rows()[0][1], "12:00:00");
    assert_eq!(
        days(outcome),
        ["1900-01-01", "1900-02-28", "1900-03-01", "9999-12-31", "2024-02-01"],
        "a nanosecond before midnight is midnight"
    );
    let outcome = case.run(xlsx(&rows(&["0", "60", "43860", "2957003", "2957004"]), "", true));
    assert_eq!(outcome.faults(), [(6, "d", "not_date")]);
    assert_eq!(outcome.rows()[0][1], "12:00:00");
    assert_eq!(days(outcome), ["1904-01-01", "1904-03-01", "2024-01-31", "9999-12-31"]);
}

#[test]
fn durations_are_times_below_a_day_and_texts_at_any_length() {
    let mut rows = row(1, &[text("A", "<v>t</v>"), text("B", "<v>s</v>")]);
    for (number, days) in [(2, "0.25"), (3, "1.5"), (4, "-0.5")] {
        let value = format!("<v>{days}</v>");
        rows += &row(number, &[("A", r#"s="4""#, &value), ("B", r#"s="4""#, &value)]);
    }
    let outcome = case("spans.xlsx", "t TIME, s STRING").run(xlsx(&rows, "", false));
    assert_eq!(outcome.rows(), [["06:00:00", "06:00:00"]]);
    assert_eq!(outcome.faults(), [(3, "t", "not_time"), (4, "t", "not_time")]);
    let outcome = case("spans.xlsx", "s STRING").run(xlsx(&rows, "", false));
    assert_eq!(outcome.rows(), [["06:00:00"], ["36:00:00"], ["-12:00:00"]]);
}

#[test]
fn iso_dates_in_cells_are_read() {
    let mut rows = row(1, &[text("A", "<v>d</v>"), text("B", "<v>at</v>")]);
    rows += &row(2, &[("A", r#"t="d""#, "<v>2024-01-31T00:00:00</v>"), ("B", r#"t="d""#, "<v>2024-01-31</v>")]);
    rows += &row(3, &[("A", r#"t="d""#, "<v>2024-01-31T10:00:00</v>")]);
    let outcome = case("iso.xlsx", "d DATE, at DATETIME").run(xlsx(&rows, "", false));
    assert_eq!(outcome.rows(), [["2024-01-31", "2024-01-31T00:00:00"]]);
    assert_eq!(outcome.faults(), [(3, "d", "not_date")]);
}

#[test]
fn the_table_may_lie_anywhere_in_a_sheet() {
    let mut book = Workbook::new();
    book.add_worksheet().set_name("Cover").unwrap().write(0, 0, "Prices of the year").unwrap();
    let sheet = book.add_worksheet().set_name("Prices").unwrap();
    sheet.write(0, 0, "A title").unwrap();
    sheet.write(2, 0, "note").unwrap();
    header(sheet, 3, &["", "id", "Unit\nprice", "", "remark"]);
    for (row, id) in [(4, 1), (6, 2), (7, 3)] {
        sheet.write(row, 1, id).unwrap();
        sheet.write(row, 2, f64::from(id) / 2.0).unwrap();
    }
    sheet.write(8, 2, "  ").unwrap();
    sheet.write(9, 1, 99).unwrap();
    let bytes = book.save_to_buffer().unwrap();
    let wanted = || {
        let mut case = case("prices.xlsx", "id INT64, price NUMERIC(5, 1), remark STRING");
        case.contract.columns[1].name = "Unit price".into();
        case
    };
    let expected = [["1", "0.5", "NULL"], ["2", "1.0", "NULL"], ["3", "1.5", "NULL"]];
    let in_range = selecting(wanted(), Some("prices"), Some("B4:E9"), None).run(&bytes);
    assert_eq!(in_range.rows(), expected, "empty rows are no rows, and a header may have a gap");
    let by_columns = selecting(wanted(), Some("Prices"), Some("$B:$E"), Some(4)).run(&bytes);
    assert_eq!(by_columns.rows()[3], ["99", "NULL", "NULL"]);
    let by_row = selecting(wanted(), Some("Prices"), Some("A2:E9"), Some(3)).run(&bytes);
    assert_eq!(by_row.rows(), expected, "the header's row counts from the range's first");
    let by_place =
        selecting(case("prices.xlsx", "a INT64, b FLOAT64"), Some("Prices"), Some("B5:C9"), Some(0)).run(&bytes);
    assert_eq!(by_place.rows(), [["1", "0.5"], ["2", "1.0"], ["3", "1.5"]]);
}

#[test]
fn without_a_header_the_contracts_columns_start_at_a() {
    let bytes = book(|sheet| {
        sheet.write(0, 1, "first").unwrap();
        sheet.write(1, 0, 2).unwrap();
    });
    let mut case = case("plain.xlsx", "id INT64, name STRING");
    case.options.no_header = true;
    assert_eq!(case.run(&bytes).rows(), [["NULL", "first"], ["2", "NULL"]]);
    let wide = book(|sheet| {
        sheet.write(0, 2, "beyond").unwrap();
    });
    let rejection = case.rejection(wide);
    assert_eq!(rejection.kind, RejectionKind::UnnamedColumn);
    assert!(rejection.message.contains("C1"), "{rejection}");
}

#[test]
fn a_header_that_cannot_be_one_rejects_the_file() {
    let twice = book(|sheet| header(sheet, 0, &["id", "name", "ID"]));
    let rejection = case("x.xlsx", "id INT64").rejection(twice);
    assert_eq!((rejection.kind, rejection.column.as_deref()), (RejectionKind::DuplicateColumn, Some("ID")));
    assert!(rejection.message.contains("A1") && rejection.message.contains("C1"), "{rejection}");

    let unnamed = book(|sheet| {
        header(sheet, 0, &["id", "", "name"]);
        sheet.write(1, 0, 1).unwrap();
        sheet.write(2, 1, "lost?").unwrap();
    });
    let rejection = case("x.xlsx", "id INT64").rejection(unnamed);
    assert_eq!(rejection.kind, RejectionKind::UnnamedColumn);
    assert!(rejection.message.contains("B3") && rejection.message.contains("B1"), "{rejection}");

    let empty = book(|_| {});
    assert_eq!(case("x.xlsx", "id INT64").rejection(&empty).kind, RejectionKind::Empty);
    let third = selecting(case("x.xlsx", "id INT64"), None, None, Some(3));
    assert_eq!(third.rejection(book(|sheet| header(sheet, 0, &["id"]))).kind, RejectionKind::Empty);

    let missing = case("x.xlsx", "ident INT64 required").rejection(book(|sheet| header(sheet, 0, &["idents"])));
    assert_eq!(missing.kind, RejectionKind::MissingColumn);
    let error = xlsx(&row(1, &[("A", r#"t="e""#, "<v>#REF!</v>")]), "", false);
    assert_eq!(case("x.xlsx", "id INT64").rejection(error).kind, RejectionKind::WrongFormat);
    let sheet = selecting(case("x.xlsx", "id INT64"), Some("Shee1"), None, None).rejection(&empty);
    assert_eq!(sheet.kind, RejectionKind::MissingSheet);
    assert_eq!(sheet.hint.as_deref(), Some("did you mean \"Sheet1\"?"));
    let range = selecting(case("x.xlsx", "id INT64"), None, Some("F1:A2"), None).rejection(&empty);
    assert_eq!(range.kind, RejectionKind::Contract);
}

#[test]
fn a_cell_merged_over_rows_has_its_value_in_each_row_that_has_others() {
    let bytes = book(|sheet| {
        header(sheet, 0, &["region", "id", "both"]);
        sheet.merge_range(1, 0, 3, 0, "north", &Format::new()).unwrap();
        sheet.merge_range(5, 1, 5, 2, "wide", &Format::new()).unwrap();
        sheet.write(1, 1, 1).unwrap();
        sheet.write(3, 1, 2).unwrap();
        sheet.write(4, 1, 3).unwrap();
    });
    let outcome = case("merged.xlsx", "region STRING, id STRING, both STRING").run(bytes);
    assert_eq!(
        outcome.rows(),
        [["north", "1", "NULL"], ["north", "2", "NULL"], ["NULL", "3", "NULL"], ["NULL", "wide", "NULL"]]
    );
}

#[test]
fn null_texts_and_empty_texts_are_null() {
    let mut rows = row(1, &[text("A", "<v>id</v>"), text("B", "<v>name</v>")]);
    rows += &row(2, &[text("A", "<v>NA</v>"), text("B", r#"<f>IF(TRUE,"","x")</f><v></v>"#)]);
    rows += &row(3, &[("A", "", "<v>1</v>"), text("B", "<v>NA</v>")]);
    rows += &row(4, &[text("B", "<v>x</v>")]);
    let mut case = case("nulls.xlsx", "id INT64, name STRING");
    case.options.null_values = vec!["NA".into()];
    assert_eq!(case.run(xlsx(&rows, "", false)).rows(), [["NULL", "NULL"], ["1", "NULL"], ["NULL", "x"]]);
}

#[test]
fn new_columns_are_added_with_the_types_of_their_cells_or_as_the_contract_says() {
    let day = Format::new().set_num_format("yyyy-mm-dd");
    let bytes = book(|sheet| {
        header(sheet, 0, &["id", "whole", "money", "third", "flag", "day", "mixed", "none"]);
        for row in 1..=2 {
            sheet.write(row, 0, row).unwrap();
            sheet.write(row, 1, row * 10).unwrap();
            sheet.write(row, 2, f64::from(row) * 0.1).unwrap();
            sheet.write(row, 3, f64::from(row) / 3.0).unwrap();
            sheet.write(row, 4, row == 1).unwrap();
            sheet.write_with_format(row, 5, ExcelDateTime::from_ymd(2024, 1, row as u8).unwrap(), &day).unwrap();
        }
        sheet.write(1, 6, 1).unwrap();
        sheet.write(2, 6, "one").unwrap();
    });
    let mut case = case("new.xlsx", "id INT64");
    case.contract.on_new_column = OnNewColumn::Add;
    let outcome = case.run(&bytes);
    let types: Vec<_> = outcome.report.added_columns.iter().map(|column| column.kind.to_string()).collect();
    assert_eq!(types, ["INT64", "NUMERIC", "FLOAT64", "BOOL", "DATE", "STRING", "STRING"]);
    assert_eq!(
        outcome.rows()[1],
        ["2", "20", "0.200000000", "0.6666666666666666", "false", "2024-01-02", "one", "NULL"]
    );
    case.contract.on_new_column = OnNewColumn::Ignore;
    assert_eq!(case.run(&bytes).report.ignored_columns.len(), 7);
    case.contract.on_new_column = OnNewColumn::Reject;
    assert_eq!(case.rejection(&bytes).kind, RejectionKind::NewColumn);
}

#[test]
fn many_blocks_keep_the_rows_in_order_and_their_numbers() {
    let bytes = book(|sheet| {
        header(sheet, 0, &["id", "name"]);
        for row in 1..=3_000_u32 {
            if row % 7 == 0 {
                continue;
            }
            match row % 500 {
                3 => sheet.write(row, 0, "bad").unwrap(),
                _ => sheet.write(row, 0, row).unwrap(),
            };
            sheet.write(row, 1, format!("name {row}")).unwrap();
        }
    });
    let mut case = case("many.xlsx", "id INT64, name STRING");
    case.limits.block_bytes = 1_000;
    let outcome = case.run(bytes);
    let wanted: Vec<u64> = (1..=3_000).filter(|row| row % 7 != 0 && row % 500 == 3).map(|row| row + 1).collect();
    assert_eq!(outcome.faults().iter().map(|fault| fault.0).collect::<Vec<_>>(), wanted);
    let ids: Vec<String> =
        (1..=3_000).filter(|row| row % 7 != 0 && row % 500 != 3).map(|row: u32| row.to_string()).collect();
    assert_eq!(outcome.rows().iter().map(|row| row[0].clone()).collect::<Vec<_>>(), ids);
}

#[test]
fn old_workbooks_are_read() {
    let columns = "id INT64, name STRING, born DATE, seen DATETIME, score NUMERIC(4, 1), active BOOL, region STRING";
    let outcome = case("people.xls", columns).run(include_bytes!("data/people.xls"));
    assert_eq!(
        outcome.rows(),
        [
            ["1", "Zoë", "1990-02-28", "2024-01-31T12:30:15", "0.1", "true", "north"],
            ["2", "李", "NULL", "NULL", "12.5", "false", "north"]
        ]
    );
    assert_eq!(outcome.faults(), [(5, "id", "not_int64")]);
    let notes = selecting(case("people.xls", "id INT64, x STRING"), Some("Notes"), None, None)
        .run(include_bytes!("data/people.xls"));
    assert_eq!(notes.report.rows, 0);
}

#[test]
fn binary_workbooks_are_read() {
    use Binary::{Bool, Error, Number, Text};
    let bytes = xlsb(&[
        &[Text("id"), Text("name"), Text("flag")],
        &[Number(1.0), Text("Zoë"), Bool(true)],
        &[Number(2.0), Error(42)],
    ]);
    let outcome = case("a.xlsb", "id INT64, name STRING, flag BOOL").run(bytes);
    assert_eq!(outcome.rows(), [["1", "Zoë", "true"]]);
    assert_eq!(outcome.faults(), [(3, "name", "cell_error")]);
    assert_eq!(outcome.bad[0].value.as_deref(), Some("#N/A"));
}

#[test]
fn open_document_workbooks_are_read() {
    let bytes = ods(
        r#"<table:table table:name="Prices">
        <table:table-row><table:table-cell office:value-type="string"><text:p>region</text:p></table:table-cell>
        <table:table-cell office:value-type="string"><text:p>price</text:p></table:table-cell>
        <table:table-cell office:value-type="string"><text:p>day</text:p></table:table-cell>
        <table:table-cell office:value-type="string"><text:p>took</text:p></table:table-cell></table:table-row>
        <table:table-row><table:table-cell office:value-type="string" table:number-rows-spanned="2" table:number-columns-spanned="1"><text:p>north</text:p></table:table-cell>
        <table:table-cell office:value-type="currency" office:value="12.5"><text:p>12,50</text:p></table:table-cell>
        <table:table-cell office:value-type="date" office:date-value="2024-01-31"/>
        <table:table-cell office:value-type="time" office:time-value="PT06H00M00S"/></table:table-row>
        <table:table-row><table:covered-table-cell/>
        <table:table-cell office:value-type="float" office:value="3"/><table:table-cell table:number-columns-repeated="2"/></table:table-row>
        <table:table-row table:number-rows-repeated="1048570"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>
        </table:table>"#
            .replace("\n        ", "")
            .as_str(),
    );
    let outcome = case("prices.ods", "region STRING, price NUMERIC(5, 2), day DATE, took TIME").run(bytes);
    assert_eq!(outcome.faults(), []);
    assert_eq!(outcome.rows(), [["north", "12.50", "2024-01-31", "06:00:00"], ["north", "3.00", "NULL", "NULL"]]);
}

#[test]
fn what_is_no_workbook_or_is_protected_is_rejected() {
    let case = case("x.xlsx", "id INT64");
    assert_eq!(case.rejection(include_bytes!("data/protected.xlsx")).kind, RejectionKind::Encrypted);
    assert_eq!(case.rejection("id\n1\n").kind, RejectionKind::WrongFormat);
    assert_eq!(case.rejection("").kind, RejectionKind::Empty);
    assert_eq!(case.rejection([0x1F, 0x8B, 8, 0, 0, 0, 0, 0]).kind, RejectionKind::WrongFormat);
    assert_eq!(case.rejection(archive(&[("readme.txt", b"hello")])).kind, RejectionKind::WrongFormat);
    let whole = book(|sheet| header(sheet, 0, &["id"]));
    for length in [4, 60, whole.len() / 2, whole.len() - 10] {
        assert_eq!(case.rejection(&whole[..length]).kind, RejectionKind::Corrupt, "{length}");
    }
    let mut rows = row(1, &[text("A", "<v>id</v>")]);
    rows += "<row r=\"3\"><c r=\"A3\"><v>1</v></c></row><row r=\"2\"><c r=\"A2\"><v>1</v></c></row>";
    assert_eq!(case.rejection(xlsx(&rows, "", false)).kind, RejectionKind::Corrupt, "rows out of order");
}

#[test]
fn a_name_that_says_nothing_needs_the_format() {
    let bytes = book(|sheet| {
        header(sheet, 0, &["id"]);
        sheet.write(1, 0, 1).unwrap();
    });
    let mut case = case("upload", "id INT64");
    case.options.format = Some(FileFormat::Workbook);
    assert_eq!(case.run(&bytes).rows(), [["1"]]);
    case.options.format = Some(FileFormat::Csv);
    let rejection = case.rejection(bytes);
    assert!(rejection.hint.unwrap().contains("format: workbook"));
}

#[test]
fn what_would_fill_the_memory_is_refused_before_it_does() {
    let mut case = case("bomb.xlsx", "id INT64");
    case.limits.ratio_from_bytes = 1 << 20;
    let spaces = " ".repeat(4 << 20);
    assert_eq!(case.rejection(xlsx(&spaces, "", false)).kind, RejectionKind::DecompressionLimit, "the ratio");
    case.limits.decompression_ratio = 100_000;
    case.limits.decompressed_bytes = 2 << 20;
    assert_eq!(case.rejection(xlsx(&spaces, "", false)).kind, RejectionKind::DecompressionLimit, "the size");
    case.limits.decompressed_bytes = 1 << 30;
    case.limits.workbook_bytes = 1 << 20;
    let texts = archive(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/sharedStrings.xml", spaces.as_bytes()),
    ]);
    assert_eq!(case.rejection(texts).kind, RejectionKind::DecompressionLimit, "texts");
    let cells = ods(
        r#"<table:table table:name="A"><table:table-row table:number-rows-repeated="1000000"><table:table-cell table:number-columns-repeated="10000" office:value-type="float" office:value="1"/></table:table-row></table:table>"#,
    );
    assert_eq!(case.rejection(cells).kind, RejectionKind::DecompressionLimit, "cells that stand for many");
    case.limits.workbook_bytes = 8_000;
    assert_eq!(
        case.rejection(include_bytes!("data/people.xls")).kind,
        RejectionKind::DecompressionLimit,
        "an old workbook"
    );
}

#[test]
fn what_asks_for_more_memory_than_there_is_is_damaged() {
    let case = case("x.xlsx", "id INT64");
    let texts = archive(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/sharedStrings.xml", b"<x/><sst uniqueCount='99999999999999'/>"),
    ]);
    let rejection = case.rejection(texts);
    assert!(rejection.kind == RejectionKind::Corrupt && rejection.message.contains("99999999999999"), "{rejection}");
    let mut old = include_bytes!("data/people.xls").to_vec();
    let dimensions = old.windows(4).position(|window| window == [0, 2, 14, 0]).unwrap();
    old[dimensions + 8..dimensions + 12].fill(0xFF);
    let rejection = case.rejection(old);
    assert!(rejection.kind == RejectionKind::Corrupt && rejection.message.contains("4294967295 rows"), "{rejection}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damage_is_told_and_harms_nobody(which in 0_usize..5, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut bytes = match which {
            0 => include_bytes!("data/people.xls").to_vec(),
            1 => include_bytes!("data/protected.xlsx").to_vec(),
            2 => book(|sheet| header(sheet, 0, &["id", "name"])),
            3 => xlsb(&[&[Binary::Text("id")], &[Binary::Number(1.0)]]),
            _ => ods("<table:table table:name=\"A\"><table:table-row><table:table-cell office:value-type=\"string\"><text:p>id</text:p></table:table-cell></table:table-row></table:table>"),
        };
        for (place, value) in flips {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let case = case("x.xlsx", "id INT64");
        prop_assert!(!matches!(case.try_run(bytes), Err(millstream_tabular::IngestError::Io(_))));
    }
}

#[derive(Debug, Clone)]
struct Typed {
    text: Option<String>,
    whole: Option<i32>,
    double: Option<f64>,
    cents: Option<i64>,
    flag: Option<bool>,
    /// Days since 1900-03-01 and milliseconds.
    at: Option<(u32, u32)>,
}

fn typed() -> impl Strategy<Value = Typed> {
    let double = prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::NEGATIVE;
    (
        prop::option::of("[a-zé李 ]{1,12}[a-z]"),
        prop::option::of(any::<i32>()),
        prop::option::of(double),
        prop::option::of(-99_999_999_999_999_i64..=99_999_999_999_999),
        prop::option::of(any::<bool>()),
        prop::option::of((0_u32..2_958_000, 0_u32..86_400_000)),
    )
        .prop_map(|(text, whole, double, cents, flag, at)| Typed { text, whole, double, cents, flag, at })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn values_come_back_as_they_were_typed(rows in prop::collection::vec(typed(), 1..40)) {
        use chrono::{Duration, NaiveDate};

        let format = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss.000");
        let mut kept = Vec::new();
        let bytes = book(|sheet| {
            header(sheet, 0, &["text", "whole", "double", "cents", "flag", "at"]);
            for (number, row) in rows.iter().enumerate() {
                let line = number as u32 + 1;
                let mut expected = vec!["NULL".to_owned(); 6];
                if let Some(text) = &row.text {
                    sheet.write(line, 0, text).unwrap();
                    expected[0].clone_from(text);
                }
                if let Some(whole) = row.whole {
                    sheet.write(line, 1, whole).unwrap();
                    expected[1] = whole.to_string();
                }
                if let Some(double) = row.double {
                    sheet.write(line, 2, double).unwrap();
                    expected[2] = double.to_string();
                }
                if let Some(cents) = row.cents {
                    sheet.write(line, 3, cents as f64 / 100.0).unwrap();
                    let sign = if cents < 0 { "-" } else { "" };
                    expected[3] = format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100);
                }
                if let Some(flag) = row.flag {
                    sheet.write(line, 4, flag).unwrap();
                    expected[4] = flag.to_string();
                }
                if let Some((days, millis)) = row.at {
                    let serial = 61.0 + f64::from(days) + f64::from(millis) / 86_400_000.0;
                    sheet.write_number_with_format(line, 5, serial, &format).unwrap();
                    let at = NaiveDate::from_ymd_opt(1900, 3, 1).unwrap().and_hms_opt(0, 0, 0).unwrap()
                        + Duration::days(days.into())
                        + Duration::milliseconds(millis.into());
                    expected[5] = at.format("%Y-%m-%dT%H:%M:%S%.3f").to_string().trim_end_matches(".000").to_owned();
                }
                if expected.iter().any(|value| value != "NULL") {
                    kept.push(expected);
                }
            }
        });
        let columns = "text STRING, whole INT64, double FLOAT64, cents NUMERIC(14, 2), flag BOOL, at DATETIME";
        let outcome = case("typed.xlsx", columns).run(bytes);
        prop_assert_eq!(outcome.faults(), []);
        let doubles = |rows: &[Vec<String>]| rows.iter().map(|row| row[2].parse::<f64>().ok()).collect::<Vec<_>>();
        let (mut read, mut wanted) = (outcome.rows(), kept);
        prop_assert_eq!(doubles(&read), doubles(&wanted));
        read.iter_mut().chain(&mut wanted).for_each(|row| row[2].clear());
        prop_assert_eq!(read, wanted);
    }
}
