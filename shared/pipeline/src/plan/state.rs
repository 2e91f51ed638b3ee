//! Where a step and a run stand.

use millstream_events::{
    Command, StepRef,
    fact::{Outcome, Reason},
    names::StepName,
};

/// A step of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStep {
    /// Its name.
    pub name: StepName,
    /// The steps it comes after.
    pub needs: Vec<StepName>,
    /// Its identity; absent while an input is missing.
    pub step: Option<StepRef>,
    /// Where it stands.
    pub state: StepState,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq)]
pub enum StepState {
    /// It is done.
    Done {
        /// What it made true.
        outcome: Outcome,
    },
    /// Its inputs are there and it is not done: it runs, or is to be asked for.
    Owed {
        /// What to ask.
        command: Box<Command>,
        /// Whether it was asked for before.
        requested: bool,
        /// Why it was put off last, if it was.
        deferred: Option<Reason>,
    },
    /// It failed for good.
    Failed {
        /// Why.
        reason: Reason,
    },
    /// It cannot be asked for in this run.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// A step it needs has failed.
    Blocked {
        /// That step.
        by: StepName,
    },
    /// A step it needs is not done yet, or an upload has not come.
    Waiting {
        /// For what.
        reason: String,
    },
}

impl StepState {
    /// The state in a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Owed { requested: true, .. } => "running",
            Self::Owed { .. } => "owed",
            Self::Failed { .. } | Self::Refused { .. } => "failed",
            Self::Blocked { .. } => "blocked",
            Self::Waiting { .. } => "waiting",
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Steps are owed.
    Running,
    /// Nothing is owed, and an input has not come, or files wait for others to be loaded with.
    Waiting,
    /// Nothing is owed, and a step has failed.
    Failed,
    /// Every step is done.
    Succeeded,
}
