//! Reads a table as an extraction does and says how fast: `read_table URL TABLE [RANGES AT ONCE] [ROWS OF A RANGE]`.
//!
//! The benchmark runs it beside ConnectorX.

#![allow(clippy::print_stdout, reason = "it is what this program says")]

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use millstream_events::extract::{Changes, Selection};
use millstream_ports::{BatchSize, Read, Secret, Source, Ties};
use millstream_source_postgres::PostgresSource;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (url, table) = (arguments.first().context("a URL")?, arguments.get(1).context("a table")?);
    let at_once = arguments.get(2).map_or(Ok(4), |text| text.parse())?;
    let range_rows = arguments.get(3).map_or(Ok(1_000_000), |text| text.parse())?;
    let source = PostgresSource::connect(&Secret::new(url.as_str()), None).await?;
    let read = Read {
        select: Selection::Table(table.clone()),
        only: Vec::new(),
        changes: Changes::Everything,
        since: None,
        ties: Ties::Again,
        split_by: None,
        range_rows,
        statement_timeout: Duration::from_secs(3_600),
        batch: BatchSize::default(),
    };
    let began = Instant::now();
    let plan = source.plan(&read).await?;
    let planned = began.elapsed();
    let open = &source.open(&read, &plan).await?;
    let ranges = plan.ranges.iter().map(|range| async move {
        let sizes = |(rows, bytes), batch: millstream_ports::Rows| async move {
            Ok((rows + batch.batch.num_rows(), bytes + batch.batch.get_array_memory_size()))
        };
        open.read(range).await?.try_fold((0, 0), sizes).await
    });
    let sizes: Vec<(usize, usize)> = stream::iter(ranges).buffer_unordered(at_once).try_collect().await?;
    let (rows, bytes) = sizes.iter().fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{rows} rows in {} ranges, {} MB: {seconds:.2} s ({:.2} s planning), {:.0} rows/s",
        plan.ranges.len(),
        bytes / 1_000_000,
        planned.as_secs_f64(),
        rows as f64 / seconds
    );
    Ok(())
}
