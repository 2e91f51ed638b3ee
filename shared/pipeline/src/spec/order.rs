//! Models in the order they can run, and the cycles that have none.

use std::collections::{BTreeMap, BTreeSet};

use millstream_events::names::TableName;

use super::{
    diagnostic::{Code, Diagnostic},
    resolve::{Draft, DraftModel},
};
use crate::model::SqlModel;

/// Each model after those of its pipeline that it reads; the file's order where both ways would do.
pub(crate) fn sorted(mut models: Vec<SqlModel>) -> Vec<SqlModel> {
    let mut sorted = Vec::with_capacity(models.len());
    while !models.is_empty() {
        let waiting: BTreeSet<&TableName> = models.iter().map(|model| &model.table).collect();
        let ready = models.iter().position(|model| !model.select.inputs.iter().any(|input| waiting.contains(input)));
        // Cycles are refused before this: without one, some model is always ready.
        sorted.push(models.remove(ready.unwrap_or(0)));
    }
    sorted
}

/// Reports each cycle among the models of all pipelines once, at the model whose table's name comes first.
pub(crate) fn no_cycles(drafts: &[Draft], mistakes: &mut Vec<Diagnostic>) {
    let models: BTreeMap<&TableName, (&Draft, &DraftModel)> = drafts
        .iter()
        .flat_map(|draft| draft.models.iter().map(move |model| (&model.model.table, (draft, model))))
        .collect();
    let mut told: BTreeSet<&TableName> = BTreeSet::new();
    for (table, (draft, model)) in &models {
        let Some(cycle) = shortest_way_back(table, &models).filter(|_| !told.contains(table)) else { continue };
        told.extend(cycle.iter().copied());
        let way: Vec<String> = cycle.iter().chain([table]).map(ToString::to_string).collect();
        let files: Vec<String> = cycle
            .iter()
            .filter_map(|table| models.get(table).map(|(_, model)| format!("{table} is {}", model.sql.name())))
            .collect();
        let message = match cycle.as_slice() {
            [_] => format!("{table} reads itself"),
            _ => format!("these models read each other: {}", way.join(" -> ")),
        };
        draft
            .mistake(&model.place, Code::Cycle, message, mistakes)
            .expected("models whose inputs are all there before they run")
            .hint(files.join(", "));
    }
}

/// The shortest list of tables from `start` on, each read by its predecessor, whose last reads `start`.
fn shortest_way_back<'a>(
    start: &'a TableName,
    models: &BTreeMap<&'a TableName, (&Draft, &'a DraftModel)>,
) -> Option<Vec<&'a TableName>> {
    let mut seen: BTreeSet<&TableName> = BTreeSet::new();
    let mut ways: Vec<Vec<&'a TableName>> = vec![vec![start]];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let Some((_, model)) = way.last().and_then(|last| models.get(last)) else { continue };
            for input in &model.model.select.inputs {
                if input == start {
                    return Some(way);
                }
                if seen.insert(input) {
                    longer.push([way.as_slice(), &[input]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}
