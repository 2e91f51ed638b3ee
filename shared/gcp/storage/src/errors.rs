//! What Cloud Storage and the network answer, as port errors that say what to do.

use std::{error::Error as StdError, fmt::Display};

use google_cloud_storage::Error as ClientError;
use millstream_gcp_client::kind_of_status;
use millstream_ports::{ErrorKind, PortError};
use serde::Deserialize;

/// How much of an answer that is not JSON a message shows, in characters.
const SHOWN: usize = 300;

/// The error of a call; `action` reads as "reading gs://lake/a.csv", `said` is the other side's own word.
pub(crate) fn failed(action: impl Display, kind: ErrorKind, said: impl Display) -> PortError {
    let hint = match kind {
        ErrorKind::NotFound => "it is not there",
        ErrorKind::Conflict => "what is there is not what was expected",
        ErrorKind::Invalid => "Cloud Storage refuses the request",
        ErrorKind::Denied => {
            "this identity may not; grant its service account roles/storage.objectUser on the bucket (reading alone: \
             roles/storage.objectViewer)"
        }
        ErrorKind::Quota { .. } => "Cloud Storage asks for fewer requests a second",
        ErrorKind::Unavailable => "Cloud Storage cannot do it now; it is worth another try",
        ErrorKind::Internal => "Cloud Storage answered what is not understood",
    };
    PortError::new(kind, format!("{action}: {hint} ({said})"))
}

/// The error of a status that is none of success.
pub(crate) fn refused(action: impl Display, status: u16, body: &[u8]) -> PortError {
    failed(action, kind_of_status(status), format!("{status}: {}", reason(body)))
}

/// The error of Google's client.
pub(crate) fn client_failed(action: impl Display, error: ClientError) -> PortError {
    let kind = match error.http_status_code() {
        Some(status) => kind_of_status(status),
        None if error.is_io() || error.is_connect() || error.is_timeout() || error.is_transport() => {
            ErrorKind::Unavailable
        }
        None if error.is_transient_and_before_rpc() => ErrorKind::Unavailable,
        None if error.is_authentication() => ErrorKind::Denied,
        None => ErrorKind::Internal,
    };
    let said = match (error.http_status_code(), error.status(), error.http_payload()) {
        (Some(status), Some(answer), _) => format!("{status}: {}", answer.message),
        (Some(status), None, body) => format!("{status}: {}", reason(body.map_or(&[], |body| body))),
        (None, ..) => said(&error),
    };
    failed(action, kind, said).caused_by(error)
}

/// The error of a request that had no answer. Its address is in `action`.
pub(crate) fn unanswered(action: impl Display, error: reqwest::Error) -> PortError {
    let error = error.without_url();
    let kind = if error.is_decode() || error.is_builder() { ErrorKind::Internal } else { ErrorKind::Unavailable };
    failed(action, kind, said(&error)).caused_by(error)
}

/// An error with its causes: the outermost alone often only says that something failed.
pub(crate) fn said(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// Google's reason in an error's body; media requests are answered with plain text.
fn reason(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        error: Reason,
    }
    #[derive(Deserialize)]
    struct Reason {
        message: String,
    }
    match serde_json::from_slice::<Answer>(body) {
        Ok(answer) => answer.error.message,
        Err(_) => String::from_utf8_lossy(body).trim().chars().take(SHOWN).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_reason_is_in_the_message() {
        let body = br#"{"error":{"code":403,"message":"ana@x.iam does not have storage.objects.get access"}}"#;
        let error = refused("reading gs://lake/a.csv", 403, body);
        assert_eq!(error.kind(), ErrorKind::Denied);
        let message = error.to_string();
        for part in ["reading gs://lake/a.csv", "roles/storage.objectUser", "403: ana@x.iam does not have"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn an_answer_that_is_not_json_is_shown_in_part() {
        let message = refused("listing gs://lake/", 502, "x".repeat(10_000).as_bytes()).to_string();
        assert!(message.contains("502: xxx") && message.len() < 500, "{message}");
    }
}
