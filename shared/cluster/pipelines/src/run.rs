//! What the service tells of a run.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::request::manifest_in;

/// How much of an error's text is repeated, in characters.
const MESSAGE: usize = 1_000;

/// A run. What is not read here may change as it likes.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Run {
    pub(crate) run_id: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    pub(crate) state: String,
    created_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    error: Option<Status>,
    #[serde(default)]
    state_history: Vec<Change>,
    run_details: Option<Details>,
    #[serde(default)]
    runtime_config: RuntimeConfig,
}

/// What a run was given, as far as it says whose it is.
#[derive(Debug, Clone, Default, Deserialize)]
struct RuntimeConfig {
    #[serde(default)]
    pipeline_root: String,
}

/// `google.rpc.Status`.
#[derive(Debug, Clone, Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Change {
    update_time: Option<DateTime<Utc>>,
    #[serde(default)]
    state: String,
    error: Option<Status>,
}

#[derive(Debug, Clone, Deserialize)]
struct Details {
    #[serde(default)]
    task_details: Vec<Task>,
}

#[derive(Debug, Clone, Deserialize)]
struct Task {
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    pod_name: String,
    #[serde(default)]
    state: String,
    error: Option<Status>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Waits,
    Runs,
    Succeeded,
    /// Nothing of it was run.
    Skipped,
    Cancelled,
    Failed,
}

impl Run {
    /// The folder that it works in, where it says one.
    pub(crate) fn root(&self) -> Option<&str> {
        Some(self.runtime_config.pipeline_root.as_str()).filter(|root| !root.is_empty())
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.state.as_str() {
            "" | "RUNTIME_STATE_UNSPECIFIED" | "PENDING" | "PAUSED" => Stage::Waits,
            "SUCCEEDED" => Stage::Succeeded,
            "SKIPPED" => Stage::Skipped,
            "CANCELED" => Stage::Cancelled,
            "FAILED" => Stage::Failed,
            // CANCELING too has not ended, nor has a state of a later release.
            _ => Stage::Runs,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.stage(), Stage::Waits | Stage::Runs)
    }

    pub(crate) fn is_being_cancelled(&self) -> bool {
        self.state == "CANCELING"
    }

    /// The hash of what was asked for, if it was asked for here.
    pub(crate) fn manifest(&self) -> Option<&str> {
        manifest_in(&self.description)
    }

    /// What puts runs of one name in order: the service counts in seconds.
    pub(crate) fn age(&self) -> (Option<DateTime<Utc>>, &str) {
        (self.created_at, &self.run_id)
    }

    /// When it began to run, as far as the service says so; else when it was made.
    pub(crate) fn began(&self) -> Option<DateTime<Utc>> {
        let running = self.state_history.iter().find(|change| change.state == "RUNNING");
        running.and_then(|change| change.update_time).or(self.created_at)
    }

    /// When it ended. The service gives 1970 for a run that has not.
    pub(crate) fn ended(&self) -> Option<DateTime<Utc>> {
        self.finished_at.filter(|at| at.timestamp() > 0)
    }

    /// Why it failed: the first task that did says more than the run.
    pub(crate) fn reason(&self) -> String {
        let task = self.tasks().find(|task| task.state == "FAILED" && !message(task.error.as_ref()).is_empty());
        let of_task = task.map(|task| format!("{}: {}", task.display_name, message(task.error.as_ref())));
        let of_run = || Some(message(self.error.as_ref())).filter(|text| !text.is_empty());
        let of_change = || {
            let texts = self.state_history.iter().rev().map(|change| message(change.error.as_ref()));
            texts.into_iter().find(|text| !text.is_empty())
        };
        of_task
            .or_else(of_run)
            .or_else(of_change)
            .unwrap_or_else(|| "the run failed; the service does not say why".to_owned())
    }

    /// What is known of each task, a line each. The service has no logs of its own.
    pub(crate) fn report(&self) -> String {
        let mut lines = String::new();
        for task in self.tasks() {
            let pod = if task.pod_name.is_empty() { String::new() } else { format!(" (pod {})", task.pod_name) };
            let error = message(task.error.as_ref());
            let error = if error.is_empty() { error } else { format!(": {error}") };
            lines.push_str(&format!("{}{pod}: {}{error}\n", task.display_name, task.state));
        }
        let error = message(self.error.as_ref());
        if !error.is_empty() {
            lines.push_str(&format!("run: {error}\n"));
        }
        lines
    }

    fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.run_details.iter().flat_map(|details| &details.task_details)
    }
}

fn message(status: Option<&Status>) -> String {
    status.map(|status| status.message.trim().chars().take(MESSAGE).collect()).unwrap_or_default()
}
