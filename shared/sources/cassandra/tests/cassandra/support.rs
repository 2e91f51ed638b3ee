//! Sources on the tests' server, and what they read.

use std::{sync::Arc, time::Duration};

use arrow::{array::RecordBatch, compute::concat_batches};
use futures::TryStreamExt;
use millstream_events::extract::{Changes, Selection};
use millstream_ports::{BatchSize, CellFault, PortResult, Read, ReadPlan, Secret, Source, Ties};
use millstream_source_cassandra::CassandraSource;
use scylla::frame::response::result::{CollectionType, ColumnType, NativeType, UserDefinedType};

use crate::server::Server;

pub(crate) const INT: ColumnType<'static> = ColumnType::Native(NativeType::Int);
pub(crate) const TEXT: ColumnType<'static> = ColumnType::Native(NativeType::Text);

pub(crate) fn list(item: ColumnType<'static>) -> ColumnType<'static> {
    ColumnType::Collection { frozen: false, typ: CollectionType::List(Box::new(item)) }
}

pub(crate) fn set(item: ColumnType<'static>) -> ColumnType<'static> {
    ColumnType::Collection { frozen: false, typ: CollectionType::Set(Box::new(item)) }
}

pub(crate) fn map(key: ColumnType<'static>, value: ColumnType<'static>) -> ColumnType<'static> {
    ColumnType::Collection { frozen: false, typ: CollectionType::Map(Box::new(key), Box::new(value)) }
}

pub(crate) fn udt(name: &'static str, fields: &[(&'static str, ColumnType<'static>)]) -> ColumnType<'static> {
    let field_types = fields.iter().map(|(name, cql)| ((*name).into(), cql.clone())).collect();
    let definition = UserDefinedType { name: name.into(), keyspace: "shop".into(), field_types };
    ColumnType::UserDefinedType { frozen: false, definition: Arc::new(definition) }
}

pub(crate) fn url(server: &Server, parameters: &str) -> Secret {
    Secret::new(format!("cassandra://127.0.0.1:{}/shop?tls=off&{parameters}", server.port()))
}

pub(crate) async fn source(server: &Server, parameters: &str) -> Arc<dyn Source> {
    Arc::new(CassandraSource::connect(&url(server, parameters), None).await.unwrap())
}

pub(crate) fn table(name: &str) -> Selection {
    Selection::Table(name.into())
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
        statement_timeout: Duration::from_secs(20),
        batch: BatchSize::default(),
    }
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
    Ok((plan, concat_batches(&schema, &batches).unwrap(), faults))
}
