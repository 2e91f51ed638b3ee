//! The rule of the whole platform: from what is known of a run to what is owed for it.

use millstream_events::{Command, history::History};

use crate::{model::Pipelines, plan::plan};

/// The commands that are owed for a run: the steps whose inputs are there and which are neither done nor failed.
///
/// Pure: the same knowledge gives the same commands, in whatever order it came, however often. A command whose step is
/// under way is owed still; asking again is harmless and, after a loss, what heals.
#[must_use]
pub fn decide(pipelines: &Pipelines, history: &History) -> Vec<Command> {
    pipelines
        .by_name
        .get(&history.run.pipeline)
        .map(|pipeline| plan(pipelines, pipeline, history).owed().cloned().collect())
        .unwrap_or_default()
}
