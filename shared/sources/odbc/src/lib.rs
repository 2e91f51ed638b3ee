//! DB2, and whatever else has an ODBC driver, as a source.
//!
//! In comes an ODBC connection string; out come tables, what they look like, and their rows as Arrow batches. Rows are fetched
//! in blocks of columns. What ODBC does is blocking: it runs on threads of its own, and batches come out over a channel that
//! holds one of them.

mod catalog;
mod cells;
mod connection_string;
mod errors;
mod fetch;
mod names;
mod odbc_type;
mod open;
mod plan;
mod ranges;
mod session;
mod statement;
mod window;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::extract::Selection;
use millstream_ports::{OpenSource, PortError, PortResult, Read, ReadPlan, Secret, Shape, Source, TableSummary};

use crate::{connection_string::Target, session::Session};

/// How long the questions about what is there may take.
const CATALOG_TIMEOUT: Duration = Duration::from_secs(300);

/// A database behind an ODBC driver.
#[derive(Debug)]
pub struct OdbcSource {
    target: Arc<Target>,
}

impl OdbcSource {
    /// Reads the connection string; nothing is connected to yet. `ca` holds certificates (PEM) that the server's must be signed
    /// by; it is handed to the drivers of DB2 and PostgreSQL as a file that is there as long as this value.
    ///
    /// # Errors
    /// `Invalid` for a text that is no connection string or that does not say that it wants TLS. No error shows any of it.
    pub async fn connect(url: &Secret, ca: Option<&Secret>) -> PortResult<Self> {
        let (text, ca) = (url.expose_text()?.to_owned(), ca.cloned());
        let target = blocking(move || Target::read(&text, ca.as_ref())).await?;
        Ok(Self { target: Arc::new(target) })
    }
}

#[async_trait]
impl Source for OdbcSource {
    async fn tables(&self) -> PortResult<Vec<TableSummary>> {
        let target = Arc::clone(&self.target);
        blocking(move || catalog::tables(&Session::open(&target, CATALOG_TIMEOUT)?)).await
    }

    async fn describe(&self, select: &Selection) -> PortResult<Shape> {
        let (target, select) = (Arc::clone(&self.target), select.clone());
        blocking(move || Ok(catalog::describe(&Session::open(&target, CATALOG_TIMEOUT)?, &select)?.shape())).await
    }

    async fn plan(&self, read: &Read) -> PortResult<ReadPlan> {
        let (target, read) = (Arc::clone(&self.target), read.clone());
        blocking(move || plan::plan(&Session::open(&target, read.statement_timeout)?, &read)).await
    }

    async fn open(&self, read: &Read, plan: &ReadPlan) -> PortResult<Arc<dyn OpenSource>> {
        let (target, read, plan) = (Arc::clone(&self.target), read.clone(), plan.clone());
        let open = blocking(move || open::open(&Session::open(&target, read.statement_timeout)?, &read, &plan)).await?;
        Ok(Arc::new(open))
    }
}

/// Runs what blocks on a thread for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> PortResult<T> + Send + 'static) -> PortResult<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| {
        Err(PortError::internal("a thread that spoke with an ODBC driver ended").caused_by(error))
    })
}
