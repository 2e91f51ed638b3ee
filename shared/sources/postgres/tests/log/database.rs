//! A database of one test, in the server that all of them share.

use std::sync::Arc;

use millstream_peers::postgres::Postgres;
use millstream_ports::Secret;
use millstream_source_postgres::PostgresSource;
use tokio_postgres::{Client, NoTls};

/// A database without tables.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) server: Arc<Postgres>,
    pub(crate) name: String,
}

impl Database {
    /// Makes one. A transaction that has ended is in the log on disk, as servers have it by default.
    pub(crate) fn new(name: &str) -> Self {
        Self::of(Postgres::shared(), name)
    }

    /// Makes one in another server.
    pub(crate) fn of(server: Arc<Postgres>, name: &str) -> Self {
        server.create_database(name);
        server.execute("postgres", &format!("ALTER DATABASE \"{name}\" SET synchronous_commit = on"));
        Self { server, name: name.into() }
    }

    /// Runs SQL.
    pub(crate) fn execute(&self, sql: &str) {
        self.server.execute(&self.name, sql);
    }

    /// The database as a source.
    pub(crate) async fn source(&self) -> PostgresSource {
        source(&self.server.url(&self.name)).await
    }

    /// A session of its own, for transactions that stay open.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.server.url(&self.name), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

/// The source of a URL of the tests' server.
pub(crate) async fn source(url: &str) -> PostgresSource {
    PostgresSource::connect(&Secret::new(format!("{url}?sslmode=disable")), None).await.unwrap()
}
