//! Google's errors as the ports': by the canonical status, with Google's own words.
//!
//! Source: <https://cloud.google.com/apis/design/errors>.

use std::time::Duration;

use millstream_gcp_client::kind_of_status;
use millstream_ports::{ErrorKind, PortError};
use serde::Deserialize;

/// Quotas of requests are by the minute.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);

/// What Google says of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The canonical status, such as `ALREADY_EXISTS`; empty where only a status code of HTTP is known.
    status: String,
    http: u16,
    message: String,
}

/// The error of an operation or of a job: `google.rpc.Status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct RpcStatus {
    /// One of `google.rpc.Code`.
    pub(crate) code: i32,
    /// For a person.
    pub(crate) message: String,
}

/// The names of `google.rpc.Code`, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl RpcStatus {
    /// The name of its code.
    pub(crate) fn name(&self) -> &'static str {
        usize::try_from(self.code).ok().and_then(|code| CODES.get(code)).copied().unwrap_or("UNKNOWN")
    }
}

impl Problem {
    /// Of a refused request; a body that is no JSON, such as a load balancer's page, leaves only the status code.
    pub(crate) fn of_response(http: u16, body: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Refusal {
            error: Words,
        }

        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Words {
            status: String,
            message: String,
        }

        let Refusal { error } = serde_json::from_slice(body).unwrap_or_default();
        let message = if error.message.is_empty() { format!("HTTP status {http}") } else { error.message };
        Self { status: error.status, http, message }
    }

    /// Google's own words.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What a caller can do about it.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.status.as_str() {
            "INVALID_ARGUMENT" | "OUT_OF_RANGE" => ErrorKind::Invalid,
            "NOT_FOUND" => ErrorKind::NotFound,
            "ALREADY_EXISTS" => ErrorKind::Conflict,
            "PERMISSION_DENIED" | "UNAUTHENTICATED" => ErrorKind::Denied,
            "RESOURCE_EXHAUSTED" => ErrorKind::Quota { retry_after: QUOTA_PAUSE },
            // Another operation is on the same resource, or an `etag` is an old one: both pass.
            "FAILED_PRECONDITION"
            | "ABORTED"
            | "CANCELLED"
            | "UNKNOWN"
            | "DEADLINE_EXCEEDED"
            | "INTERNAL"
            | "UNAVAILABLE" => ErrorKind::Unavailable,
            _ => kind_of_status(self.http),
        }
    }

    /// Whether the resource was not as the request took it to be: an old `etag`, an operation on it.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self.status.as_str(), "ABORTED" | "FAILED_PRECONDITION") || self.http == 412
    }

    /// As the ports' error; `doing` completes "cannot ..".
    pub(crate) fn into_error(self, doing: &str) -> PortError {
        described(self.kind(), doing, &self.message, &self.status)
    }
}

/// An operation's failure as the ports' error. What was refused at once for the state of things may pass; an operation that
/// ran and ended so, such as a container that does not start, would end so again.
pub(crate) fn of_operation(status: &RpcStatus, doing: &str) -> PortError {
    let name = status.name();
    let problem = Problem { status: name.to_owned(), http: 500, message: status.message.clone() };
    let kind = if name == "FAILED_PRECONDITION" { ErrorKind::Invalid } else { problem.kind() };
    described(kind, doing, &status.message, name)
}

fn described(kind: ErrorKind, doing: &str, message: &str, status: &str) -> PortError {
    let status = if status.is_empty() { String::new() } else { format!(" ({status})") };
    let hint = match kind {
        ErrorKind::Denied => {
            "; grant the service account Vertex AI User, Service Account User, Logs Viewer and Monitoring Viewer"
        }
        _ => "",
    };
    PortError::new(kind, format!("cannot {doing}: {}{status}{hint}", message.trim_end_matches('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(http: u16, status: &str) -> Problem {
        let body = serde_json::json!({"error": {"code": http, "message": "No.", "status": status}});
        Problem::of_response(http, body.to_string().as_bytes())
    }

    #[test]
    fn statuses_are_sorted_into_what_a_caller_can_do() {
        for (http, status, kind) in [
            (400, "INVALID_ARGUMENT", ErrorKind::Invalid),
            (400, "FAILED_PRECONDITION", ErrorKind::Unavailable),
            (404, "NOT_FOUND", ErrorKind::NotFound),
            (409, "ALREADY_EXISTS", ErrorKind::Conflict),
            (409, "ABORTED", ErrorKind::Unavailable),
            (403, "PERMISSION_DENIED", ErrorKind::Denied),
            (429, "RESOURCE_EXHAUSTED", ErrorKind::Quota { retry_after: QUOTA_PAUSE }),
            (503, "UNAVAILABLE", ErrorKind::Unavailable),
            (502, "", ErrorKind::Unavailable),
        ] {
            assert_eq!(refused(http, status).kind(), kind, "{status}");
        }
    }

    #[test]
    fn a_page_that_is_no_json_is_judged_by_its_status_code() {
        let error = Problem::of_response(502, b"<html>Bad Gateway</html>").into_error("look");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Unavailable, "cannot look: HTTP status 502")
        );
    }

    #[test]
    fn an_operation_that_ended_badly_for_the_state_of_things_would_end_so_again() {
        let error = of_operation(&RpcStatus { code: 9, message: "Model server exited.".into() }, "deploy");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "cannot deploy: Model server exited (FAILED_PRECONDITION)");
        assert_eq!(
            of_operation(&RpcStatus { code: 14, message: String::new() }, "deploy").kind(),
            ErrorKind::Unavailable
        );
        assert_eq!(
            of_operation(&RpcStatus { code: 99, message: String::new() }, "deploy").kind(),
            ErrorKind::Unavailable
        );
    }
}
