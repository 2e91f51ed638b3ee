//! What the doctor found, for people.

use comfy_table::{Table, presets::NOTHING};

use super::line;
use crate::doctor::{Report, State};

pub(crate) fn doctor(report: &Report) {
    line(&format!("{} in {}\n", report.environment, report.project));
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["LINK", "WHICH", "STATE", "TOOK", "WHAT WAS SEEN"]);
    for finding in &report.findings {
        table.add_row([
            finding.link.to_owned(),
            finding.subject.clone(),
            finding.state.word().to_owned(),
            finding.seconds.map(|seconds| format!("{seconds:.1} s")).unwrap_or_default(),
            finding.detail.clone(),
        ]);
    }
    for text in table.to_string().lines() {
        line(text.trim_end());
    }
    let count = |state| report.findings.iter().filter(|finding| finding.state == state).count();
    let (well, broken, unchecked) = (count(State::Ok), count(State::Broken), count(State::Unchecked));
    line(&format!("\n{well} ok, {broken} broken, {unchecked} cannot be checked here"));
    for finding in report.findings.iter().filter(|finding| finding.state == State::Broken) {
        line(&format!("\n{} {}: {}", finding.link, finding.subject, finding.detail));
        if let Some(todo) = &finding.todo {
            line(&format!("  what to do: {todo}"));
        }
    }
}
