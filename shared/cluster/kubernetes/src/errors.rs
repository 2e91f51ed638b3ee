//! What an API server answers, as a port's error.

use std::{error::Error as _, time::Duration};

use kube::{Error, core::Status};
use millstream_ports::error::{ErrorKind, PortError};

/// How much of a server's own words a message repeats, in characters: a webhook may answer with pages.
const WORDS: usize = 500;

/// When a quota that says nothing of it is asked again.
const QUOTA_AGAIN: Duration = Duration::from_secs(60);

/// Whether the server has no such object, or no such kind.
pub(crate) fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.is_not_found())
}

/// Whether somebody else was faster: the object exists, or is not the version that was read.
pub(crate) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.is_conflict() || status.is_already_exists())
}

/// Whether a list's continuation is too old to go on from.
pub(crate) fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 410)
}

/// The error of doing `what`, such as `TrainJob ms-1: create`.
pub(crate) fn port_error(what: &str, error: Error) -> PortError {
    if let Error::Api(status) = &error {
        return PortError::new(kind(status), format!("{what}: {}", words(status))).caused_by(error);
    }
    // A token source's own error says whether asking again may help.
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(inner) = cause.downcast_ref::<PortError>() {
            return PortError::new(inner.kind(), format!("{what}: {inner}"));
        }
        source = cause.source();
    }
    let kind = match &error {
        Error::SerdeError(_) | Error::BuildRequest(_) | Error::HttpError(_) | Error::TlsRequired => ErrorKind::Internal,
        Error::Auth(_) => ErrorKind::Denied,
        _ => ErrorKind::Unavailable,
    };
    let message = match kind {
        ErrorKind::Denied => format!("{what}: this program has no credentials that the cluster could ask for"),
        ErrorKind::Internal => format!("{what}: the cluster's answer is not understood"),
        _ => format!("{what}: the cluster does not answer"),
    };
    PortError::new(kind, message).caused_by(error)
}

fn kind(status: &Status) -> ErrorKind {
    let after = |seconds: u32| if seconds == 0 { QUOTA_AGAIN } else { Duration::from_secs(seconds.into()) };
    let retry_after = || after(status.details.as_ref().map_or(0, |details| details.retry_after_seconds));
    match status.code {
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        // A namespace's ResourceQuota answers with "forbidden" too; what ends makes room.
        403 if status.message.contains("exceeded quota") => ErrorKind::Quota { retry_after: retry_after() },
        401 | 403 => ErrorKind::Denied,
        400 | 405 | 406 | 413 | 415 | 422 => ErrorKind::Invalid,
        429 => ErrorKind::Quota { retry_after: retry_after() },
        _ => ErrorKind::Unavailable,
    }
}

fn words(status: &Status) -> String {
    match status.message.trim() {
        "" => format!("HTTP {}", status.code),
        message => message.chars().take(WORDS).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16, message: &str) -> PortError {
        port_error("TrainJob ms-1: create", Error::Api(Status::failure(message, "").with_code(code).boxed()))
    }

    #[test]
    fn each_status_says_what_can_be_done() {
        for (code, kind) in [
            (400, ErrorKind::Invalid),
            (401, ErrorKind::Denied),
            (403, ErrorKind::Denied),
            (404, ErrorKind::NotFound),
            (409, ErrorKind::Conflict),
            (410, ErrorKind::Unavailable),
            (422, ErrorKind::Invalid),
            (429, ErrorKind::Quota { retry_after: QUOTA_AGAIN }),
            (500, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
        ] {
            assert_eq!(answered(code, "no").kind(), kind, "{code}");
        }
    }

    #[test]
    fn a_full_namespace_is_a_quota() {
        let error = answered(403, "trainjobs \"ms-1\" is forbidden: exceeded quota: training, requested: pods=1");
        assert_eq!(error.kind(), ErrorKind::Quota { retry_after: QUOTA_AGAIN });
    }

    #[test]
    fn pages_of_words_are_cut() {
        assert!(answered(422, &"x".repeat(9_000)).to_string().len() < 600);
    }
}
