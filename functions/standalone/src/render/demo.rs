//! What the demo prints: each event, what a run waits for, and what came of it all.

use std::{path::Path, time::Duration};

use millstream_events::{
    fact::{ModelJudged, ModelTrained, Outcome},
    names::ObjectPath,
};
use serde::Serialize;
use serde_json::Value;

use super::{line, tables::reasons};
use crate::api::views::{EventView, ModelSummary, QuarantinedFile, RunDetails, RunStatus, StepView, TableView};

/// What came of the example pipelines.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// The files that were not there yet.
    pub(crate) uploaded: Vec<String>,
    /// Steps that ran this time.
    pub(crate) steps_run: usize,
    /// The runs.
    pub(crate) runs: Vec<RunDetails>,
    /// The warehouse.
    pub(crate) tables: Vec<TableView>,
    /// The exports.
    pub(crate) lake: Vec<ObjectPath>,
    /// Uploads with bad rows.
    pub(crate) quarantine: Vec<QuarantinedFile>,
    /// Models and where they serve.
    pub(crate) models: Vec<ModelSummary>,
    /// Where the question went.
    pub(crate) endpoint: String,
    /// A row of the training table.
    pub(crate) question: Value,
    /// What it is.
    pub(crate) expected: Value,
    /// What the model says it is.
    pub(crate) answer: Value,
}

impl Summary {
    /// Whether everything is as it should be: every step done, the bad rows kept, a model in service that answers rightly.
    pub(crate) fn is_well(&self) -> bool {
        self.runs.iter().all(|run| run.summary.state == RunStatus::Succeeded)
            && !self.quarantine.is_empty()
            && self.models.iter().any(|model| model.production.is_some() && !model.endpoints.is_empty())
            && self.answer["predictions"][0]["label"] == self.expected
    }
}

/// An event as it happens.
pub(crate) fn event(event: &EventView, since: Duration) {
    let at = format!("{:6.2} s", since.as_secs_f64());
    match (&event.run, &event.step) {
        (Some(run), Some(step)) => {
            let is_command = event.event_type.ends_with(".requested.v1");
            let mark = if is_command { "→" } else { "✓" };
            let mark = if event.event_type.contains("step.failed") { "✗" } else { mark };
            line(&format!("{at}  {mark} {:<9} {step:<34} {}", run.split('/').next().unwrap_or(run), event.says));
        }
        _ => line(&format!("{at}  ● {}", event.says)),
    }
}

/// What a run waits for.
pub(crate) fn waits(details: &RunDetails) {
    let waiting = |step: &&StepView| step.state == "waiting" && step.step.starts_with("load/");
    for step in details.steps.iter().filter(waiting) {
        line(&format!("          … {:<9} waits: {}", pipeline(details), step.reason.as_deref().unwrap_or_default()));
    }
}

fn pipeline(details: &RunDetails) -> &str {
    details.summary.run.split('/').next().unwrap_or_default()
}

pub(crate) fn summary(summary: &Summary, folder: &Path, took: Duration) {
    if summary.steps_run == 0 {
        line("Everything is up to date: no upload is new, no step ran.");
    }
    for run in &summary.runs {
        line(&format!(
            "\n{}  {}, {} of {} steps done",
            pipeline(run),
            run.summary.state.word(),
            run.summary.steps_done,
            run.summary.steps_total
        ));
        if let Some(reason) = &run.summary.reason {
            line(&format!("  {reason}"));
        }
        for outcome in run.steps.iter().filter_map(|step| step.outcome.as_ref()) {
            learned(outcome);
        }
    }
    line("\nTables");
    for table in &summary.tables {
        line(&format!("  {:<34} {:>5} rows, {} columns", table.table.to_string(), table.rows, table.columns.len()));
    }
    line("\nIn the lake");
    for file in &summary.lake {
        line(&format!("  {file}"));
    }
    line("\nIn quarantine");
    for file in &summary.quarantine {
        let name = file.object.as_ref().map_or_else(|| file.quarantine.name(), ObjectPath::name);
        line(&format!("  {name}: {} rows loaded, {} kept apart", file.rows, file.bad_rows.unwrap_or_default()));
        line(&format!("    {}", reasons(file)));
    }
    line(&format!("\nOne question over HTTP\n  POST {}", summary.endpoint));
    line(&format!("  {}", summary.question));
    line(&format!("  {}", summary.answer["predictions"][0]));
    line(&format!("  it is {}", summary.expected));
    line(&format!("\nDone in {:.1} s. Go on with it:", took.as_secs_f64()));
    let project = folder.display();
    line(&format!("  millstream --project {project} query 'SELECT * FROM production.products LIMIT 5'"));
    line(&format!("  millstream --project {project} quarantine show DimProduct.csv"));
    line(&format!("  millstream --project {project} up"));
}

/// What a training and its gate came to.
fn learned(outcome: &Outcome) {
    match outcome {
        Outcome::ModelTrained(ModelTrained { model, metrics, .. }) => {
            let metrics: Vec<String> = metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
            line(&format!("  {model} learned: {}", metrics.join(", ")));
        }
        Outcome::ModelPromoted(judged) | Outcome::ModelRejected(judged) => {
            let ModelJudged { version, checks, endpoint, .. } = judged;
            for check in checks {
                let mark = if check.passed { "✓" } else { "✗" };
                line(&format!("  {mark} {}  ({})", check.expression, check.because));
            }
            match endpoint {
                Some(endpoint) => line(&format!("  version {version} serves on endpoint {endpoint}")),
                None => line(&format!("  version {version} does not serve")),
            }
        }
        _ => {}
    }
}
