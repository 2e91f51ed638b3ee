//! Runs, quarantines and models for people.

use chrono::{DateTime, Utc};
use comfy_table::{Table, presets::NOTHING};

use super::{line, seconds, values::shortened};
use crate::api::{
    events,
    views::{
        ModelDetails, ModelSummary, QuarantinedFile, QuarantinedRows, RunDetails, RunStatus, RunSummary, StepView,
    },
};

pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(header);
    table
}

pub(super) fn print(table: &Table) {
    for text in table.to_string().lines() {
        line(text.trim_end());
    }
}

fn when(time: Option<DateTime<Utc>>) -> String {
    time.map(|time| time.format("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default()
}

fn span(summary: &RunSummary) -> String {
    let times = summary.started_at.zip(summary.last_activity);
    times.map(|(from, to)| seconds((to - from).as_seconds_f64())).unwrap_or_default()
}

pub(crate) fn runs(runs: &[RunSummary]) {
    let mut table = table(["RUN", "STATE", "STEPS", "STARTED", "TOOK", "BAD ROWS", "WHY"]);
    for run in runs {
        table.add_row([
            run.run.clone(),
            run.state.word().to_owned(),
            format!("{}/{}", run.steps_done, run.steps_total),
            when(run.started_at),
            span(run),
            run.bad_rows.to_string(),
            shortened(run.reason.as_deref().unwrap_or_default()),
        ]);
    }
    print(&table);
}

pub(crate) fn run(details: &RunDetails) {
    let RunDetails { summary, started_by, steps, definition_changed, moves } = details;
    line(&format!(
        "{}  {}  started {}  took {}",
        summary.run,
        summary.state.word(),
        when(summary.started_at),
        span(summary)
    ));
    line(&format!("by {}", started_by.join(", ")));
    if *definition_changed {
        line("Its pipeline has changed since; this is how it ended.");
    }
    line("");
    let mut table = table(["STEP", "STATE", "TOOK", "TRY", "FINGERPRINT", "WHAT"]);
    for step in steps {
        table.add_row([
            step.step.clone(),
            step.state.clone(),
            step.seconds.map(seconds).unwrap_or_default(),
            step.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
            step.fingerprint.as_deref().map(|text| text[..text.len().min(8)].to_owned()).unwrap_or_default(),
            what(step),
        ]);
    }
    print(&table);
    for moved in moves {
        line(&format!("{}  {}", when(Some(moved.at)), events::moved_traffic(moved)));
    }
    for step in steps.iter().filter(|step| step.state == "failed") {
        if let Some(detail) = &step.detail {
            line(&format!("\n{}:\n{detail}", step.step));
        }
        for kept in &step.kept {
            line(&format!("kept: {kept}"));
        }
    }
    if summary.state == RunStatus::Failed {
        line(&format!("\nCorrect what is wrong, then: millstream retry {}", summary.run));
    }
}

fn what(step: &StepView) -> String {
    match (&step.outcome, &step.reason) {
        (Some(outcome), _) => events::outcome(outcome),
        (None, Some(reason)) => reason.clone(),
        (None, None) => String::new(),
    }
}

/// How a run ended that was waited for: `began` is when the waiting command did.
pub(crate) fn run_summary(details: &RunDetails, began: DateTime<Utc>) {
    let RunDetails { summary, steps, .. } = details;
    let ran = steps.iter().filter(|step| step.ended_at.is_some_and(|at| at >= began)).count();
    let bad = if summary.bad_rows > 0 { format!(", {} rows in quarantine", summary.bad_rows) } else { String::new() };
    match summary.state {
        RunStatus::Succeeded if ran == 0 => line(&format!("{} is up to date: no step ran{bad}", summary.run)),
        RunStatus::Succeeded => {
            line(&format!("{} succeeded: {ran} of {} steps ran{bad}", summary.run, summary.steps_total))
        }
        state => {
            let why = summary.reason.as_deref().unwrap_or("see `millstream show`");
            line(&format!("{} {}: {why}", summary.run, state.word()));
            if state == RunStatus::Failed {
                line(&format!(
                    "Look closer with `millstream show {run}`; try again with `millstream retry {run}`",
                    run = summary.run
                ));
            }
        }
    }
}

pub(crate) fn quarantine(files: &[QuarantinedFile]) {
    let mut table = table(["UPLOAD", "RUN", "LOADED", "BAD", "REASONS"]);
    for file in files {
        table.add_row([
            file.object.as_ref().unwrap_or(&file.quarantine).name().to_owned(),
            file.run.clone(),
            file.rows.to_string(),
            file.bad_rows.map_or_else(|| "all".to_owned(), |rows| rows.to_string()),
            file.rejected.clone().unwrap_or_else(|| reasons(file)),
        ]);
    }
    print(&table);
}

/// `column: reason (rows)`, the most frequent first.
pub(super) fn reasons(file: &QuarantinedFile) -> String {
    let mut reasons: Vec<_> = file.reasons.iter().collect();
    reasons.sort_by_key(|(_, rows)| std::cmp::Reverse(**rows));
    reasons.iter().map(|(reason, rows)| format!("{reason} ({rows})")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn quarantined_rows(found: &QuarantinedRows) {
    let name = found.file.object.as_ref().unwrap_or(&found.file.quarantine);
    line(&format!("{name}, read by {} of {}", found.file.step, found.file.run));
    line(&format!("kept in {}\n", found.file.quarantine));
    let mut table = table(["LINE", "COLUMN", "REASON", "VALUE", "ROW"]);
    for row in &found.rows {
        let raw = row.raw.as_deref().or(row.raw_base64.as_deref()).unwrap_or_default();
        table.add_row([
            row.line.to_string(),
            row.column.clone().unwrap_or_default(),
            row.reason.clone(),
            shortened(row.value.as_deref().unwrap_or_default()),
            shortened(&raw.replace('\n', "⏎")),
        ]);
    }
    print(&table);
    if found.truncated {
        line("There are more: --limit asks for them.");
    }
}

pub(crate) fn models(models: &[ModelSummary]) {
    let mut table = table(["MODEL", "LATEST", "SERVES", "ENDPOINTS"]);
    for model in models {
        let endpoints: Vec<&str> = model.endpoints.iter().map(|endpoint| endpoint.as_str()).collect();
        table.add_row([
            model.model.to_string(),
            model.latest.to_string(),
            model.production.map_or_else(|| "-".to_owned(), |version| version.to_string()),
            endpoints.join(", "),
        ]);
    }
    print(&table);
}

pub(crate) fn model(model: &ModelDetails) {
    line(&format!("{}", model.model));
    for endpoint in &model.endpoints {
        let shares: Vec<String> = endpoint
            .deployed
            .iter()
            .map(|deployed| format!("version {} of {} with {} %", deployed.version, deployed.model, deployed.traffic))
            .collect();
        line(&format!("endpoint {}: {}", endpoint.endpoint, shares.join(", ")));
    }
    for version in model.versions.iter().rev() {
        let names: Vec<&str> = model
            .aliases
            .iter()
            .filter(|(_, named)| **named == version.version)
            .map(|(name, _)| name.as_str())
            .collect();
        let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        let made = &version.registered;
        line(&format!("\nversion {}{names}  {}", version.version, when(Some(version.at))));
        line(&format!("  learned from  {} by the run {}", made.data, made.run));
        line(&format!("  fingerprint   {}", made.fingerprint));
        line(&format!("  files         {}", made.artifact));
        let metrics: Vec<String> = made.metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        line(&format!("  metrics       {}", metrics.join(", ")));
        if let Some(cost) = &made.cost {
            let estimate = cost.estimated_usd.map(|usd| format!(", estimated at {usd:.2}")).unwrap_or_default();
            line(&format!("  cost          {:.2} USD{estimate} ({})", cost.usd, cost.book));
        }
        if let Some(verdict) = &version.verdict {
            line(&format!("  verdict       {}", if verdict.promoted { "promoted" } else { "rejected" }));
            for check in &verdict.checks {
                let mark = if check.passed { "✓" } else { "✗" };
                line(&format!("    {mark} {}  ({})", check.expression, check.because));
            }
        }
    }
}
