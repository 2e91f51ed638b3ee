//! The source itself.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use millstream_events::extract::{Changes, Selection};
use millstream_ports::{
    KeyRange, OpenSource, PortError, PortResult, Read, ReadPlan, Secret, Shape, Source, SourceColumn, TableSummary,
};
use scylla::{
    client::{SelfIdentity, session::Session, session_builder::SessionBuilder},
    cluster::metadata::{ColumnType as CqlType, NativeType},
    errors::PrepareError,
    frame::response::result::ColumnSpec,
    statement::{Consistency, Statement as Unprepared, prepared::PreparedStatement},
};
use tokio::sync::OnceCell;

use crate::{
    catalog::{Catalog, Keys, Part},
    cursor::CursorKind,
    errors::Place,
    names::{TableName, check_query},
    open::{OpenCassandra, What},
    plan::{Estimate, count, ring},
    types::{column_type, cql_text},
    url::Target,
};

/// How long connecting to a node may take.
const CONNECT: Duration = Duration::from_secs(15);

/// The longest that a statement about the cluster itself may take.
const LOOK: Duration = Duration::from_secs(60);

/// Statements about the cluster's tables that run at once.
pub(crate) const AT_ONCE: usize = 8;

/// A Cassandra or ScyllaDB cluster.
pub struct CassandraSource {
    target: Target,
    pub(crate) place: Place,
    /// Made by the first use.
    session: OnceCell<Arc<Session>>,
}

impl fmt::Debug for CassandraSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraSource").field("target", &self.target).finish_non_exhaustive()
    }
}

/// How statements are run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statements {
    pub(crate) consistency: Consistency,
    pub(crate) page_rows: i32,
    /// The longest that a page may take.
    pub(crate) timeout: Duration,
}

impl Statements {
    pub(crate) async fn prepare(&self, session: &Session, text: &str) -> Result<PreparedStatement, PrepareError> {
        let mut statement = Unprepared::new(text);
        statement.set_page_size(self.page_rows);
        let mut prepared = session.prepare(statement).await?;
        prepared.set_consistency(self.consistency);
        prepared.set_request_timeout(Some(self.timeout));
        // Reading a page again changes nothing, so that the driver may try another node.
        prepared.set_is_idempotent(true);
        Ok(prepared)
    }
}

/// What a selection stands for.
pub(crate) enum Selected {
    Table(TableName, Keys),
    Query(String),
}

/// A column of a table or query, with its CQL type.
pub(crate) struct Described {
    pub(crate) column: SourceColumn,
    pub(crate) cql: CqlType<'static>,
}

impl CassandraSource {
    /// The cluster that a URL names. `ca` holds the certificates (PEM) that the nodes' are to be signed by.
    ///
    /// Nothing is connected to before the first use.
    ///
    /// # Errors
    /// `Invalid` for a URL that cannot be read and certificates that are none.
    #[allow(
        clippy::unused_async,
        reason = "every source is connected to in this way, and some look their host up here"
    )]
    pub async fn connect(url: &Secret, ca: Option<&Secret>) -> PortResult<Self> {
        let target = Target::read(url, ca)?;
        Ok(Self { place: target.place(), target, session: OnceCell::new() })
    }

    async fn session(&self) -> PortResult<&Arc<Session>> {
        let connect = async || {
            let target = &self.target;
            let mut builder = SessionBuilder::new()
                .known_nodes(&target.nodes)
                .tls_context(target.tls.clone())
                .connection_timeout(CONNECT)
                .hostname_resolution_timeout(Some(CONNECT))
                // What it would be for is routing by the key, and here every statement is for a range of the ring.
                .fetch_schema_metadata(false)
                .custom_identity(SelfIdentity::new().with_application_name("millstream"));
            if let Some(user) = &target.user {
                builder = builder.user(user, &target.password);
            }
            if let Some(datacenter) = &target.datacenter {
                builder = builder.prefer_datacenter(datacenter.clone());
            }
            let session = builder.build().await;
            session.map(Arc::new).map_err(|error| self.place.error("the cluster cannot be connected to", error))
        };
        self.session.get_or_try_init(connect).await
    }

    pub(crate) fn statements(&self, timeout: Duration) -> Statements {
        Statements { consistency: self.target.consistency, page_rows: self.target.page_rows, timeout }
    }

    fn catalog<'a>(&'a self, session: &'a Session) -> Catalog<'a> {
        Catalog { session, place: &self.place }
    }

    async fn select(&self, session: &Session, select: &Selection) -> PortResult<Selected> {
        match select {
            Selection::Table(name) => {
                let name = TableName::read(name, self.target.keyspace.as_deref())?;
                let keys = self.catalog(session).keys(&name).await?;
                Ok(Selected::Table(name, keys))
            }
            Selection::Query(text) => Ok(Selected::Query(check_query(text)?.to_owned())),
            Selection::Sheet(_) => {
                Err(PortError::invalid("a sheet is of a workbook: of Cassandra, name a table or write a SELECT"))
            }
        }
    }

    /// The columns as the server names them in an answer, which it does before it gives one.
    pub(crate) async fn columns(&self, session: &Session, selected: &Selected) -> PortResult<Vec<Described>> {
        let (text, doing) = match selected {
            Selected::Table(name, _) => {
                (format!("SELECT * FROM {}", name.quoted()), format!("the table {name} cannot be described"))
            }
            Selected::Query(text) => (text.clone(), "the query is not one that can be answered".to_owned()),
        };
        let prepared = self.statements(LOOK).prepare(session, &text).await;
        let prepared = prepared.map_err(|error| self.place.error(&doing, error))?;
        if !prepared.get_variable_col_specs().as_slice().is_empty() {
            return Err(PortError::invalid("the query has parameters: write values instead of ? and :name"));
        }
        let specs = prepared.get_current_result_set_col_specs();
        let describe = |spec: &ColumnSpec<'_>| Described {
            column: SourceColumn {
                name: spec.name().to_owned(),
                source_type: cql_text(spec.typ()),
                kind: column_type(spec.typ()),
                required: matches!(selected, Selected::Table(_, keys) if keys.is_required(spec.name())),
                description: None,
            },
            cql: spec.typ().clone().into_owned(),
        };
        Ok(specs.get().iter().map(describe).collect())
    }

    /// The ranges of a table, and the column they are of by name.
    async fn ranges(
        &self,
        session: &Session,
        read: &Read,
        columns: &[Described],
        keys: &Keys,
        estimate: Option<Estimate>,
    ) -> PortResult<(Option<String>, Vec<KeyRange>)> {
        let by_key = keys.partition_key.join(", ");
        if let Some(split_by) = &read.split_by {
            if !columns.iter().any(|described| described.column.name == *split_by) {
                return Err(PortError::invalid(format!("there is no column {split_by} to split by: check its name")));
            }
            // Cassandra finds rows by ranges of the ring alone.
            if *split_by != by_key {
                return Ok((None, ring(1)));
            }
        }
        if !self.catalog(session).has_integer_tokens().await? {
            return Ok((None, ring(1)));
        }
        Ok((Some(by_key), ring(count(estimate, read.range_rows))))
    }
}

/// Names that mark the time of the last change, best first; compared without case and underscores.
const CHANGE_NAMES: [&str; 10] = [
    "updatedat",
    "modifiedat",
    "lastmodified",
    "lastupdated",
    "lastmodifiedat",
    "changedat",
    "updated",
    "modified",
    "updatedon",
    "modifiedon",
];

/// The columns that could be a cursor, best first.
fn cursors(columns: &[Described], keys: Option<&Keys>) -> Vec<String> {
    let Some(keys) = keys else { return Vec::new() };
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "");
    let is_time = |described: &Described| {
        matches!(&described.cql, CqlType::Native(NativeType::Timestamp | NativeType::Timeuuid))
            && keys.parts.get(&described.column.name) != Some(&Part::PartitionKey)
    };
    let named = |wanted: &&str| columns.iter().find(|one| plain(&one.column.name) == **wanted && is_time(one));
    CHANGE_NAMES.iter().filter_map(named).map(|described| described.column.name.clone()).collect()
}

/// The rows that an estimate of partitions says there are: nothing, where a partition has many.
fn rows_of(estimate: Option<Estimate>, keys: &Keys) -> Option<u64> {
    estimate.filter(|_| keys.clustering.is_empty()).map(|estimate| estimate.partitions)
}

#[async_trait]
impl Source for CassandraSource {
    async fn tables(&self) -> PortResult<Vec<TableSummary>> {
        let session = self.session().await?;
        let catalog = self.catalog(session);
        let found = catalog.tables(self.target.keyspace.as_deref()).await?;
        let summary = async |(name, is_view): (TableName, bool)| {
            let estimate = catalog.estimate(&name).await?;
            let keys = catalog.keys(&name).await?;
            let bytes = estimate.map(|estimate| estimate.bytes);
            Ok(TableSummary { rows: rows_of(estimate, &keys), bytes, is_view, name: name.to_string() })
        };
        stream::iter(found).map(summary).buffered(AT_ONCE).try_collect().await
    }

    async fn describe(&self, select: &Selection) -> PortResult<Shape> {
        let session = self.session().await?;
        let selected = self.select(session, select).await?;
        let columns = self.columns(session, &selected).await?;
        let (keys, estimate) = match &selected {
            Selected::Table(name, keys) => (Some(keys), self.catalog(session).estimate(name).await?),
            Selected::Query(_) => (None, None),
        };
        Ok(Shape {
            cursors: cursors(&columns, keys),
            columns: columns.into_iter().map(|described| described.column).collect(),
            key: keys.map(Keys::key).unwrap_or_default(),
            rows: keys.and_then(|keys| rows_of(estimate, keys)),
            bytes: estimate.map(|estimate| estimate.bytes),
        })
    }

    async fn plan(&self, read: &Read) -> PortResult<ReadPlan> {
        let session = self.session().await?;
        let selected = self.select(session, &read.select).await?;
        let described = self.columns(session, &selected).await?;
        let (split_by, ranges, rows) = match &selected {
            Selected::Table(name, keys) => {
                let estimate = self.catalog(session).estimate(name).await?;
                let (split_by, ranges) = self.ranges(session, read, &described, keys, estimate).await?;
                (split_by, ranges, rows_of(estimate, keys))
            }
            Selected::Query(_) => (None, ring(1), None),
        };
        let newest = async |kind: CursorKind, name: &TableName, keys: &Keys| match &read.changes {
            Changes::Cursor(cursor) => self.newest(session, read, (&cursor.column, kind), (name, keys), &ranges).await,
            _ => Ok(None),
        };
        let window = self.window(session, read, &selected, newest).await?;
        let position = window.and_then(|(_, window)| Some(window.kind.text(window.position?)));
        let columns = if read.only.is_empty() {
            described.into_iter().map(|described| described.column).collect()
        } else {
            let wanted = |name: &String| {
                let found = described.iter().find(|described| described.column.name == *name);
                found.map(|described| described.column.clone()).ok_or_else(|| {
                    PortError::invalid(format!("there is no column {name} to read: check its name, also its case"))
                })
            };
            read.only.iter().map(wanted).collect::<PortResult<_>>()?
        };
        let everything = matches!(read.changes, Changes::Everything) || read.since.is_none();
        Ok(ReadPlan { columns, everything, split_by, ranges, position, rows })
    }

    async fn open(&self, read: &Read, plan: &ReadPlan) -> PortResult<Arc<dyn OpenSource>> {
        let session = self.session().await?;
        let selected = self.select(session, &read.select).await?;
        let planned = async |kind: CursorKind, _: &TableName, _: &Keys| {
            plan.position.as_deref().map(|position| kind.read(position)).transpose()
        };
        let cursor = self.window(session, read, &selected, planned).await?;
        let what = match selected {
            Selected::Table(name, keys) => What::Table { name, partition_key: keys.partition_key, cursor },
            Selected::Query(text) => What::Query(text),
        };
        Ok(Arc::new(OpenCassandra {
            session: Arc::clone(session),
            place: self.place.clone(),
            statements: self.statements(read.statement_timeout),
            what,
            columns: plan.columns.clone(),
            batch: read.batch,
        }))
    }
}
