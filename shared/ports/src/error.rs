//! The one error every port returns: a kind to act on, a message for a person, a source for the log.

use std::{fmt, time::Duration};

/// What a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It does not exist.
    NotFound,
    /// A create-only or generation-matched write found something else there.
    Conflict,
    /// The request itself is wrong and will be wrong again: bad SQL, a missing column, a refused file.
    Invalid,
    /// This identity may not do it; a person must change a grant.
    Denied,
    /// A quota is used up; worth asking again after this long.
    Quota {
        /// When it may be free again.
        retry_after: Duration,
    },
    /// It may work in a moment: a network fault, a 5xx, a lock.
    Unavailable,
    /// The adapter met something it does not understand.
    Internal,
}

/// A port's failure.
#[derive(Debug, thiserror::Error)]
pub struct PortError {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl PortError {
    /// An error of this kind; `message` says what was being done and what is wrong, without secrets.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// [`ErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later without anyone changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Quota { .. } | ErrorKind::Unavailable | ErrorKind::Internal)
    }
}

/// A port's result.
pub type PortResult<T> = Result<T, PortError>;

/// Turns "not found" into `None`.
pub fn optional<T>(result: PortResult<T>) -> PortResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
