//! Reading the ranges of a plan.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use millstream_ports::{
    BatchSize, KeyRange, OpenSource, PortError, PortResult, Read, ReadPlan, RowStream, Rows, SourceColumn,
};
use millstream_source_columns::Columns;
use reqwest::Client;
use tokio::sync::mpsc::{self, Sender};

use crate::{
    catalog::{self, Described},
    client::{Session, Statement},
    names::quoted,
    ranges::Split,
    results::{Results, texts},
    sql_type::SqlType,
    statement::Conditions,
    target::Target,
    values::Column,
    window::Window,
};

/// Batches that wait for whoever takes them.
const AHEAD: usize = 1;

const DOING: &str = "reading rows";

/// A plan that is being read: each range in a session of its own.
#[derive(Debug)]
pub(crate) struct OpenSnowflake {
    target: Arc<Target>,
    client: Client,
    limit: Duration,
    batch: BatchSize,
    columns: Vec<SourceColumn>,
    select: String,
    conditions: Conditions,
    split: Option<Split>,
}

/// Opens what a plan says, if the columns still are what they were.
pub(crate) async fn open(session: &Session, read: &Read, plan: &ReadPlan) -> PortResult<OpenSnowflake> {
    let described = catalog::describe(session, &read.select).await?;
    for planned in &plan.columns {
        let found = described.column(&planned.name, "the column")?;
        if found.kind != planned.kind {
            return Err(PortError::invalid(format!(
                "the column {} was {} when the reading was planned and is {} now: plan it again",
                planned.name, planned.source_type, found.source_type
            )));
        }
    }
    let mut conditions = Conditions::default();
    if let Some(window) = Window::of(read, &described)? {
        window.restrict(&mut conditions, plan.position.as_deref());
    }
    let split = match &plan.split_by {
        Some(name) => Split::of(name, &described)?,
        None => None,
    };
    let past = if described.is_table { past(session, &described).await? } else { String::new() };
    let selected: Vec<String> = plan.columns.iter().map(|column| quoted(&column.name)).collect();
    Ok(OpenSnowflake {
        batch: read.batch,
        columns: plan.columns.clone(),
        select: format!("SELECT {} FROM {}{past}", selected.join(", "), described.from),
        conditions,
        split,
        target: Arc::clone(&session.target),
        client: session.http().clone(),
        limit: session.limit,
    })
}

/// What makes every statement see the table as it is now, whatever is written meanwhile; nothing where it has no past to read.
async fn past(session: &Session, described: &Described) -> PortResult<String> {
    const DOING: &str = "looking for a moment to read the table at";
    let outcome = session.run(DOING, &Statement::plain("SELECT CURRENT_TIMESTAMP() AS now")).await?;
    let (_, rows) = texts(DOING, session, outcome).await?;
    let now = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    let is_moment = |text: &String| {
        text.contains('T') && text.bytes().all(|byte| byte.is_ascii_digit() || b"-:+.T".contains(&byte))
    };
    let Some(now) = now.filter(is_moment) else { return Ok(String::new()) };
    let past = format!(" AT(TIMESTAMP => CAST('{now}' AS TIMESTAMP_LTZ))");
    let statement = Statement::plain(format!("SELECT 1 AS one FROM {}{past} LIMIT 0", described.from));
    match session.run(DOING, &statement).await {
        Ok(_) => Ok(past),
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => {
            tracing::warn!(
                source = %session.target,
                table = described.from,
                %error,
                "the table's past cannot be read (DATA_RETENTION_TIME_IN_DAYS = 0?): ranges that are read one after the other may \
                 see different states of it"
            );
            Ok(String::new())
        }
    }
}

#[async_trait]
impl OpenSource for OpenSnowflake {
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
            session: Session::open(&self.target, &self.client, self.limit).await?,
            statement: conditions.after(&self.select),
            columns: Columns::new(&self.columns, self.batch)?,
            count: self.columns.len(),
        };
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::spawn(reading.run(sender));
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
    session: Session,
    statement: Statement,
    columns: Columns,
    count: usize,
}

impl Reading {
    /// Reads to the end, or until nobody takes the rows any more: a statement that still runs then is cancelled.
    async fn run(mut self, sender: Sender<PortResult<Step>>) {
        let last = tokio::select! {
            outcome = self.read(&sender) => outcome.map(|()| Step::End),
            () = sender.closed() => return,
        };
        // Nobody may be there any more to hear it.
        let _ = sender.send(last).await;
    }

    async fn read(&mut self, sender: &Sender<PortResult<Step>>) -> PortResult<()> {
        let session = &self.session;
        let outcome = session.run(DOING, &self.statement).await?;
        let mut results = Results::of(DOING, session, outcome)?;
        let kinds: Vec<SqlType> = results.columns.iter().map(SqlType::of).collect();
        if kinds.len() != self.count {
            return Err(PortError::internal(format!(
                "{} gave {} columns of {}",
                session.target,
                kinds.len(),
                self.count
            )));
        }
        while let Some(mut batches) = results.next(DOING, session).await? {
            while let Some(batch) = batches.next(DOING, session)? {
                if batch.num_columns() != self.count {
                    return Err(PortError::internal(format!("{} gave rows without some columns", session.target)));
                }
                let schema = batch.schema();
                let columns: Vec<Column<'_>> = batch
                    .columns()
                    .iter()
                    .zip(schema.fields())
                    .zip(&kinds)
                    .map(|((array, field), kind)| Column::new(array, field, kind))
                    .collect();
                for row in 0..batch.num_rows() {
                    for (index, column) in columns.iter().enumerate() {
                        let value = column.value(row).ok_or_else(|| {
                            let form = batch.column(index).data_type();
                            PortError::internal(format!("{} gave a {} as {form}", session.target, kinds[index]))
                        })?;
                        value.put(self.columns.cell(index), &kinds[index]);
                    }
                    if self.columns.end_row() && !give(&mut self.columns, sender).await? {
                        return Ok(());
                    }
                }
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
