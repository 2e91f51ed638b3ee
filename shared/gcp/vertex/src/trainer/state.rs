//! A custom job's state as a training's.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use millstream_ports::TrainingState;
use serde::Deserialize;

use crate::{errors::RpcStatus, names::last};

/// A custom job as Vertex AI answers it, as far as it is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CustomJob {
    pub(super) name: String,
    pub(super) create_time: Option<DateTime<Utc>>,
    pub(super) labels: HashMap<String, String>,
    state: String,
    start_time: Option<DateTime<Utc>>,
    end_time: Option<DateTime<Utc>>,
    error: Option<RpcStatus>,
}

/// `google.rpc.Code` of a time that is over.
const DEADLINE_EXCEEDED: i32 = 4;

impl CustomJob {
    /// Its number, which logs know it by.
    pub(super) fn id(&self) -> &str {
        last(&self.name)
    }

    /// Orders jobs from the oldest on, the same for everyone who looks.
    pub(super) fn age(&self) -> (DateTime<Utc>, usize, String) {
        // Ids are numbers of one length or nearly: the shorter one is the smaller one.
        (self.create_time.unwrap_or(DateTime::<Utc>::MAX_UTC), self.id().len(), self.id().to_owned())
    }

    /// Whether nothing will come of it any more.
    pub(super) fn has_ended(&self) -> bool {
        matches!(
            self.state.as_str(),
            "JOB_STATE_SUCCEEDED"
                | "JOB_STATE_FAILED"
                | "JOB_STATE_CANCELLED"
                | "JOB_STATE_EXPIRED"
                | "JOB_STATE_PARTIALLY_SUCCEEDED"
        )
    }

    /// What it means for a training with this wall limit.
    pub(super) fn state(&self, wall_seconds: u64, now: DateTime<Utc>) -> TrainingState {
        match self.state.as_str() {
            "JOB_STATE_SUCCEEDED" => TrainingState::Succeeded { seconds: self.seconds(now), log: None },
            _ if self.has_ended() => {
                TrainingState::Failed { reason: self.reason(wall_seconds, now), log_tail: String::new(), log: None }
            }
            "JOB_STATE_QUEUED" | "JOB_STATE_PENDING" => TrainingState::Running { since: None },
            // A state that is not known here is not an end.
            _ => TrainingState::Running { since: self.start_time },
        }
    }

    /// How long it ran: a job that ended before it began did not.
    fn seconds(&self, now: DateTime<Utc>) -> f64 {
        let Some(start) = self.start_time else { return 0.0 };
        (self.end_time.unwrap_or(now) - start).as_seconds_f64().max(0.0)
    }

    fn reason(&self, wall_seconds: u64, now: DateTime<Utc>) -> String {
        let words = self.error.as_ref().map(|error| error.message.trim()).filter(|words| !words.is_empty());
        let is_over = self.state == "JOB_STATE_EXPIRED"
            || self.error.as_ref().is_some_and(|error| error.code == DEADLINE_EXCEEDED)
            || (self.state == "JOB_STATE_CANCELLED" && self.seconds(now) >= wall_seconds as f64);
        let reason = match self.state.as_str() {
            _ if is_over => format!("it ran past its wall limit of {wall_seconds} s"),
            "JOB_STATE_CANCELLED" => "it was cancelled".to_owned(),
            "JOB_STATE_PARTIALLY_SUCCEEDED" => "a part of it failed".to_owned(),
            _ => return words.unwrap_or("it failed, and Vertex AI does not say why").to_owned(),
        };
        match words {
            Some(words) => format!("{reason}: {words}"),
            None => reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(json: serde_json::Value) -> CustomJob {
        serde_json::from_value(json).unwrap()
    }

    fn state(json: serde_json::Value) -> TrainingState {
        job(json).state(60, "2026-11-24T12:00:00Z".parse().unwrap())
    }

    fn reason(json: serde_json::Value) -> String {
        match state(json) {
            TrainingState::Failed { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_waits_runs_and_ends() {
        for waiting in ["JOB_STATE_QUEUED", "JOB_STATE_PENDING"] {
            assert_eq!(state(serde_json::json!({"state": waiting})), TrainingState::Running { since: None });
        }
        let since = Some("2026-11-24T11:00:00Z".parse().unwrap());
        for running in ["JOB_STATE_RUNNING", "JOB_STATE_CANCELLING", "JOB_STATE_OF_NEXT_YEAR"] {
            let job = serde_json::json!({"state": running, "startTime": "2026-11-24T11:00:00Z"});
            assert_eq!(state(job), TrainingState::Running { since });
        }
        let job = serde_json::json!({
            "state": "JOB_STATE_SUCCEEDED", "startTime": "2026-11-24T11:00:00Z", "endTime": "2026-11-24T11:00:41.5Z"
        });
        assert_eq!(state(job), TrainingState::Succeeded { seconds: 41.5, log: None });
    }

    #[test]
    fn a_failure_says_what_vertex_ai_says() {
        let failed = serde_json::json!({"state": "JOB_STATE_FAILED", "error": {"code": 3, "message": "exit status 1"}});
        assert_eq!(reason(failed), "exit status 1");
        assert!(reason(serde_json::json!({"state": "JOB_STATE_EXPIRED"})).contains("wall limit of 60 s"));
        let late = serde_json::json!({"state": "JOB_STATE_FAILED", "error": {"code": 4, "message": "timed out"}});
        assert!(reason(late).contains("wall limit of 60 s: timed out"));
        let ended = |end: &str| {
            let start = "2026-11-24T11:00:00Z";
            reason(serde_json::json!({"state": "JOB_STATE_CANCELLED", "startTime": start, "endTime": end}))
        };
        assert_eq!(ended("2026-11-24T11:00:59Z"), "it was cancelled");
        assert!(ended("2026-11-24T11:01:00Z").contains("wall"));
    }

    #[test]
    fn the_oldest_comes_first_for_everyone() {
        let of = |id: &str, at: &str| job(serde_json::json!({"name": format!("p/{id}"), "createTime": at}));
        let mut jobs =
            [of("9", "2026-11-24T11:00:01Z"), of("10", "2026-11-24T11:00:00Z"), of("9", "2026-11-24T11:00:00Z")];
        jobs.sort_by_key(CustomJob::age);
        let order: Vec<(&str, bool)> =
            jobs.iter().map(|job| (job.id(), job.create_time == jobs[0].create_time)).collect();
        assert_eq!(order, [("9", true), ("10", true), ("9", false)]);
    }
}
