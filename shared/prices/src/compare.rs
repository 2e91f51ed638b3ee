//! One training on each back-end.

use millstream_events::compute::{Compute, RunOn};
use serde::Serialize;

use crate::book::Book;

/// A back-end's price for a training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The back-end.
    pub run_on: RunOn,
    /// US dollars for the whole time; none where it has no price, for the reason in `note`.
    pub usd: Option<f64>,
    /// US dollars an hour.
    pub usd_per_hour: Option<f64>,
    /// The machine type of each node.
    pub machine: Option<String>,
    /// What to know about it, or why there is no price.
    pub note: String,
}

/// What a training that runs so many seconds would cost on each back-end, in the order of [`RunOn::ALL`].
#[must_use]
pub fn compare(compute: &Compute, seconds: f64, book: &Book) -> Vec<Line> {
    RunOn::ALL.iter().map(|run_on| line(&Compute { run_on: *run_on, ..compute.clone() }, seconds, book)).collect()
}

fn line(compute: &Compute, seconds: f64, book: &Book) -> Line {
    let unpriced = |note: String| Line { run_on: compute.run_on, usd: None, usd_per_hour: None, machine: None, note };
    match book.hourly(compute) {
        Ok(Some(rate)) => Line {
            run_on: compute.run_on,
            usd: Some(rate.usd_for(seconds)),
            usd_per_hour: Some(rate.usd),
            machine: rate.machine,
            note: rate.notes.join("; "),
        },
        Ok(None) => unpriced("a process on the machine that asks: no price".to_owned()),
        Err(error) => unpriced(error.to_string()),
    }
}
