//! Snowflake as a source, over the protocol of its own drivers.
//!
//! In comes a URL with a user and a password or key; out come the tables of its database, what they look like, and their rows
//! as Arrow batches, part after part as the service makes them. README.md says why no library is used.

mod answer;
mod catalog;
mod client;
mod errors;
mod jwt;
mod names;
mod open;
mod plan;
mod ranges;
mod results;
mod sql_type;
mod statement;
mod target;
mod values;
mod window;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::extract::Selection;
use millstream_ports::{OpenSource, PortResult, Read, ReadPlan, Secret, Shape, Source, TableSummary};
use reqwest::Client;

use crate::{client::Session, target::Target};

/// How long the questions about what is there may take.
const CATALOG_TIMEOUT: Duration = Duration::from_secs(300);

/// A database of a Snowflake account.
pub struct SnowflakeSource {
    target: Arc<Target>,
    client: Client,
}

impl fmt::Debug for SnowflakeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnowflakeSource").field("target", &self.target).finish_non_exhaustive()
    }
}

impl SnowflakeSource {
    /// Reads the URL; nothing is connected to yet. `ca` holds certificates (PEM) that the service's may be signed by, besides
    /// those of the web.
    ///
    /// # Errors
    /// `Invalid` for a URL that cannot be read or that asks for less safety than it may. No error shows any of it.
    #[allow(clippy::unused_async, reason = "every kind of source is made so, and others do connect")]
    pub async fn connect(url: &Secret, ca: Option<&Secret>) -> PortResult<Self> {
        let target = Target::read(url.expose_text()?)?;
        Ok(Self { target: Arc::new(target), client: Session::client(target::tls(ca)?)? })
    }

    async fn session(&self, limit: Duration) -> PortResult<Session> {
        Session::open(&self.target, &self.client, limit).await
    }
}

#[async_trait]
impl Source for SnowflakeSource {
    async fn tables(&self) -> PortResult<Vec<TableSummary>> {
        catalog::tables(&self.session(CATALOG_TIMEOUT).await?).await
    }

    async fn describe(&self, select: &Selection) -> PortResult<Shape> {
        let session = self.session(CATALOG_TIMEOUT).await?;
        Ok(catalog::describe(&session, select).await?.shape)
    }

    async fn plan(&self, read: &Read) -> PortResult<ReadPlan> {
        plan::plan(&self.session(read.statement_timeout).await?, read).await
    }

    async fn open(&self, read: &Read, plan: &ReadPlan) -> PortResult<Arc<dyn OpenSource>> {
        let session = self.session(read.statement_timeout).await?;
        Ok(Arc::new(open::open(&session, read, plan).await?))
    }
}
