//! Rows of Arrow batches through `ingest_rows`.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, dead_code, reason = "a panic is how a test fails")]

mod common;

use std::{io, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    datatypes::{Field, Schema},
};
use common::{Outcome, case};
use millstream_events::{
    contract::{Column, Contract, MaxBad, OnNewColumn},
    extract::DELETED_COLUMN,
};
use millstream_tabular::{
    IngestError, Limits, Rejection, RejectionKind, RowBatch, RowFault, RowFaultKind, RowsRequest, ingest_rows,
};

/// What comes, and by what it is ingested.
struct Rows {
    columns: Vec<Column>,
    contract: Contract,
    keys: Vec<String>,
    deletes: bool,
    repeats: bool,
    batches: Vec<io::Result<RowBatch>>,
}

fn columns(columns: &str) -> Vec<Column> {
    case("", columns).contract.columns
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RowBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RowBatch { batch: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap(), faults: Vec::new() }
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn fault(row: usize, column: usize, kind: RowFaultKind, value: &str) -> RowFault {
    RowFault { row, column, kind, value: value.into() }
}

impl Rows {
    fn of(incoming: &str, contract: &str, batches: Vec<RowBatch>) -> Self {
        let contract = match contract {
            "" => Contract { max_bad: MaxBad::Share(1.0), ..Contract::default() },
            columns => case("", columns).contract,
        };
        let batches = batches.into_iter().map(Ok).collect();
        Self { columns: columns(incoming), contract, keys: Vec::new(), deletes: false, repeats: false, batches }
    }

    fn try_run(self) -> (Result<Outcome, IngestError>, Vec<u8>) {
        let (mut batch, mut quarantine) = (Vec::new(), Vec::new());
        let request = RowsRequest {
            columns: &self.columns,
            contract: &self.contract,
            keys: &self.keys,
            deletes: self.deletes,
            repeats: self.repeats,
            limits: Limits { threads: 3, ..Limits::default() },
        };
        let report = ingest_rows(&request, self.batches, &mut batch, &mut quarantine);
        let lines = quarantine.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let bad = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
        (report.map(|report| Outcome { report, batch, bad }), quarantine)
    }

    fn run(self) -> Outcome {
        self.try_run().0.unwrap()
    }

    fn rejection(self) -> Rejection {
        match self.try_run().0 {
            Err(IngestError::Rejected(rejection)) => *rejection,
            other => panic!("not rejected: {other:?}"),
        }
    }
}

#[test]
fn a_contract_without_columns_is_what_the_source_has() {
    let rows = |ids: std::ops::Range<i64>| {
        let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(ids.clone()).with_timezone("UTC"));
        let documents: Vec<String> = ids.clone().map(|id| format!("{{\"n\":{id}}}")).collect();
        batch(vec![("Id", ints(ids)), ("at", at), ("document", Arc::new(StringArray::from(documents)))])
    };
    let incoming = "Id INT64 required, at TIMESTAMP, document JSON";
    let outcome = Rows::of(incoming, "", vec![rows(0..2), rows(2..3)]).run();
    assert_eq!(outcome.report.columns, columns(incoming));
    let at =
        |micros: i64| format!("1970-01-01T00:00:00{}", if micros == 0 { "".into() } else { format!(".00000{micros}") });
    let expected: Vec<[String; 3]> = (0..3).map(|id| [id.to_string(), at(id), format!("{{\"n\":{id}}}")]).collect();
    assert_eq!(outcome.rows(), expected);
    assert!(outcome.report.added_columns.is_empty() && outcome.report.ignored_columns.is_empty());
    assert!(outcome.report.bytes_read > 0);
    assert!(!outcome.table().schema().field(0).is_nullable());
}

#[test]
fn no_rows_make_a_file_with_the_columns() {
    let outcome = Rows::of("id INT64, name STRING", "", Vec::new()).run();
    assert_eq!((outcome.report.rows, outcome.table().num_columns()), (0, 2));
}

#[test]
fn columns_are_laid_out_against_the_contract() {
    let rows = || {
        vec![batch(vec![
            ("name", texts(&[Some("a"), Some("b")])),
            ("extra", ints([7, 8])),
            ("ID", Arc::new(Decimal128Array::from(vec![1, 2]).with_precision_and_scale(10, 0).unwrap())),
            ("day", texts(&[Some("2024-01-31"), Some("soon")])),
        ])]
    };
    let incoming = "name STRING, extra INT64, ID NUMERIC(10), day STRING";
    let contract = "id INT64 required, note STRING, day DATE, name STRING";
    let outcome = Rows::of(incoming, contract, rows()).run();
    assert_eq!(outcome.rows(), [["1", "NULL", "2024-01-31", "a"]]);
    assert_eq!(outcome.faults(), [(2, "day", "not_date")]);
    assert_eq!(
        (&*outcome.report.missing_columns, &*outcome.report.ignored_columns),
        (&["note".to_owned()][..], &["extra".to_owned()][..])
    );
    let mut adding = Rows::of(incoming, contract, rows());
    adding.contract.on_new_column = OnNewColumn::Add;
    assert_eq!(adding.run().rows(), [["1", "NULL", "2024-01-31", "a", "7"]]);
    let mut refusing = Rows::of(incoming, contract, rows());
    refusing.contract.on_new_column = OnNewColumn::Reject;
    let rejection = refusing.rejection();
    assert_eq!(rejection.kind, RejectionKind::NewColumn);
    assert!(rejection.message.contains("the source has the column \"extra\""), "{rejection}");
}

#[test]
fn what_cannot_be_laid_out_is_refused_in_the_words_of_a_source() {
    for (incoming, contract, kind, words) in [
        ("id INT64", "id DATE", RejectionKind::TypeMismatch, "INT64 in the source and DATE in the contract"),
        ("ids INT64", "id INT64 required", RejectionKind::MissingColumn, "the source has \"ids\""),
        ("id INT64, ID INT64", "id INT64", RejectionKind::DuplicateColumn, "the source has the column \"ID\" twice"),
        ("id INT64", "id INT64, _millstream_deleted BOOL", RejectionKind::Contract, "no table may have a column"),
    ] {
        let rejection = Rows::of(incoming, contract, Vec::new()).rejection();
        assert_eq!(rejection.kind, kind, "{rejection}");
        assert!(rejection.to_string().contains(words), "{rejection}");
    }
    let mut dotted = Rows::of("id INT64", "", Vec::new());
    dotted.columns[0].name = "a.b".into();
    assert!(dotted.rejection().to_string().contains("rename it in a query"));
}

#[test]
fn values_that_do_not_fit_go_to_quarantine_with_their_row() {
    let mut first = batch(vec![("id", ints([1, 2, 3])), ("day", texts(&[None, None, Some("x")]))]);
    first.faults = vec![fault(1, 1, RowFaultKind::DateRange, "infinity")];
    let mut second = batch(vec![("id", ints([4, 0])), ("day", texts(&[None, None]))]);
    second.faults = vec![fault(1, 0, RowFaultKind::Int64Range, "99999999999999999999")];
    let outcome = Rows::of("id INT64, day STRING", "", vec![first, second]).run();
    assert_eq!(outcome.faults(), [(2, "day", "date_out_of_range"), (5, "id", "int64_out_of_range")]);
    assert_eq!(outcome.bad[0].value.as_deref(), Some("infinity"));
    let raw: Vec<&str> = outcome.bad.iter().filter_map(|row| row.raw.as_deref()).collect();
    assert_eq!(raw, [r#"{"id":2,"day":"infinity"}"#, r#"{"id":"99999999999999999999"}"#]);
    assert_eq!(outcome.bad[0].reason, "the date is not within the years 1 to 9999");
    assert_eq!(outcome.rows(), [["1", "NULL"], ["3", "x"], ["4", "NULL"]]);
}

#[test]
fn a_misfit_in_a_column_that_is_left_out_does_no_harm() {
    let mut rows = batch(vec![("id", ints([1])), ("day", texts(&[None]))]);
    rows.faults = vec![fault(0, 1, RowFaultKind::DateRange, "infinity")];
    assert_eq!(Rows::of("id INT64, day STRING", "id INT64", vec![rows]).run().rows(), [["1"]]);
}

#[test]
fn expectations_and_keys_are_judged_over_all_batches() {
    let one = |ids: &[i64]| batch(vec![("id", ints(ids.iter().copied()))]);
    let mut rows = Rows::of("id INT64", "id INT64", vec![one(&[1, -2, 3]), one(&[3, 4])]);
    rows.contract.expect = vec!["id > 0".into(), "unique(id)".into()];
    assert_eq!(rows.run().faults(), [(2, "id", "expectation"), (4, "id", "duplicate")]);
    let mut repeating = Rows::of("id INT64", "id INT64", vec![one(&[1, -2, 3]), one(&[3, 4])]);
    repeating.contract.expect = vec!["id > 0".into(), "unique(id)".into()];
    repeating.repeats = true;
    assert_eq!(repeating.run().faults(), [(2, "id", "expectation")]);
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(f64::NAN), None]));
    let mut keyed = Rows::of("k FLOAT64", "", vec![batch(vec![("k", doubles)])]);
    keyed.keys = vec!["K".into()];
    assert_eq!(keyed.run().faults(), [(2, "k", "nan_key"), (3, "k", "missing")]);
}

#[test]
fn deleted_rows_are_judged_by_their_keys_alone() {
    let marks: ArrayRef =
        Arc::new(BooleanArray::from(vec![Some(true), Some(true), Some(false), None, Some(true), Some(false)]));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4), Some(1), Some(1)]));
    let mut rows = batch(vec![
        ("id", ids),
        ("name", texts(&[None, Some("b"), None, Some("d"), Some(""), Some("f")])),
        (DELETED_COLUMN, marks),
    ]);
    rows.faults = vec![fault(0, 1, RowFaultKind::Text, "\0"), fault(4, 1, RowFaultKind::Text, "\0")];
    let mut rows = Rows::of("id INT64 required, name STRING required", "", vec![rows]);
    rows.keys = vec!["id".into()];
    rows.contract.expect = vec!["name <> ''".into(), "unique(id)".into()];
    rows.deletes = true;
    let outcome = rows.run();
    assert_eq!(outcome.faults(), [(2, "id", "missing"), (3, "name", "missing")]);
    assert_eq!(outcome.rows(), [["1", "NULL", "true"], ["4", "d", "false"], ["1", "", "true"], ["1", "f", "false"]]);
    let schema = outcome.table().schema();
    let fields: Vec<(&str, bool)> =
        schema.fields().iter().map(|field| (field.name().as_str(), field.is_nullable())).collect();
    assert_eq!(fields, [("id", false), ("name", true), (DELETED_COLUMN, false)]);
    assert_eq!(outcome.report.columns, columns("id INT64 required, name STRING required"));
}

#[test]
fn what_the_rows_fail_with_is_the_error_and_the_bad_rows_so_far_are_kept() {
    let mut first = batch(vec![("id", ints([1]))]);
    first.faults = vec![fault(0, 0, RowFaultKind::Type, "one")];
    let mut rows = Rows::of("id INT64", "", vec![first]);
    rows.batches.push(Err(io::Error::other("the connection was lost")));
    let (outcome, quarantine) = rows.try_run();
    let Err(IngestError::Io(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.to_string(), "the connection was lost");
    assert!(String::from_utf8(quarantine).unwrap().contains("\"other_type\""));
}

#[test]
fn batches_of_other_types_than_promised_are_refused() {
    let rows = Rows::of("id INT64", "", vec![batch(vec![("id", texts(&[Some("1")]))])]);
    assert_eq!(rows.rejection().kind, RejectionKind::WrongFormat);
}

#[test]
fn too_many_bad_rows_reject_all() {
    let bad = || {
        let mut rows = batch(vec![("id", ints(0..10))]);
        rows.faults = (0..10).map(|row| fault(row, 0, RowFaultKind::Type, "?")).collect();
        rows
    };
    let mut rows = Rows::of("id INT64", "", vec![bad(), bad()]);
    rows.contract.max_bad = MaxBad::Rows(12);
    let rejection = rows.rejection();
    assert_eq!(rejection.kind, RejectionKind::TooManyBadRows);
    assert!(rejection.to_string().contains("more than 12 rows are bad"), "{rejection}");
}
