//! The source itself.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use millstream_events::extract::{Changes, Cursor, Selection};
use millstream_ports::{
    KeyRange, OpenSource, PortError, PortResult, Read, ReadPlan, Secret, Shape, Source, SourceColumn, TableSummary,
};
use mongodb::{
    Client, Collection,
    bson::{Document, RawBsonRef, RawDocument, RawDocumentBuf, Timestamp, doc},
    options::ReadConcern,
};
use serde::Deserialize;

use crate::{
    errors::{Place, is_denied, is_unsupported},
    extended_json,
    open::OpenMongodb,
    plan::{between, cursor_filter, range_filter, samples, value},
    selection::{Selected, is_plain},
    shape::{Fields, OTHER_TYPE, Seen, other_column},
    url::{Settings, Target, Unknown},
};

/// The longest that a statement about the database itself may take.
const LOOK: Duration = Duration::from_secs(60);

/// Collections whose size is asked for at once.
const AT_ONCE: usize = 8;

/// Documents looked at to learn of a field that the sample did not show.
const OF_A_FIELD: i64 = 100;

/// A MongoDB database.
#[derive(Debug)]
pub struct MongodbSource {
    database: Arc<Database>,
}

impl MongodbSource {
    /// The database that a URL names. `ca` holds the certificates (PEM) that the server's is to be signed by.
    ///
    /// Nothing is connected to yet, except DNS for a `mongodb+srv` URL.
    ///
    /// # Errors
    /// `Invalid` for a URL that cannot be read and certificates that are none; `Unavailable` where DNS does not answer.
    pub async fn connect(url: &Secret, ca: Option<&Secret>) -> PortResult<Self> {
        let Target { options, place, settings, read_concern, ca } = Target::read(url, ca).await?;
        let client = Client::with_options(options).map_err(|error| place.error("MongoDB", error))?;
        drop(ca);
        Ok(Self { database: Arc::new(Database { client, place, settings, read_concern }) })
    }
}

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
enum Form {
    Collection,
    /// A view or a time series: without an index of `_id` that would order it.
    Derived,
}

/// A collection as the server lists it.
#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    #[serde(rename = "type", default)]
    form: String,
}

impl Database {
    fn handle(&self) -> mongodb::Database {
        self.client.database(&self.place.database)
    }

    pub(crate) fn collection(&self, selected: &Selected) -> Collection<Document> {
        self.handle().collection(&selected.collection)
    }

    /// A few documents of a selection, through more stages.
    async fn documents(
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
    async fn value(&self, selected: &Selected, more: Vec<Document>, longest: Duration) -> PortResult<Option<String>> {
        let documents = self.documents(selected, more, longest).await?;
        documents.first().map(|document| written(document)).transpose()
    }

    async fn listed(&self, filter: Document) -> PortResult<Vec<Listed>> {
        let failed =
            |error| self.place.error(&format!("the collections of {} cannot be listed", self.place.database), error);
        // With these two, a user needs no grant beyond reading the collections themselves.
        let command = doc! { "listCollections": 1, "nameOnly": true, "authorizedCollections": true, "filter": filter };
        let cursor = self.handle().run_cursor_command(command).await.map_err(failed)?;
        cursor.with_type::<Listed>().try_collect().await.map_err(failed)
    }

    /// What a selection's collection is. A collection that is not there is never taken for one without documents.
    async fn form(&self, selected: &Selected) -> PortResult<Form> {
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
    async fn size(&self, name: &str) -> PortResult<(Option<u64>, Option<u64>)> {
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
    async fn sample(&self, selected: &Selected, form: Form, longest: Duration) -> PortResult<Fields> {
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
    async fn look_for(&self, selected: &Selected, field: &str, longest: Duration) -> PortResult<Option<Fields>> {
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
    async fn is_unique(&self, selected: &Selected, form: Form, field: &str) -> PortResult<bool> {
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
    async fn snapshot(&self, selected: &Selected) -> PortResult<Option<Timestamp>> {
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

fn written(document: &RawDocument) -> PortResult<String> {
    let value = document.get("v").ok().flatten();
    let text = value.map(extended_json::canonical);
    text.and_then(Result::ok)
        .ok_or_else(|| PortError::internal("MongoDB answered without the value that was asked for"))
}

/// Names that mark the time of the last change, best first; compared without case and underscores.
const CHANGE_NAMES: [&str; 12] = [
    "updatedat",
    "modifiedat",
    "lastmodified",
    "lastupdated",
    "lastmodifiedat",
    "lastupdatedat",
    "changedat",
    "updated",
    "modified",
    "updatedon",
    "modifiedon",
    "ts",
];

/// The fields that could be a cursor, best first. Object ids rise with every insert, but not with a change.
fn cursors(fields: &Fields, columns: &[SourceColumn]) -> Vec<String> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "");
    let is_named = |name: &str, wanted: &str| plain(name) == wanted && fields.get(name).is_some_and(Seen::is_time);
    let named = CHANGE_NAMES.iter().filter_map(|wanted| columns.iter().find(|column| is_named(&column.name, wanted)));
    let id = columns.iter().filter(|column| column.name == "_id" && fields.get("_id").is_some_and(Seen::is_object_id));
    named.chain(id).map(|column| column.name.clone()).collect()
}

impl MongodbSource {
    /// The columns that were asked for, in that order. What no document of the sample has is looked for in all of them.
    async fn columns(
        &self,
        read: &Read,
        selected: &Selected,
        form: Form,
        fields: &Fields,
    ) -> PortResult<Vec<SourceColumn>> {
        let all = self.all_columns(form, fields);
        if read.only.is_empty() {
            return Ok(all);
        }
        let settings = &self.database.settings;
        let mut columns = Vec::with_capacity(read.only.len());
        for name in &read.only {
            let column = match all.iter().find(|column| column.name == *name) {
                Some(column) => column.clone(),
                None if fields.is_empty() => Seen::default().column(name, settings.nested, false),
                None => {
                    let found = self.database.look_for(selected, name, read.statement_timeout).await?;
                    let seen =
                        found.as_ref().and_then(|found| found.get(name)).ok_or_else(|| no_field(selected, name))?;
                    seen.column(name, settings.nested, false)
                }
            };
            columns.push(column);
        }
        Ok(columns)
    }

    fn all_columns(&self, form: Form, fields: &Fields) -> Vec<SourceColumn> {
        let settings = &self.database.settings;
        let required = |name: &str| form == Form::Collection && name == "_id";
        let mut columns = fields.columns(settings.nested, required);
        if columns.is_empty() && form == Form::Collection {
            columns.push(Seen::default().column("_id", settings.nested, true));
        }
        if settings.unknown == Unknown::Column {
            columns.push(other_column(fields.name_for_other()));
        }
        columns
    }

    /// The one order that a field's values are of, by MongoDB's name; `None` where it has no value or several orders.
    async fn order(
        &self,
        read: &Read,
        selected: &Selected,
        fields: &Fields,
        name: &str,
    ) -> PortResult<Option<&'static str>> {
        if !is_plain(name) {
            return Err(PortError::invalid(format!(
                "the field {name} cannot be compared: MongoDB reads its name as a path"
            )));
        }
        if fields.is_empty() {
            return Ok(None);
        }
        let seen = fields.get(name);
        if let Some(seen) = seen.filter(|seen| !seen.is_null()) {
            return Ok(seen.order());
        }
        let found = self.database.look_for(selected, name, read.statement_timeout).await?;
        match found.as_ref().and_then(|found| found.get(name)) {
            Some(found) => Ok(found.order()),
            None if seen.is_some() => Ok(None),
            None => Err(no_field(selected, name)),
        }
    }

    /// How far a reading by a cursor goes: to the newest value there is, and never back.
    async fn position(
        &self,
        read: &Read,
        selected: &Selected,
        fields: &Fields,
        cursor: &Cursor,
    ) -> PortResult<Option<String>> {
        let name = cursor.column.as_str();
        let Some(order) = self.order(read, selected, fields, name).await? else {
            let several = fields.get(name).is_some_and(|seen| !seen.is_null());
            return if several {
                Err(PortError::invalid(format!(
                    "the field {name} of {} cannot be a cursor: its values are of several types, or of one without an order; \
                     take a number, a date, a timestamp, an object id or a text",
                    selected.collection
                )))
            } else {
                Ok(read.since.clone())
            };
        };
        let mut newest = doc! { "$type": order };
        if let Some(since) = &read.since {
            newest.insert("$gte", value(since)?);
        }
        let stages = vec![
            doc! { "$match": { name: newest } },
            doc! { "$sort": { name: -1 } },
            doc! { "$limit": 1 },
            doc! { "$project": { "_id": 0, "v": format!("${name}") } },
        ];
        Ok(self.database.value(selected, stages, read.statement_timeout).await?.or_else(|| read.since.clone()))
    }

    /// The documents that a plan covers.
    async fn filter(
        &self,
        read: &Read,
        selected: &Selected,
        form: Form,
        position: Option<&str>,
    ) -> PortResult<Document> {
        match &read.changes {
            Changes::Everything => Ok(doc! {}),
            Changes::Cursor(cursor) => {
                let unique = self.database.is_unique(selected, form, &cursor.column).await?;
                cursor_filter(cursor, read.since.as_deref(), position, read.ties, unique)
            }
            Changes::Log(_) => Err(PortError::invalid(
                "of MongoDB no log of changes is read: name a `cursor` that grows with every change, or read everything",
            )),
        }
    }

    /// About how many documents a reading has.
    async fn rows(&self, read: &Read, selected: &Selected, form: Form, filter: &Document) -> PortResult<Option<u64>> {
        if form == Form::Collection && read.since.is_none() {
            return Ok(self.database.size(&selected.collection).await?.0);
        }
        let stages = vec![doc! { "$match": filter.clone() }, doc! { "$count": "v" }];
        let found = self.database.documents(selected, stages, read.statement_timeout).await?;
        let count = found.first().and_then(|document| document.get("v").ok().flatten());
        Ok(Some(match count {
            Some(RawBsonRef::Int32(count)) => u64::try_from(count).unwrap_or_default(),
            Some(RawBsonRef::Int64(count)) => u64::try_from(count).unwrap_or_default(),
            _ => 0,
        }))
    }

    /// The field to split by, and the ranges of it; one range where there is none or its values have no common order.
    async fn ranges(
        &self,
        read: &Read,
        selected: &Selected,
        form: Form,
        fields: &Fields,
        filter: &Document,
        rows: Option<u64>,
    ) -> PortResult<(Option<String>, Vec<KeyRange>)> {
        let whole = || vec![KeyRange { from: None, until: None }];
        let field = match &read.split_by {
            Some(field) => field.clone(),
            None if form == Form::Collection => "_id".to_owned(),
            None => return Ok((None, whole())),
        };
        let Some(order) = self.order(read, selected, fields, &field).await? else { return Ok((None, whole())) };
        let rows = rows.unwrap_or_default();
        let Some(samples) = samples(rows, read.range_rows) else { return Ok((Some(field), whole())) };
        let mut stages = Vec::new();
        // Sampling is fast where nothing is before it: the storage engine picks the documents.
        if !filter.is_empty() {
            stages.push(doc! { "$match": filter.clone() });
        }
        stages.extend([
            doc! { "$sample": { "size": samples } },
            doc! { "$match": { &field: { "$type": order } } },
            doc! { "$project": { "_id": 0, "v": format!("${field}") } },
            doc! { "$sort": { "v": 1 } },
        ]);
        let sampled = self.database.documents(selected, stages, read.statement_timeout).await?;
        let sorted = sampled.iter().map(|document| written(document)).collect::<PortResult<Vec<_>>>()?;
        let ranges = between(&sorted, rows, read.range_rows);
        // What cannot be read back is told now, not in the middle of a reading.
        ranges.iter().try_for_each(|range| range_filter(&field, range).map(|_| ()))?;
        Ok((Some(field), ranges))
    }
}

fn no_field(selected: &Selected, name: &str) -> PortError {
    PortError::invalid(format!(
        "no document of {} has a field {name}: check the name, also its case",
        selected.collection
    ))
}

/// The fields that are to leave the server; `None` where that cannot be said or all are wanted.
fn projection(read: &Read, columns: &[SourceColumn]) -> Option<Document> {
    let is_other = |column: &SourceColumn| column.source_type == OTHER_TYPE;
    if read.only.is_empty() || columns.iter().any(|column| is_other(column) || !is_plain(&column.name)) {
        return None;
    }
    let mut projection: Document = columns.iter().map(|column| (column.name.clone(), 1.into())).collect();
    if !projection.contains_key("_id") {
        projection.insert("_id", 0);
    }
    Some(projection)
}

#[async_trait]
impl Source for MongodbSource {
    async fn tables(&self) -> PortResult<Vec<TableSummary>> {
        let mut listed = self.database.listed(doc! {}).await?;
        listed.retain(|found| !found.name.starts_with("system."));
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        let summary = async |Listed { name, form }: Listed| {
            let is_view = form == "view";
            let (rows, bytes) = if is_view { (None, None) } else { self.database.size(&name).await? };
            Ok(TableSummary { name, rows, bytes, is_view })
        };
        stream::iter(listed).map(summary).buffered(AT_ONCE).try_collect().await
    }

    async fn describe(&self, select: &Selection) -> PortResult<Shape> {
        let selected = Selected::of(select)?;
        let form = self.database.form(&selected).await?;
        let fields = self.database.sample(&selected, form, LOOK).await?;
        let columns = self.all_columns(form, &fields);
        let is_collection = form == Form::Collection;
        let (rows, bytes) = if is_collection { self.database.size(&selected.collection).await? } else { (None, None) };
        let key = if is_collection { vec!["_id".to_owned()] } else { Vec::new() };
        Ok(Shape { cursors: cursors(&fields, &columns), columns, key, rows, bytes })
    }

    async fn plan(&self, read: &Read) -> PortResult<ReadPlan> {
        let selected = Selected::of(&read.select)?;
        let form = self.database.form(&selected).await?;
        let fields = self.database.sample(&selected, form, read.statement_timeout).await?;
        let columns = self.columns(read, &selected, form, &fields).await?;
        let position = match &read.changes {
            Changes::Cursor(cursor) => self.position(read, &selected, &fields, cursor).await?,
            Changes::Everything | Changes::Log(_) => None,
        };
        let filter = self.filter(read, &selected, form, position.as_deref()).await?;
        let rows = self.rows(read, &selected, form, &filter).await?;
        let (split_by, ranges) = self.ranges(read, &selected, form, &fields, &filter, rows).await?;
        let everything = matches!(read.changes, Changes::Everything) || read.since.is_none();
        Ok(ReadPlan { columns, everything, split_by, ranges, position, rows })
    }

    async fn open(&self, read: &Read, plan: &ReadPlan) -> PortResult<Arc<dyn OpenSource>> {
        let selected = Selected::of(&read.select)?;
        let form = self.database.form(&selected).await?;
        let filter = self.filter(read, &selected, form, plan.position.as_deref()).await?;
        Ok(Arc::new(OpenMongodb {
            snapshot: self.database.snapshot(&selected).await?,
            database: Arc::clone(&self.database),
            filter,
            split_by: plan.split_by.clone(),
            projection: projection(read, &plan.columns),
            strict: self.database.settings.unknown == Unknown::Quarantine,
            columns: plan.columns.clone(),
            batch: read.batch,
            timeout: read.statement_timeout,
            selected,
        }))
    }
}
