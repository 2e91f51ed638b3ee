//! The port.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::extract::{Changes, Selection};
use millstream_ports::{OpenSource, PortResult, Read, ReadPlan, Secret, Shape, Source, TableSummary};

use crate::{
    catalog,
    described::Described,
    log,
    open::open,
    plan::plan,
    session::{CATALOG_TIMEOUT, Session},
    target::Target,
};

/// A PostgreSQL database. It connects when something is asked of it, each time anew.
#[derive(Debug)]
pub struct PostgresSource {
    target: Arc<Target>,
}

impl PostgresSource {
    /// The database of this URL, whose server's certificate is to be signed by one of `ca` (PEM) or of the web's authorities.
    /// The crate's README has the URL's parameters.
    ///
    /// # Errors
    /// `Invalid` says what is wrong with the URL or the certificates, without any part of them.
    pub async fn connect(url: &Secret, ca: Option<&Secret>) -> PortResult<Self> {
        Ok(Self { target: Arc::new(Target::new(url, ca)?) })
    }
}

#[async_trait]
impl Source for PostgresSource {
    async fn tables(&self) -> PortResult<Vec<TableSummary>> {
        catalog::tables(&Session::connect(&self.target, CATALOG_TIMEOUT).await?).await
    }

    async fn describe(&self, select: &Selection) -> PortResult<Shape> {
        let session = Session::connect(&self.target, CATALOG_TIMEOUT).await?;
        Described::load(&session, select).await?.shape(&session).await
    }

    async fn plan(&self, read: &Read) -> PortResult<ReadPlan> {
        let session = Session::connect(&self.target, read.statement_timeout).await?;
        if let Changes::Log(log) = &read.changes {
            return log::plan(&session, read, log).await;
        }
        session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "planning").await?;
        let described = Described::load(&session, &read.select).await?;
        plan(&session, &described, read).await
    }

    async fn open(&self, read: &Read, plan: &ReadPlan) -> PortResult<Arc<dyn OpenSource>> {
        open(&self.target, read, plan).await
    }
}
