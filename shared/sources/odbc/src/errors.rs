//! What a driver says, as the port's errors.

use std::time::Duration;

use millstream_ports::{ErrorKind, PortError};
use odbc_api::Error;

use crate::connection_string::Target;

/// A failure while something was being done. The cause is not kept: what a driver says may repeat the password.
pub(crate) fn failed(doing: &str, target: &Target, error: &Error) -> PortError {
    let (state, native, said) = match error {
        Error::Diagnostics { record, .. }
        | Error::UnsupportedOdbcApiVersion(record)
        | Error::InvalidRowArraySize { record, .. }
        | Error::UnableToRepresentNull(record)
        | Error::OracleOdbcDriverDoesNotSupport64Bit(record) => {
            let said = record.to_string();
            let said = said.split_once("Message: ").map_or(said.as_str(), |(_, message)| message).trim().to_owned();
            (record.state.as_str().to_owned(), record.native_error, said)
        }
        other => (String::new(), 0, other.to_string()),
    };
    let said = target.without_password(&said);
    let user = target.user();
    let (kind, message) = match (state.as_str(), native) {
        // DB2's SQL30082N and SQL1060N, and what PostgreSQL's driver reports as a server that cannot be reached.
        ("28000" | "28P01", _) | (_, -30_082 | -1_060) => (
            ErrorKind::Denied,
            format!("the user {user} was refused by {target}: {said} Put the right connection string into the secret"),
        ),
        ("08001", _) if said.contains("authentication failed") => (
            ErrorKind::Denied,
            format!("the user {user} was refused by {target}: {said} Put the right connection string into the secret"),
        ),
        ("42501" | "42502", _) => {
            (ErrorKind::Denied, format!("{user} may not do that at {target} while {doing}: {said} GRANT SELECT on it"))
        }
        ("IM002" | "IM003" | "IM004", _) | ("01000", _) if state.starts_with("IM") || said.contains("open lib") => (
            ErrorKind::Invalid,
            format!(
                "the ODBC driver is not there: {said} Install it, or name the right one as Driver in the connection string"
            ),
        ),
        ("42S02" | "42P01" | "42704" | "3F000", _) => {
            (ErrorKind::NotFound, format!("{target} has nothing of that name while {doing}: {said}"))
        }
        ("42S22" | "42703", _) => (
            ErrorKind::Invalid,
            format!(
                "a column is not there at {target} while {doing}: {said} It may have been renamed: describe the table again"
            ),
        ),
        ("HYT00" | "HYT01" | "57014" | "S1T00", _) => (
            ErrorKind::Unavailable,
            format!("{target} took too long while {doing}: {said} Raise the statement's limit"),
        ),
        // Connections, deadlocks and timeouts of locks, resources that are used up, a server that is told to end.
        (state, _)
            if state.starts_with("08")
                || state.starts_with("40")
                || state.starts_with("53")
                || state.starts_with("57")
                || matches!(state, "HY001" | "HY014" | "55P03") =>
        {
            (ErrorKind::Unavailable, format!("{target} could not go on while {doing}: {said}"))
        }
        ("" | "HY000", _) => (ErrorKind::Internal, format!("the ODBC driver of {target} failed while {doing}: {said}")),
        (state, _) => (ErrorKind::Invalid, format!("{target} refused it while {doing}: {said} (SQLSTATE {state})")),
    };
    PortError::new(kind, message)
}

/// A reading that took too long.
pub(crate) fn too_slow(doing: &str, target: &Target, limit: Duration) -> PortError {
    PortError::unavailable(format!(
        "{target} took longer than {} seconds while {doing}: raise the statement's limit, or read in smaller ranges",
        limit.as_secs()
    ))
}
