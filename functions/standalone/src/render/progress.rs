//! A run's progress on standard error: a line for each step as it ends, and on a terminal what runs just now.

use std::{collections::HashMap, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{note, seconds};
use crate::api::{
    events,
    views::{RunDetails, StepView},
};

/// Shows runs as they come along.
pub(crate) struct Progress {
    is_silent: bool,
    bar: ProgressBar,
    /// What was shown of a step of a run last.
    shown: HashMap<(String, String), String>,
    /// Whether the runs' steps at the first look have been taken note of.
    began: HashMap<String, bool>,
}

impl Progress {
    /// On standard error; nothing where the answer is for a program.
    pub(crate) fn new(is_silent: bool) -> Self {
        let target = if is_silent { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { is_silent, bar, shown: HashMap::new(), began: HashMap::new() }
    }

    /// Nothing at all.
    pub(crate) fn silent() -> Self {
        Self::new(true)
    }

    /// Shows what is new of a run. What had ended before the first look is not news.
    pub(crate) fn show(&mut self, details: &RunDetails) {
        let run = &details.summary.run;
        let is_first_look = self.began.insert(run.clone(), true).is_none();
        for step in &details.steps {
            let now = format!("{} {:?} {:?}", step.state, step.attempt, step.reason);
            let before = self.shown.insert((run.clone(), step.step.clone()), now.clone());
            if before.as_ref() != Some(&now) && !(is_first_look && step.state == "done") {
                self.step(run, step);
            }
        }
        let count = |state: &str| details.steps.iter().filter(|step| step.state == state).count() as u64;
        self.bar.set_length(details.steps.len() as u64);
        self.bar.set_position(count("done"));
        let running: Vec<&str> =
            details.steps.iter().filter(|step| step.state == "running").map(|step| step.step.as_str()).collect();
        self.bar.set_message(running.join(", "));
    }

    fn step(&self, run: &str, step: &StepView) {
        let took = step.seconds.map(seconds).unwrap_or_default();
        let line = match (step.state.as_str(), &step.outcome, &step.reason) {
            ("done", Some(outcome), _) => format!("✓ {run} {}: {}  {took}", step.step, events::outcome(outcome)),
            ("failed", _, Some(reason)) => format!("✗ {run} {}: {reason}", step.step),
            ("running" | "owed", _, Some(reason)) => format!("… {run} {}: {reason}", step.step),
            _ => return,
        };
        if self.is_silent {
            return;
        }
        // Without a terminal there is no bar to keep below the lines.
        if self.bar.is_hidden() { note(&line) } else { self.bar.println(&line) }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
