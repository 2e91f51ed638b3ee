//! A database and what is asked of it.

use std::{fmt, time::Duration};

use futures::TryStreamExt;
use millstream_ports::{PortError, PortResult};
use mongodb::{
    Client, Collection,
    bson::{Document, RawDocument, RawDocumentBuf, Timestamp, doc},
    options::ReadConcern,
};
use serde::Deserialize;

use crate::{
    errors::{Place, is_denied, is_unsupported},
    extended_json,
    selection::{Selected, is_plain},
    shape::Fields,
    url::Settings,
};

/// The longest that a statement about the database itself may take.
pub(crate) const LOOK: Duration = Duration::from_secs(60);

/// Documents looked at to learn of a field that the sample did not show.
const OF_A_FIELD: i64 = 100;

/// The client and what its URL says besides.
pub(crate) struct Database {
    pub(crate) client: Client,
    pub(crate) place: Place,
    pub(crate) settings: Settings,
    /// Which documents are read where a snapshot does not say it.
    pub(crate) read_concern: ReadConcern,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("place", &self.place).field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Collection,
    /// A view or a time series: without an index of `_id` that would order it.
    Derived,
}

/// A collection as the server lists it.
#[derive(Debug, Deserialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    #[serde(rename = "type", default)]
    pub(crate) form: String,
}

impl Database {
    fn handle(&self) -> mongodb::Database {
        self.client.database(&self.place.database)
    }

    pub(crate) fn collection(&self, selected: &Selected) -> Collection<Document> {
        self.handle().collection(&selected.collection)
    }

    /// A few documents of a selection, through more stages.
    pub(crate) async fn documents(
        &self,
        selected: &Selected,
        more: Vec<Document>,
        longest: Duration,
    ) -> PortResult<Vec<RawDocumentBuf>> {
        let failed = |error| self.place.error(&selected.doing("read"), error);
        let collection = self.collection(selected);
        let aggregate = collection
            .aggregate(selected.stages(more))
            .read_concern(self.read_concern.clone())
            .allow_disk_use(true)
            .max_time(longest);
        aggregate.with_type::<RawDocumentBuf>().await.map_err(failed)?.try_collect().await.map_err(failed)
    }

    /// The one value under `v` that the stages leave, if there is one.
    pub(crate) async fn value(
        &self,
        selected: &Selected,
        more: Vec<Document>,
        longest: Duration,
    ) -> PortResult<Option<String>> {
        let documents = self.documents(selected, more, longest).await?;
        documents.first().map(|document| written(document)).transpose()
    }

    pub(crate) async fn listed(&self, filter: Document) -> PortResult<Vec<Listed>> {
        let failed =
            |error| self.place.error(&format!("the collections of {} cannot be listed", self.place.database), error);
        // With these two, a user needs no grant beyond reading the collections themselves.
        let command = doc! { "listCollections": 1, "nameOnly": true, "authorizedCollections": true, "filter": filter };
        let cursor = self.handle().run_cursor_command(command).await.map_err(failed)?;
        cursor.with_type::<Listed>().try_collect().await.map_err(failed)
    }

    /// What a selection's collection is. A collection that is not there is never taken for one without documents.
    pub(crate) async fn form(&self, selected: &Selected) -> PortResult<Form> {
        let name = &selected.collection;
        let listed = self.listed(doc! { "name": name }).await?;
        let Some(found) = listed.iter().find(|found| found.name == *name) else {
            return Err(PortError::not_found(format!(
                "{} of {} has no collection {name} that this user may read: check its name, and the user's roles",
                self.place.database, self.place.hosts
            )));
        };
        Ok(if selected.is_query || found.form != "collection" { Form::Derived } else { Form::Collection })
    }

    /// Rows and bytes of a collection, as the server estimates them; neither where it does not say.
    pub(crate) async fn size(&self, name: &str) -> PortResult<(Option<u64>, Option<u64>)> {
        let failed = |error| self.place.error(&format!("the size of the collection {name} cannot be asked for"), error);
        let collection = self.handle().collection::<Document>(name);
        let stages = [doc! { "$collStats": { "storageStats": {} } }];
        // This stage is refused with any other read concern.
        let stats = collection.aggregate(stages).read_concern(ReadConcern::local()).max_time(LOOK).with_type::<Sizes>();
        // One document a shard.
        let shards: mongodb::error::Result<Vec<Sizes>> = match stats.await {
            Ok(cursor) => cursor.try_collect().await,
            Err(error) => Err(error),
        };
        match shards {
            Ok(shards) => {
                let sum = |of: fn(&Storage) -> f64| shards.iter().map(|shard| of(&shard.storage)).sum::<f64>() as u64;
                let (rows, bytes) = (sum(|storage| storage.count), sum(|storage| storage.size));
                // A server that keeps no sizes says 0.
                Ok((Some(rows), (bytes > 0 || rows == 0).then_some(bytes)))
            }
            Err(error) if is_denied(&error) => Ok((None, None)),
            Err(error) if is_unsupported(&error) => match collection.estimated_document_count().max_time(LOOK).await {
                Ok(rows) => Ok((Some(rows), None)),
                Err(error) if is_denied(&error) || is_unsupported(&error) => Ok((None, None)),
                Err(error) => Err(failed(error)),
            },
            Err(error) => Err(failed(error)),
        }
    }

    /// Learns the fields of a selection: of a collection from the first and the last documents by `_id`, of everything else
    /// from the first ones that come.
    pub(crate) async fn sample(&self, selected: &Selected, form: Form, longest: Duration) -> PortResult<Fields> {
        let many = self.settings.sample;
        let parts = match form {
            Form::Collection => vec![
                vec![doc! { "$sort": { "_id": 1 } }, doc! { "$limit": many }],
                vec![doc! { "$sort": { "_id": -1 } }, doc! { "$limit": many }],
            ],
            Form::Derived => vec![vec![doc! { "$limit": 2 * many }]],
        };
        let mut fields = Fields::default();
        let failed = |error| self.place.error(&selected.doing("sampled"), error);
        for part in parts {
            let collection = self.collection(selected);
            let aggregate = collection
                .aggregate(selected.stages(part))
                .read_concern(self.read_concern.clone())
                .allow_disk_use(true)
                .max_time(longest);
            let mut cursor = aggregate.with_type::<RawDocumentBuf>().await.map_err(failed)?;
            while cursor.advance().await.map_err(failed)? {
                fields.add(cursor.current());
            }
        }
        Ok(fields)
    }

    /// What documents have in a field that the sample did not show, or showed as NULL only; `None` where none has it.
    pub(crate) async fn look_for(
        &self,
        selected: &Selected,
        field: &str,
        longest: Duration,
    ) -> PortResult<Option<Fields>> {
        if !is_plain(field) {
            return Ok(None);
        }
        let stages = vec![
            doc! { "$match": { field: { "$exists": true, "$ne": null } } },
            doc! { "$limit": OF_A_FIELD },
            doc! { "$project": { "_id": 0, field: 1 } },
        ];
        let mut fields = Fields::default();
        for document in self.documents(selected, stages, longest).await? {
            fields.add(&document);
        }
        Ok((!fields.is_empty()).then_some(fields))
    }

    /// Whether no two documents can have the same value of a field.
    pub(crate) async fn is_unique(&self, selected: &Selected, form: Form, field: &str) -> PortResult<bool> {
        if form == Form::Derived || field == "_id" {
            return Ok(form != Form::Derived);
        }
        let failed = |error| self.place.error(&selected.doing("asked for its indexes"), error);
        let indexes = match self.collection(selected).list_indexes().await {
            Ok(cursor) => cursor.try_collect::<Vec<_>>().await.map_err(failed)?,
            Err(error) if is_denied(&error) || is_unsupported(&error) => return Ok(false),
            Err(error) => return Err(failed(error)),
        };
        Ok(indexes.iter().any(|index| {
            let options = index.options.as_ref();
            let is_of_some = options.is_some_and(|options| options.partial_filter_expression.is_some());
            let unique = options.is_some_and(|options| options.unique == Some(true));
            unique && !is_of_some && index.keys.keys().eq([field])
        }))
    }

    /// A point in time that all ranges are read as of; `None` where the server has no snapshots.
    pub(crate) async fn snapshot(&self, selected: &Selected) -> PortResult<Option<Timestamp>> {
        if !self.settings.snapshot {
            return Ok(None);
        }
        match self.snapshot_of(selected).await {
            Ok(at) => Ok(at),
            Err(error) if is_unsupported(&error) => {
                tracing::info!(collection = selected.collection, %error, "the server offers no snapshot: ranges are read as they are");
                Ok(None)
            }
            Err(error) => Err(self.place.error(&selected.doing("opened"), error)),
        }
    }

    async fn snapshot_of(&self, selected: &Selected) -> mongodb::error::Result<Option<Timestamp>> {
        let mut session = self.client.start_session().snapshot(true).await?;
        // The server chooses the time with the first reading.
        let first = [doc! { "$limit": 1 }, doc! { "$project": { "_id": 1 } }];
        let collection = self.collection(selected);
        let mut cursor = collection.aggregate(first).max_time(LOOK).session(&mut session).await?;
        cursor.advance(&mut session).await?;
        Ok(session.snapshot_time())
    }
}

/// What `$collStats` says, of each shard.
#[derive(Debug, Deserialize)]
struct Sizes {
    #[serde(rename = "storageStats")]
    storage: Storage,
}

/// Counts come as any of MongoDB's numbers.
#[derive(Debug, Deserialize)]
struct Storage {
    #[serde(default)]
    count: f64,
    #[serde(default)]
    size: f64,
}

/// The value under `v`, as it is kept.
pub(crate) fn written(document: &RawDocument) -> PortResult<String> {
    let value = document.get("v").ok().flatten();
    let text = value.map(extended_json::canonical);
    text.and_then(Result::ok)
        .ok_or_else(|| PortError::internal("MongoDB answered without the value that was asked for"))
}
