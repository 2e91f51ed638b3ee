//! Planning: from where, up to where, and whether everything is to be read.

use std::time::Duration;

use millstream_events::extract::ChangeLog;
use millstream_ports::{KeyRange, PortError, PortResult, Read, ReadPlan};
use tokio_postgres::error::SqlState;

use super::{
    PEEK, Window, deleted_column,
    lsn::Lsn,
    message::{self, Message, Relation},
    read::settled,
    slot,
    table::{self, LoggedTable},
};
use crate::{described::Described, plan, session::Session, sql::identifier};

/// The oldest server whose plugin sends values in binary form.
const OLDEST: i32 = 140_000;

/// Plans a reading of a table's changes, or of the whole table where there is nothing to go on from.
///
/// # Errors
/// Those of the server, and `Invalid`, `NotFound` or `Denied` with what is to be set up for the log to be read.
pub(crate) async fn plan(session: &Session, read: &Read, log: &ChangeLog) -> PortResult<ReadPlan> {
    supported(session).await?;
    let described = Described::load(session, &read.select).await?;
    let mut columns = plan::columns(session, &described, &read.only)?;
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    let table = table::find(session, &described, &log.publication, &names).await?;
    let window = match read.since.as_deref().map(str::parse).transpose()? {
        Some(since) => window(session, &table, log, &names, since).await?,
        None => None,
    };
    columns.push(deleted_column());
    if let Some((window, rows)) = window {
        return Ok(ReadPlan {
            columns,
            everything: false,
            split_by: None,
            ranges: vec![KeyRange::whole()],
            position: Some(window.until.to_string()),
            rows: Some(rows),
        });
    }
    // The position first: the snapshot that is read is a later one.
    let position = start(session, &log.slot, read.statement_timeout).await?;
    let everything = plan::plan(session, &described, read).await?;
    Ok(ReadPlan { columns, everything: true, position: Some(position.to_string()), ..everything })
}

/// Whether the server has a log that changes can be read from.
async fn supported(session: &Session) -> PortResult<()> {
    let sql = "SELECT current_setting('wal_level'), pg_catalog.pg_is_in_recovery(),
               current_setting('server_version_num')::int4, current_setting('server_version')";
    let row = session.row(sql, &[], "looking whether the server keeps a log of changes").await?;
    let (level, is_standby): (&str, bool) = (row.get(0), row.get(1));
    if row.get::<_, i32>(2) < OLDEST {
        return Err(PortError::invalid(format!(
            "the server is PostgreSQL {}: changes are read from the log of 14 and later; find them by a cursor",
            row.get::<_, &str>(3)
        )));
    }
    if is_standby {
        return Err(PortError::invalid(
            "the server is a standby: put the primary's URL into the secret, the log's places are kept there",
        ));
    }
    if level != "logical" {
        return Err(PortError::invalid(format!(
            "the server's wal_level is {level}, which does not tell changes: say `ALTER SYSTEM SET wal_level = logical` and \
             restart it (Cloud SQL: the flag cloudsql.logical_decoding; Amazon RDS: rds.logical_replication)"
        )));
    }
    Ok(())
}

/// The window from `since` on and about how many rows were changed in it; `None` where everything is to be read.
async fn window(
    session: &Session,
    table: &LoggedTable,
    log: &ChangeLog,
    columns: &[&str],
    since: Lsn,
) -> PortResult<Option<(Window, u64)>> {
    let again = |why: &str| {
        tracing::warn!(slot = log.slot, table = table.quoted, "everything is read again: {why}");
        Ok(None)
    };
    match slot::find(session, &log.slot).await? {
        None => return again("the slot is not there"),
        Some(slot) if slot.lost => return again("the server has removed log that the slot needed"),
        Some(slot) if slot.confirmed > since => return again("someone else has moved the slot on"),
        Some(_) => {}
    }
    let until = flushed(session).await?;
    if until < since {
        return again("the place it was read up to is not in this server's log");
    }
    slot::advance(session, &log.slot, since).await?;
    let window = Window { since, until };
    match told(session, table, log, window).await {
        Ok(told) if told.is_emptied => again("the table was emptied by TRUNCATE"),
        Ok(told) if !told.relations.iter().all(|relation| is_as_now(table, relation, columns)) => {
            again("the table's columns were other ones when some of the changes were made")
        }
        Ok(told) => Ok(Some((window, told.rows))),
        // The publication is looked up as it was when each change was made.
        Err(error) if slot::is(&error, &SqlState::UNDEFINED_OBJECT) => {
            again("the publication was not there when some of the changes were made")
        }
        Err(error) => Err(slot::explained(session, error)),
    }
}

/// What a window tells of a table besides its rows.
#[derive(Debug, Default)]
struct Told {
    is_emptied: bool,
    relations: Vec<Relation>,
    rows: u64,
}

/// Looks through a window; the server counts the rows, and sends what is not one.
async fn told(session: &Session, table: &LoggedTable, log: &ChangeLog, window: Window) -> PortResult<Told> {
    let sql = format!(
        "SELECT message, count(*) FILTER (WHERE is_row) FROM (
             SELECT CASE WHEN get_byte(data, 0) IN ({}, {}) THEN data END AS message,
                 get_byte(data, 0) IN ({}, {}, {}) AND substring(data FROM 2 FOR 4) = oidsend($4) AS is_row
             FROM {PEEK}
         ) AS told GROUP BY 1",
        message::RELATION,
        message::TRUNCATE,
        b'I',
        b'U',
        b'D'
    );
    let doing = format!("looking through the changes of {} in the replication slot {}", table.quoted, log.slot);
    let (until, publication) = (window.until.to_string(), identifier(&log.publication));
    let rows = session.rows(&sql, &[&log.slot, &until, &publication, &table.oid], &doing).await?;
    let mut told = Told::default();
    for row in &rows {
        told.rows += u64::try_from(row.get::<_, i64>(1)).unwrap_or_default();
        let Some(bytes) = row.get::<_, Option<&[u8]>>(0) else { continue };
        match message::read(bytes)? {
            Message::Relation(relation) if relation.table == table.oid => told.relations.push(relation),
            Message::Truncate(tables) => told.is_emptied |= tables.contains(&table.oid),
            _ => {}
        }
    }
    Ok(told)
}

/// Whether the columns that are read were of the same types.
fn is_as_now(table: &LoggedTable, relation: &Relation, columns: &[&str]) -> bool {
    columns.iter().filter_map(|column| table.attribute(column)).all(|now| {
        let then = relation.columns.iter().find(|then| then.name == now.name);
        match then {
            Some(then) => then.kind == now.kind && then.modifier == now.modifier,
            None => !now.is_told,
        }
    })
}

/// Where the changes after a full reading start, and whatever is needed for that reading's snapshot to have all before it.
async fn start(session: &Session, name: &str, at_most: Duration) -> PortResult<Lsn> {
    let position = match slot::find(session, name).await? {
        Some(slot) if !slot.lost => flushed(session).await?.max(slot.confirmed),
        found => {
            if found.is_some() {
                slot::remove(session, name).await?;
            }
            slot::create(session, name).await?
        }
    };
    let sql = "SELECT DISTINCT l.transactionid::text FROM pg_catalog.pg_locks l
               WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted";
    let rows = session.rows(sql, &[], "looking which transactions are running").await?;
    settled(session, rows.iter().map(|row| row.get(0)).collect(), at_most).await?;
    Ok(position)
}

/// Up to where the log is on disk.
async fn flushed(session: &Session) -> PortResult<Lsn> {
    let sql = "SELECT pg_catalog.pg_current_wal_flush_lsn()::text";
    session.row(sql, &[], "looking up to where the log goes").await?.get::<_, String>(0).parse()
}
