//! A contract, a text and what becomes of it.

use std::io::Cursor;

use arrow::{
    array::{ArrayRef, RecordBatch},
    compute::{cast, concat_batches},
    datatypes::DataType,
    util::display::array_value_to_string,
};
use millstream_events::contract::{Column, ColumnType, Contract, FileOptions, MaxBad};
use millstream_tabular::{BadRow, IngestError, IngestRequest, Input, Limits, Rejection, Report, ingest};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// What to ingest by, with everything at its default.
pub struct Case {
    pub name: &'static str,
    pub contract: Contract,
    pub options: FileOptions,
    pub keys: Vec<String>,
    pub limits: Limits,
}

/// The two outputs and the report.
#[derive(Debug)]
pub struct Outcome {
    pub report: Report,
    pub batch: Vec<u8>,
    pub bad: Vec<BadRow>,
}

/// A case for columns written as a STRUCT's fields, ` required` after those that are.
pub fn case(name: &'static str, columns: &str) -> Case {
    let text = format!("STRUCT<{}>", columns.replace(" required", ""));
    let ColumnType::Struct(fields) = text.parse().unwrap() else { panic!("{text} is no STRUCT") };
    let columns = fields
        .into_iter()
        .map(|(name, kind)| {
            let required = columns.contains(&format!("{name} {kind} required"));
            Column { name, kind, required, description: None }
        })
        .collect();
    let contract = Contract { columns, max_bad: MaxBad::Share(1.0), ..Contract::default() };
    Case { name, contract, options: FileOptions::default(), keys: Vec::new(), limits: Limits::default() }
}

impl Case {
    pub fn expecting(mut self, expectations: &[&str]) -> Self {
        self.contract.expect = expectations.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    pub fn try_run(&self, input: impl AsRef<[u8]>) -> Result<Outcome, IngestError> {
        let input = input.as_ref().to_vec();
        let (mut batch, mut quarantine) = (Vec::new(), Vec::new());
        let request = IngestRequest {
            object_name: self.name,
            contract: &self.contract,
            options: &self.options,
            keys: &self.keys,
            limits: self.limits.clone(),
        };
        let report = ingest(&request, Input::Stream(Box::new(Cursor::new(input))), &mut batch, &mut quarantine)?;
        let bad = quarantine.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let bad: Vec<BadRow> = bad.map(|line| serde_json::from_slice(line).unwrap()).collect();
        assert_eq!(bad.len() as u64, report.bad_rows);
        Ok(Outcome { report, batch, bad })
    }

    pub fn run(&self, input: impl AsRef<[u8]>) -> Outcome {
        self.try_run(input).unwrap()
    }

    pub fn rejection(&self, input: impl AsRef<[u8]>) -> Rejection {
        match self.try_run(input) {
            Err(IngestError::Rejected(rejection)) => *rejection,
            other => panic!("not rejected: {other:?}"),
        }
    }
}

impl Outcome {
    pub fn table(&self) -> RecordBatch {
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(self.batch.clone())).unwrap();
        let schema = builder.schema().clone();
        let batches: Vec<_> = builder.build().unwrap().collect::<Result<_, _>>().unwrap();
        let table = concat_batches(&schema, &batches).unwrap();
        assert_eq!(table.num_rows() as u64, self.report.rows);
        table
    }

    /// Every value as text, `NULL` where there is none.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let table = self.table();
        let value = |column: usize, row: usize| match table.column(column).is_null(row) {
            true => "NULL".to_owned(),
            false => array_value_to_string(&without_zone(table.column(column)), row).unwrap(),
        };
        (0..table.num_rows()).map(|row| (0..table.num_columns()).map(|column| value(column, row)).collect()).collect()
    }

    /// Line, column and kind of each bad row.
    pub fn faults(&self) -> Vec<(u64, &str, &str)> {
        self.bad.iter().map(|row| (row.line, row.column.as_deref().unwrap_or(""), row.kind.as_str())).collect()
    }
}

/// Arrow cannot print a time zone by its name, not even UTC.
fn without_zone(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => cast(array, &DataType::Timestamp(*unit, None)).unwrap(),
        _ => array.clone(),
    }
}
