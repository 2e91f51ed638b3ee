//! Changes by logical replication: what was inserted, updated and deleted, from the server's log.
//!
//! # Why nothing is lost
//!
//! A position is a place in the log. It cuts the transactions in two by where their commit records *begin*: before it, or at
//! or after it. That is how the server itself cuts (a slot that was moved to a place skips the transactions whose commit
//! record begins before it, and `peek` up to a place gives those that begin before it), so that windows from one
//! position to the next neither leave out a transaction nor have it twice, however often one is read.
//!
//! *A full reading* takes its position first and its snapshot afterwards. What was committed between the two is in the
//! snapshot and is told again by the next window; applied by key in order, the rows come to the same state. What must not be
//! is that a transaction before the position is *missing* in the snapshot. A transaction writes its commit record first and
//! is seen by others afterwards: a moment later, or minutes, where it waits for a standby. So the plan takes the position,
//! notes which transactions are running, and waits until those have ended (see [`read::settled`]); each snapshot taken after that
//! has all that is before the position. Transactions that are running for long are waited for: a slot's making does
//! that anyway. A plan that is gone on with by another process reads some ranges in a later snapshot, for which the same holds.
//!
//! *A reading of changes* first moves the slot to where it starts, which is where the table has been loaded up to: that log is
//! not needed any more. It ends at the place up to which the log is on disk when it is planned, because `peek` reads no
//! further. It leaves the slot where it is, so that it can be read again as long as its rows are not loaded.
//!
//! *Everything is read again* where the log does not tell the whole change: the slot is gone, has lost log that the server
//! removed (`max_slot_wal_keep_size`), was moved on by someone else, or the place is not of this server; the table was
//! emptied by TRUNCATE or had other columns at the time.

mod changed;
mod lsn;
mod message;
mod plan;
mod read;
mod slot;
mod table;

use std::sync::Arc;

use arrow::{
    array::{BooleanArray, RecordBatch},
    datatypes::{DataType, Field, Schema},
};
use async_trait::async_trait;
use futures::StreamExt;
use millstream_events::{
    contract::ColumnType,
    extract::{ChangeLog, DELETED_COLUMN},
};
use millstream_ports::{KeyRange, OpenSource, PortError, PortResult, Read, ReadPlan, RowStream, Rows, SourceColumn};

pub(crate) use self::plan::plan;
use self::{lsn::Lsn, read::OpenLog};
use crate::{described::Described, session::Session};

/// The rows of a slot's log up to a place: their `data` are the plugin's messages. The values are the slot, the place, and
/// the publication as a quoted name.
const PEEK: &str = "pg_catalog.pg_logical_slot_peek_binary_changes($1::text::name, $2::text::pg_lsn, NULL,
    'proto_version', '1', 'binary', 'true', 'publication_names', $3::text)";

/// The transactions whose commit records begin at or after `since` and before `until`.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: Lsn,
    until: Lsn,
}

impl Window {
    fn contains(self, commit: Lsn) -> bool {
        self.since <= commit && commit < self.until
    }
}

/// The column that says whether a row was deleted.
fn deleted_column() -> SourceColumn {
    SourceColumn {
        name: DELETED_COLUMN.to_owned(),
        source_type: String::new(),
        kind: Ok(ColumnType::Bool),
        required: true,
        description: None,
    }
}

/// Opens the changes that a plan is of.
pub(crate) async fn open(
    session: &Session,
    described: &Described,
    read: &Read,
    log: &ChangeLog,
    plan: &ReadPlan,
) -> PortResult<Arc<dyn OpenSource>> {
    let missing = || PortError::invalid("a plan of changes has no place in the log that it starts or ends at");
    let since: Lsn = read.since.as_deref().ok_or_else(missing)?.parse()?;
    let until: Lsn = plan.position.as_deref().ok_or_else(missing)?.parse()?;
    let columns = rows_columns(plan);
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    let table = table::find(session, described, &log.publication, &names).await?;
    match slot::find(session, &log.slot).await? {
        Some(slot) if !slot.lost && slot.confirmed <= since => {}
        _ => {
            return Err(PortError::invalid(format!(
                "the replication slot {} does not tell the changes since {since} any more: extract again, and everything \
                 is read",
                log.slot
            )));
        }
    }
    // It is there already, unless the server was not shut down properly; and a reader that ended just now may still hold it.
    slot::advance(session, &log.slot, since).await?;
    Ok(Arc::new(OpenLog {
        target: Arc::clone(session.target()),
        statement_timeout: read.statement_timeout,
        slot: log.slot.clone(),
        publication: log.publication.clone(),
        table,
        columns,
        window: Window { since, until },
        batch: read.batch,
    }))
}

/// A plan's columns without that of deletions: those of the table.
pub(crate) fn rows_columns(plan: &ReadPlan) -> Vec<SourceColumn> {
    plan.columns.iter().filter(|column| column.name != DELETED_COLUMN).cloned().collect()
}

/// The whole table, each row marked as not deleted.
#[derive(Debug)]
pub(crate) struct NothingDeleted(pub(crate) Arc<dyn OpenSource>);

#[async_trait]
impl OpenSource for NothingDeleted {
    async fn read(&self, range: &KeyRange) -> PortResult<RowStream> {
        Ok(self.0.read(range).await?.map(|rows| rows.and_then(not_deleted)).boxed())
    }
}

fn not_deleted(rows: Rows) -> PortResult<Rows> {
    let batch = rows.batch;
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(DELETED_COLUMN, DataType::Boolean, true)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(BooleanArray::from(vec![false; batch.num_rows()])));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| PortError::internal("the rows of a table do not take another column").caused_by(error))?;
    Ok(Rows { batch, ..rows })
}
