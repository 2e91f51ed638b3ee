//! A source that is open: connections that see the same rows, and streams of ranges.
//!
//! MySQL has no snapshot that several connections share. Each connection of a reading starts its own, all of them at once and
//! before the first row is read. MariaDB says at which place of its binary log a snapshot was taken: where those differ they
//! are all taken anew. Where the URL asks for it, the table is locked against writers for that moment.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use millstream_ports::{
    BatchSize, KeyRange, OpenSource, PortError, PortResult, ReadPlan, RowStream, Rows, SourceColumn,
};
use millstream_source_columns::Columns;
use mysql_async::{Row, Statement, Value, prelude::Queryable};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{sleep, timeout},
};

use crate::{
    catalog::value,
    cells::put,
    kind::Kind,
    names::{Relation, quoted},
    reading::{Condition, Reading},
    session::{Session, connect},
    target::Target,
};

/// How often snapshots are taken anew until all are of the same place of the log.
const ATTEMPTS: usize = 20;

/// The pause between two of them: commits come in bursts.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the lock that snapshots are taken under is waited for, in seconds: while it is, writers wait behind it.
const LOCK_WAIT: u64 = 2;

/// An open reading.
#[derive(Debug)]
pub(crate) struct Snapshot {
    reading: Reading,
    columns: Vec<SourceColumn>,
    split_by: Option<String>,
    window: Condition,
    batch: BatchSize,
    pool: Arc<Pool>,
}

/// The connections that hold the snapshot.
#[derive(Debug)]
struct Pool {
    target: Arc<Target>,
    statement_timeout: Duration,
    idle: Mutex<Vec<Session>>,
    /// One for each connection there may be.
    free: Arc<Semaphore>,
}

impl Snapshot {
    /// Takes the snapshots. `session` becomes one of their holders.
    pub(crate) async fn take(
        session: Session,
        reading: Reading,
        window: Condition,
        plan: &ReadPlan,
        statement_timeout: Duration,
        batch: BatchSize,
    ) -> PortResult<Self> {
        let target = Arc::clone(session.target());
        let count = plan.ranges.len().clamp(1, target.options().connections);
        let others = (1..count).map(|_| Session::connect(&target, statement_timeout));
        let mut sessions = try_join_all(others).await?;
        sessions.push(session);
        match &reading.relation {
            Relation::Table { database, table } if count > 1 && target.options().lock => {
                start_locked(&target, &mut sessions, database, table).await?;
            }
            _ => start_together(&mut sessions).await?,
        }
        let free = Arc::new(Semaphore::new(count));
        let pool = Arc::new(Pool { target, statement_timeout, idle: Mutex::new(sessions), free });
        let (columns, split_by) = (plan.columns.clone(), plan.split_by.clone());
        Ok(Self { reading, columns, split_by, window, batch, pool })
    }
}

#[async_trait]
impl OpenSource for Snapshot {
    async fn read(&self, range: &KeyRange) -> PortResult<RowStream> {
        let described = self.reading.planned(&self.columns)?;
        let condition = self.reading.range(self.split_by.as_deref(), range)?.and(&self.window);
        let sql = self.reading.select(&described, &condition);
        let doing = format!("reading {}", self.reading.relation);
        let (mut session, permit) = self.pool.session(&doing).await?;
        // What is gone or wrong is told now, not by the stream.
        let statement = session.prepare(&sql, &doing).await?;
        let work = Work {
            statement,
            values: condition.values(),
            kinds: described.iter().map(|column| column.kind).collect(),
            columns: Columns::new(&self.columns, self.batch)?,
            doing,
        };
        let (sender, mut receiver) = mpsc::channel(1);
        tokio::spawn(work.run(session, Arc::clone(&self.pool), permit, sender));
        Ok(stream::poll_fn(move |context| receiver.poll_recv(context)).boxed())
    }
}

impl Pool {
    /// A connection that holds the snapshot. One that was lost, or whose stream was dropped, is replaced, by a later snapshot.
    async fn session(&self, doing: &str) -> PortResult<(Session, OwnedSemaphorePermit)> {
        let late = || {
            PortError::unavailable(format!(
                "{doing}: no connection became free; read fewer ranges at once or allow more"
            ))
        };
        let free = Arc::clone(&self.free).acquire_owned();
        let permit = timeout(self.statement_timeout, free).await.map_err(|_| late())?.map_err(|_| late())?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let session = match idle {
            Some(session) => session,
            None => {
                let mut session = Session::connect(&self.target, self.statement_timeout).await?;
                start(&mut session).await?;
                session
            }
        };
        Ok((session, permit))
    }

    fn give_back(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }
}

/// A query on its way to batches.
struct Work {
    statement: Statement,
    values: Vec<Value>,
    kinds: Vec<Kind>,
    columns: Columns,
    doing: String,
}

impl Work {
    /// Reads to the end, or until nobody listens any more. One batch waits while the next one is made.
    async fn run(
        mut self,
        mut session: Session,
        pool: Arc<Pool>,
        permit: OwnedSemaphorePermit,
        sender: mpsc::Sender<PortResult<Rows>>,
    ) {
        let outcome = tokio::select! {
            biased;
            // The session is dropped while it works, which ends what it does at the server.
            () = sender.closed() => return,
            outcome = self.read(&mut session, &sender) => outcome,
        };
        match outcome {
            Ok(()) => pool.give_back(session),
            Err(error) => {
                // Whoever listened may have gone meanwhile.
                let _ = sender.send(Err(error)).await;
            }
        }
        drop(permit);
    }

    async fn read(&mut self, session: &mut Session, sender: &mpsc::Sender<PortResult<Rows>>) -> PortResult<()> {
        let Self { statement, values, kinds, columns, doing } = self;
        let values = std::mem::take(values);
        let failed = session
            .watched(doing, async |conn| {
                let rows = conn.exec_stream::<Row, _, _>(&*statement, values).await?;
                let mut rows = pin!(rows);
                while let Some(row) = rows.try_next().await? {
                    for (index, kind) in kinds.iter().enumerate() {
                        put(columns.cell(index), *kind, row.as_ref(index).unwrap_or(&Value::NULL));
                    }
                    if columns.end_row() {
                        match columns.take().transpose() {
                            // Where nobody listens any more this is ended from outside.
                            Some(batch) => drop(sender.send(batch).await),
                            None => continue,
                        }
                    }
                }
                Ok(())
            })
            .await;
        failed?;
        if let Some(last) = columns.take()? {
            let _ = sender.send(Ok(last)).await;
        }
        Ok(())
    }
}

/// Starts a snapshot; one that the session held is given up.
async fn start(session: &mut Session) -> PortResult<()> {
    session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", "taking a snapshot").await
}

/// Starts all snapshots at once, and anew while the server says that something was committed between them.
async fn start_together(sessions: &mut [Session]) -> PortResult<()> {
    for attempt in 1..=ATTEMPTS {
        try_join_all(sessions.iter_mut().map(start)).await?;
        if sessions.len() == 1 || !logs_all(&mut sessions[0]).await? {
            return Ok(());
        }
        let places = try_join_all(sessions.iter_mut().map(place_in_log)).await?;
        if places.iter().any(Vec::is_empty) {
            break;
        }
        if places.windows(2).all(|two| two[0] == two[1]) {
            return Ok(());
        }
        tracing::debug!(attempt, "something was committed between the snapshots of a reading");
        sleep(PAUSE).await;
    }
    tracing::warn!(connections = sessions.len(), "the snapshots of a reading are some milliseconds apart");
    Ok(())
}

/// Whether the server's binary log has every change, so that two snapshots of one place in it are the same.
async fn logs_all(session: &mut Session) -> PortResult<bool> {
    if !session.flavor().mariadb {
        return Ok(false);
    }
    // A replica's log lacks what it has replicated, unless it is told to write that too.
    let sql = "SELECT @@GLOBAL.log_bin AND (@@GLOBAL.log_slave_updates OR @@GLOBAL.gtid_slave_pos = '')";
    let rows = session.rows(sql, (), "asking for the binary log").await?;
    Ok(rows.first().and_then(|row| value::<i64>(row, 0)) == Some(1))
}

/// Where in the binary log the session's snapshot was taken.
async fn place_in_log(session: &mut Session) -> PortResult<Vec<(String, String)>> {
    let rows = session.text_rows("SHOW STATUS LIKE 'binlog_snapshot_%'", "asking for the binary log").await?;
    Ok(rows.iter().filter_map(|row| Some((value(row, 0)?, value(row, 1)?))).collect())
}

/// Starts all snapshots while nobody may write to the table.
async fn start_locked(target: &Target, sessions: &mut [Session], database: &str, table: &str) -> PortResult<()> {
    let doing = format!("locking {database}.{table} for the snapshot");
    let failed = |error| crate::failure::statement(target, &doing, error);
    // Not a session: this one alone is not read-only.
    let mut conn = connect(target).await?;
    conn.query_drop(format!("SET SESSION lock_wait_timeout = {LOCK_WAIT}")).await.map_err(failed)?;
    let lock = format!("LOCK TABLES {}.{} READ", quoted(database), quoted(table));
    conn.query_drop(lock).await.map_err(failed)?;
    let started = try_join_all(sessions.iter_mut().map(start)).await;
    // The lock ends with the connection in any case.
    conn.disconnect().await.map_err(failed)?;
    started.map(drop)
}
