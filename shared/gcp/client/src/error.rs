//! What an HTTP status of a Google API means to a caller.

use std::time::Duration;

use millstream_ports::ErrorKind;

/// A used-up quota is rarely free again sooner.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);

/// The kind of error that a status stands for. Services refine it by their own reasons.
#[must_use]
pub fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Denied,
        404 | 410 => ErrorKind::NotFound,
        409 | 412 => ErrorKind::Conflict,
        429 => ErrorKind::Quota { retry_after: QUOTA_PAUSE },
        408 | 500..=599 => ErrorKind::Unavailable,
        400..=499 => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_by_itself_is_worth_another_try() {
        for (status, kind) in [
            (400, ErrorKind::Invalid),
            (403, ErrorKind::Denied),
            (404, ErrorKind::NotFound),
            (412, ErrorKind::Conflict),
            (408, ErrorKind::Unavailable),
            (429, ErrorKind::Quota { retry_after: QUOTA_PAUSE }),
            (503, ErrorKind::Unavailable),
            (302, ErrorKind::Internal),
        ] {
            assert_eq!(kind_of_status(status), kind, "{status}");
        }
    }
}
