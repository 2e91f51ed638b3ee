//! PostgreSQL through its ODBC driver, for the tests of what is read through any.

#![allow(clippy::unwrap_used, dead_code, reason = "a panic is how a test fails, and not every test uses everything")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::TryStreamExt;
use millstream_events::extract::{Changes, Selection};
use millstream_peers::Postgres;
use millstream_ports::{BatchSize, PortResult, Read, Rows, Secret, Source, Ties};
use millstream_source_odbc::OdbcSource;

/// The password of the user `reader`, with what has a meaning in connection strings.
pub(crate) const PASSWORD: &str = "semi;colon}brace=and more";

/// A database of its own on the shared server, and a user that may read it.
pub(crate) struct Database {
    pub(crate) server: Arc<Postgres>,
    pub(crate) name: String,
}

impl Database {
    pub(crate) fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = Postgres::shared();
        let name = format!("odbc_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        server.create_database(&name);
        let database = Self { server, name };
        database.execute(&format!(
            "DO $$ BEGIN CREATE USER reader PASSWORD '{PASSWORD}'; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
             ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader"
        ));
        database
    }

    pub(crate) fn execute(&self, sql: &str) {
        self.server.execute(&self.name, sql);
    }

    /// The connection string, with verified TLS and more attributes.
    pub(crate) fn text(&self, password: &str, more: &str) -> Secret {
        let password = password.replace('}', "}}");
        Secret::new(format!(
            "Driver={{PostgreSQL Unicode}};Servername=localhost;Port={};Database={};Uid=reader;Pwd={{{password}}};SSLmode=verify-full;{more}",
            self.server.port(),
            self.name
        ))
    }

    pub(crate) async fn source(&self) -> Arc<dyn Source> {
        let ca = Secret::new(self.server.ca());
        Arc::new(OdbcSource::connect(&self.text(PASSWORD, ""), Some(&ca)).await.unwrap())
    }
}

/// Everything of a table.
pub(crate) fn read_of(table: &str) -> Read {
    Read {
        select: Selection::Table(table.into()),
        only: Vec::new(),
        changes: Changes::Everything,
        since: None,
        ties: Ties::Again,
        split_by: None,
        range_rows: 1_000_000,
        statement_timeout: Duration::from_secs(60),
        batch: BatchSize::default(),
    }
}

/// Plans and reads, all ranges after each other.
pub(crate) async fn extract(source: &dyn Source, read: &Read) -> PortResult<Vec<Rows>> {
    let plan = source.plan(read).await?;
    let open = source.open(read, &plan).await?;
    let mut rows = Vec::new();
    for range in &plan.ranges {
        rows.extend(open.read(range).await?.try_collect::<Vec<_>>().await?);
    }
    Ok(rows)
}

/// The only batch there is.
pub(crate) fn only(rows: Vec<Rows>) -> Rows {
    let count = rows.len();
    rows.into_iter().next().filter(|_| count == 1).unwrap_or_else(|| panic!("{count} batches"))
}
