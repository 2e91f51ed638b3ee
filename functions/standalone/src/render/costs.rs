//! Prices for people.

use comfy_table::{CellAlignment, Table};
use millstream_events::{
    compute::{Capacity, Compute, RunOn},
    names::ModelName,
};
use millstream_prices::{Book, Line, Work, WorkLine};
use serde::Serialize;

use super::{line, seconds, tables};

/// A training's price on each back-end.
#[derive(Debug, Serialize)]
pub(crate) struct TrainingCost {
    /// The model that it makes.
    pub(crate) training: ModelName,
    /// Where it is to run, as its pipeline says.
    pub(crate) run_on: RunOn,
    /// The time that is priced, in seconds.
    pub(crate) seconds: f64,
    /// Whether that is how long it is expected to run; else it is the longest that it may.
    pub(crate) is_expected: bool,
    /// What it may cost in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_cost_usd: Option<f64>,
    /// What it asks for.
    pub(crate) compute: Compute,
    /// The back-ends.
    pub(crate) lines: Vec<Line>,
}

/// What some work costs in each place.
#[derive(Debug, Serialize)]
pub(crate) struct WorkCost {
    /// The work.
    #[serde(flatten)]
    pub(crate) work: Work,
    /// US dollars to keep its data for that time, on top and everywhere the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_usd: Option<f64>,
    /// The places.
    pub(crate) lines: Vec<WorkLine>,
}

/// Marks the back-end that a training is to run on.
const CHOSEN: &str = "*";

pub(crate) fn training_costs(book: &Book, costs: &[TrainingCost]) {
    head(book);
    for cost in costs {
        let why = if cost.is_expected { "the time it is expected to run" } else { "its wall limit" };
        line(&format!("\n{}: {}, for {}, {why}", cost.training, nodes(&cost.compute), seconds(cost.seconds)));
        let mut table = tables::table(["", "RUN ON", "MACHINE", "USD/HOUR", "USD", "NOTE"]);
        for priced in &cost.lines {
            table.add_row([
                if priced.run_on == cost.run_on { CHOSEN.to_owned() } else { String::new() },
                priced.run_on.to_string(),
                priced.machine.clone().unwrap_or_else(|| "-".to_owned()),
                dollars(priced.usd_per_hour, 4),
                dollars(priced.usd, 2),
                note(priced, cost.max_cost_usd),
            ]);
        }
        print(table, [3, 4]);
    }
    line(&format!("\n{CHOSEN} where it is to run"));
}

pub(crate) fn work_costs(book: &Book, costs: &[WorkCost]) {
    head(book);
    for cost in costs {
        line(&format!("\n{}", cost.work.name));
        let mut table = tables::table(["WHERE", "MACHINE", "USD/HOUR", "USD", "NOTE"]);
        for priced in &cost.lines {
            table.add_row([
                priced.place.as_str().to_owned(),
                priced.machine.clone().unwrap_or_else(|| "-".to_owned()),
                dollars(priced.usd_per_hour, 4),
                dollars(priced.usd, 2),
                priced.note.clone(),
            ]);
        }
        print(table, [2, 3]);
        if let Some(usd) = cost.data_usd {
            line(&format!("and {usd:.2} USD to keep the data in BigQuery for that time, wherever it is read"));
        }
    }
}

fn head(book: &Book) {
    line(&format!("Prices of {} ({}): {}", book.name, book.region, book.about));
}

/// What a training asks for.
fn nodes(compute: &Compute) -> String {
    let nodes = if compute.nodes == 1 { "1 node".to_owned() } else { format!("{} nodes, each", compute.nodes) };
    let gpus = compute.accelerator.map(|gpus| format!(", {} {}", gpus.count, gpus.gpu)).unwrap_or_default();
    let bought = match compute.capacity {
        Capacity::Standard => String::new(),
        bought => format!(", {bought}"),
    };
    format!("{nodes} with {} vCPUs, {} GiB{gpus}{bought}", compute.cpu, compute.memory_mib as f64 / 1024.0)
}

fn note(priced: &Line, most: Option<f64>) -> String {
    match (priced.usd, most) {
        (Some(usd), Some(most)) if usd > most => {
            let rest = if priced.note.is_empty() { String::new() } else { format!("; {}", priced.note) };
            format!("more than it may cost, {most:.2}{rest}")
        }
        _ => priced.note.clone(),
    }
}

fn dollars(usd: Option<f64>, places: usize) -> String {
    usd.map_or_else(|| "-".to_owned(), |usd| format!("{usd:.places$}"))
}

fn print(mut table: Table, numbers: [usize; 2]) {
    for column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    tables::print(&table);
}
