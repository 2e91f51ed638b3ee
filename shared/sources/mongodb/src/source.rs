//! The source itself.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use millstream_events::extract::{Changes, Cursor, Selection};
use millstream_ports::{
    KeyRange, OpenSource, PortError, PortResult, Read, ReadPlan, Secret, Shape, Source, SourceColumn, TableSummary,
};
use mongodb::{
    Client,
    bson::{Document, RawBsonRef, doc},
};

use crate::{
    database::{Database, Form, LOOK, Listed, written},
    open::OpenMongodb,
    plan::{between, cursor_filter, range_filter, samples, value},
    selection::{Selected, is_plain},
    shape::{Fields, OTHER_TYPE, Seen, other_column},
    url::{Target, Unknown},
};

/// Collections whose size is asked for at once.
const AT_ONCE: usize = 8;

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
        let whole = || vec![KeyRange::whole()];
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
        let projection = projection(read, &plan.columns);
        // Fields that were not asked for are not unknown, where the server cannot leave them out.
        let strict =
            self.database.settings.unknown == Unknown::Quarantine && (read.only.is_empty() || projection.is_some());
        Ok(Arc::new(OpenMongodb {
            snapshot: self.database.snapshot(&selected).await?,
            database: Arc::clone(&self.database),
            filter,
            split_by: plan.split_by.clone(),
            projection,
            strict,
            columns: plan.columns.clone(),
            batch: read.batch,
            timeout: read.statement_timeout,
            selected,
        }))
    }
}
