//! Reading the ranges of a plan.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use millstream_ports::{
    BatchSize, KeyRange, OpenSource, PortError, PortResult, Read, ReadPlan, RowStream, Rows, SourceColumn,
};
use millstream_source_columns::Columns;
use tiberius::error::Error;
use tokio::{
    sync::mpsc::{self, Sender},
    time::{Duration, Instant, timeout_at},
};

use crate::{
    catalog,
    errors::{failed, too_slow},
    names::quoted,
    ranges::Split,
    session::{Session, as_parameters},
    sql_type::SqlType,
    statement::Conditions,
    target::Target,
    values,
    window::Window,
};

/// Batches that wait for whoever takes them.
const AHEAD: usize = 1;

const DOING: &str = "reading rows";

/// A plan that is being read: each range over a connection of its own.
#[derive(Debug)]
pub(crate) struct OpenSqlServer {
    target: Arc<Target>,
    limit: Duration,
    batch: BatchSize,
    columns: Vec<SourceColumn>,
    select: String,
    conditions: Conditions,
    split: Option<Split>,
}

/// Opens what a plan says, if the columns still are what they were.
pub(crate) async fn open(session: &mut Session, read: &Read, plan: &ReadPlan) -> PortResult<OpenSqlServer> {
    let described = catalog::describe(session, &read.select).await?;
    let mut selected = Vec::with_capacity(plan.columns.len());
    for planned in &plan.columns {
        let found = described.column(&planned.name, "the column")?;
        if found.kind != planned.kind {
            return Err(PortError::invalid(format!(
                "the column {} was {} when the reading was planned and is {} now: plan it again",
                planned.name, planned.source_type, found.source_type
            )));
        }
        let column = quoted(&planned.name);
        selected.push(format!("{} AS {column}", SqlType::read(&found.source_type).selected(&column)));
    }
    let mut conditions = Conditions::default();
    if let Some(window) = Window::of(read, &described)? {
        window.restrict(&mut conditions, read, plan.position.as_deref())?;
    }
    let split = match &plan.split_by {
        Some(name) => Split::of(name, &described)?,
        None => None,
    };
    if !session.is_snapshot {
        tracing::warn!(
            source = %session.target,
            "the database allows no snapshot isolation: rows that move while they are read may be missed or read twice \
             (ALTER DATABASE .. SET ALLOW_SNAPSHOT_ISOLATION ON)"
        );
    }
    Ok(OpenSqlServer {
        target: Arc::clone(&session.target),
        limit: read.statement_timeout,
        batch: read.batch,
        columns: plan.columns.clone(),
        select: format!("SELECT {} FROM {}", selected.join(", "), described.from),
        conditions,
        split,
    })
}

#[async_trait]
impl OpenSource for OpenSqlServer {
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
        let reading = Reading {
            sql: format!("{}{}", self.select, conditions.sql()),
            parameters: conditions.parameters().to_vec(),
            columns: Columns::new(&self.columns, self.batch)?,
            count: self.columns.len(),
        };
        let session = Session::open(&self.target, self.limit).await?;
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::spawn(reading.run(session, sender));
        Ok(until_the_end(receiver))
    }
}

/// What a reading says: rows, and in the end that it has come to it.
enum Step {
    Rows(Rows),
    End,
}

/// The rows; an error where they end without the reading having said so, which a task that failed would not.
fn until_the_end(receiver: mpsc::Receiver<PortResult<Step>>) -> RowStream {
    let steps = stream::try_unfold(Some(receiver), |state| async {
        let Some(mut receiver) = state else { return Ok(None) };
        match receiver.recv().await {
            Some(Ok(Step::Rows(rows))) => Ok(Some((rows, Some(receiver)))),
            Some(Ok(Step::End)) => Ok(None),
            Some(Err(error)) => Err(error),
            None => Err(PortError::internal("a reading ended before its rows did")),
        }
    });
    steps.boxed()
}

struct Reading {
    sql: String,
    parameters: Vec<String>,
    columns: Columns,
    count: usize,
}

impl Reading {
    /// Reads to the end, until the time is up, or until nobody takes the rows any more.
    async fn run(mut self, mut session: Session, sender: Sender<PortResult<Step>>) {
        let target = Arc::clone(&session.target);
        let deadline = Instant::now() + session.limit;
        let outcome = tokio::select! {
            outcome = timeout_at(deadline, self.read(&mut session, &sender)) => outcome,
            () = sender.closed() => {
                session.cancel().await;
                return;
            }
        };
        let last = match outcome {
            Ok(Ok(())) => Ok(Step::End),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                session.cancel().await;
                Err(too_slow(DOING, &target, session.limit))
            }
        };
        // Nobody may be there any more to hear it.
        let _ = sender.send(last).await;
    }

    async fn read(&mut self, session: &mut Session, sender: &Sender<PortResult<Step>>) -> PortResult<()> {
        let target = Arc::clone(&session.target);
        let lost = |error: Error| failed(DOING, &target, error);
        let parameters = as_parameters(&self.parameters);
        let mut rows = session.client.query(self.sql.as_str(), &parameters).await.map_err(lost)?.into_row_stream();
        while let Some(row) = rows.try_next().await.map_err(lost)? {
            if row.len() != self.count {
                return Err(PortError::internal(format!("{target} gave {} columns of {}", row.len(), self.count)));
            }
            for (at, (_, value)) in row.cells().enumerate() {
                values::put(self.columns.cell(at), value, target.fine_times);
            }
            if self.columns.end_row() && !give(&mut self.columns, sender).await? {
                return Ok(());
            }
        }
        give(&mut self.columns, sender).await.map(drop)
    }
}

/// Hands on what there is; whether someone took it.
async fn give(columns: &mut Columns, sender: &Sender<PortResult<Step>>) -> PortResult<bool> {
    match columns.take()? {
        Some(rows) => Ok(sender.send(Ok(Step::Rows(rows))).await.is_ok()),
        None => Ok(true),
    }
}
