//! Whole files through `ingest`.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, reason = "a panic is how a test fails")]

mod common;

use std::io::Write;

use common::case;
use flate2::{Compression, write::GzEncoder};
use millstream_events::contract::{MaxBad, OnNewColumn};
use millstream_tabular::RejectionKind;

#[test]
fn csv_values_of_every_type_are_loaded() {
    let case = case(
        "all.csv",
        "s STRING, b BYTES, i INT64, f FLOAT64, n NUMERIC(12, 2), g BIGNUMERIC, o BOOL, d DATE, dt DATETIME, t TIME, ts TIMESTAMP, j JSON",
    );
    let outcome = case.run(
        "S,b,I,f,n,g,o,d,dt,t,ts,j\r\nzoë,aGk=,-7,1.5,12.5,1e-38,Yes,2024-01-31,2024-01-31T01:02:03,23:59:59.5,2024-01-31 01:00:00+01,\"{\"\"a\"\":1}\"\n",
    );
    assert_eq!(outcome.faults(), []);
    assert_eq!(
        outcome.rows(),
        [[
            "zoë",
            "6869",
            "-7",
            "1.5",
            "12.50",
            "0.00000000000000000000000000000000000001",
            "true",
            "2024-01-31",
            "2024-01-31T01:02:03",
            "23:59:59.500",
            "2024-01-31T00:00:00",
            "{\"a\":1}"
        ]]
    );
}

#[test]
fn an_unquoted_empty_field_is_null_and_a_quoted_one_an_empty_text() {
    let mut case = case("a.csv", "a STRING, b INT64");
    case.options.null_values = vec!["NA".into()];
    let outcome = case.run("a,b\n,1\n\"\",\"\"\nNA,NA\n\"NA\",\"NA\"\n");
    assert_eq!(outcome.rows(), [["NULL", "1"], ["", "NULL"], ["NULL", "NULL"], ["NA", "NULL"]]);
}

#[test]
fn bad_rows_go_to_quarantine_with_line_column_reason_value_and_text() {
    let case = case("a.csv", "id INT64 required, note STRING, amount NUMERIC(4, 2)");
    let outcome = case.run(
        "id,note,amount\n1,\"two\nlines\",1.00\nx,a,1\n3\n4,b,1,2\n,c,1\n6,d,1.005\n7,\"say \"\"hi\"\"\",1\n8,e,NaN",
    );
    assert_eq!(outcome.rows(), [["1", "two\nlines", "1.00"], ["7", "say \"hi\"", "1.00"]]);
    assert_eq!(
        outcome.faults(),
        [
            (4, "id", "not_int64"),
            (5, "", "too_few_fields"),
            (6, "", "too_many_fields"),
            (7, "id", "missing"),
            (8, "amount", "too_many_fraction_digits"),
            (10, "amount", "not_numeric"),
        ]
    );
    let first = &outcome.bad[0];
    assert_eq!((first.raw.as_deref(), first.value.as_deref()), (Some("x,a,1"), Some("x")));
    assert_eq!(first.reason, "not a whole number");
    assert_eq!(outcome.report.reasons.iter().map(|reason| reason.rows).sum::<u64>(), 6);
    assert_eq!(outcome.report.samples, outcome.bad[..5]);
}

#[test]
fn text_that_is_not_utf8_is_kept_in_base64_and_only_its_row_is_bad() {
    let outcome = case("a.csv", "a STRING, b INT64").run(b"a,b\nok,1\n\xff,2\nn\0l,3\nfine,4\n");
    assert_eq!(outcome.faults(), [(3, "a", "not_utf8"), (4, "a", "nul_byte")]);
    assert_eq!(outcome.bad[0].raw_base64.as_deref(), Some("/ywy"));
    assert_eq!(outcome.rows(), [["ok", "1"], ["fine", "4"]]);
}

#[test]
fn a_long_bad_row_is_kept_cut_short_and_says_so() {
    let mut case = case("a.csv", "a INT64");
    case.limits.raw_bytes = 10;
    let outcome = case.run(format!("a\n{}\n", "é".repeat(50)));
    assert_eq!(outcome.bad[0].raw.as_deref(), Some("ééééé"));
    assert!(outcome.bad[0].raw_truncated);
}

#[test]
fn the_file_is_rejected_past_max_bad_rows_or_share() {
    let mut case = case("a.csv", "a INT64");
    for (max_bad, rejected) in [
        (MaxBad::Rows(2), false),
        (MaxBad::Rows(1), true),
        (MaxBad::Share(0.5), false),
        (MaxBad::Share(0.49), true),
        (MaxBad::Share(0.0), true),
    ] {
        case.contract.max_bad = max_bad;
        match case.try_run("a\n1\nx\n2\ny\n") {
            Ok(outcome) => assert!(!rejected && outcome.report.rows == 2, "{max_bad:?}"),
            Err(_) => {
                let rejection = case.rejection("a\n1\nx\n2\ny\n");
                assert!(rejected && rejection.kind == RejectionKind::TooManyBadRows, "{max_bad:?}: {rejection}");
                assert!(rejection.hint.unwrap().contains("line 3"));
            }
        }
    }
}

#[test]
fn headers_are_matched_without_case_in_any_order_and_the_report_says_what_differs() {
    let outcome = case("a.csv", "a INT64, gone STRING").run("\u{feff}extra, A \nx,1\n");
    assert_eq!(outcome.rows(), [["1", "NULL"]]);
    assert_eq!(outcome.report.ignored_columns, ["extra"]);
    assert_eq!(outcome.report.missing_columns, ["gone"]);
}

#[test]
fn headers_that_cannot_be_matched_reject_the_file_with_a_hint() {
    let contract = "customer_id INT64 required, b STRING";
    for (text, kind, hint) in [
        ("custmer_id,b\n", RejectionKind::MissingColumn, "custmer_id"),
        ("customer_id,B,b\n", RejectionKind::DuplicateColumn, "without regard to case"),
        ("", RejectionKind::Empty, "names its columns"),
        ("\n\n", RejectionKind::Empty, "names its columns"),
        ("PK\u{3}\u{4}....", RejectionKind::WrongFormat, "CSV"),
    ] {
        let rejection = case("a.csv", contract).rejection(text);
        assert_eq!(rejection.kind, kind, "{text:?}");
        assert!(rejection.hint.as_deref().unwrap().contains(hint), "{text:?}: {rejection}");
    }
    assert_eq!(case("a.csv", contract).rejection(b"\xff\xfea\0,\0").kind, RejectionKind::Encoding);
    assert_eq!(case("a.csv", contract).rejection(b"\xe9,b\n").kind, RejectionKind::Encoding);
    let many = vec!["c"; 10_001].join(",") + "\n";
    assert_eq!(case("a.csv", contract).rejection(many).kind, RejectionKind::TooManyColumns);
    assert_eq!(case("a.csv", "a ARRAY<INT64>").rejection("a\n").kind, RejectionKind::Contract);
    assert_eq!(case("a.bin", "a INT64").rejection("a\n").kind, RejectionKind::WrongFormat);
}

#[test]
fn a_file_with_only_a_header_has_no_rows() {
    let outcome = case("a.csv", "a INT64").run("a");
    assert_eq!((outcome.rows().len(), outcome.report.bad_rows), (0, 0));
}

#[test]
fn without_a_header_the_contracts_order_is_the_files() {
    let mut case = case("a.tsv", "a INT64, b STRING");
    case.options.no_header = true;
    assert_eq!(case.run("1\tx\n2\ty").rows(), [["1", "x"], ["2", "y"]]);
    assert_eq!(case.run("").report.rows, 0);
}

#[test]
fn a_new_csv_column_is_added_as_a_string_ignored_or_rejected() {
    let mut case = case("a.csv", "a INT64");
    case.contract.on_new_column = OnNewColumn::Add;
    let outcome = case.run("b,a\n7,1\n");
    assert_eq!(outcome.rows(), [["1", "7"]]);
    assert_eq!(outcome.report.added_columns, outcome.report.columns[1..]);
    case.contract.on_new_column = OnNewColumn::Reject;
    let rejection = case.rejection("b,a\n7,1\n");
    assert_eq!((rejection.kind, rejection.column.as_deref()), (RejectionKind::NewColumn, Some("b")));
}

#[test]
fn json_lines_are_loaded_with_nested_values_and_missing_keys() {
    let case = case(
        "a.jsonl",
        "a INT64, s STRING, l ARRAY<INT64>, o STRUCT<x INT64, y ARRAY<STRING>>, j JSON, n NUMERIC(38, 9)",
    );
    let outcome = case.run(concat!(
        "{\"a\": 1, \"s\": \"q\\\"\\u00e9\", \"l\": [1, 2], \"o\": {\"y\": [\"z\"], \"X\": 5}, \"j\": {\"k\": [null]}, \"n\": 12345678901234567890.123456789}\r\n",
        "\n{}\n",
        "{\"A\": \"3\", \"s\": true, \"l\": [], \"o\": null, \"j\": \"t\"}",
    ));
    assert_eq!(outcome.faults(), []);
    assert_eq!(
        outcome.rows(),
        [
            ["1", "q\"é", "[1, 2]", "{x: 5, y: [z]}", "{\"k\": [null]}", "12345678901234567890.123456789"],
            ["NULL", "NULL", "NULL", "NULL", "NULL", "NULL"],
            ["3", "true", "[]", "NULL", "\"t\"", "NULL"],
        ]
    );
}

#[test]
fn json_lines_that_do_not_fit_are_bad_rows_with_their_reason() {
    let case = case("a.jsonl", "a INT64, s STRING, l ARRAY<INT64>, o STRUCT<x INT64>, j JSON");
    let deep = format!("{{\"j\": {}{}}}\n", "[".repeat(600), "]".repeat(600));
    let text = [
        "{\"a\": 1.5}\n{\"a\": 1, \"a\": 2}\n[1]\n{\"a\": 1} x\n{\"s\": [1]}\n{\"l\": [1, null]}\n{\"l\": [1, \"x\"]}\n{\"l\": 1}\n",
        "{\"o\": {\"x\": 1, \"z\": 2}}\n{\"o\": []}\n{\"s\": \"\\ud800\"}\n{\"s\": \"a\\u0000\"}\n",
        &deep,
        "{\"a\": 9}\n",
    ]
    .concat();
    let outcome = case.run(text);
    assert_eq!(
        outcome.faults().iter().map(|(_, column, kind)| (*column, *kind)).collect::<Vec<_>>(),
        [
            ("a", "not_int64"),
            ("a", "duplicate_key"),
            ("", "not_json_object"),
            ("", "not_json_object"),
            ("s", "not_string"),
            ("l", "null_element"),
            ("l", "not_int64"),
            ("l", "not_array"),
            ("o", "unknown_field"),
            ("o", "not_struct"),
            ("s", "not_utf8"),
            ("s", "nul_byte"),
            ("j", "json_too_deep"),
        ]
    );
    assert_eq!(outcome.rows(), [["9", "NULL", "NULL", "NULL", "NULL"]]);
}

#[test]
fn new_json_keys_are_added_with_the_type_of_all_their_values() {
    let mut case = case("a.jsonl", "a INT64");
    let text = "{\"a\": 1, \"b\": 1}\n{\"b\": 2.5, \"c\": true}\n{\"d\": {\"x\": 1}}\n{\"c\": null, \"e\": \"late\"}\n";
    assert_eq!(case.run(text).report.ignored_columns, ["b", "c", "d", "e"]);
    case.contract.on_new_column = OnNewColumn::Add;
    let outcome = case.run(text);
    let added: Vec<_> = outcome.report.added_columns.iter().map(|c| format!("{} {}", c.name, c.kind)).collect();
    assert_eq!(added, ["b FLOAT64", "c BOOL", "d JSON", "e STRING"]);
    assert_eq!(outcome.rows()[1], ["NULL", "2.5", "true", "NULL", "NULL"]);
    case.contract.on_new_column = OnNewColumn::Reject;
    let rejection = case.rejection(text);
    assert_eq!((rejection.kind, rejection.line), (RejectionKind::NewColumn, Some(1)));
    assert_eq!(case.rejection("[{\"a\": 1}]").kind, RejectionKind::WrongFormat);
}

#[test]
fn expectations_unique_and_keys_quarantine_the_rows_that_break_them() {
    let mut case = case("a.csv", "id INT64, name STRING, x FLOAT64").expecting(&[
        "x >= 0",
        "unique(id)",
        "unique(name, x)",
        "not_null(name)",
    ]);
    case.limits.block_bytes = 8;
    let outcome = case.run("id,name,x\n1,a,1\n1,b,1\n2,a,1\n3,c,-1\n3,c,1\n,d,1\n,d,2\n7,,1\n8,e,NaN\n");
    assert_eq!(
        outcome.faults(),
        [
            (3, "id", "duplicate"),
            (4, "name", "duplicate"),
            (5, "x", "expectation"),
            (9, "name", "null"),
            (10, "x", "nan_key"),
        ]
    );
    // The row that an expectation refused did not use up its id.
    assert_eq!(outcome.rows(), [["1", "a", "1.0"], ["3", "c", "1.0"], ["NULL", "d", "1.0"], ["NULL", "d", "2.0"]]);
    case.contract.expect.clear();
    case.keys = vec!["X".into(), "id".into()];
    assert_eq!(case.run("id,name,x\n1,a,NaN\n,a,1\n").faults(), [(2, "x", "nan_key"), (3, "id", "missing")]);
    case.keys = vec!["nope".into()];
    assert_eq!(case.rejection("id,name,x\n").kind, RejectionKind::Contract);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_of_several_members_and_zstd_are_recognised_by_their_first_bytes() {
    let case = case("a.csv", "a INT64");
    let members = [gzip(b"a\n1\n"), gzip(b"2\n")].concat();
    let outcome = case.run(&members);
    assert_eq!(outcome.rows(), [["1"], ["2"]]);
    assert_eq!(outcome.report.bytes_read, members.len() as u64);
    assert_eq!(case.run(zstd::encode_all(&b"a\n3\n"[..], 1).unwrap()).rows(), [["3"]]);
}

#[test]
fn a_damaged_gzip_and_a_zip_bomb_are_rejected() {
    let mut case = case("a.csv", "a STRING");
    let whole = gzip(b"a\n1\n2\n");
    assert_eq!(case.rejection(&whole[..whole.len() - 6]).kind, RejectionKind::Corrupt);
    case.limits.ratio_from_bytes = 100_000;
    let bomb = gzip(&b"a\nx\n".repeat(1_000_000));
    assert_eq!(case.rejection(&bomb).kind, RejectionKind::DecompressionLimit);
    case.limits.decompression_ratio = u64::MAX;
    case.limits.decompressed_bytes = 1_000_000;
    assert_eq!(case.rejection(&bomb).kind, RejectionKind::DecompressionLimit);
}

#[test]
fn records_without_end_are_rejected_where_they_start() {
    for block_bytes in [16, 1 << 20] {
        let mut case = case("a.csv", "a STRING");
        case.limits.record_bytes = 1000;
        case.limits.block_bytes = block_bytes;
        let rejection = case.rejection(format!("a\nx\n{}\n", "y".repeat(2000)));
        assert_eq!((rejection.kind, rejection.line.is_some()), (RejectionKind::RecordTooLong, true));
        let rejection = case.rejection("a\nx\n\"y\nz\n");
        assert_eq!((rejection.kind, rejection.line), (RejectionKind::UnclosedQuote, Some(3)));
        assert_eq!(case.run("a\nx\n\"y\nz\"").report.rows, 2);
        case.name = "a.jsonl";
        assert_eq!(case.rejection(format!("{{\"a\": \"{}\"}}\n", "y".repeat(2000))).kind, RejectionKind::RecordTooLong);
    }
}
