//! Reading the changes of a window.

use std::{pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use millstream_ports::{BatchSize, KeyRange, OpenSource, PortError, PortResult, RowStream, Rows, SourceColumn};
use tokio::time::{Instant, sleep};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::{PEEK, Window, changed::ChangedRows, message, slot, table::LoggedTable};
use crate::{session::Session, sql::identifier, target::Target};

/// How many rows are read from the table at once.
const INCOMPLETE: usize = 1_000;

/// The pause between two looks at what transactions are running.
const PAUSE: Duration = Duration::from_millis(50);

/// The changes of a table in a window of the log.
#[derive(Debug)]
pub(crate) struct OpenLog {
    /// The server.
    pub(crate) target: Arc<Target>,
    /// The longest a statement may take.
    pub(crate) statement_timeout: Duration,
    /// The slot.
    pub(crate) slot: String,
    /// The publication.
    pub(crate) publication: String,
    /// The table.
    pub(crate) table: LoggedTable,
    /// The plan's columns, without that of deletions.
    pub(crate) columns: Vec<SourceColumn>,
    /// Which transactions.
    pub(crate) window: Window,
    /// How large a batch may be.
    pub(crate) batch: BatchSize,
}

#[async_trait]
impl OpenSource for OpenLog {
    /// A log has one range: its order is what counts.
    async fn read(&self, _range: &KeyRange) -> PortResult<RowStream> {
        let rows = ChangedRows::new(self.table.clone(), self.window, &self.columns, self.batch)?;
        let session = Session::connect(&self.target, self.statement_timeout).await?;
        let doing = format!("reading the changes of {} from the replication slot {}", self.table.quoted, self.slot);
        let sql = format!("SELECT data FROM {PEEK}");
        let (until, publication) = (self.window.until.to_string(), identifier(&self.publication));
        let log = session.stream(&sql, &[&self.slot, &until, &publication], &doing).await?;
        let reading = Reading {
            log: Source { rows: Box::pin(log), session, doing },
            ended: false,
            again: None,
            rows,
            target: Arc::clone(&self.target),
            statement_timeout: self.statement_timeout,
        };
        let next = |mut reading: Reading| async move { Ok(reading.next().await?.map(|rows| (rows, reading))) };
        Ok(stream::try_unfold(reading, next).boxed())
    }
}

/// A query whose rows come.
struct Source {
    rows: Pin<Box<tokio_postgres::RowStream>>,
    session: Session,
    doing: String,
}

impl Source {
    async fn next(&mut self) -> PortResult<Option<tokio_postgres::Row>> {
        let row = self.rows.try_next().await.map_err(|error| self.session.failed(&self.doing, error))?;
        if row.is_none() {
            self.session.finished();
        }
        Ok(row)
    }
}

/// The log, and now and then the table itself.
struct Reading {
    log: Source,
    ended: bool,
    again: Option<Source>,
    rows: ChangedRows,
    target: Arc<Target>,
    statement_timeout: Duration,
}

impl Reading {
    async fn next(&mut self) -> PortResult<Option<Rows>> {
        while !self.rows.is_full() {
            if let Some(again) = &mut self.again {
                match again.next().await? {
                    Some(row) => self.rows.complete(|at| row.get::<_, Raw<'_>>(at).0)?,
                    None => self.again = None,
                }
            } else if self.rows.incomplete() >= INCOMPLETE || (self.ended && self.rows.incomplete() > 0) {
                self.again = Some(self.read_again().await?);
            } else if self.ended {
                break;
            } else {
                match self.log.next().await.map_err(|error| slot::explained(&self.log.session, error))? {
                    Some(row) => self.rows.accept(message::read(row.get(0))?)?,
                    None => self.ended = true,
                }
            }
        }
        self.rows.take()
    }

    /// Reads rows from the table whose last message lacks values: long ones (TOAST) that an update did not touch are not in
    /// the log, and neither are computed columns.
    ///
    /// Such a row is given as it is now, which is its state at the window's end or a later one. What made it later is told
    /// by the next window, which starts at this one's end, so that every key comes to its right state; a key's row may only
    /// be newer than others for a while. A row that is not there now went after the window's end, and the next window says
    /// so. What must not be is that the row read is *older* than the message: a transaction is in the log before others see
    /// it (it may wait for a standby in between), so those that made these messages are waited for first.
    async fn read_again(&mut self) -> PortResult<Source> {
        let (keys, transactions) = self.rows.take_incomplete();
        let session = Session::connect(&self.target, self.statement_timeout).await?;
        settled(&session, transactions.iter().map(ToString::to_string).collect(), self.statement_timeout).await?;
        let doing = format!("reading rows of {} whose values are not all in the log", self.rows.table().quoted);
        let (sql, kinds) = select_by_key(&self.rows)?;
        let array = |(at, kind): (usize, u32)| RawArray::new(kind, keys.iter().map(|key| key[at].as_slice()));
        let arrays = kinds.into_iter().enumerate().map(array).collect::<PortResult<Vec<_>>>()?;
        let values: Vec<_> = arrays.iter().map(|array| array as &(dyn ToSql + Sync)).collect();
        let rows = session.stream(&sql, &values, &doing).await?;
        Ok(Source { rows: Box::pin(rows), session, doing })
    }
}

/// Waits until none of these transactions is running: what they did is then seen by whoever looks.
///
/// A transaction writes its commit into the log first and is seen by others afterwards; it holds the lock of its own number
/// until then.
pub(crate) async fn settled(session: &Session, mut running: Vec<String>, at_most: Duration) -> PortResult<()> {
    const RUNNING: &str = "
        SELECT l.transactionid::text FROM pg_catalog.pg_locks l
        WHERE l.locktype = 'transactionid' AND l.granted AND l.transactionid::text = ANY($1)";
    let deadline = Instant::now() + at_most;
    loop {
        let rows = session.rows(RUNNING, &[&running], "looking which transactions are running").await?;
        running = rows.iter().map(|row| row.get(0)).collect();
        if running.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(PortError::unavailable(format!(
                "the transactions {} have been running for too long to read past them: end them (pg_stat_activity, \
                 pg_prepared_xacts), or extract again later",
                running.join(", ")
            )));
        }
        sleep(PAUSE).await;
    }
}

/// A query for rows by their key, which is given as one array for each of its columns; and the types of the arrays' items.
fn select_by_key(rows: &ChangedRows) -> PortResult<(String, Vec<u32>)> {
    let table = rows.table();
    let (mut kinds, mut arrays, mut names, mut conditions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (at, name) in table.key.iter().enumerate() {
        let attribute = table.attribute(name).ok_or_else(|| {
            PortError::internal(format!("the key of {} has the column {name}, the table has not", table.quoted))
        })?;
        kinds.push(attribute.kind);
        arrays.push(format!("${}::{}[]", at + 1, attribute.sql_type));
        names.push(format!("k{at}"));
        conditions.push(format!("t.{} = k.k{at}", identifier(name)));
    }
    let (arrays, names, conditions) = (arrays.join(", "), names.join(", "), conditions.join(" AND "));
    let select = rows.expressions().collect::<Vec<_>>().join(", ");
    Ok((format!("SELECT {select} FROM {} t JOIN unnest({arrays}) k({names}) ON {conditions}", table.quoted), kinds))
}

/// A value as it was sent; `None` for NULL.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// An array in its binary form, of values as they were sent.
#[derive(Debug)]
struct RawArray(Vec<u8>);

impl RawArray {
    fn new<'a>(kind: u32, values: impl ExactSizeIterator<Item = &'a [u8]>) -> PortResult<Self> {
        let long = |_| PortError::internal("the keys of some rows are too long for an array");
        let length = |length: usize| i32::try_from(length).map(i32::to_be_bytes).map_err(long);
        // One dimension, no NULL, the items' type, how many, the first one's index.
        let mut bytes =
            [1_i32.to_be_bytes(), [0; 4], kind.to_be_bytes(), length(values.len())?, 1_i32.to_be_bytes()].concat();
        for value in values {
            bytes.extend(length(value.len())?);
            bytes.extend(value);
        }
        Ok(Self(bytes))
    }
}

impl ToSql for RawArray {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
