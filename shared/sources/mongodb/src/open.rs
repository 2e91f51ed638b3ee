//! Documents of a range as a stream of batches.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use millstream_ports::{BatchSize, KeyRange, OpenSource, PortError, PortResult, RowStream, Rows, SourceColumn};
use mongodb::{
    ClientSession, Cursor, SessionCursor,
    bson::{Document, RawDocument, RawDocumentBuf, Timestamp, doc},
    options::SessionOptions,
};

use crate::{database::Database, documents::Documents, plan::range_filter, selection::Selected};

/// Longer than the server itself may take for a statement: the connection is lost by then.
const GRACE: Duration = Duration::from_secs(30);

/// A collection or query that is open for reading.
#[derive(Debug)]
pub(crate) struct OpenMongodb {
    pub(crate) database: Arc<Database>,
    pub(crate) selected: Selected,
    /// Which documents the plan covers.
    pub(crate) filter: Document,
    /// The field the ranges are of.
    pub(crate) split_by: Option<String>,
    pub(crate) columns: Vec<SourceColumn>,
    /// The fields that leave the server; all of them where it is absent.
    pub(crate) projection: Option<Document>,
    /// Whether a field without a column makes its document a bad row.
    pub(crate) strict: bool,
    pub(crate) batch: BatchSize,
    pub(crate) timeout: Duration,
    /// The point in time that every range is read as of.
    pub(crate) snapshot: Option<Timestamp>,
}

#[async_trait]
impl OpenSource for OpenMongodb {
    async fn read(&self, range: &KeyRange) -> PortResult<RowStream> {
        let mut stages = Vec::new();
        if !self.filter.is_empty() {
            stages.push(doc! { "$match": self.filter.clone() });
        }
        match &self.split_by {
            Some(field) => {
                let filter = range_filter(field, range)?;
                if !filter.is_empty() {
                    stages.push(doc! { "$match": filter });
                }
            }
            None if *range == KeyRange::whole() => {}
            None => return Err(PortError::internal("a range of a plan that is split by no column")),
        }
        if let Some(projection) = &self.projection {
            stages.push(doc! { "$project": projection.clone() });
        }
        let documents = Documents::new(&self.columns, self.batch, self.strict)?;
        let cursor = self.start(stages).await?;
        let doing = self.selected.doing("read to its end");
        let reading = Reading { database: Arc::clone(&self.database), doing, cursor, documents, timeout: self.timeout };
        // An error or the end closes the reading, and with it the server's cursor.
        Ok(stream::try_unfold(Some(reading), async |reading| {
            let Some(mut reading) = reading else { return Ok(None) };
            Ok(match reading.next().await? {
                (Some(rows), true) => Some((rows, Some(reading))),
                (Some(rows), false) => Some((rows, None)),
                (None, _) => None,
            })
        })
        .boxed())
    }
}

impl OpenMongodb {
    async fn start(&self, stages: Vec<Document>) -> PortResult<ServerCursor> {
        let doing = self.selected.doing("read");
        let failed = |error| self.database.place.error(&doing, error);
        let rows = u32::try_from(self.batch.rows.max(1)).unwrap_or(u32::MAX);
        let collection = self.database.collection(&self.selected);
        let stages = self.selected.stages(stages);
        let aggregate = collection.aggregate(stages).allow_disk_use(true).max_time(self.timeout).batch_size(rows);
        Ok(match self.snapshot {
            None => {
                let latest = aggregate.read_concern(self.database.read_concern.clone());
                ServerCursor::Latest(Box::new(latest.with_type::<RawDocumentBuf>().await.map_err(failed)?))
            }
            Some(at) => {
                let options = SessionOptions::builder().snapshot(true).snapshot_time(at).build();
                let start = self.database.client.start_session().with_options(options);
                let mut session = start.await.map_err(failed)?;
                let cursor = aggregate.session(&mut session).with_type::<RawDocumentBuf>().await.map_err(failed)?;
                ServerCursor::Snapshot(Box::new((cursor, session)))
            }
        })
    }
}

/// The server's cursor.
enum ServerCursor {
    Latest(Box<Cursor<RawDocumentBuf>>),
    Snapshot(Box<(SessionCursor<RawDocumentBuf>, ClientSession)>),
}

impl ServerCursor {
    async fn advance(&mut self) -> mongodb::error::Result<bool> {
        match self {
            Self::Latest(cursor) => cursor.advance().await,
            Self::Snapshot(reading) => {
                let (cursor, session) = &mut **reading;
                cursor.advance(session).await
            }
        }
    }

    fn current(&self) -> &RawDocument {
        match self {
            Self::Latest(cursor) => cursor.current(),
            Self::Snapshot(reading) => reading.0.current(),
        }
    }
}

struct Reading {
    database: Arc<Database>,
    doing: String,
    cursor: ServerCursor,
    documents: Documents,
    timeout: Duration,
}

impl Reading {
    /// The next batch, and whether there may be more.
    async fn next(&mut self) -> PortResult<(Option<Rows>, bool)> {
        let Self { database, doing, cursor, documents, timeout } = self;
        loop {
            let advanced =
                tokio::time::timeout(timeout.saturating_add(GRACE), cursor.advance()).await.map_err(|_| {
                    PortError::unavailable(format!(
                        "{doing}: {} has not answered for {} s: is it still there?",
                        database.place.hosts,
                        timeout.as_secs()
                    ))
                })?;
            if !advanced.map_err(|error| database.place.error(doing, error))? {
                return Ok((documents.take()?, false));
            }
            if documents.add(cursor.current())? {
                return Ok((documents.take()?, true));
            }
        }
    }
}
