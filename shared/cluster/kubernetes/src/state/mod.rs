//! What an object's status says of its job: pure, one file a kind.
//!
//! A condition that is not known here means that the job still runs: releases add some, and only `status: "True"` of one
//! that ends a job ends it.

mod pytorch_job;
mod ray_job;
mod train_job;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::kind::Kind;

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Observed {
    /// It waits or runs.
    Going,
    /// It ended well.
    Succeeded(Times),
    /// It ended badly.
    Failed {
        /// What its operator says.
        reason: String,
        /// When.
        times: Times,
    },
}

/// When a job ran, where its status says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// When it began.
    pub(crate) started: Option<DateTime<Utc>>,
    /// When it ended.
    pub(crate) ended: Option<DateTime<Utc>>,
}

/// Reads the status of `object`; `wall_seconds` is for the message of a job that ran into its limit.
pub(crate) fn observe(kind: Kind, object: &Value, wall_seconds: Option<u64>) -> Observed {
    let status = object.get("status").unwrap_or(&Value::Null);
    let observed = match kind {
        Kind::TrainJob => train_job::observe(status),
        Kind::PyTorchJob => pytorch_job::observe(status),
        Kind::RayJob => ray_job::observe(status),
    };
    match observed {
        Observed::Failed { reason, times } => Observed::Failed { reason: reason_of(&reason, wall_seconds), times },
        other => other,
    }
}

/// The wall limit by its own name; releases and kinds call it a deadline in different words.
fn reason_of(reason: &str, wall_seconds: Option<u64>) -> String {
    let is_deadline = reason.contains("DeadlineExceeded")
        || reason.contains("active longer than specified deadline")
        || reason.contains("activeDeadlineSeconds");
    match (is_deadline, wall_seconds) {
        (true, Some(seconds)) => format!("it ran longer than its wall limit of {seconds} s ({reason})"),
        (true, None) => format!("it ran longer than its wall limit ({reason})"),
        (false, _) => reason.to_owned(),
    }
}

/// The condition of this type, if its status is "True".
fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status.get("conditions").and_then(Value::as_array)?.iter().find(|condition| {
        condition.get("type").and_then(Value::as_str) == Some(kind)
            && condition.get("status").and_then(Value::as_str) == Some("True")
    })
}

/// `Reason: message` of a status or a condition, as far as they are there.
fn words(of: &Value, otherwise: &str) -> String {
    let text = |field: &str| of.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    match (text("reason"), text("message")) {
        (Some(reason), Some(message)) => format!("{reason}: {message}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => otherwise.to_owned(),
    }
}

/// A time of a status.
fn time(of: &Value, field: &str) -> Option<DateTime<Utc>> {
    let text = of.get(field).and_then(Value::as_str)?;
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Option<DateTime<Utc>> {
        Some(text.parse().unwrap())
    }

    fn with_condition(kind: &str, status: &str) -> Value {
        json!({"status": {
            "startTime": "2026-11-28T10:00:00Z",
            "conditions": [
                {"type": "Created", "status": "True", "reason": "Created", "message": "",
                 "lastTransitionTime": "2026-11-28T10:00:00Z"},
                {"type": kind, "status": status, "reason": "Because", "message": "it is so",
                 "lastTransitionTime": "2026-11-28T10:05:00Z"},
            ],
        }})
    }

    #[test]
    fn a_condition_ends_a_job_only_when_it_is_true() {
        for (kind, ends_well) in [(Kind::TrainJob, "Complete"), (Kind::PyTorchJob, "Succeeded")] {
            for status in ["False", "Unknown"] {
                assert_eq!(observe(kind, &with_condition(ends_well, status), None), Observed::Going);
                assert_eq!(observe(kind, &with_condition("Failed", status), None), Observed::Going);
            }
            let done = observe(kind, &with_condition(ends_well, "True"), None);
            assert!(
                matches!(done, Observed::Succeeded(times) if times.ended == at("2026-11-28T10:05:00Z")),
                "{done:?}"
            );
            let failed = observe(kind, &with_condition("Failed", "True"), None);
            assert!(matches!(&failed, Observed::Failed { reason, .. } if reason == "Because: it is so"), "{failed:?}");
        }
    }

    #[test]
    fn a_condition_that_nobody_knows_means_that_it_runs() {
        for kind in Kind::ALL {
            for condition in ["Suspended", "Restarting", "Running", "Completed", "FailureTarget", "Preempted"] {
                assert_eq!(
                    observe(kind, &with_condition(condition, "True"), None),
                    Observed::Going,
                    "{kind:?} {condition}"
                );
            }
            assert_eq!(observe(kind, &json!({}), None), Observed::Going);
            assert_eq!(observe(kind, &json!({"status": {"conditions": "none"}}), None), Observed::Going);
        }
    }

    #[test]
    fn a_deadline_is_the_wall_limit() {
        for reason in
            ["DeadlineExceeded: job was active", "PyTorchJobFailed: it was active longer than specified deadline"]
        {
            assert!(reason_of(reason, Some(60)).starts_with("it ran longer than its wall limit of 60 s ("), "{reason}");
        }
        assert_eq!(reason_of("BackoffLimitExceeded", Some(60)), "BackoffLimitExceeded");
    }

    #[test]
    fn a_ray_job_ends_well_only_when_both_its_statuses_say_so() {
        let observed = |job: &str, deployment: &str| {
            let status = json!({"jobStatus": job, "jobDeploymentStatus": deployment, "message": "m",
                "startTime": "2026-11-28T10:00:00Z", "endTime": "2026-11-28T10:09:00Z",
                "rayJobInfo": {"startTime": "2026-11-28T10:01:00Z", "endTime": "2026-11-28T10:08:00Z"}});
            observe(Kind::RayJob, &json!({"status": status}), None)
        };
        let times = Times { started: at("2026-11-28T10:01:00Z"), ended: at("2026-11-28T10:08:00Z") };
        assert_eq!(observed("SUCCEEDED", "Complete"), Observed::Succeeded(times));
        for (job, deployment) in [
            ("", ""),
            ("", "Initializing"),
            ("PENDING", "Running"),
            ("RUNNING", "Running"),
            ("SUCCEEDED", "Running"),
            ("RUNNING", "Complete"),
            ("FAILED", "Retrying"),
            ("", "Suspended"),
            ("", "Waiting"),
            ("RUNNING", "SomethingNew"),
        ] {
            assert_eq!(observed(job, deployment), Observed::Going, "{job} {deployment}");
        }
        for (job, deployment) in [
            ("FAILED", "Complete"),
            ("STOPPED", "Complete"),
            ("FAILED", "Failed"),
            ("", "Failed"),
            ("", "ValidationFailed"),
        ] {
            assert!(matches!(observed(job, deployment), Observed::Failed { .. }), "{job} {deployment}");
        }
    }
}
