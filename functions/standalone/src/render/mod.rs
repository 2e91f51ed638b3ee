//! What commands print: answers on standard output, everything else on standard error.

#[cfg(feature = "embedded")]
mod costs;
#[cfg(feature = "embedded")]
pub(crate) mod demo;
#[cfg(feature = "cloud")]
mod doctor;
#[cfg(feature = "embedded")]
mod progress;
#[cfg(any(feature = "embedded", feature = "cloud"))]
mod sources;
#[cfg(feature = "embedded")]
mod tables;
#[cfg(any(feature = "embedded", feature = "cloud"))]
mod units;
#[cfg(feature = "embedded")]
mod values;

use std::io::{Write, stderr, stdout};

use millstream_pipeline::spec::Diagnostics;
use serde::Serialize;

#[cfg(feature = "embedded")]
pub(crate) use self::{
    costs::{TrainingCost, WorkCost, training_costs, work_costs},
    progress::Progress,
    tables::{model, models, quarantine, quarantined_rows, run, run_summary, runs},
    units::seconds,
    values::{by_name, csv, rows},
};

#[cfg(feature = "cloud")]
pub(crate) use self::doctor::doctor;
#[cfg(any(feature = "embedded", feature = "cloud"))]
pub(crate) use self::{
    sources::{extracted, source_columns, source_tables},
    units::bytes,
};

/// Mistakes are wrapped to this width, which fits a terminal and a log.
const MISTAKE_WIDTH: usize = 100;

/// A line of the answer. A reader who has gone away (`| head`) wants no more of it.
pub(crate) fn line(text: &str) {
    let _ = writeln!(stdout(), "{}", text.trim_end_matches('\n'));
}

/// An answer that is a text of its own, to the byte.
pub(crate) fn verbatim(text: &str) {
    let _ = stdout().write_all(text.as_bytes());
}

/// A line beside the answer.
pub(crate) fn note(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// An answer for programs.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(&text),
        Err(error) => note(&format!("error: the answer cannot be written as JSON: {error}")),
    }
}

/// An answer for programs that read line by line.
#[cfg(feature = "embedded")]
pub(crate) fn json_line(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        line(&text);
    }
}

/// Mistakes in pipelines, each with its place in the text.
pub(crate) fn mistakes(mistakes: &Diagnostics) {
    note(&mistakes.render(MISTAKE_WIDTH));
}

/// Why a command did not do its work, with the causes that its message does not name already.
pub(crate) fn error(error: &anyhow::Error) {
    if let Some(found) = error.downcast_ref::<Diagnostics>() {
        return mistakes(found);
    }
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(&format!(": {cause}"));
        }
    }
    note(&format!("error: {text}"));
}
