//! What commands print: answers on standard output, everything else on standard error.

#[cfg(feature = "embedded")]
pub(crate) mod demo;
#[cfg(feature = "embedded")]
mod progress;
#[cfg(feature = "embedded")]
mod tables;
#[cfg(feature = "embedded")]
mod values;

use std::io::{Write, stderr, stdout};

use millstream_pipeline::spec::Diagnostics;
use serde::Serialize;

#[cfg(feature = "embedded")]
pub(crate) use self::{
    progress::Progress,
    tables::{model, models, quarantine, quarantined_rows, run, run_summary, runs},
    values::{by_name, csv, rows},
};

/// Mistakes are wrapped to this width, which fits a terminal and a log.
const MISTAKE_WIDTH: usize = 100;

/// A line of the answer. A reader who has gone away (`| head`) wants no more of it.
pub(crate) fn line(text: &str) {
    let _ = writeln!(stdout(), "{}", text.trim_end_matches('\n'));
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

/// A span in the unit that fits it.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3_600.0 => format!("{} min {:02} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {:02} min", s as u64 / 3_600, s as u64 % 3_600 / 60),
    }
}

/// A size in the unit that fits it.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1_024.0;
    let mut unit = 0;
    while size >= 1_024.0 && unit + 1 < UNITS.len() {
        size /= 1_024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_written_in_the_unit_that_fits() {
        assert_eq!(
            [0.004, 1.25, 61.0, 7_322.0].map(seconds),
            ["4 ms", "1.2 s", "1 min 01 s", "2 h 02 min"].map(str::to_owned)
        );
        assert_eq!([512, 2_048, 5 << 20].map(bytes), ["512 B", "2.0 KiB", "5.0 MiB"].map(str::to_owned));
    }
}
