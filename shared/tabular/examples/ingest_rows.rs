//! Ingests rows that are made up in memory and says how long it took: `ingest_rows ROWS OUTPUT`. What a database costs is left
//! out: this is what comes after it.
//!
//! For measuring by hand; the benchmarks proper are in `tests/bench`.
#![allow(clippy::print_stdout, reason = "a command line program")]

use std::{fs::File, sync::Arc, time::Instant};

use arrow::{
    array::{
        Array, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    datatypes::{Field, Schema},
};
use millstream_events::contract::{Column, Contract};
use millstream_tabular::{Limits, RowBatch, RowsRequest, ingest_rows};

/// Rows of a batch: what a source gives at once.
const BATCH: i64 = 64 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rows, output] = arguments.as_slice() else { return Err("usage: ingest_rows ROWS OUTPUT".into()) };
    let rows: i64 = rows.parse()?;
    let columns = [
        ("id", "INT64"),
        ("at", "TIMESTAMP"),
        ("price", "NUMERIC(12, 2)"),
        ("ratio", "FLOAT64"),
        ("paid", "BOOL"),
        ("colour", "STRING"),
        ("note", "STRING"),
    ]
    .map(|(name, kind)| Ok(Column { name: name.into(), kind: kind.parse()?, required: false, description: None }))
    .into_iter()
    .collect::<Result<Vec<Column>, millstream_events::contract::ColumnTypeError>>()?;
    let request = RowsRequest {
        columns: &columns,
        contract: &Contract::default(),
        keys: &["id".to_owned()],
        deletes: false,
        repeats: false,
        limits: Limits::default(),
    };
    let batches = (0..rows).step_by(usize::try_from(BATCH)?).map(|first| batch(first, rows.min(first + BATCH)));
    let started = Instant::now();
    let report = ingest_rows(&request, batches, File::create(output)?, std::io::sink())?;
    println!("{} rows, {} bad, {:.2} s", report.rows, report.bad_rows, started.elapsed().as_secs_f64());
    Ok(())
}

fn batch(first: i64, end: i64) -> std::io::Result<RowBatch> {
    let ids = first..end;
    let price = ids.clone().map(|id| Some(i128::from(id % 100_000))).collect::<Decimal128Array>();
    let price = price.with_precision_and_scale(12, 2).map_err(std::io::Error::other)?;
    let at = TimestampMicrosecondArray::from_iter_values(ids.clone().map(|id| 1_700_000_000_000_000 + id * 1_000));
    let columns: Vec<(&str, Arc<dyn Array>)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
        ("at", Arc::new(at.with_timezone("UTC"))),
        ("price", Arc::new(price)),
        ("ratio", Arc::new(Float64Array::from_iter_values(ids.clone().map(|id| id as f64 / 7.0)))),
        ("paid", Arc::new(BooleanArray::from_iter(ids.clone().map(|id| Some(id % 3 == 0))))),
        (
            "colour",
            Arc::new(StringArray::from_iter_values(ids.clone().map(|id| ["red", "blue", "green"][(id % 3) as usize]))),
        ),
        ("note", Arc::new(StringArray::from_iter_values(ids.map(|id| format!("order {id} of the shop"))))),
    ];
    let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(schema, arrays).map_err(std::io::Error::other)?;
    Ok(RowBatch { batch, faults: Vec::new() })
}
