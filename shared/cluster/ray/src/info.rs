//! What `GET /api/jobs/{id}` tells.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::submission::{MANIFEST, OUTPUT};

/// How much of Ray's own words about a failure is repeated, in characters.
const MESSAGE: usize = 1_000;

/// A job as Ray describes it. What is not read here may change as it likes.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct JobInfo {
    status: String,
    message: Option<String>,
    error_type: Option<String>,
    /// When it was submitted, in milliseconds since 1970.
    start_time: Option<i64>,
    /// When it ended, in milliseconds since 1970.
    end_time: Option<i64>,
    metadata: Option<BTreeMap<String, Value>>,
    driver_exit_code: Option<i32>,
    /// The node it began to run on.
    driver_node_id: Option<String>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// For room, or for its environment.
    Waits,
    Runs,
    Succeeded,
    /// It was ended on request.
    Stopped,
    Failed,
    /// What watched over it went away: nobody knows what the program came to.
    Lost,
}

impl JobInfo {
    pub(crate) fn stage(&self) -> Stage {
        match self.status.as_str() {
            "PENDING" => Stage::Waits,
            "SUCCEEDED" => Stage::Succeeded,
            "STOPPED" => Stage::Stopped,
            "FAILED" if self.is_lost() => Stage::Lost,
            "FAILED" => Stage::Failed,
            // A status of a later release: whatever it is, it is not known to be an end.
            _ => Stage::Runs,
        }
    }

    fn is_lost(&self) -> bool {
        match self.error_type.as_deref() {
            Some("JOB_SUPERVISOR_ACTOR_DIED" | "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE") => true,
            // Before it ran it is a request that Ray could not follow; afterwards the head was started again without it.
            Some("JOB_SUPERVISOR_ACTOR_START_FAILURE") => self.driver_node_id.is_some(),
            _ => false,
        }
    }

    /// Whether it has ended, well or not.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.stage(), Stage::Waits | Stage::Runs)
    }

    /// The hash of what was submitted, if it was submitted here.
    pub(crate) fn manifest(&self) -> Option<&str> {
        self.metadata.as_ref()?.get(MANIFEST)?.as_str()
    }

    /// The folder it writes to, if it was submitted here.
    pub(crate) fn output(&self) -> Option<&str> {
        self.metadata.as_ref()?.get(OUTPUT)?.as_str()
    }

    pub(crate) fn submitted(&self) -> Option<DateTime<Utc>> {
        self.start_time.and_then(DateTime::from_timestamp_millis)
    }

    pub(crate) fn ended(&self) -> Option<DateTime<Utc>> {
        self.end_time.and_then(DateTime::from_timestamp_millis)
    }

    /// Why it failed.
    pub(crate) fn reason(&self) -> String {
        match self.driver_exit_code {
            Some(code) if code < 0 => format!("it was ended by signal {}", -code),
            Some(code) => format!("exit code {code}"),
            None => self.message().unwrap_or_else(|| "the cluster does not say why".to_owned()),
        }
    }

    /// Ray's own words.
    pub(crate) fn message(&self) -> Option<String> {
        let message = self.message.as_deref()?.trim();
        (!message.is_empty()).then(|| message.chars().take(MESSAGE).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn info(json: Value) -> JobInfo {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_job_whose_supervisor_went_away_is_lost_and_one_that_ray_refused_has_failed() {
        let failed = |error: &str, node: Option<&str>| {
            info(json!({"status": "FAILED", "error_type": error, "driver_node_id": node})).stage()
        };
        assert_eq!(failed("JOB_SUPERVISOR_ACTOR_DIED", Some("n")), Stage::Lost);
        assert_eq!(failed("JOB_SUPERVISOR_ACTOR_START_FAILURE", Some("n")), Stage::Lost);
        assert_eq!(failed("JOB_SUPERVISOR_ACTOR_START_FAILURE", None), Stage::Failed);
        assert_eq!(failed("JOB_SUPERVISOR_ACTOR_START_TIMEOUT", None), Stage::Failed);
        assert_eq!(failed("JOB_ENTRYPOINT_COMMAND_ERROR", Some("n")), Stage::Failed);
        assert_eq!(info(json!({"status": "FAILED"})).stage(), Stage::Failed);
    }

    #[test]
    fn an_unknown_status_is_no_end() {
        let job = info(json!({"status": "SUSPENDED", "something_new": {}}));
        assert_eq!((job.stage(), job.has_ended()), (Stage::Runs, false));
    }

    #[test]
    fn a_reason_tells_how_the_program_ended_or_repeats_ray() {
        assert_eq!(info(json!({"status": "FAILED", "driver_exit_code": 3})).reason(), "exit code 3");
        assert_eq!(info(json!({"status": "FAILED", "driver_exit_code": -9})).reason(), "it was ended by signal 9");
        assert_eq!(info(json!({"status": "FAILED", "message": " no room "})).reason(), "no room");
        assert!(!info(json!({"status": "FAILED", "message": ""})).reason().is_empty());
    }
}
