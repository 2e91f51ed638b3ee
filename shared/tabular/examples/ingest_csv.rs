//! Ingests one file and says how long it took: `ingest_csv INPUT OUTPUT 'id INT64 required, amount NUMERIC(12, 2)' [EXPECT]...`
//!
//! For measuring by hand; the benchmarks proper are in `tests/bench`.
#![allow(clippy::print_stdout, reason = "a command line program")]

use std::{fs::File, time::Instant};

use millstream_events::contract::{Column, ColumnType, Contract, FileOptions};
use millstream_tabular::{IngestRequest, Input, Limits, ingest};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, columns, expect @ ..] = arguments.as_slice() else {
        return Err("usage: ingest_csv INPUT OUTPUT COLUMNS [EXPECTATION]...".into());
    };
    let ColumnType::Struct(fields) = format!("STRUCT<{}>", columns.replace(" required", "")).parse()? else {
        return Err("the columns are written as a STRUCT's fields".into());
    };
    let is_required =
        |name: &str| columns.split(',').any(|c| c.trim().starts_with(name) && c.trim().ends_with(" required"));
    let columns = fields
        .into_iter()
        .map(|(name, kind)| Column { required: is_required(&name), name, kind, description: None })
        .collect();
    let contract = Contract { columns, expect: expect.to_vec(), ..Contract::default() };
    let request = IngestRequest {
        object_name: input,
        contract: &contract,
        options: &FileOptions::default(),
        keys: &[],
        limits: Limits::default(),
    };
    let started = Instant::now();
    let report = ingest(&request, Input::File(File::open(input)?), File::create(output)?, std::io::sink())?;
    println!("{} rows, {} bad, {:.2} s", report.rows, report.bad_rows, started.elapsed().as_secs_f64());
    Ok(())
}
