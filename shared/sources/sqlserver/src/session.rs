//! A signed-in connection.

use std::{sync::Arc, time::Duration};

use futures::TryStreamExt;
use millstream_ports::{PortError, PortResult};
use tiberius::{Client, Row, ToSql, error::Error};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::{
    errors::{failed, too_slow},
    target::{CONNECT_TIMEOUT, Target},
};

/// How often a server may send us on to another one; Azure does so once.
const REDIRECTS: usize = 3;

/// The most rows that an answer which is kept whole may have: ends of ranges, tables, columns.
const MOST_ROWS: usize = 1_000_000;

/// How long the server has for saying that it has stopped.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

const CONNECTING: &str = "connecting";

/// A connection to the database, one statement at a time.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client<Compat<TcpStream>>,
    pub(crate) target: Arc<Target>,
    /// The longest a statement may take.
    pub(crate) limit: Duration,
    /// Whether statements see one moment of the database.
    pub(crate) is_snapshot: bool,
}

impl Session {
    /// Signs in and makes the session read as it should: texts whole, locks waited for not too long, one moment of the
    /// database for each statement where it allows that.
    pub(crate) async fn open(target: &Arc<Target>, limit: Duration) -> PortResult<Self> {
        let client = connect(target).await?;
        let mut session = Self { client, target: Arc::clone(target), limit, is_snapshot: false };
        let lock_timeout = target.lock_timeout.as_millis();
        session.run(CONNECTING, &format!("SET TEXTSIZE 2147483647; SET LOCK_TIMEOUT {lock_timeout}")).await?;
        let sql = "SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()";
        let allowed = session.rows(CONNECTING, sql, &[]).await?;
        // 1 is ON; 0, 2 and 3 are OFF and on the way from one to the other.
        session.is_snapshot = allowed.first().and_then(|row| integer(row, 0)) == Some(1);
        let level = if session.is_snapshot { "SNAPSHOT" } else { "READ COMMITTED" };
        session.run(CONNECTING, &format!("SET TRANSACTION ISOLATION LEVEL {level}")).await?;
        Ok(session)
    }

    /// Runs a batch of our own that gives nothing.
    async fn run(&mut self, doing: &str, sql: &str) -> PortResult<()> {
        let (target, limit) = (Arc::clone(&self.target), self.limit);
        let answer = async { self.client.simple_query(sql).await?.into_results().await };
        match timeout(limit, answer).await {
            Ok(answer) => answer.map(drop).map_err(|error| failed(doing, &target, error)),
            Err(_) => Err(too_slow(doing, &target, limit)),
        }
    }

    /// The rows of a statement, all of them. Its parameters are texts, `@P1` and on.
    pub(crate) async fn rows(&mut self, doing: &str, sql: &str, parameters: &[String]) -> PortResult<Vec<Row>> {
        self.try_rows(doing, sql, parameters).await?.map_err(|error| failed(doing, &Arc::clone(&self.target), error))
    }

    /// As [`rows`](Self::rows); what the server or the driver said against it is for the caller to tell.
    pub(crate) async fn try_rows(
        &mut self,
        doing: &str,
        sql: &str,
        parameters: &[String],
    ) -> PortResult<Result<Vec<Row>, Error>> {
        let deadline = Instant::now() + self.limit;
        let answer = async {
            let parameters = as_parameters(parameters);
            let mut rows = self.client.query(sql, &parameters).await?.into_row_stream();
            let mut kept = Vec::new();
            while let Some(row) = rows.try_next().await? {
                kept.push(row);
                if kept.len() > MOST_ROWS {
                    return Ok(Err(()));
                }
            }
            Ok(Ok(kept))
        };
        match timeout_at(deadline, answer).await {
            Ok(Ok(Ok(rows))) => Ok(Ok(rows)),
            Ok(Ok(Err(()))) => {
                Err(PortError::internal(format!("{} gave more rows than could be while {doing}", self.target)))
            }
            Ok(Err(error)) => Ok(Err(error)),
            Err(_) => {
                self.cancel().await;
                Err(too_slow(doing, &self.target, self.limit))
            }
        }
    }

    /// Asks the server to end what it is doing. The session is of no use afterwards.
    pub(crate) async fn cancel(&mut self) {
        // The connection is closed next, which ends the statement as well, only later.
        let _ = timeout(CANCEL_TIMEOUT, self.client.cancel_query()).await;
    }
}

/// Texts as the driver takes parameters.
pub(crate) fn as_parameters(texts: &[String]) -> Vec<&dyn ToSql> {
    texts.iter().map(|text| text as &dyn ToSql).collect()
}

/// An integer of any width.
pub(crate) fn integer(row: &Row, column: usize) -> Option<i64> {
    use tiberius::ColumnData;
    match row.get_column_data(column).ok()? {
        ColumnData::U8(value) => value.map(i64::from),
        ColumnData::I16(value) => value.map(i64::from),
        ColumnData::I32(value) => value.map(i64::from),
        ColumnData::I64(value) => *value,
        ColumnData::Bit(value) => value.map(i64::from),
        ColumnData::Numeric(value) => value.and_then(|value| i64::try_from(value.int_part()).ok()),
        _ => None,
    }
}

/// A text.
pub(crate) fn text(row: &Row, column: usize) -> Option<&str> {
    row.try_get::<&str, _>(column).ok().flatten()
}

async fn connect(target: &Target) -> PortResult<Client<Compat<TcpStream>>> {
    // The driver takes the process's provider of TLS; an error says that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (mut host, mut port) = target.address();
    for _ in 0..=REDIRECTS {
        let attempt = async {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            Client::connect(target.config(&host, port), stream.compat_write()).await
        };
        // Its own limit is for what comes after the connection.
        match timeout(CONNECT_TIMEOUT * 2, attempt).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(Error::Routing { host: other, port: other_port })) => (host, port) = (other, other_port),
            Ok(Err(error)) => return Err(failed(CONNECTING, target, error)),
            Err(_) => return Err(too_slow(CONNECTING, target, CONNECT_TIMEOUT * 2)),
        }
    }
    Err(failed(CONNECTING, target, Error::Routing { host, port }))
}
