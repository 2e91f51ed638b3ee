//! The driver's errors as the port's.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use millstream_ports::{ErrorKind, PortError};
use mongodb::{
    error::{Error, ErrorKind as Kind},
    event::{EventHandler, sdam::SdamEvent},
};

/// Where a source is, for the messages of errors. It never has the password.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Hosts and ports.
    pub(crate) hosts: String,
    /// The database.
    pub(crate) database: String,
    /// The user, where one is named.
    pub(crate) user: Option<String>,
    /// Whether what was last heard of a server is that it refused the password. A driver that has been refused looks for
    /// another server, and does not say why it finds none.
    pub(crate) refused: Arc<AtomicBool>,
}

impl Place {
    /// `doing` says what failed: "the collection orders cannot be read".
    pub(crate) fn error(&self, doing: &str, error: Error) -> PortError {
        let Self { hosts, database, user, .. } = self;
        let user = user.as_deref().unwrap_or("without a name");
        let refused = || {
            let text =
                format!("the password for user {user} was refused by {hosts}: put the right URL into the secret");
            (ErrorKind::Denied, text)
        };
        let (kind, message) = match error.kind.as_ref() {
            Kind::Authentication { .. } => refused(),
            Kind::ServerSelection { .. } if self.refused.load(Ordering::Relaxed) => refused(),
            Kind::Command(command) => {
                let kind = kind_of(command.code);
                let advice = match kind {
                    ErrorKind::Denied => format!(": give user {user} the role `read` on the database {database}"),
                    _ if command.code == MAX_TIME_EXPIRED => {
                        ": raise limits.statement_seconds, or read fewer rows by a \
                         cursor or a pipeline with $match"
                            .to_owned()
                    }
                    _ if SNAPSHOT_IS_GONE.contains(&command.code) => {
                        ": the server keeps a snapshot for 5 minutes; raise \
                         its minSnapshotHistoryWindowInSeconds, or put snapshot=off into the secret's URL"
                            .to_owned()
                    }
                    _ => String::new(),
                };
                (kind, format!("{doing}: {hosts} answered {} ({}){advice}", command.message, command.code_name))
            }
            Kind::InvalidTlsConfig { message, .. } => (
                ErrorKind::Invalid,
                format!(
                    "TLS to {hosts} cannot be set up: {message}: the secret named by `ca` is to hold certificates in PEM"
                ),
            ),
            Kind::InvalidArgument { message, .. } => (ErrorKind::Invalid, format!("{doing}: {message}")),
            Kind::ServerSelection { .. } | Kind::DnsResolve { .. } => (
                ErrorKind::Unavailable,
                format!(
                    "{doing}: {hosts} cannot be reached: {}: check the host and port in the secret's URL, the network, and \
                     whether the server speaks TLS (tls=false is for a server that does not)",
                    reason(&error)
                ),
            ),
            _ => (ErrorKind::Unavailable, format!("{doing}: the connection to {hosts} failed: {}", reason(&error))),
        };
        PortError::new(kind, message).caused_by(error)
    }
}

/// Notes in `refused` what is heard of servers.
pub(crate) fn listen(refused: Arc<AtomicBool>) -> EventHandler<SdamEvent> {
    EventHandler::callback(move |event| {
        if let SdamEvent::ServerDescriptionChanged(change) = event {
            let error = change.new_description.error();
            let is_refusal = error.is_some_and(|error| matches!(error.kind.as_ref(), Kind::Authentication { .. }));
            refused.store(is_refusal, Ordering::Relaxed);
        }
    })
}

const MAX_TIME_EXPIRED: i32 = 50;

/// SnapshotTooOld, SnapshotUnavailable.
const SNAPSHOT_IS_GONE: [i32; 2] = [239, 246];

/// What the server's codes mean for the caller. Source: `src/mongo/base/error_codes.yml` of the server.
fn kind_of(code: i32) -> ErrorKind {
    match code {
        // Unauthorized, AuthenticationFailed, UserNotFound, authentication required.
        13 | 18 | 11 | 8000 => ErrorKind::Denied,
        // NamespaceNotFound.
        26 => ErrorKind::NotFound,
        // Hosts and networks, elections and shutdowns, a cursor or a plan that was killed, a time limit, a snapshot.
        6 | 7 | 43 | 46 | 50 | 63 | 64 | 89 | 91 | 112 | 133 | 134 | 150 | 175 | 189 | 202 | 237 | 239 | 246 | 262
        | 317 | 358 | 384 | 9001 | 10107 | 11600 | 11601 | 11602 | 13388 | 13435 | 13436 => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}

/// The first line of what the driver says, bounded.
fn reason(error: &Error) -> String {
    error.kind.to_string().lines().next().unwrap_or_default().chars().take(600).collect()
}

/// Whether the server has no such command, stage or option: an older one, or one that only speaks MongoDB's protocol.
pub(crate) fn is_unsupported(error: &Error) -> bool {
    match error.kind.as_ref() {
        // CommandNotFound, CommandNotSupported, CommandNotSupportedOnView, OptionNotSupportedOnView, IllegalOperation,
        // InvalidOptions, NotImplemented, unknown pipeline stage, $collStats on a view.
        Kind::Command(command) => matches!(command.code, 59 | 115 | 166 | 167 | 20 | 72 | 238 | 246 | 40324 | 40602),
        Kind::IncompatibleServer { .. } | Kind::SessionsNotSupported => true,
        _ => false,
    }
}

/// Whether this user may not.
pub(crate) fn is_denied(error: &Error) -> bool {
    matches!(error.kind.as_ref(), Kind::Command(command) if kind_of(command.code) == ErrorKind::Denied)
}
