//! Replication slots: made, looked at, moved on.

use std::time::Duration;

use millstream_ports::{ErrorKind, PortError, PortResult};
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, error::SqlState};

use super::lsn::Lsn;
use crate::error::failed;

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
pub(crate) async fn find(client: &Client, name: &str) -> PortResult<Option<Slot>> {
    // Servers before 13 have no `wal_status`, and none of these columns is missing in a server that still is maintained.
    let row = client
        .query_opt(
            "SELECT plugin::text, database::text, current_database()::text, confirmed_flush_lsn::text, wal_status
             FROM pg_catalog.pg_replication_slots WHERE slot_name = $1::text::name",
            &[&name],
        )
        .await
        .map_err(|error| failed(&format!("looking up the replication slot {name}"), error))?;
    let Some(row) = row else { return Ok(None) };
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
pub(crate) async fn create(client: &Client, name: &str) -> PortResult<Lsn> {
    let made = client
        .query_one("SELECT lsn::text FROM pg_catalog.pg_create_logical_replication_slot($1::text::name, 'pgoutput')", &[&name])
        .await
        .map_err(|error| explained(name, "making the replication slot", error))?;
    made.get::<_, String>(0).parse()
}

/// Removes a slot.
pub(crate) async fn remove(client: &Client, name: &str) -> PortResult<()> {
    client
        .execute("SELECT pg_catalog.pg_drop_replication_slot($1::text::name)", &[&name])
        .await
        .map_err(|error| explained(name, "removing the replication slot", error))?;
    Ok(())
}

/// Moves a slot on to a place: what was committed before it is told no more, and the server may remove that log.
pub(crate) async fn advance(client: &Client, name: &str, to: Lsn) -> PortResult<()> {
    let deadline = Instant::now() + RELEASED_WITHIN;
    loop {
        let moved = client
            .execute(
                "SELECT pg_catalog.pg_replication_slot_advance($1::text::name, $2::text::pg_lsn)",
                &[&name, &to.to_string()],
            )
            .await;
        match moved {
            Ok(_) => return Ok(()),
            Err(error) if is_held(&error) && Instant::now() < deadline => sleep(PAUSE).await,
            Err(error) => return Err(explained(name, "moving on the replication slot", error)),
        }
    }
}

/// Whether another session reads the slot.
fn is_held(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::OBJECT_IN_USE)
}

/// What went wrong with a slot, and what to do about it.
pub(crate) fn explained(name: &str, doing: &str, error: tokio_postgres::Error) -> PortError {
    let doing = format!("{doing} {name}");
    let told = error.as_db_error().map(|told| told.message().to_owned()).unwrap_or_default();
    let (kind, advice) = match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => (
            ErrorKind::Denied,
            "the user may not replicate: say `ALTER ROLE name REPLICATION` as an administrator (Amazon RDS: `GRANT \
             rds_replication TO name`)",
        ),
        Some(&SqlState::OBJECT_IN_USE) => {
            (ErrorKind::Unavailable, "another session reads the slot: each table needs a slot of its own")
        }
        Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED) => {
            (ErrorKind::Invalid, "raise `max_replication_slots`, or drop slots that nobody reads")
        }
        Some(&SqlState::INVALID_NAME | &SqlState::RESERVED_NAME) => {
            (ErrorKind::Invalid, "a slot's name has lower-case letters, digits and underscores, at most 63")
        }
        Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE) => (
            ErrorKind::Invalid,
            "the server cannot tell changes: it needs `wal_level = logical` (Cloud SQL: the flag \
             cloudsql.logical_decoding; Amazon RDS: rds.logical_replication) and a restart",
        ),
        _ => return failed(&doing, error),
    };
    PortError::new(kind, format!("{doing} failed: {told}; {advice}")).caused_by(error)
}
