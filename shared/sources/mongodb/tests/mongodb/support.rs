//! A server, a client that writes to it, and the source that reads it.

use std::{sync::Arc, time::Duration};

use arrow::{array::RecordBatch, compute::concat_batches};
use futures::TryStreamExt;
use millstream_events::extract::{Changes, Selection};
use millstream_peers::mongodb::{SecantusDb, SecantusOptions};
use millstream_ports::{BatchSize, CellFault, PortResult, Read, ReadPlan, Secret, Source, Ties};
use millstream_source_mongodb::MongodbSource;
use mongodb::{Client, Collection, bson::Document};

pub(crate) struct Server {
    pub(crate) peer: SecantusDb,
    pub(crate) client: Client,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(SecantusOptions::default()).await
    }

    pub(crate) async fn start_with(options: SecantusOptions) -> Self {
        let peer = SecantusDb::start(options);
        let client = Client::with_uri_str(format!("mongodb://127.0.0.1:{}/", peer.port())).await.unwrap();
        Self { peer, client }
    }

    pub(crate) fn database(&self) -> mongodb::Database {
        self.client.database("shop")
    }

    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        self.database().collection(name)
    }

    pub(crate) fn url(&self, parameters: &str) -> String {
        let port = self.peer.port();
        format!("mongodb://127.0.0.1:{port}/shop?tls=false&{parameters}")
    }

    pub(crate) async fn source(&self, parameters: &str) -> Arc<dyn Source> {
        Arc::new(MongodbSource::connect(&Secret::new(self.url(parameters)), None).await.unwrap())
    }

    /// Arms one of the server's ways to fail.
    pub(crate) async fn fail(&self, mode: Document, data: Document) {
        let command = mongodb::bson::doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
        self.client.database("admin").run_command(command).await.unwrap();
    }
}

pub(crate) fn read_of(select: Selection) -> Read {
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

pub(crate) fn table(name: &str) -> Selection {
    Selection::Table(name.into())
}

/// Everything of a plan in one batch, and its faults.
pub(crate) async fn read_all(source: &dyn Source, read: &Read) -> PortResult<(ReadPlan, RecordBatch, Vec<CellFault>)> {
    let plan = source.plan(read).await?;
    let open = source.open(read, &plan).await?;
    let (mut batches, mut faults) = (Vec::new(), Vec::new());
    let mut before = 0;
    for range in &plan.ranges {
        let mut rows = open.read(range).await?;
        while let Some(next) = rows.try_next().await? {
            faults.extend(next.faults.into_iter().map(|fault| CellFault { row: fault.row + before, ..fault }));
            before += next.batch.num_rows();
            batches.push(next.batch);
        }
    }
    let schema = millstream_source_columns::batch_schema(&plan.columns)?;
    let batch = concat_batches(&schema, &batches).unwrap();
    Ok((plan, batch, faults))
}
