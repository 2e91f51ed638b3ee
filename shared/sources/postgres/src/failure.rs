//! What the server or the line says, as the port's errors.

use std::{error::Error as _, io};

use millstream_ports::{ErrorKind, PortError};
use tokio_postgres::{Error, error::DbError};

use crate::target::Target;

/// Why no connection came about.
pub(crate) fn connecting(target: &Target, error: Error) -> PortError {
    let (user, server) = (target.user(), target.name());
    if let Some(answer) = error.as_db_error() {
        let message = answer.message();
        let (kind, message) = match answer.code().code() {
            "28P01" => (
                ErrorKind::Denied,
                format!("the password for user {user} was refused by {server}: put the right URL into the secret"),
            ),
            "28000" => (
                ErrorKind::Denied,
                format!(
                    "{server} does not let {user} in: {message}; allow the user this address (pg_hba.conf) and LOGIN"
                ),
            ),
            "42501" => {
                (ErrorKind::Denied, format!("{server} does not let {user} in: {message}; GRANT CONNECT to the user"))
            }
            "3D000" => {
                (ErrorKind::NotFound, format!("{server}: {message}; name the right database in the secret's URL"))
            }
            code if is_passing(code) => (ErrorKind::Unavailable, format!("connecting to {server}: {message}")),
            code => (ErrorKind::Invalid, format!("connecting to {server}: {message} ({code})")),
        };
        return PortError::new(kind, message).caused_by(error);
    }
    let cause = error.source();
    if let Some(fault) = cause.and_then(|cause| cause.downcast_ref::<io::Error>()) {
        if let Some(tls) = fault.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            let message = format!(
                "the certificate of {server} is not trusted: {tls}; put the authority's certificates (PEM) into a secret and \
                 name it in `ca`, and name the host as the certificate does"
            );
            return PortError::invalid(message).caused_by(error);
        }
        let message = format!("{server} cannot be reached: {fault}; is it up, and may this machine connect to it?");
        return PortError::unavailable(message).caused_by(error);
    }
    let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
    if error.is_closed() {
        return PortError::unavailable(format!("{server} closed the connection before it was up")).caused_by(error);
    }
    PortError::invalid(format!(
        "connecting to {server} as {user}: {cause}; where the server has no TLS turn it on, and give the URL a password"
    ))
    .caused_by(error)
}

/// Why a statement failed. `doing` says what it was for, as in "reading public.orders".
pub(crate) fn statement(target: &Target, doing: &str, error: Error) -> PortError {
    let Some(answer) = error.as_db_error() else {
        let kind = match error.source().is_some_and(|cause| cause.is::<io::Error>()) || error.is_closed() {
            true => ErrorKind::Unavailable,
            false => ErrorKind::Internal,
        };
        let message = format!("{doing}: the connection to {} was lost: {}", target.name(), shown(&error));
        return PortError::new(kind, message).caused_by(error);
    };
    let (kind, next) = advice(answer, target.user());
    let position = match (answer.detail(), answer.hint()) {
        (Some(detail), _) => format!(" ({detail})"),
        (None, Some(hint)) => format!(" ({hint})"),
        (None, None) => String::new(),
    };
    let next = if next.is_empty() { next } else { format!("; {next}") };
    PortError::new(kind, format!("{doing}: {}{position}{next}", answer.message())).caused_by(error)
}

fn shown(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn advice(answer: &DbError, user: &str) -> (ErrorKind, String) {
    match answer.code().code() {
        "42501" => (ErrorKind::Denied, format!("GRANT SELECT on it to {user}, and USAGE on its schema")),
        "42P01" | "3F000" => {
            (ErrorKind::NotFound, "name a table that is there, with its schema and exactly as it is written".to_owned())
        }
        "42703" => (ErrorKind::Invalid, "the column is not there (any more): the next plan reads what is there".to_owned()),
        "25006" => (ErrorKind::Invalid, "sessions are read-only: only read".to_owned()),
        "57014" => (
            ErrorKind::Unavailable,
            "where the statement ran out of time, raise statement_seconds, split the table or index the cursor's column"
                .to_owned(),
        ),
        code if is_passing(code) => (ErrorKind::Unavailable, String::new()),
        _ => (ErrorKind::Invalid, String::new()),
    }
}

/// Whether the state of the server, not the request, is what is wrong: lost connections, lacking resources, shutdowns,
/// conflicts with other transactions or with a standby's recovery, system faults.
fn is_passing(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "40" | "53" | "57" | "58" | "XX"))
        || matches!(code, "55P03" | "55006" | "72000")
}
