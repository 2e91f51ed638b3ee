//! A database of its own for each test, and readings of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use arrow::{array::RecordBatch, compute::concat_batches};
use futures::TryStreamExt;
use millstream_events::extract::{Changes, Cursor, Selection};
use millstream_peers::Postgres;
use millstream_ports::{BatchSize, CellFault, PortResult, Read, ReadPlan, Rows, Secret, Source, Ties};
use millstream_source_postgres::PostgresSource;
use tokio_postgres::{Client, NoTls};

/// A database on the server that the tests share.
pub(crate) struct Database {
    pub(crate) server: Arc<Postgres>,
    pub(crate) name: String,
    /// The superuser's own connection.
    pub(crate) client: Client,
    pub(crate) source: Arc<PostgresSource>,
}

impl Database {
    pub(crate) async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = Postgres::shared();
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        server.create_database(&name);
        let client = connect(&server.url(&name)).await;
        let source = source(&server, &server.url(&name)).await;
        Self { server, name, client, source }
    }

    /// Runs statements.
    pub(crate) async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The first value of the first row.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Everything of a table, in one batch.
    pub(crate) async fn table(&self, name: &str) -> Extracted {
        self.extract(&read(Selection::Table(name.to_owned()))).await
    }

    /// What a reading gives, in one batch.
    pub(crate) async fn extract(&self, read: &Read) -> Extracted {
        let plan = self.source.plan(read).await.unwrap();
        self.read(read, &plan).await.unwrap()
    }

    /// What a plan gives, range by range.
    pub(crate) async fn read(&self, read: &Read, plan: &ReadPlan) -> PortResult<Extracted> {
        let open = self.source.open(read, plan).await?;
        let mut batches = Vec::new();
        for range in &plan.ranges {
            batches.extend(open.read(range).await?.try_collect::<Vec<Rows>>().await?);
        }
        Ok(Extracted::new(plan, &batches))
    }
}

/// Rows of a reading.
#[derive(Debug)]
pub(crate) struct Extracted {
    pub(crate) rows: RecordBatch,
    pub(crate) faults: Vec<CellFault>,
    pub(crate) plan: ReadPlan,
}

impl Extracted {
    fn new(plan: &ReadPlan, batches: &[Rows]) -> Self {
        let schema = millstream_source_columns::batch_schema(&plan.columns).unwrap();
        let mut faults = Vec::new();
        let mut before = 0;
        for Rows { batch, faults: some } in batches {
            assert_eq!(batch.schema(), schema);
            faults.extend(some.iter().cloned().map(|fault| CellFault { row: fault.row + before, ..fault }));
            before += batch.num_rows();
        }
        let rows = concat_batches(&schema, batches.iter().map(|rows| &rows.batch)).unwrap();
        Self { rows, faults, plan: plan.clone() }
    }

    /// The rows as JSON, in the order they came in.
    pub(crate) fn ids(&self) -> Vec<i64> {
        use arrow::{array::AsArray, datatypes::Int64Type};
        self.rows.column(0).as_primitive::<Int64Type>().values().to_vec()
    }
}

/// Reads everything of it, in one range.
pub(crate) fn read(select: Selection) -> Read {
    Read {
        select,
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

pub(crate) fn read_table(name: &str) -> Read {
    read(Selection::Table(name.to_owned()))
}

pub(crate) fn read_query(text: &str) -> Read {
    read(Selection::Query(text.to_owned()))
}

pub(crate) fn by_cursor(column: &str) -> Changes {
    Changes::Cursor(Cursor { column: column.to_owned(), lookback: None, deleted: None })
}

pub(crate) async fn source(server: &Postgres, url: &str) -> Arc<PostgresSource> {
    let (url, ca) = (Secret::new(url), Secret::new(server.ca()));
    Arc::new(PostgresSource::connect(&url, Some(&ca)).await.unwrap())
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
