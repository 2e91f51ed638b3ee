//! Reading the ranges of a plan.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use millstream_ports::{
    BatchSize, KeyRange, OpenSource, PortError, PortResult, Read, ReadPlan, RowStream, Rows, SourceColumn,
};
use millstream_source_columns::Columns;
use odbc_api::Error;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::{
    catalog,
    connection_string::Target,
    errors::{failed, too_slow},
    fetch::{self, Sink},
    odbc_type::Wire,
    ranges::Split,
    session::Session,
    statement::Conditions,
    window::Window,
};

/// Batches that wait for whoever takes them.
const AHEAD: usize = 1;

const DOING: &str = "reading rows";

/// A plan that is being read: each range over a connection and on a thread of its own.
#[derive(Debug)]
pub(crate) struct OpenOdbc {
    target: Arc<Target>,
    limit: Duration,
    batch: BatchSize,
    columns: Vec<SourceColumn>,
    wires: Vec<Wire>,
    select: String,
    conditions: Conditions,
    split: Option<Split>,
}

/// Opens what a plan says, if the columns still are what they were.
pub(crate) fn open(session: &Session, read: &Read, plan: &ReadPlan) -> PortResult<OpenOdbc> {
    let described = catalog::describe(session, &read.select)?;
    let (mut selected, mut wires) = (Vec::new(), Vec::new());
    for planned in &plan.columns {
        let (found, kind) = described.column(&planned.name, "the column")?;
        if found.kind != planned.kind {
            return Err(PortError::invalid(format!(
                "the column {} was {} when the reading was planned and is {} now: plan it again",
                planned.name, planned.source_type, found.source_type
            )));
        }
        let wire =
            kind.wire().ok_or_else(|| PortError::invalid(format!("the column {} cannot be fetched", planned.name)))?;
        selected.push(session.quoted(&planned.name)?);
        wires.push(wire);
    }
    let mut conditions = Conditions::default();
    if let Some(window) = Window::of(session, read, &described)? {
        window.restrict(&mut conditions, read, plan.position.as_deref())?;
    }
    let split = match &plan.split_by {
        Some(name) => Split::of(session, name, &described)?,
        None => None,
    };
    Ok(OpenOdbc {
        target: Arc::clone(&session.target),
        limit: read.statement_timeout,
        batch: read.batch,
        columns: plan.columns.clone(),
        wires,
        select: format!("SELECT {} FROM {}", selected.join(", "), described.from),
        conditions,
        split,
    })
}

#[async_trait]
impl OpenSource for OpenOdbc {
    async fn read(&self, range: &KeyRange) -> PortResult<RowStream> {
        let mut conditions = self.conditions.clone();
        match &self.split {
            Some(split) => split.restrict(&mut conditions, range),
            None if range.from.is_none() && range.until.is_none() => {}
            None => {
                return Err(PortError::invalid(
                    "the plan has ranges of a column that has no order any more: plan it again",
                ));
            }
        }
        let (sender, receiver) = mpsc::channel(AHEAD);
        let reading = Reading {
            target: Arc::clone(&self.target),
            limit: self.limit,
            batch: self.batch,
            sql: format!("{}{}", self.select, conditions.sql()),
            parameters: conditions.parameters().to_vec(),
            columns: Columns::new(&self.columns, self.batch)?,
            wires: self.wires.clone(),
        };
        // It ends with the stream: at the next batch nobody takes it.
        tokio::task::spawn_blocking(move || reading.run(sender));
        Ok(until_the_end(receiver))
    }
}

/// What a reading says: rows, and in the end that it has come to it.
enum Step {
    Rows(Rows),
    End,
}

/// The rows; an error where they end without the reading having said so, which a thread that failed would not.
fn until_the_end(receiver: Receiver<PortResult<Step>>) -> RowStream {
    let steps = stream::try_unfold(receiver, |mut receiver| async {
        match receiver.recv().await {
            Some(Ok(Step::Rows(rows))) => Ok(Some((rows, receiver))),
            Some(Ok(Step::End)) => Ok(None),
            Some(Err(error)) => Err(error),
            None => Err(PortError::internal("a reading ended before its rows did")),
        }
    });
    steps.boxed()
}

struct Reading {
    target: Arc<Target>,
    limit: Duration,
    batch: BatchSize,
    sql: String,
    parameters: Vec<String>,
    columns: Columns,
    wires: Vec<Wire>,
}

impl Reading {
    fn run(mut self, sender: Sender<PortResult<Step>>) {
        let outcome = self.read(&sender);
        // Nobody may be there any more to hear it.
        let _ = sender.blocking_send(outcome.map(|()| Step::End));
    }

    fn read(&mut self, sender: &Sender<PortResult<Step>>) -> PortResult<()> {
        let deadline = Instant::now() + self.limit;
        let session = Session::open(&self.target, self.limit)?;
        let sql = session.reading(self.sql.clone());
        let cursor = session.execute(DOING, &sql, &self.parameters)?;
        let mut sink = Channel { sender, target: &self.target, limit: self.limit, deadline };
        fetch::fetch(cursor, &self.wires, &mut self.columns, self.batch, &mut sink)
    }
}

/// The channel as the place where rows go.
struct Channel<'a> {
    sender: &'a Sender<PortResult<Step>>,
    target: &'a Target,
    limit: Duration,
    deadline: Instant,
}

impl Sink for Channel<'_> {
    fn give(&mut self, rows: Rows) -> PortResult<bool> {
        Ok(self.sender.blocking_send(Ok(Step::Rows(rows))).is_ok())
    }

    fn failed(&self, error: &Error) -> PortError {
        failed(DOING, self.target, error)
    }

    fn check(&self) -> PortResult<()> {
        if Instant::now() > self.deadline { Err(too_slow(DOING, self.target, self.limit)) } else { Ok(()) }
    }
}
