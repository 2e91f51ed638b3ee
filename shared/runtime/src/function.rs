//! What a Millstream function is: it ensures one kind of step.

use std::time::Duration;

use async_trait::async_trait;
use millstream_events::{
    Command, Event,
    fact::{Outcome, Reason},
    work::WorkKind,
};
use millstream_ports::{ErrorKind, PortError, PortResult};

/// How far a step is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// It is done, now or earlier.
    Done(Outcome),
    /// It goes on by itself; asked again, the function will say how far it is.
    Pending {
        /// Why it is not done, for a person.
        reason: String,
        /// When it is worth asking again.
        check_after: Duration,
    },
}

impl Progress {
    /// Not done yet; worth asking again after `check_after`.
    pub fn pending(reason: impl Into<String>, check_after: Duration) -> Self {
        Self::Pending { reason: reason.into(), check_after }
    }
}

/// Why a step could not be ensured.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It may work later with nothing changed: it will be delivered again, then left to the sweep.
    #[error("{0}")]
    Retry(#[source] PortError),
    /// It will not work however often it is asked for: it becomes a `step.failed` fact.
    #[error("{}", .0.message)]
    Permanent(Reason),
}

impl Failure {
    /// A permanent failure.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent(Reason::new(message))
    }
}

impl From<PortError> for Failure {
    /// Sorts by kind. `NotFound` is retried: what is missing may still come (an input table, an object listed late);
    /// a function that knows better says so itself.
    fn from(error: PortError) -> Self {
        match error.kind() {
            ErrorKind::Invalid | ErrorKind::Denied => Self::Permanent(Reason::new(error.to_string())),
            ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::Quota { .. }
            | ErrorKind::Unavailable
            | ErrorKind::Internal => Self::Retry(error),
        }
    }
}

/// A reconciler for one kind of step. Asked once or ten times, it has one effect.
#[async_trait]
pub trait Function: Send + Sync + 'static {
    /// The function's name, a verb and a noun: `load-table`.
    const NAME: &'static str;

    /// The work it takes.
    type Work: WorkKind;

    /// Ensures the step is done.
    async fn ensure(&self, command: &Command<Self::Work>) -> Result<Progress, Failure>;

    /// Facts besides the step's own that are true by now and end nothing, such as each move of an endpoint's traffic.
    ///
    /// Read from what the function keeps, never from what it remembers: asked after every [`ensure`](Self::ensure),
    /// whatever that has answered, it tells what an earlier one did and was cut off before telling. The ids are derived, so
    /// that a fact told again is recognised.
    async fn facts_beside(&self, command: &Command<Self::Work>) -> PortResult<Vec<Event>> {
        let _ = command;
        Ok(Vec::new())
    }
}
