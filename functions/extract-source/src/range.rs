//! One range of a source into a batch: rows stream through a bounded channel into the engine, which blocks a thread of its own.

use std::{io, iter, path::Path};

use futures::{StreamExt, TryFutureExt};
use millstream_events::{
    contract::{Column, Contract},
    extract::ExtractLimits,
    fact::Reason,
};
use millstream_ports::{KeyRange, OpenSource, PortError};
use millstream_runtime::Failure;
use millstream_tabular::{IngestError, Limits, Rejection, Report, RowBatch, RowsRequest, ingest_rows};
use tokio::sync::mpsc::{self, Sender};

use crate::{arrange::Arrangement, files::Scratch, planning::of_source, running::Tally};

/// Batches that wait for the engine.
const WAITING: usize = 2;

/// Why a range was not read to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nothing is decided.
    Failed(Failure),
    /// The rows are refused.
    Rejected(Reason),
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How the rows of every range are ingested.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) columns: Vec<Column>,
    pub(crate) contract: Contract,
    pub(crate) keys: Vec<String>,
    pub(crate) deletes: bool,
    pub(crate) repeats: bool,
    pub(crate) limits: Limits,
}

impl Rules {
    fn request(&self) -> RowsRequest<'_> {
        let Self { columns, contract, keys, deletes, repeats, limits } = self;
        RowsRequest { columns, contract, keys, deletes: *deletes, repeats: *repeats, limits: limits.clone() }
    }

    /// What the columns are, without any row: the account of none.
    pub(crate) fn lay_out(&self) -> Result<Report, IngestError> {
        ingest_rows(&self.request(), iter::empty(), io::sink(), io::sink())
    }
}

/// Reads a range into scratch files. Of rows that are refused the bad ones so far are in the quarantine's.
pub(crate) async fn read(
    open: &dyn OpenSource,
    range: &KeyRange,
    arrangement: &Arrangement,
    rules: Rules,
    budget: &Budget<'_>,
    folder: &Path,
) -> Result<(Result<Report, Box<Rejection>>, Scratch), Stop> {
    let folder_name = folder.display().to_string();
    let no_scratch = move |error: io::Error| {
        PortError::unavailable(format!("the scratch folder {folder_name} could not be written to")).caused_by(error)
    };
    let (sender, mut receiver) = mpsc::channel(WAITING);
    let folder = folder.to_owned();
    let engine = tokio::task::spawn_blocking(move || {
        let scratch = Scratch::in_folder(&folder)?;
        let rows = iter::from_fn(|| receiver.blocking_recv());
        let ingested = ingest_rows(&rules.request(), rows, scratch.batch.as_file(), scratch.quarantine.as_file());
        Ok::<_, io::Error>((ingested, scratch))
    });
    let engine = engine.map_err(|error| PortError::internal("ingesting rows ended in a panic").caused_by(error));
    let (fed, ingested) = tokio::join!(feed(open, range, arrangement, budget, sender), engine);
    // Without all its rows the file is whole only to look at.
    fed?;
    let (ingested, scratch) = ingested?.map_err(&no_scratch)?;
    match ingested {
        Ok(report) => Ok((Ok(report), scratch)),
        Err(IngestError::Rejected(rejection)) => Ok((Err(rejection), scratch)),
        Err(IngestError::Io(error)) => Err(no_scratch(error).into()),
    }
}

/// Hands the rows on as they come; ends early when nobody wants them any more.
async fn feed(
    open: &dyn OpenSource,
    range: &KeyRange,
    arrangement: &Arrangement,
    budget: &Budget<'_>,
    engine: Sender<io::Result<RowBatch>>,
) -> Result<(), Stop> {
    let mut rows = open.read(range).await.map_err(of_source)?;
    while let Some(rows) = rows.next().await {
        let rows = rows.map_err(of_source)?;
        budget.spend(rows.batch.num_rows() as u64, rows.batch.get_array_memory_size() as u64)?;
        let arranged = arrangement.arrange(rows).map_err(|error| PortError::internal(error.to_string()))?;
        if engine.send(Ok(arranged)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// What all ranges together may take.
#[derive(Debug)]
pub(crate) struct Budget<'a> {
    pub(crate) limits: &'a ExtractLimits,
    pub(crate) tally: &'a Tally,
}

impl Budget<'_> {
    fn spend(&self, rows: u64, bytes: u64) -> Result<(), Stop> {
        let (rows, bytes) = self.tally.add(rows, bytes);
        let refuse = |most: u64, what: &str, limit: &str| {
            Err(Stop::Rejected(Reason::new(format!(
                "there are more than {most} {what} to read, the source's limit: raise `limits.{limit}`, or read less by \
                 naming `columns`, by a `cursor` or by a `query`"
            ))))
        };
        match (self.limits.rows, self.limits.bytes) {
            (Some(most), _) if rows > most => refuse(most, "rows", "rows"),
            (_, Some(most)) if bytes > most => refuse(most, "bytes", "bytes"),
            _ => Ok(()),
        }
    }
}
