//! What the server and the driver say, as the port's errors.

use std::time::Duration;

use millstream_ports::{ErrorKind, PortError};
use tiberius::error::Error;

use crate::target::Target;

/// There is no such procedure: whatever is behind the URL speaks TDS, but is no complete SQL Server.
pub(crate) const NO_SUCH_PROCEDURE: u32 = 2812;
/// There is no such table or view.
pub(crate) const NO_SUCH_OBJECT: u32 = 208;
const NO_SUCH_COLUMN: u32 = 207;

/// A failure while something was being done.
pub(crate) fn failed(doing: &str, target: &Target, error: Error) -> PortError {
    let (kind, message) = match &error {
        Error::Server(said) => {
            let message = said.message();
            match said.code() {
                // Refused, expired, disabled.
                18_401..=18_499 => (
                    ErrorKind::Denied,
                    format!(
                        "the user {} was refused by {target} while {doing}: {message} Put the right URL into the secret",
                        target.user()
                    ),
                ),
                4_060 | 916 => (
                    ErrorKind::Denied,
                    format!(
                        "{target} does not let {} into the database: {message} Check its name and the grant",
                        target.user()
                    ),
                ),
                229 | 230 | 297 | 300 | 371 | 262 => (
                    ErrorKind::Denied,
                    format!(
                        "{} may not do that at {target} while {doing}: {message} GRANT SELECT on it",
                        target.user()
                    ),
                ),
                NO_SUCH_OBJECT => {
                    (ErrorKind::NotFound, format!("{target} has nothing of that name while {doing}: {message}"))
                }
                NO_SUCH_COLUMN => (
                    ErrorKind::Invalid,
                    format!(
                        "a column is not there at {target} while {doing}: {message} It may have been renamed: describe the table again"
                    ),
                ),
                1_222 => (
                    ErrorKind::Unavailable,
                    format!(
                        "rows stayed locked by someone else at {target} while {doing}: {message} Raise lock_timeout, or allow snapshot isolation in the database"
                    ),
                ),
                // A deadlock, a snapshot that is gone, a server that restarts, fails over or has too much to do.
                1_204
                | 1_205
                | 3_957..=3_966
                | 596
                | 6_005
                | 40_143
                | 40_166
                | 40_197
                | 40_501
                | 40_540
                | 40_613
                | 49_918..=49_920
                | 10_928
                | 10_929
                | 4_221 => (ErrorKind::Unavailable, format!("{target} could not go on while {doing}: {message}")),
                _ if said.class() >= 17 => {
                    (ErrorKind::Unavailable, format!("{target} could not go on while {doing}: {message}"))
                }
                code => (ErrorKind::Invalid, format!("{target} refused it while {doing}: {message} (error {code})")),
            }
        }
        Error::Io { .. } => (
            ErrorKind::Unavailable,
            format!(
                "the connection to {target} was lost or could not be made while {doing}: is the server there, and may this machine reach it?"
            ),
        ),
        Error::Tls(said) => {
            // What follows is about the driver's own functions.
            let said = said.split(" To connect anyway").next().unwrap_or_default();
            (
                ErrorKind::Invalid,
                format!(
                    "no TLS with {target}: {said} Give the certificates that signed the server's as `ca`, or the name in it as host_name_in_certificate"
                ),
            )
        }
        Error::Protocol(said) if said.contains("encryption level") => (
            ErrorKind::Invalid,
            format!(
                "{target} does not offer TLS: turn Force Encryption on there, or say encrypt=off in the URL where that is safe"
            ),
        ),
        Error::Routing { .. } => {
            (ErrorKind::Unavailable, format!("{target} sent the connection from one server to the next without an end"))
        }
        _ => (ErrorKind::Internal, format!("{target} answered what the driver does not understand while {doing}")),
    };
    PortError::new(kind, message).caused_by(error)
}

/// A statement that took too long.
pub(crate) fn too_slow(doing: &str, target: &Target, limit: Duration) -> PortError {
    PortError::unavailable(format!(
        "{target} took longer than {} seconds while {doing}: raise the statement's limit, or read in smaller ranges",
        limit.as_secs()
    ))
}
