//! A connection that reads.

use std::{fmt, sync::Arc, time::Duration};

use futures::FutureExt;
use millstream_ports::{PortError, PortResult};
use mysql_async::{Conn, Params, Row, Statement, prelude::Queryable};
use tokio::{runtime::Handle, time::timeout};

use crate::{failure, target::Target};

/// The longest that connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a look into the catalog may take.
pub(crate) const CATALOG_TIMEOUT: Duration = Duration::from_secs(60);

/// The shortest time that the server waits for a reader that is busy elsewhere (its own default).
const PATIENCE: u64 = 60;

/// The longest that a statement waits for somebody who alters the table, in seconds.
const LOCK_WAIT: u64 = 60;

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flavor {
    /// MariaDB, not MySQL.
    pub(crate) mariadb: bool,
    /// Its version.
    pub(crate) version: (u16, u16, u16),
}

impl Flavor {
    /// Whether longitude has to be asked for first: MySQL 8 writes geographic coordinates as their system has them.
    pub(crate) fn minds_axis_order(self) -> bool {
        !self.mariadb && self.version >= (8, 0, 0)
    }

    /// What rows of `information_schema.statistics` must fulfil so that the server uses the index when it is told to.
    pub(crate) fn usable_indexes(self) -> &'static str {
        match (self.mariadb, self.version) {
            (true, (10, 6.., _) | (11.., ..)) => " AND ignored = 'NO'",
            (false, (8.., ..)) => " AND is_visible = 'YES'",
            _ => "",
        }
    }
}

/// A read-only connection. Dropping it while it works ends what it does at the server too.
pub(crate) struct Session {
    /// Always there until it is dropped.
    conn: Option<Conn>,
    target: Arc<Target>,
    flavor: Flavor,
    busy: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The driver's own would show the password.
        f.debug_struct("Session").field("target", &self.target).field("busy", &self.busy).finish_non_exhaustive()
    }
}

impl Session {
    /// Connects, in 15 seconds at most. No statement takes longer than `statement_timeout`.
    pub(crate) async fn connect(target: &Arc<Target>, statement_timeout: Duration) -> PortResult<Self> {
        let conn = connect(target).await?;
        let flavor = Flavor { mariadb: false, version: conn.server_version() };
        let mut session = Self { conn: Some(conn), target: Arc::clone(target), flavor, busy: false };
        session.set_up(statement_timeout).await?;
        Ok(session)
    }

    /// How values are written, and what may be done: not by what the user or the server has set.
    async fn set_up(&mut self, statement_timeout: Duration) -> PortResult<()> {
        let doing = "setting up the session";
        let version = self.rows("SELECT VERSION()", (), doing).await?;
        let version: String = version.first().and_then(|row| row.get_opt(0)?.ok()).unwrap_or_default();
        self.flavor.mariadb = version.to_ascii_lowercase().contains("mariadb");
        let millis = statement_timeout.as_millis().clamp(1, 31_536_000_000);
        let patience = statement_timeout.as_secs().clamp(PATIENCE, 31_536_000);
        let mut settings = format!(
            "SET NAMES utf8mb4, SESSION time_zone = '+00:00', SESSION net_write_timeout = {patience}, \
             SESSION lock_wait_timeout = {LOCK_WAIT}"
        );
        if self.flavor.mariadb {
            settings += &format!(", SESSION max_statement_time = {}.{:03}", millis / 1_000, millis % 1_000);
        } else {
            if self.flavor.version >= (5, 7, 8) {
                settings += &format!(", SESSION max_execution_time = {}", millis.min(4_294_967_295));
            }
            if self.flavor.version >= (8, 0, 3) {
                // Sizes as they are now, not as they were up to a day ago.
                settings += ", SESSION information_schema_stats_expiry = 0";
            }
        }
        self.run(&settings, doing).await?;
        self.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", doing).await
    }

    /// The server.
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Which server it is.
    pub(crate) fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Runs a statement without an answer.
    pub(crate) async fn run(&mut self, sql: &str, doing: &str) -> PortResult<()> {
        self.watched(doing, async |conn| conn.query_drop(sql).await).await
    }

    /// Runs a query as text and gives its rows, which are few.
    pub(crate) async fn text_rows(&mut self, sql: &str, doing: &str) -> PortResult<Vec<Row>> {
        self.watched(doing, async |conn| conn.query(sql).await).await
    }

    /// Runs a query and gives its rows, which are few.
    pub(crate) async fn rows(&mut self, sql: &str, values: impl Into<Params>, doing: &str) -> PortResult<Vec<Row>> {
        let values = values.into();
        self.watched(doing, async |conn| conn.exec(sql, values).await).await
    }

    /// Has the server parse a statement, and tell its columns.
    pub(crate) async fn prepare(&mut self, sql: &str, doing: &str) -> PortResult<Statement> {
        self.watched(doing, async |conn| conn.prep(sql).await).await
    }

    /// Works with the connection. Where this is dropped before it is done, the session ends what it does at the server.
    pub(crate) async fn watched<T>(
        &mut self,
        doing: &str,
        work: impl AsyncFnOnce(&mut Conn) -> mysql_async::Result<T>,
    ) -> PortResult<T> {
        let Some(conn) = &mut self.conn else { return Err(PortError::internal("a session without a connection")) };
        self.busy = true;
        let outcome = work(conn).await;
        self.busy = false;
        outcome.map_err(|error| failure::statement(&self.target, doing, error))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else { return };
        if !self.busy {
            // The driver takes its leave of the server.
            return;
        }
        let id = conn.id();
        // Left to itself the driver would read the rest of the answer first. A command that is begun and not ended makes it
        // close the line at once.
        drop(conn.ping().now_or_never());
        drop(conn);
        if let Ok(runtime) = Handle::try_current() {
            let target = Arc::clone(&self.target);
            runtime.spawn(async move {
                // The server notices that nobody listens only when it writes, which may be long after.
                if let Err(error) = kill(&target, id).await {
                    tracing::debug!(%error, "a statement that nobody waits for could not be ended");
                }
            });
        }
    }
}

/// A connection as the server has it set up.
pub(crate) async fn connect(target: &Target) -> PortResult<Conn> {
    match timeout(CONNECT_TIMEOUT, Conn::new(target.opts().clone())).await {
        Ok(outcome) => outcome.map_err(|error| failure::connecting(target, error)),
        Err(_) => Err(PortError::unavailable(format!(
            "{} does not answer within {} s: is it up, and may this machine connect to it?",
            target.server(),
            CONNECT_TIMEOUT.as_secs()
        ))),
    }
}

/// Ends another connection of this user, and what it does.
async fn kill(target: &Target, id: u32) -> PortResult<()> {
    let mut conn = connect(target).await?;
    // A connection that has noticed by itself is gone: that is what is asked for.
    let _ = conn.query_drop(format!("KILL {id}")).await;
    let _ = conn.disconnect().await;
    Ok(())
}
