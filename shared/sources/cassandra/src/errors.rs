//! The driver's errors as the port's.

use std::error::Error;

use millstream_ports::{ErrorKind, PortError};
use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError, MetadataError,
    NewSessionError, PrepareError, RequestAttemptError, UseKeyspaceError,
};

/// Where a source is, for the messages of errors. It never has the password.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The nodes that the URL names.
    pub(crate) nodes: String,
    /// The user, where one is named.
    pub(crate) user: Option<String>,
}

/// An error of the driver that may carry the database's answer.
pub(crate) trait Failure: Error + Send + Sync + 'static {
    /// The database's answer and its text.
    fn answer(&self) -> Option<(&DbError, &str)>;
}

impl Place {
    /// `doing` says what failed: "the table shop.items cannot be read".
    pub(crate) fn error(&self, doing: &str, error: impl Failure) -> PortError {
        let nodes = &self.nodes;
        let user = self.user.as_deref().unwrap_or("without a name");
        let (kind, message) = match error.answer() {
            Some((DbError::AuthenticationError, _)) => (
                ErrorKind::Denied,
                format!("the password for user {user} was refused by {nodes}: put the right URL into the secret"),
            ),
            Some((answer, text)) => {
                let (kind, advice) = meaning(answer, user);
                (kind, format!("{doing}: {nodes} answered: {text}{advice}"))
            }
            None => {
                let reason: String = error.to_string().chars().take(600).collect();
                (
                    ErrorKind::Unavailable,
                    format!(
                        "{doing}: {nodes} cannot be reached, or the connection was lost: {reason}: check the hosts and ports in \
                         the secret's URL, the network, and whether the server speaks TLS (tls=off is for one that does not)"
                    ),
                )
            }
        };
        PortError::new(kind, message).caused_by(error)
    }
}

fn meaning(answer: &DbError, user: &str) -> (ErrorKind, String) {
    match answer {
        DbError::Unauthorized => (ErrorKind::Denied, format!(": grant SELECT to {user}")),
        DbError::SyntaxError | DbError::Invalid | DbError::ConfigError | DbError::FunctionFailure { .. } => {
            (ErrorKind::Invalid, String::new())
        }
        DbError::ReadTimeout { .. } => (
            ErrorKind::Unavailable,
            ": read smaller ranges at a time: lower page_rows in the secret's URL, or the number of ranges read at once".into(),
        ),
        DbError::Unavailable { .. } => {
            (ErrorKind::Unavailable, ": too few replicas are up for the URL's consistency".into())
        }
        _ => (ErrorKind::Unavailable, String::new()),
    }
}

impl Failure for NewSessionError {
    fn answer(&self) -> Option<(&DbError, &str)> {
        match self {
            Self::MetadataError(error) => of_metadata(error),
            Self::UseKeyspaceError(error) => of_keyspace(error),
            _ => None,
        }
    }
}

impl Failure for ExecutionError {
    fn answer(&self) -> Option<(&DbError, &str)> {
        match self {
            Self::LastAttemptError(error) => of_attempt(error),
            Self::PrepareError(error) => error.answer(),
            Self::ConnectionPoolError(error) => of_pool(error),
            Self::MetadataError(error) => of_metadata(error),
            Self::UseKeyspaceError(error) => of_keyspace(error),
            _ => None,
        }
    }
}

impl Failure for PrepareError {
    fn answer(&self) -> Option<(&DbError, &str)> {
        match self {
            Self::ConnectionPoolError(error) => of_pool(error),
            Self::AllAttemptsFailed { first_attempt } => of_attempt(first_attempt),
            _ => None,
        }
    }
}

fn of_attempt(error: &RequestAttemptError) -> Option<(&DbError, &str)> {
    match error {
        RequestAttemptError::DbError(answer, text) => Some((answer, text)),
        _ => None,
    }
}

fn of_keyspace(error: &UseKeyspaceError) -> Option<(&DbError, &str)> {
    match error {
        UseKeyspaceError::RequestError(error) => of_attempt(error),
        _ => None,
    }
}

fn of_metadata(error: &MetadataError) -> Option<(&DbError, &str)> {
    match error {
        MetadataError::ConnectionPoolError(error) => of_pool(error),
        _ => None,
    }
}

fn of_pool(error: &ConnectionPoolError) -> Option<(&DbError, &str)> {
    match error {
        ConnectionPoolError::Broken { last_connection_error } => of_connection(last_connection_error),
        _ => None,
    }
}

fn of_connection(error: &ConnectionError) -> Option<(&DbError, &str)> {
    match error {
        ConnectionError::ConnectionSetupRequestError(error) => match &error.error {
            ConnectionSetupRequestErrorKind::DbError(answer, text) => Some((answer, text)),
            _ => None,
        },
        ConnectionError::UseKeyspaceError(error) => of_keyspace(error),
        _ => None,
    }
}
