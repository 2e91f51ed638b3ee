//! A table or query that is open for reading.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use millstream_events::extract::Changes;
use millstream_ports::{
    BatchSize, KeyRange, OpenSource, PortError, PortResult, Read, ReadPlan, RowStream, Rows, SourceColumn,
};
use tokio_postgres::CopyOutStream;

use crate::{
    copy::CopyRows,
    decode::Decoder,
    described::Described,
    log::{self, NothingDeleted},
    plan::condition,
    session::Session,
    split::SplitColumn,
    target::Target,
};

/// Opens what a plan says.
pub(crate) async fn open(target: &Arc<Target>, read: &Read, plan: &ReadPlan) -> PortResult<Arc<dyn OpenSource>> {
    let session = Session::connect(target, read.statement_timeout).await?;
    let described = Described::load(&session, &read.select).await?;
    match &read.changes {
        Changes::Log(log) if !plan.everything => log::open(&session, &described, read, log, plan).await,
        Changes::Log(_) => {
            let table = open_table(session, described, read, plan, log::rows_columns(plan)).await?;
            Ok(Arc::new(NothingDeleted(Arc::new(table))))
        }
        Changes::Everything | Changes::Cursor(_) => {
            Ok(Arc::new(open_table(session, described, read, plan, plan.columns.clone()).await?))
        }
    }
}

/// Opens a table or query to read these of its columns.
async fn open_table(
    session: Session,
    described: Described,
    read: &Read,
    plan: &ReadPlan,
    columns: Vec<SourceColumn>,
) -> PortResult<OpenTable> {
    let asked = columns.iter().map(|column| asked(&described, column));
    let (expressions, decoders) = asked.collect::<PortResult<(Vec<_>, Vec<_>)>>()?;
    let cursor = match &read.changes {
        Changes::Cursor(cursor) => Some(cursor),
        Changes::Everything | Changes::Log(_) => None,
    };
    let conditions = condition(&described, read, cursor, plan.position.as_deref())?;
    let split = match &plan.split_by {
        Some(name) => {
            Some(SplitColumn::new(&described, described.column(name)?).ok_or_else(|| changed(&described, name))?)
        }
        None => None,
    };
    let target = Arc::clone(session.target());
    // One range sees one snapshot of itself.
    let (snapshot, idle) =
        if plan.ranges.len() > 1 { (Some(Snapshot::take(session).await?), None) } else { (None, Some(session)) };
    Ok(OpenTable {
        target,
        statement_timeout: read.statement_timeout,
        batch: read.batch,
        columns,
        decoders,
        select: format!("SELECT {} FROM {}", expressions.join(", "), described.from),
        conditions: conditions.into_iter().collect(),
        split,
        name: described.name,
        snapshot,
        idle: Mutex::new(idle),
    })
}

/// How a plan's column is asked for and read, if it is still what it was.
fn asked(described: &Described, planned: &SourceColumn) -> PortResult<(String, Decoder)> {
    let column = described.column(&planned.name)?;
    match &column.mapping {
        Ok(mapping) if planned.kind.as_ref() == Ok(&mapping.kind) && planned.source_type == column.source_type => {
            Ok((mapping.ask.expression(&column.quoted()), mapping.decoder.clone()))
        }
        _ => Err(changed(described, &planned.name)),
    }
}

fn changed(described: &Described, column: &str) -> PortError {
    PortError::invalid(format!(
        "the column {column} of {} has another type than when the extraction was planned: the next plan takes it as it is",
        described.name
    ))
}

/// A transaction whose view of the database others read too, as long as it is kept.
#[derive(Debug)]
struct Snapshot {
    name: String,
    _holder: Session,
}

impl Snapshot {
    async fn take(session: Session) -> PortResult<Self> {
        let doing = "taking a snapshot that all ranges are read from";
        session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", doing).await?;
        let name = session.row("SELECT pg_catalog.pg_export_snapshot()", &[], doing).await?.get(0);
        Ok(Self { name, _holder: session })
    }
}

/// A table or query in the ranges of a plan.
#[derive(Debug)]
struct OpenTable {
    target: Arc<Target>,
    statement_timeout: Duration,
    batch: BatchSize,
    columns: Vec<SourceColumn>,
    decoders: Vec<Decoder>,
    /// The columns and where they come from, without conditions.
    select: String,
    conditions: Vec<String>,
    split: Option<SplitColumn>,
    name: String,
    snapshot: Option<Snapshot>,
    /// The session that looked up the columns, for the first range.
    idle: Mutex<Option<Session>>,
}

#[async_trait]
impl OpenSource for OpenTable {
    async fn read(&self, range: &KeyRange) -> PortResult<RowStream> {
        let mut conditions = self.conditions.clone();
        match &self.split {
            Some(split) => conditions.extend(split.condition(range)?),
            None if range.from.is_none() && range.until.is_none() => {}
            None => return Err(PortError::invalid(format!("the plan of {} has no ranges", self.name))),
        }
        let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        let rows = CopyRows::new(&self.columns, self.decoders.clone(), self.batch)?;
        let doing = format!("reading {}", self.name);
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let session = match idle {
            Some(session) => session,
            None => Session::connect(&self.target, self.statement_timeout).await?,
        };
        if let Some(snapshot) = &self.snapshot {
            // The name is the server's own, of letters, digits and dashes.
            let sql = format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{}'",
                snapshot.name
            );
            session.batch(&sql, &doing).await.map_err(|error| {
                PortError::unavailable(format!("the snapshot of {} is gone: extract again", self.name)).caused_by(error)
            })?;
        }
        let sql = format!("COPY ({}{filter}) TO STDOUT (FORMAT binary)", self.select);
        let copy = Box::pin(session.copy_out(&sql, &doing).await?);
        let reading = Reading { copy, session, rows, doing, ended: false };
        let next = |mut reading: Reading| async move { Ok(reading.next().await?.map(|rows| (rows, reading))) };
        Ok(stream::try_unfold(reading, next).boxed())
    }
}

/// A copy on its way. Dropping it before its end cancels it.
struct Reading {
    copy: Pin<Box<CopyOutStream>>,
    session: Session,
    rows: CopyRows,
    doing: String,
    ended: bool,
}

impl Reading {
    async fn next(&mut self) -> PortResult<Option<Rows>> {
        loop {
            if let Some(rows) = self.rows.ready() {
                return Ok(Some(rows));
            }
            if self.ended {
                return Ok(None);
            }
            match self.copy.next().await {
                Some(Ok(message)) => self.rows.message(&message)?,
                Some(Err(error)) => return Err(self.session.failed(&self.doing, error)),
                None => {
                    self.ended = true;
                    self.session.finished();
                    return self.rows.end();
                }
            }
        }
    }
}
