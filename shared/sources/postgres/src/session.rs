//! A connection that reads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use millstream_ports::{PortError, PortResult};
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};
use tokio_postgres::{CancelToken, Client, CopyOutStream, NoTls, Row, RowStream, Statement, types::ToSql};

use crate::{failure, target::Target};

/// The longest that connecting may take, over all addresses of the host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a look into the catalog may take.
pub(crate) const CATALOG_TIMEOUT: Duration = Duration::from_secs(60);

/// How values are written and read: not by what the user or the database has set. The holder of a snapshot is idle while
/// others read, and is not to be ended for that. A database that does not care what its texts are (SQL_ASCII) would end a
/// reading at the first that is no UTF-8, were it asked for that.
const SETTINGS: &str = "
    SET default_transaction_read_only = on;
    SET TimeZone = 'UTC';
    SET DateStyle = 'ISO, YMD';
    SET IntervalStyle = 'iso_8601';
    SET extra_float_digits = 3;
    SET bytea_output = 'hex';
    SET standard_conforming_strings = on;
    SELECT set_config(name, '0', false) FROM pg_settings
        WHERE name IN ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout');
    SELECT set_config('client_encoding', 'SQL_ASCII', false) WHERE current_setting('server_encoding') = 'SQL_ASCII';";

/// A read-only connection. Dropping it while it works ends what it does at the server too.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    connection: JoinHandle<()>,
    target: Arc<Target>,
    busy: AtomicBool,
}

impl Session {
    /// Connects, in 15 seconds at most. No statement takes longer than `statement_timeout`.
    pub(crate) async fn connect(target: &Arc<Target>, statement_timeout: Duration) -> PortResult<Self> {
        let late = |_| {
            PortError::unavailable(format!(
                "{} does not answer within {} s: is it up, and may this machine connect to it?",
                target.name(),
                CONNECT_TIMEOUT.as_secs()
            ))
        };
        let (client, connection) = timeout(CONNECT_TIMEOUT, connect(target))
            .await
            .map_err(late)?
            .map_err(|error| failure::connecting(target, error))?;
        let session = Self { client, connection, target: Arc::clone(target), busy: AtomicBool::new(false) };
        // The server counts milliseconds in 32 bits; 0 would be no limit.
        let millis = statement_timeout.as_millis().clamp(1, 2_147_483_647);
        session.batch(&format!("{SETTINGS} SET statement_timeout = {millis};"), "setting up the session").await?;
        Ok(session)
    }

    /// The server.
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Runs statements without an answer.
    pub(crate) async fn batch(&self, sql: &str, doing: &str) -> PortResult<()> {
        self.watched(self.client.batch_execute(sql), doing).await
    }

    /// Runs a query and gives its rows, which are few.
    pub(crate) async fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)], doing: &str) -> PortResult<Vec<Row>> {
        self.watched(self.client.query(sql, values), doing).await
    }

    /// Runs a query that gives one row.
    pub(crate) async fn row(&self, sql: &str, values: &[&(dyn ToSql + Sync)], doing: &str) -> PortResult<Row> {
        self.watched(self.client.query_one(sql, values), doing).await
    }

    /// Has the server parse a query, and tell its columns.
    pub(crate) async fn prepare(&self, sql: &str, doing: &str) -> PortResult<Statement> {
        self.watched(self.client.prepare(sql), doing).await
    }

    /// Starts a `COPY ... TO STDOUT`. Call [`finished`](Self::finished) when all of it has been read: until then dropping the
    /// session cancels it.
    pub(crate) async fn copy_out(&self, sql: &str, doing: &str) -> PortResult<CopyOutStream> {
        let stream = self.watched(self.client.copy_out(sql), doing).await?;
        self.busy.store(true, Ordering::Relaxed);
        Ok(stream)
    }

    /// Runs a query whose rows are many. Call [`finished`](Self::finished) when all of them have been read: until then
    /// dropping the session cancels it.
    pub(crate) async fn stream(&self, sql: &str, values: &[&(dyn ToSql + Sync)], doing: &str) -> PortResult<RowStream> {
        let stream = self.watched(self.client.query_raw(sql, values.iter().copied()), doing).await?;
        self.busy.store(true, Ordering::Relaxed);
        Ok(stream)
    }

    /// What was streamed has been read to its end.
    pub(crate) fn finished(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    /// An error of this session, as the port's.
    pub(crate) fn failed(&self, doing: &str, error: tokio_postgres::Error) -> PortError {
        failure::statement(&self.target, doing, error)
    }

    async fn watched<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
        doing: &str,
    ) -> PortResult<T> {
        self.busy.store(true, Ordering::Relaxed);
        let outcome = work.await;
        self.busy.store(false, Ordering::Relaxed);
        outcome.map_err(|error| self.failed(doing, error))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.busy.load(Ordering::Relaxed) {
            // The driver takes its leave of the server once the client is gone.
            return;
        }
        // Left to itself the driver would read the rest of the answer first.
        self.connection.abort();
        if let Ok(runtime) = Handle::try_current() {
            let (token, target) = (self.client.cancel_token(), Arc::clone(&self.target));
            runtime.spawn(async move {
                if let Ok(Err(error)) = timeout(CONNECT_TIMEOUT, cancel(&token, &target)).await {
                    tracing::debug!(%error, "a statement that nobody waits for could not be cancelled");
                }
            });
        }
    }
}

async fn connect(target: &Target) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
    // Each request is told of its own failure; what the connection says in the end adds nothing.
    match target.tls() {
        Some(tls) => {
            let (client, connection) = target.config().connect(tls.clone()).await?;
            Ok((client, tokio::spawn(async move { drop(connection.await) })))
        }
        None => {
            let (client, connection) = target.config().connect(NoTls).await?;
            Ok((client, tokio::spawn(async move { drop(connection.await) })))
        }
    }
}

async fn cancel(token: &CancelToken, target: &Target) -> Result<(), tokio_postgres::Error> {
    match target.tls() {
        Some(tls) => token.cancel_query(tls.clone()).await,
        None => token.cancel_query(NoTls).await,
    }
}
