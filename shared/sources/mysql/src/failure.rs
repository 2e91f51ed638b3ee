//! What the server or the line says, as the port's errors.

use std::error::Error as _;

use millstream_ports::{ErrorKind, PortError};
use mysql_async::{DriverError, Error, ServerError};

use crate::target::Target;

/// Why no connection came about.
pub(crate) fn connecting(target: &Target, error: Error) -> PortError {
    let (user, server) = (target.user(), target.server());
    let (kind, message) = match &error {
        Error::Server(answer) => {
            let said = &answer.message;
            match answer.code {
                1045 | 1698 => (
                    ErrorKind::Denied,
                    format!("the password for user {user} was refused by {server}: put the right URL into the secret"),
                ),
                1044 => {
                    (ErrorKind::Denied, format!("{server} refuses the database: {said}; GRANT SELECT on it to {user}"))
                }
                1129 | 1130 => (ErrorKind::Denied, format!("{server} lets nobody in from here: {said}")),
                1049 => (ErrorKind::NotFound, format!("{server}: {said}; name the right database in the secret's URL")),
                3159 => (ErrorKind::Invalid, format!("{server} takes no plain text: take tls=off out of the URL")),
                code if is_denial(code) => (ErrorKind::Denied, format!("{server} does not let {user} in: {said}")),
                code if is_passing(answer) => {
                    (ErrorKind::Unavailable, format!("connecting to {server}: {said} ({code})"))
                }
                code => (ErrorKind::Invalid, format!("connecting to {server}: {said} ({code})")),
            }
        }
        Error::Driver(DriverError::NoClientSslFlagFromServer) => (
            ErrorKind::Invalid,
            format!("{server} has no TLS: turn it on there; only on this machine can the URL say tls=off instead"),
        ),
        Error::Driver(DriverError::UnknownAuthPlugin { name }) => (
            ErrorKind::Invalid,
            format!(
                "{server} wants the user {user} to log in by {name}, which is not known here: give the user \
                 caching_sha2_password or mysql_native_password"
            ),
        ),
        Error::Driver(DriverError::CleartextPluginDisabled | DriverError::MysqlOldPasswordDisabled) => (
            ErrorKind::Invalid,
            format!("connecting to {server} as {user}: {}; give the user another way to log in", root(&error)),
        ),
        _ => match tls_fault(&error) {
            Some(fault) => (
                ErrorKind::Invalid,
                format!(
                    "the certificate of {server} is not trusted: {fault}; put the authority's certificates (PEM) into a secret \
                     and name it in `ca`, and name the host as the certificate does"
                ),
            ),
            None => (
                ErrorKind::Unavailable,
                format!("{server} cannot be reached: {}; is it up, and may this machine connect to it?", root(&error)),
            ),
        },
    };
    PortError::new(kind, message).caused_by(error)
}

/// Why a statement failed. `doing` says what it was for, as in "reading shop.orders".
pub(crate) fn statement(target: &Target, doing: &str, error: Error) -> PortError {
    let (kind, message) = match &error {
        Error::Server(answer) => {
            let (kind, next) = advice(answer, target.user());
            let next = if next.is_empty() { next } else { format!("; {next}") };
            (kind, format!("{doing}: {}{next}", answer.message))
        }
        Error::Driver(DriverError::StmtParamsMismatch { .. } | DriverError::Params(_) | DriverError::MixedParams) => (
            ErrorKind::Invalid,
            format!("{doing}: the query has places for values (? or :name); write the values into it"),
        ),
        _ => (
            ErrorKind::Unavailable,
            format!("{doing}: the connection to {} was lost: {}", target.server(), root(&error)),
        ),
    };
    PortError::new(kind, message).caused_by(error)
}

fn advice(answer: &ServerError, user: &str) -> (ErrorKind, String) {
    match answer.code {
        1146 | 1049 | 1109 => {
            (ErrorKind::NotFound, "name a table that is there, with its database and exactly as it is written".into())
        }
        1054 => (ErrorKind::Invalid, "the column is not there (any more): the next plan reads what is there".into()),
        1060 => (ErrorKind::Invalid, "give each column of the query a name of its own".into()),
        1792 | 1290 => (ErrorKind::Invalid, "sessions are read-only: only read".into()),
        1969 | 3024 => (
            ErrorKind::Unavailable,
            "the statement ran out of time: raise statement_seconds, split the table or index the cursor's column"
                .into(),
        ),
        1412 => (ErrorKind::Unavailable, "the table was altered meanwhile: the next plan reads what is there".into()),
        1142 | 1143 | 1370 => (ErrorKind::Denied, format!("GRANT SELECT on it to {user}")),
        code if is_denial(code) => (ErrorKind::Denied, String::new()),
        _ if is_passing(answer) => (ErrorKind::Unavailable, String::new()),
        _ => (ErrorKind::Invalid, String::new()),
    }
}

/// Whether a person must change a grant or an account.
fn is_denial(code: u16) -> bool {
    matches!(code, 1044 | 1045 | 1095 | 1142 | 1143 | 1227 | 1370 | 1698 | 1820 | 1862 | 3118 | 3955 | 4151)
}

/// Whether the state of the server, not the request, is what is wrong: too many connections, locks, shutdowns, killed
/// connections and queries, lost lines, lacking memory or disk.
fn is_passing(answer: &ServerError) -> bool {
    answer.state.starts_with("08")
        || matches!(
            answer.code,
            1021 | 1037 | 1038 | 1040 | 1041 | 1053 | 1077 | 1105 | 1114 | 1152
                ..=1161 | 1180 | 1184 | 1203 | 1205 | 1213 | 1226 | 1317 | 1836 | 1927 | 3032 | 3168 | 3169 | 4031
        )
}

/// What TLS had against the server.
fn tls_fault(error: &Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(fault) = inner.downcast_ref::<rustls::Error>() {
            return Some(fault.to_string());
        }
        // The error that an I/O error wraps is not its source, but that one's source is.
        if let Some(fault) = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && let Some(fault) = fault.downcast_ref::<rustls::Error>()
        {
            return Some(fault.to_string());
        }
        cause = inner.source();
    }
    None
}

/// The innermost cause, without what the layers above say around it.
fn root(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
