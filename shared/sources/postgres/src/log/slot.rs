//! Replication slots: made, looked at, moved on.

use std::{error::Error, time::Duration};

use millstream_ports::{ErrorKind, PortError, PortResult};
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;

use super::lsn::Lsn;
use crate::{session::Session, sql::identifier};

/// A slot that a session which just ended still holds is free within a moment.
const RELEASED_WITHIN: Duration = Duration::from_secs(10);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// A slot as the server has it.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Changes that were committed before this place are no longer told.
    pub(crate) confirmed: Lsn,
    /// Whether the server has removed log that the slot needed: it tells nothing any more.
    pub(crate) lost: bool,
}

/// Looks a slot up; `None` where it is not there.
///
/// # Errors
/// `Invalid` for a slot that is not of this database or not of the plugin `pgoutput`.
pub(crate) async fn find(session: &Session, name: &str) -> PortResult<Option<Slot>> {
    let rows = session
        .rows(
            "SELECT plugin::text, database::text, current_database()::text, confirmed_flush_lsn::text, wal_status
             FROM pg_catalog.pg_replication_slots WHERE slot_name = $1::text::name",
            &[&name],
            &format!("looking up the replication slot {name}"),
        )
        .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let text = |at: usize| row.get::<_, Option<String>>(at).unwrap_or_default();
    if text(0) != "pgoutput" || text(1) != text(2) {
        return Err(PortError::invalid(format!(
            "the replication slot {name} is not for the plugin pgoutput and the database {}: name another slot, one that \
             is not there is made",
            text(2)
        )));
    }
    // A slot without a place was invalidated, or its making was interrupted.
    let confirmed = text(3);
    let lost = confirmed.is_empty() || text(4) == "lost";
    Ok(Some(Slot { confirmed: if lost { Lsn(0) } else { confirmed.parse()? }, lost }))
}

/// Makes a slot. It tells every transaction that commits at or after the place given.
///
/// # Errors
/// `Denied` without the attribute REPLICATION, `Invalid` for a bad name and where the server has no slot left.
pub(crate) async fn create(session: &Session, name: &str) -> PortResult<Lsn> {
    let doing = format!("making the replication slot {name}");
    let sql = "SELECT lsn::text FROM pg_catalog.pg_create_logical_replication_slot($1::text::name, 'pgoutput')";
    let made = session.row(sql, &[&name], &doing).await.map_err(|error| explained(session, error))?;
    made.get::<_, String>(0).parse()
}

/// Removes a slot.
pub(crate) async fn remove(session: &Session, name: &str) -> PortResult<()> {
    let doing = format!("removing the replication slot {name}, whose log is gone");
    let sql = "SELECT pg_catalog.pg_drop_replication_slot($1::text::name)";
    session.rows(sql, &[&name], &doing).await.map_err(|error| explained(session, error))?;
    Ok(())
}

/// Moves a slot on to a place: what was committed before it is told no more, and the server may remove that log.
pub(crate) async fn advance(session: &Session, name: &str, to: Lsn) -> PortResult<()> {
    let doing = format!("moving on the replication slot {name}");
    let sql = "SELECT 1 FROM pg_catalog.pg_replication_slot_advance($1::text::name, $2::text::pg_lsn)";
    let deadline = Instant::now() + RELEASED_WITHIN;
    loop {
        match session.rows(sql, &[&name, &to.to_string()], &doing).await {
            Ok(_) => return Ok(()),
            Err(error) if is(&error, &SqlState::OBJECT_IN_USE) && Instant::now() < deadline => sleep(PAUSE).await,
            Err(error) => return Err(explained(session, error)),
        }
    }
}

/// Whether the server answered with this.
pub(crate) fn is(error: &PortError, state: &SqlState) -> bool {
    code(error) == Some(state)
}

fn code(error: &PortError) -> Option<&SqlState> {
    error.source()?.downcast_ref::<tokio_postgres::Error>()?.code()
}

/// An error of a slot, with what to do about it.
pub(crate) fn explained(session: &Session, error: PortError) -> PortError {
    let user = session.target().user();
    let (kind, advice) = match code(&error) {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => (
            ErrorKind::Denied,
            format!(
                "say `ALTER ROLE {} REPLICATION` as an administrator (Amazon RDS: `GRANT rds_replication TO {0}`)",
                identifier(user)
            ),
        ),
        Some(&SqlState::OBJECT_IN_USE) => {
            (ErrorKind::Unavailable, "another session reads the slot: each table needs a slot of its own".to_owned())
        }
        Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED) => {
            (ErrorKind::Invalid, "raise max_replication_slots, or drop slots that nobody reads".to_owned())
        }
        Some(&SqlState::INVALID_NAME | &SqlState::RESERVED_NAME) => {
            (ErrorKind::Invalid, "a slot's name has lower-case letters, digits and underscores, at most 63".to_owned())
        }
        Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE) => (
            ErrorKind::Invalid,
            "if the server has removed log that the slot needed, the next extraction makes the slot anew and reads \
             everything"
                .to_owned(),
        ),
        _ => return error,
    };
    let answer = error.source().and_then(|source| source.downcast_ref::<tokio_postgres::Error>());
    let told = answer.and_then(tokio_postgres::Error::as_db_error).map_or("", |told| told.message());
    PortError::new(kind, format!("{told}: {advice}")).caused_by(error)
}
