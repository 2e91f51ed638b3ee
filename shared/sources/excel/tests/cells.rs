//! What becomes of a sheet's cells, and what is told of sheets that cannot be read.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType},
};
use futures::TryStreamExt;
use millstream_events::extract::{Cells, Changes, Cursor, Selection, Sheet};
use millstream_ports::{
    BatchSize, CellFaultKind, ErrorKind, ObjectStore, ObjectStoreExt, PortError, PortResult, Precondition, Read,
    ReadPlan, Rows, Source, Ties, memory::MemoryObjectStore,
};
use millstream_source_excel::ExcelSource;
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};

struct Office {
    store: Arc<MemoryObjectStore>,
    source: ExcelSource,
    _scratch: tempfile::TempDir,
}

impl Office {
    fn new() -> Self {
        let store = Arc::new(MemoryObjectStore::new());
        let scratch = tempfile::tempdir().unwrap();
        let source = ExcelSource::new(Arc::clone(&store) as Arc<dyn ObjectStore>, scratch.path().to_owned());
        Self { store, source, _scratch: scratch }
    }

    async fn save(&self, write: impl FnOnce(&mut Worksheet)) {
        let mut book = Workbook::new();
        write(book.add_worksheet());
        self.put(book.save_to_buffer().unwrap()).await;
    }

    async fn put(&self, bytes: Vec<u8>) {
        self.store.put(&"gs://books/book.xlsx".parse().unwrap(), bytes, Precondition::None).await.unwrap();
    }

    async fn read(&self, read: &Read) -> PortResult<(ReadPlan, Vec<Rows>)> {
        let plan = self.source.plan(read).await?;
        let rows = self.rows(read, &plan).await?;
        Ok((plan, rows))
    }

    async fn rows(&self, read: &Read, plan: &ReadPlan) -> PortResult<Vec<Rows>> {
        self.source.open(read, plan).await?.read(&plan.ranges[0]).await?.try_collect().await
    }
}

fn select(cells: Cells) -> Selection {
    Selection::Sheet(Sheet { object: "gs://books/book.xlsx".parse().unwrap(), cells })
}

fn reading(cells: Cells) -> Read {
    Read {
        select: select(cells),
        only: Vec::new(),
        changes: Changes::Everything,
        since: None,
        ties: Ties::Again,
        split_by: None,
        range_rows: 1_000,
        statement_timeout: std::time::Duration::from_secs(60),
        batch: BatchSize::default(),
    }
}

fn kinds(plan: &ReadPlan) -> Vec<String> {
    plan.columns.iter().map(|column| column.kind.as_ref().unwrap().to_string()).collect()
}

fn header(sheet: &mut Worksheet, names: &[&str]) {
    for (column, name) in names.iter().enumerate() {
        sheet.write(0, column as u16, *name).unwrap();
    }
}

#[tokio::test]
async fn every_kind_of_cell_is_read_with_the_type_of_its_column() {
    let office = Office::new();
    office
        .save(|sheet| {
            header(sheet, &["whole", "money", "third", "flag", "day", "at", "clock", "span", "mixed", "none"]);
            let format = |text: &str| Format::new().set_num_format(text);
            let day = ExcelDateTime::from_ymd(2024, 1, 31).unwrap();
            let at = ExcelDateTime::from_ymd(2024, 1, 31).unwrap().and_hms(12, 30, 15.5).unwrap();
            sheet.write(1, 0, -7).unwrap();
            sheet.write(1, 1, 0.1 + 0.2).unwrap();
            sheet.write(1, 2, 1.0 / 3.0).unwrap();
            sheet.write(1, 3, true).unwrap();
            sheet.write_with_format(1, 4, &day, &format("yyyy-mm-dd")).unwrap();
            sheet.write_with_format(1, 5, &at, &format("yyyy-mm-dd hh:mm:ss")).unwrap();
            sheet.write_number_with_format(1, 6, 0.5, &format("hh:mm")).unwrap();
            sheet.write_number_with_format(1, 7, 1.5, &format("[h]:mm:ss")).unwrap();
            sheet.write(1, 8, 2.5).unwrap();
            sheet.write_with_format(2, 5, &day, &format("yyyy-mm-dd")).unwrap();
            sheet.write_formula(2, 0, Formula::new("=NA()").set_result("#N/A")).unwrap();
            sheet.write(2, 8, "two").unwrap();
        })
        .await;
    let (plan, rows) = office.read(&reading(Cells::default())).await.unwrap();
    assert_eq!(
        kinds(&plan),
        ["INT64", "NUMERIC", "FLOAT64", "BOOL", "DATE", "DATETIME", "TIME", "STRING", "STRING", "STRING"]
    );
    assert_eq!(plan.columns[5].source_type, "date and time");
    assert_eq!((plan.rows, rows.len()), (Some(2), 1));
    let Rows { batch, faults } = &rows[0];
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(-7), None]);
    assert_eq!(batch.column(1).as_primitive::<Decimal128Type>().value(0), 300_000_000);
    assert_eq!(batch.column(2).as_primitive::<Float64Type>().value(0), 1.0 / 3.0);
    assert!(batch.column(3).as_boolean().value(0));
    assert_eq!(batch.column(4).as_primitive::<Date32Type>().value(0), 19_753);
    let at = batch.column(5).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(at.values().as_ref(), [19_753 * 86_400_000_000 + 45_015_500_000, 19_753 * 86_400_000_000]);
    assert_eq!(batch.column(6).as_primitive::<Time64MicrosecondType>().value(0), 43_200_000_000);
    assert_eq!(batch.column(7).as_string::<i32>().value(0), "36:00:00");
    assert_eq!(batch.column(8).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("2.5"), Some("two")]);
    assert_eq!(batch.column(9).null_count(), 2);
    let [fault] = faults.as_slice() else { panic!("{faults:?}") };
    assert_eq!((fault.row, fault.column, fault.kind, fault.value.as_str()), (1, 0, CellFaultKind::Type, "#N/A"));
}

#[tokio::test]
async fn a_range_without_a_header_has_columns_by_their_letters() {
    let office = Office::new();
    office
        .save(|sheet| {
            sheet.write(0, 0, "title").unwrap();
            sheet.write(2, 1, 1).unwrap();
            sheet.write(2, 2, "one").unwrap();
        })
        .await;
    let cells = |range: Option<&str>| Cells { sheet: None, range: range.map(Into::into), header_row: Some(0) };
    let read = Read { only: vec!["C".into()], ..reading(cells(Some("B2:C9"))) };
    let (plan, rows) = office.read(&read).await.unwrap();
    assert_eq!(plan.columns.len(), 1);
    assert_eq!(rows[0].batch.column(0).as_string::<i32>().value(0), "one");
    let error = office.source.describe(&select(cells(None))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("range"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_with_the_object_and_what_to_do() {
    let office = Office::new();
    let describe = async |cells: Cells| office.source.describe(&select(cells)).await.unwrap_err();
    assert_eq!(describe(Cells::default()).await.kind(), ErrorKind::NotFound);
    office.save(|sheet| header(sheet, &["id"])).await;
    let error = describe(Cells { sheet: Some("Nope".into()), ..Cells::default() }).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("gs://books/book.xlsx") && error.to_string().contains("Sheet1"), "{error}");
    office.put(include_bytes!("../../../tabular/tests/data/protected.xlsx").to_vec()).await;
    let error = describe(Cells::default()).await;
    assert!(error.to_string().contains("password"), "{error}");
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Invalid, false));
    office.put(b"id,name\n".to_vec()).await;
    assert_eq!(describe(Cells::default()).await.kind(), ErrorKind::Invalid);

    let cursor = Cursor { column: "id".into(), lookback: None, deleted: None };
    let read = Read { changes: Changes::Cursor(cursor), ..reading(Cells::default()) };
    assert_eq!(office.source.plan(&read).await.unwrap_err().kind(), ErrorKind::Invalid);
    let table = Selection::Table("items".into());
    assert_eq!(office.source.describe(&table).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(office.source.tables().await.unwrap(), []);
}

#[tokio::test]
async fn a_workbook_whose_columns_changed_after_the_plan_is_not_read_by_it() {
    let office = Office::new();
    let saved = async |value: f64| {
        office
            .save(|sheet| {
                header(sheet, &["id"]);
                sheet.write(1, 0, value).unwrap();
            })
            .await;
    };
    saved(1.0).await;
    let read = reading(Cells::default());
    let plan = office.source.plan(&read).await.unwrap();
    saved(2.0).await;
    let rows = office.rows(&read, &plan).await.unwrap();
    assert_eq!(rows[0].batch.column(0).as_primitive::<Int64Type>().value(0), 2, "the same columns");
    saved(1.5).await;
    let error: PortError = office.rows(&read, &plan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("\"id\""), "{error}");
}

#[tokio::test]
async fn the_copy_of_a_workbook_is_gone_when_nobody_reads_it() {
    let office = Office::new();
    office
        .save(|sheet| {
            header(sheet, &["id"]);
            for row in 1..1_000 {
                sheet.write(row, 0, row).unwrap();
            }
        })
        .await;
    let read = Read { batch: BatchSize { rows: 1, bytes: 1 << 20 }, ..reading(Cells::default()) };
    let plan = office.source.plan(&read).await.unwrap();
    let open = office.source.open(&read, &plan).await.unwrap();
    let copies = || std::fs::read_dir(office._scratch.path()).unwrap().count();
    assert_eq!(copies(), 1);
    let mut stream = open.read(&plan.ranges[0]).await.unwrap();
    assert!(stream.try_next().await.unwrap().is_some());
    drop((stream, open));
    while copies() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// All rows of a reading as one batch.
fn joined(rows: &[Rows]) -> RecordBatch {
    assert!(rows.iter().all(|rows| rows.faults.is_empty()));
    let batches: Vec<_> = rows.iter().map(|rows| rows.batch.clone()).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn values_come_back_as_they_were_written(
        rows in prop::collection::vec((any::<i32>(), prop::num::f64::NORMAL, prop::option::of("[a-zé]{1,9}"), 0_i32..2_900_000), 1..60),
        batch_rows in 1_usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let office = Office::new();
            let day = Format::new().set_num_format("yyyy-mm-dd");
            office.save(|sheet| {
                header(sheet, &["whole", "double", "text", "day"]);
                for (index, (whole, double, text, days)) in rows.iter().enumerate() {
                    let line = index as u32 + 1;
                    sheet.write(line, 0, *whole).unwrap();
                    // Beyond every decimal, so that the column is FLOAT64.
                    sheet.write(line, 1, if index == 0 { 1e300 } else { *double }).unwrap();
                    if let Some(text) = text {
                        sheet.write(line, 2, text).unwrap();
                    }
                    sheet.write_number_with_format(line, 3, f64::from(*days) + 61.0, &day).unwrap();
                }
            }).await;
            let read = Read { batch: BatchSize { rows: batch_rows, bytes: 1 << 20 }, ..reading(Cells::default()) };
            let (_, read) = office.read(&read).await.unwrap();
            assert!(read.iter().all(|rows| rows.batch.num_rows() <= batch_rows));
            let batch = joined(&read);
            let wholes: Vec<i64> = rows.iter().map(|row| row.0.into()).collect();
            assert_eq!(batch.column(0).as_primitive::<Int64Type>().values().as_ref(), wholes);
            let doubles: Vec<f64> = rows.iter().enumerate().map(|(index, row)| if index == 0 { 1e300 } else { row.1 }).collect();
            assert_eq!(batch.column(1).as_primitive::<Float64Type>().values().as_ref(), doubles);
            let texts: Vec<_> = rows.iter().map(|row| row.2.as_deref()).collect();
            assert_eq!(batch.column(2).as_string::<i32>().iter().collect::<Vec<_>>(), texts);
            let days: Vec<i32> = rows.iter().map(|row| row.3 - 25_508).collect();
            assert_eq!(batch.column(3).as_primitive::<Date32Type>().values().as_ref(), days);
        });
    }
}
