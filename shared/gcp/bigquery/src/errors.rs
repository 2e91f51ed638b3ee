//! BigQuery's errors as the ports': by its own reasons, with its own words.
//!
//! A reason is what BigQuery documents as stable; the HTTP status is only asked where there is none.
//! Source: <https://cloud.google.com/bigquery/docs/error-messages>.

use std::time::Duration;

use gcp_bigquery_client::{error::BQError, model::error_proto::ErrorProto};
use millstream_gcp_client::kind_of_status;
use millstream_ports::{ErrorKind, PortError, PortResult};
use serde::Deserialize;

/// A used-up quota is given back bit by bit over the day, rarely sooner than this.
const QUOTA_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The reason of a request whose bearer could not be had; BigQuery has none of this name.
const NO_TOKEN: &str = "noToken";

/// What BigQuery says of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: Option<u16>,
    reason: String,
    location: String,
    message: String,
}

/// The body of a refused request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: RefusalError,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RefusalError {
    message: String,
    errors: Vec<ErrorProto>,
}

impl Problem {
    /// Of a refused request; a body that is no JSON, such as a load balancer's page, leaves only the status.
    pub(crate) fn of_response(status: u16, body: &[u8]) -> Self {
        let RefusalError { message, errors } = serde_json::from_slice::<Refusal>(body).unwrap_or_default().error;
        let first = errors.into_iter().next().unwrap_or_default();
        let message = first.message.filter(|text| !text.is_empty()).unwrap_or(message);
        Self {
            status: Some(status),
            reason: first.reason.unwrap_or_default(),
            location: first.location.unwrap_or_default(),
            message: if message.is_empty() { format!("HTTP status {status}") } else { message },
        }
    }

    /// Of a job that failed.
    pub(crate) fn of_job(error: &ErrorProto, all: &[ErrorProto]) -> Self {
        // `errorResult` often only says that there were errors: the first of the list names the row or the column.
        let telling = all.iter().find(|other| other.message.is_some() && other.message != error.message);
        let text = |error: &ErrorProto| error.message.clone().unwrap_or_default();
        Self {
            status: None,
            reason: error.reason.clone().unwrap_or_default(),
            location: error.location.clone().unwrap_or_default(),
            message: match telling {
                Some(telling) => format!("{}; {}", text(error), text(telling)),
                None => text(error),
            },
        }
    }

    fn of_client(error: &BQError) -> Self {
        match error {
            BQError::ResponseError { error } => {
                let first = error.error.errors.first();
                let field = |name: &str| first.and_then(|first| first.get(name)).cloned().unwrap_or_default();
                Self {
                    status: u16::try_from(error.error.code).ok(),
                    reason: field("reason"),
                    location: field("location"),
                    message: error.error.message.clone(),
                }
            }
            BQError::NoToken => Self {
                status: None,
                reason: NO_TOKEN.into(),
                location: String::new(),
                message: "there is no access token".into(),
            },
            // Nothing else reaches a REST call but a broken connection and an answer that cannot be read.
            _ => {
                Self { status: None, reason: "connection".into(), location: String::new(), message: "no answer".into() }
            }
        }
    }

    /// What a caller can do about it.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.reason.as_str() {
            "notFound" => ErrorKind::NotFound,
            // A job met a table that another one made in the same moment: the next try finds it.
            "duplicate" if self.status.is_none() => ErrorKind::Unavailable,
            "duplicate" | "conditionNotMet" => ErrorKind::Conflict,
            "accessDenied" | "billingNotEnabled" | "blocked" | "authError" | "required" if self.status != Some(400) => {
                ErrorKind::Denied
            }
            "quotaExceeded" | "dailyLimitExceeded" => ErrorKind::Quota { retry_after: QUOTA_PAUSE },
            "rateLimitExceeded"
            | "userRateLimitExceeded"
            | "jobRateLimitExceeded"
            | "backendError"
            | "jobBackendError"
            | "internalError"
            | "jobInternalError"
            | "tableUnavailable"
            | "timeout"
            | "resourceInUse"
            | "connection"
            | NO_TOKEN => ErrorKind::Unavailable,
            // Two statements changed one table: BigQuery gives this the reason of wrong SQL, so that its words must do.
            "invalidQuery" if self.message.contains("due to concurrent update") => ErrorKind::Unavailable,
            "" => self.status.map_or(ErrorKind::Internal, kind_of_status),
            _ => match self.status.map(kind_of_status) {
                Some(kind @ (ErrorKind::Unavailable | ErrorKind::Quota { .. } | ErrorKind::Denied)) => kind,
                _ => ErrorKind::Invalid,
            },
        }
    }

    /// Whether the same job would fail again, so that it is not tried again under another id. More bytes may be allowed
    /// by a setting, so that limit is not final.
    pub(crate) fn is_final(&self) -> bool {
        self.kind() == ErrorKind::Invalid && self.reason != "bytesBilledLimitExceeded"
    }

    /// As the ports' error; `doing` completes "cannot ..".
    pub(crate) fn into_error(self, doing: &str) -> PortError {
        let kind = self.kind();
        let reason = match (self.reason.is_empty(), self.location.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!(" ({})", self.reason),
            (false, false) => format!(" ({}, at {})", self.reason, self.location),
        };
        let hint = match (kind, self.reason.as_str()) {
            (_, "bytesBilledLimitExceeded") => "; raise maximum_bytes_billed, or read less, such as by partition",
            (ErrorKind::Denied, _) => "; grant the service account BigQuery Data Editor and Job User",
            _ => "",
        };
        PortError::new(kind, format!("cannot {doing}: {}{reason}{hint}", self.message.trim_end_matches('.')))
    }
}

/// Turns the client's results into the ports'.
pub(crate) trait Mapped<T> {
    /// `doing` completes "cannot ..".
    fn mapped(self, doing: &str) -> PortResult<T>;
}

impl<T> Mapped<T> for Result<T, BQError> {
    fn mapped(self, doing: &str) -> PortResult<T> {
        self.map_err(|error| Problem::of_client(&error).into_error(doing).caused_by(error))
    }
}

impl<T> Mapped<T> for reqwest::Result<T> {
    fn mapped(self, doing: &str) -> PortResult<T> {
        self.map_err(|error| {
            PortError::unavailable(format!("cannot {doing}: BigQuery did not answer")).caused_by(error.without_url())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, reason: &str) -> Problem {
        let body = serde_json::json!({
            "error": { "code": status, "message": "m", "errors": [{ "reason": reason, "message": "m", "location": "q" }] }
        });
        Problem::of_response(status, body.to_string().as_bytes())
    }

    #[test]
    fn reasons_are_sorted_into_what_a_caller_can_do() {
        for (status, reason, kind) in [
            (403, "rateLimitExceeded", ErrorKind::Unavailable),
            (403, "quotaExceeded", ErrorKind::Quota { retry_after: QUOTA_PAUSE }),
            (503, "backendError", ErrorKind::Unavailable),
            (500, "internalError", ErrorKind::Unavailable),
            (403, "accessDenied", ErrorKind::Denied),
            (404, "notFound", ErrorKind::NotFound),
            (409, "duplicate", ErrorKind::Conflict),
            (400, "invalidQuery", ErrorKind::Invalid),
            (400, "required", ErrorKind::Invalid),
            (503, "", ErrorKind::Unavailable),
        ] {
            assert_eq!(refused(status, reason).kind(), kind, "{status} {reason}");
        }
    }

    #[test]
    fn a_page_that_is_no_json_is_judged_by_its_status() {
        let problem = Problem::of_response(502, b"<html>Bad Gateway</html>");
        assert_eq!(problem.kind(), ErrorKind::Unavailable);
        assert!(problem.into_error("load").to_string().contains("502"));
    }

    #[test]
    fn an_error_carries_bigquerys_own_reason_and_location() {
        let message = refused(400, "invalidQuery").into_error("run this query").to_string();
        assert_eq!(message, "cannot run this query: m (invalidQuery, at q)");
    }

    #[test]
    fn two_statements_on_one_table_are_worth_another_try() {
        let error = ErrorProto {
            reason: Some("invalidQuery".into()),
            message: Some("Could not serialize access to table p:d.t due to concurrent update".into()),
            ..ErrorProto::default()
        };
        assert!(!Problem::of_job(&error, &[]).is_final());
    }

    #[test]
    fn a_job_names_the_row_that_its_summary_leaves_out() {
        let error = |message: &str| ErrorProto {
            reason: Some("invalid".into()),
            message: Some(message.into()),
            ..ErrorProto::default()
        };
        let all = [error("Error while reading data"), error("Could not parse 'x' as INT64")];
        let message = Problem::of_job(&all[0], &all).into_error("load d.t").to_string();
        assert!(message.contains("reading data; Could not parse 'x'"), "{message}");
    }
}
