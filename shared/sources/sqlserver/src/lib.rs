//! SQL Server and Azure SQL as a source, over TDS.
//!
//! In comes a URL with a user and a password; out come the tables of its database, what they look like, and their rows as
//! Arrow batches. Values that a driver would hand over inexactly (`money`) or not at all (`hierarchyid`, `geography`, `json`)
//! are converted by the server, in the SELECT.

mod catalog;
mod errors;
mod names;
mod open;
mod plan;
mod ranges;
mod session;
mod sql_type;
mod statement;
mod target;
mod values;
mod window;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::extract::Selection;
use millstream_ports::{OpenSource, PortResult, Read, ReadPlan, Secret, Shape, Source, TableSummary};

use crate::{session::Session, target::Target};

/// How long the questions about what is there may take.
const CATALOG_TIMEOUT: Duration = Duration::from_secs(300);

/// A database of a SQL Server.
#[derive(Debug)]
pub struct SqlServerSource {
    target: Arc<Target>,
}

impl SqlServerSource {
    /// Reads the URL; nothing is connected to yet. `ca` holds certificates (PEM) that the server's may be signed by, besides
    /// those of the web.
    ///
    /// # Errors
    /// `Invalid` for a URL that cannot be read or that asks for less safety than it may. No error shows any of it.
    #[allow(clippy::unused_async, reason = "every kind of source is made so, and others do connect")]
    pub async fn connect(url: &Secret, ca: Option<&Secret>) -> PortResult<Self> {
        Ok(Self { target: Arc::new(Target::read(url.expose_text()?, ca)?) })
    }
}

#[async_trait]
impl Source for SqlServerSource {
    async fn tables(&self) -> PortResult<Vec<TableSummary>> {
        let mut session = Session::open(&self.target, CATALOG_TIMEOUT).await?;
        catalog::tables(&mut session).await
    }

    async fn describe(&self, select: &Selection) -> PortResult<Shape> {
        let mut session = Session::open(&self.target, CATALOG_TIMEOUT).await?;
        Ok(catalog::describe(&mut session, select).await?.shape)
    }

    async fn plan(&self, read: &Read) -> PortResult<ReadPlan> {
        let mut session = Session::open(&self.target, read.statement_timeout).await?;
        plan::plan(&mut session, read).await
    }

    async fn open(&self, read: &Read, plan: &ReadPlan) -> PortResult<Arc<dyn OpenSource>> {
        let mut session = Session::open(&self.target, read.statement_timeout).await?;
        Ok(Arc::new(open::open(&mut session, read, plan).await?))
    }
}
