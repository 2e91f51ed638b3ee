//! What the service says, as the port's errors.

use std::time::Duration;

use millstream_ports::{ErrorKind, PortError};

use crate::target::Target;

/// A statement or a sign-in that was refused, by the service's code.
pub(crate) fn refused(doing: &str, target: &Target, code: Option<&str>, message: Option<&str>) -> PortError {
    let code = code.unwrap_or_default();
    let message = message.unwrap_or("no reason is given").trim();
    let (kind, text) = match code {
        "390144" | "394300" | "394304" => (
            ErrorKind::Denied,
            format!(
                "the key of user {} was refused by {target} while {doing}: {message}: give the user the key's public half",
                target.user
            ),
        ),
        code if code.starts_with("3901") || code.starts_with("3944") => (
            ErrorKind::Denied,
            format!(
                "the user {} was refused by {target} while {doing}: {message}: put the right URL into the secret",
                target.user
            ),
        ),
        "390422" | "390432" => (
            ErrorKind::Denied,
            format!(
                "{target} takes no calls from this address while {doing}: {message}: allow it in the account's network policy"
            ),
        ),
        "390201" | "002003" | "002043" => (
            ErrorKind::NotFound,
            format!("{target} has nothing of that name, or {} may not see it, while {doing}: {message}", target.user),
        ),
        "003001" => (
            ErrorKind::Denied,
            format!("{} may not do that at {target} while {doing}: {message}: GRANT it to the role", target.user),
        ),
        "000606" => (
            ErrorKind::Invalid,
            format!(
                "{target} has no warehouse to run it in while {doing}: {message}: add ?warehouse=NAME to the URL in the secret"
            ),
        ),
        "000630" | "000604" => (
            ErrorKind::Unavailable,
            format!(
                "{target} ended the statement while {doing}: {message}: allow it more time in `limits`, or read less at once"
            ),
        ),
        "000904" => (
            ErrorKind::Invalid,
            format!(
                "a column is not there at {target} while {doing}: {message}: it may have been renamed, describe the table again"
            ),
        ),
        _ => (ErrorKind::Invalid, format!("{target} refused it while {doing}: {message} (error {code})")),
    };
    PortError::new(kind, text)
}

/// A call that came to nothing. The address is left out: it may hold a token.
pub(crate) fn lost(doing: &str, target: &Target, error: reqwest::Error) -> PortError {
    let host = target.base.host_str().unwrap_or_default();
    let reason = if error.is_timeout() {
        "it took too long"
    } else if error.is_connect() {
        "it cannot be reached: is the account's name right, and may this machine reach it?"
    } else {
        "the connection was lost"
    };
    PortError::unavailable(format!("{host} did not answer while {doing}: {reason}")).caused_by(error.without_url())
}

/// A status that no answer comes with.
pub(crate) fn status(doing: &str, target: &Target, status: u16) -> PortError {
    let host = target.base.host_str().unwrap_or_default();
    match status {
        429 | 500..=599 => {
            PortError::unavailable(format!("{host} answered {status} while {doing}: it may in a moment"))
        }
        403 | 404 => PortError::new(
            ErrorKind::Denied,
            format!(
                "{host} answered {status} while {doing}: is the account's name right, and is this address allowed?"
            ),
        ),
        _ => PortError::internal(format!("{host} answered {status} while {doing}")),
    }
}

/// A statement that took too long.
pub(crate) fn too_slow(doing: &str, target: &Target, limit: Duration) -> PortError {
    PortError::unavailable(format!(
        "{target} took more than {} s while {doing}: allow it more time in `limits`, or read less at once",
        limit.as_secs()
    ))
}

/// An answer that is none.
pub(crate) fn unreadable(
    doing: &str,
    target: &Target,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> PortError {
    PortError::internal(format!("{target} answered what cannot be read while {doing}")).caused_by(error)
}
