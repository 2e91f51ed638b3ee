//! What the tests of SQL Server share.

#![allow(clippy::unwrap_used, dead_code, reason = "a panic is how a test fails, and not every test uses everything")]

pub(crate) mod tds;

use std::{sync::Arc, time::Duration};

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use millstream_events::extract::{Changes, Selection};
use millstream_peers::sqlserver::SqlServer;
use millstream_ports::{BatchSize, PortResult, Read, Rows, Secret, Source, Ties};
use millstream_source_sqlserver::SqlServerSource;

/// The URL of a peer, with these parameters.
pub(crate) fn url(user: &str, password: &str, port: u16, parameters: &str) -> Secret {
    let password: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
    Secret::new(format!("sqlserver://{user}:{password}@127.0.0.1:{port}/pysqlbridge?{parameters}"))
}

/// The peer as a source, over TLS that is verified by its certificate.
pub(crate) async fn source_of(server: &SqlServer) -> Arc<dyn Source> {
    let ca = Secret::new(server.certificate());
    let url = url(SqlServer::USER, SqlServer::PASSWORD, server.port(), "application_intent=readonly");
    Arc::new(SqlServerSource::connect(&url, Some(&ca)).await.unwrap())
}

/// Everything of a selection.
pub(crate) fn read_of(select: Selection) -> Read {
    Read {
        select,
        only: Vec::new(),
        changes: Changes::Everything,
        since: None,
        ties: Ties::Again,
        split_by: None,
        range_rows: 1_000_000,
        statement_timeout: Duration::from_secs(60),
        batch: BatchSize::default(),
    }
}

/// Plans and reads, all ranges after each other.
pub(crate) async fn extract(source: &dyn Source, read: &Read) -> PortResult<Vec<Rows>> {
    let plan = source.plan(read).await?;
    let open = source.open(read, &plan).await?;
    let mut rows = Vec::new();
    for range in &plan.ranges {
        rows.extend(open.read(range).await?.try_collect::<Vec<_>>().await?);
    }
    Ok(rows)
}

/// The only batch there is.
pub(crate) fn only(rows: &[Rows]) -> (&RecordBatch, &[millstream_ports::CellFault]) {
    let [Rows { batch, faults }] = rows else { panic!("{} batches", rows.len()) };
    (batch, faults)
}
