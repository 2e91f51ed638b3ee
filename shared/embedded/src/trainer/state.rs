//! How a job ends, as its folder keeps it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use millstream_events::names::ObjectPath;
use millstream_ports::TrainingState;
use serde::{Deserialize, Serialize};

/// What the supervisor runs (`job.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ProgramFile {
    /// The program and its arguments.
    pub(super) argv: Vec<String>,
    /// Its environment, but for the secrets.
    pub(super) env: BTreeMap<String, String>,
    /// The variables whose values the supervisor has from the platform: secrets are not written down.
    #[serde(default)]
    pub(super) secrets: Vec<String>,
    /// The folder it runs in.
    pub(super) folder: PathBuf,
    /// Its wall limit.
    pub(super) wall_seconds: u64,
}

/// How the program ended, written by the supervisor (`exit.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Exit {
    pub(super) how: How,
    pub(super) seconds: f64,
}

/// The ways a program ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that somebody sent it.
    Signal(i32),
    /// By us, at its wall limit.
    Wall(u64),
    /// By us, since it was cancelled.
    Cancelled,
    /// It never ran, for this reason.
    NotStarted(String),
}

impl Exit {
    pub(super) fn cancelled() -> Self {
        Self { how: How::Cancelled, seconds: 0.0 }
    }

    /// Why the job failed; `None` when it did not.
    pub(super) fn failure(&self) -> Option<String> {
        Some(match &self.how {
            How::Code(0) => return None,
            How::Code(code) => format!("it ended with exit code {code}"),
            // What the kernel sends when memory runs out.
            How::Signal(9) => "it was killed (signal 9); most often the machine had no memory left".to_owned(),
            How::Signal(signal) => format!("it was ended by signal {signal}"),
            How::Wall(seconds) => format!("it ran longer than its wall limit of {seconds} s"),
            How::Cancelled => "it was cancelled".to_owned(),
            How::NotStarted(reason) => reason.clone(),
        })
    }
}

/// A job's last state, after its files were kept (`done.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    Succeeded { seconds: f64, log: Option<ObjectPath> },
    Failed { reason: String, log_tail: String, log: Option<ObjectPath> },
}

impl From<Ended> for TrainingState {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Succeeded { seconds, log } => Self::Succeeded { seconds, log },
            Ended::Failed { reason, log_tail, log } => Self::Failed { reason, log_tail, log },
        }
    }
}
