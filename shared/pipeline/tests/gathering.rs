//! Files gathered into few loads, as plain values: what waits, what is due, what is owed for a record.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use millstream_events::{
    Command, StepFact,
    contract::ColumnType,
    fact::{Outcome, Reason},
    history::{Entry, History, Record},
    work::{LoadTable, Work},
};
use millstream_pipeline::{
    Pipelines, decide,
    plan::{Gathering, Plan, RunState, StepState, plan},
};
use proptest::prelude::*;
use support::*;

const WINDOW: Duration = Duration::from_secs(300);

fn windowed() -> Pipelines {
    let mut pipeline = pipeline();
    pipeline.sources[0].window = Some(WINDOW);
    project(pipeline)
}

/// Uploads of the source that gathers, and the other source's only file.
fn uploads(files: &[(&str, u64)]) -> History {
    let mut history = History::new(run());
    history.insert(entry(upload("products.csv", 1, 1)));
    for (name, generation) in files {
        history.insert(entry(upload(name, *generation, u32::try_from(*generation).unwrap())));
    }
    history
}

fn plan_of(pipelines: &Pipelines, history: &History) -> Plan {
    plan(pipelines, &pipelines.by_name[&history.run.pipeline], history)
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// Answers what is owed until nothing is; returns what was done, in order.
fn settle(pipelines: &Pipelines, history: &mut History, seconds: i64) -> Vec<Command> {
    let mut all = Vec::new();
    loop {
        let commands = decide(pipelines, history);
        if commands.is_empty() {
            return all;
        }
        for command in commands {
            history.insert(Entry { at: at(seconds), record: done(&command, 1 + all.len() as u64) });
            all.push(command);
        }
    }
}

fn loads(commands: &[Command]) -> Vec<&LoadTable> {
    commands
        .iter()
        .filter_map(|command| match &command.work {
            Work::LoadTable(work) if work.table.table() == "sales" => Some(work),
            _ => None,
        })
        .collect()
}

fn only(gatherings: &[Gathering]) -> &Gathering {
    assert_eq!(gatherings.len(), 1, "{gatherings:?}");
    &gatherings[0]
}

fn gather(pipelines: &Pipelines, history: &mut History) {
    let record = only(&plan_of(pipelines, history).gatherings).record();
    assert!(history.insert(entry(record)), "the number was taken");
}

#[test]
fn files_wait_until_the_oldest_has_waited_for_the_window() {
    let pipelines = windowed();
    let mut history = uploads(&[("sales/a.csv", 2), ("sales/b.csv", 3)]);
    assert!(plan_of(&pipelines, &history).gatherings.is_empty(), "nothing is ingested yet");
    assert!(loads(&settle(&pipelines, &mut history, 10)).is_empty());
    history.insert(entry(upload("sales/c.csv", 4, 4)));
    settle(&pipelines, &mut history, 200);
    let plan = plan_of(&pipelines, &history);
    assert_eq!(plan.state(), RunState::Waiting);
    let waiting = plan.steps.iter().find(|step| step.name.as_str() == "load/sales/gathering").unwrap();
    let StepState::Waiting { reason } = &waiting.state else { panic!("{waiting:?}") };
    assert!(reason.contains("waits up to 5m for more files") && reason.contains("sales"), "{reason}");
    let gathering = only(&plan.gatherings);
    assert_eq!((gathering.number, gathering.files.len()), (1, 3));
    assert!(!gathering.is_due(&history, at(309)));
    assert!(gathering.is_due(&history, at(310)));
}

#[test]
fn gathered_files_are_one_load_in_the_order_of_their_uploads_and_the_rest_follows() {
    let pipelines = windowed();
    let mut history = uploads(&[("sales/z.csv", 2), ("sales/a.csv", 3)]);
    let ingested = settle(&pipelines, &mut history, 0);
    gather(&pipelines, &mut history);
    let commands = settle(&pipelines, &mut history, 0);
    let batches: Vec<_> = ["sales/z.csv", "sales/a.csv"]
        .into_iter()
        .map(|name| {
            ingested.iter().find_map(|command| match &command.work {
                Work::IngestFile(work) if work.object.name() == name => Some(work.batch.clone()),
                _ => None,
            })
        })
        .map(Option::unwrap)
        .collect();
    assert_eq!(loads(&commands).iter().map(|load| load.batches.clone()).collect::<Vec<_>>(), [batches]);
    assert_eq!(plan_of(&pipelines, &history).state(), RunState::Succeeded);
}

#[test]
fn a_late_file_goes_into_the_next_load() {
    let pipelines = windowed();
    let mut history = uploads(&[("sales/a.csv", 2), ("sales/b.csv", 3)]);
    settle(&pipelines, &mut history, 0);
    gather(&pipelines, &mut history);
    history.insert(entry(upload("sales/late.csv", 9, 9)));
    assert_eq!(loads(&settle(&pipelines, &mut history, 0)).len(), 1);
    let next = plan_of(&pipelines, &history);
    assert_eq!((only(&next.gatherings).number, only(&next.gatherings).files.len()), (2, 1));
    gather(&pipelines, &mut history);
    let commands = settle(&pipelines, &mut history, 0);
    assert_eq!(loads(&commands).iter().map(|load| load.batches.len()).collect::<Vec<_>>(), [1]);
    assert_eq!(plan_of(&pipelines, &history).state(), RunState::Succeeded);
}

#[test]
fn of_two_sweeps_records_the_first_stays_and_no_file_is_in_two_loads() {
    let pipelines = windowed();
    let mut history = uploads(&[("sales/a.csv", 2)]);
    settle(&pipelines, &mut history, 0);
    let early = only(&plan_of(&pipelines, &history).gatherings).record();
    history.insert(entry(upload("sales/b.csv", 3, 3)));
    settle(&pipelines, &mut history, 0);
    let later = only(&plan_of(&pipelines, &history).gatherings).record();
    for (first, second, sizes) in [(&early, &later, vec![1, 1]), (&later, &early, vec![2])] {
        let mut history = history.clone();
        assert!(history.insert(entry(first.clone())));
        assert!(!history.insert(entry(second.clone())), "both have one id");
        let mut loaded: Vec<usize> = Vec::new();
        loop {
            loaded.extend(loads(&settle(&pipelines, &mut history, 0)).iter().map(|load| load.batches.len()));
            if plan_of(&pipelines, &history).gatherings.is_empty() {
                break;
            }
            gather(&pipelines, &mut history);
        }
        assert_eq!(loaded, sizes);
    }
}

#[test]
fn a_file_loaded_or_asked_for_before_a_window_is_added_is_not_gathered() {
    let without = project(pipeline());
    let mut history = uploads(&[("sales/a.csv", 2)]);
    settle(&without, &mut history, 0);
    history.insert(entry(upload("sales/b.csv", 3, 3)));
    let ingest = decide(&without, &history).remove(0);
    history.insert(entry(done(&ingest, 1)));
    let asked = decide(&without, &history).remove(0);
    history.insert(entry(Record::Requested(asked.step.clone())));
    let windowed = windowed();
    assert_eq!(decide(&windowed, &history), [asked], "the load that is under way stays its own");
    assert!(plan_of(&windowed, &history).gatherings.is_empty());
}

#[test]
fn gathered_files_are_not_loaded_again_after_the_window_or_the_sources_name_or_contract_has_changed() {
    let with = windowed();
    let mut history = uploads(&[("sales/a.csv", 2), ("sales/b.csv", 3)]);
    settle(&with, &mut history, 0);
    gather(&with, &mut history);
    let load = decide(&with, &history).remove(0);
    let mut changed = project(pipeline());
    let source = &mut changed.by_name.values_mut().next().unwrap().sources[0];
    source.contract.expect.push("id > 0".into());
    source.name = "renamed".into();
    let same = decide(&changed, &history).remove(0);
    assert_eq!((&same.work, same.step.job_id()), (&load.work, load.step.job_id()), "under way it stays one load");
    settle(&with, &mut history, 0);
    assert!(decide(&project(pipeline()), &history).is_empty());
}

#[test]
fn a_window_changes_nothing_downstream() {
    let models = |pipelines: &Pipelines| {
        let mut history = uploads(&[("sales/a.csv", 2), ("sales/b.csv", 3)]);
        let mut all = settle(pipelines, &mut history, 0);
        if !plan_of(pipelines, &history).gatherings.is_empty() {
            gather(pipelines, &mut history);
            all.extend(settle(pipelines, &mut history, 0));
        }
        all.into_iter().filter(|command| matches!(command.work, Work::TransformTable(_))).collect::<Vec<_>>()
    };
    assert_eq!(models(&windowed()), models(&project(pipeline())));
}

#[test]
fn a_failed_load_concerns_its_files_names_them_and_can_be_retried() {
    let pipelines = windowed();
    let mut history = uploads(&[("sales/a.csv", 2), ("sales/b.csv", 3)]);
    settle(&pipelines, &mut history, 0);
    gather(&pipelines, &mut history);
    let load = decide(&pipelines, &history).remove(0);
    let fact = Reason::new("the warehouse refused it");
    history.insert(entry(Record::Failed(StepFact { step: load.step.clone(), fact })));
    history.insert(entry(upload("sales/c.csv", 4, 4)));
    settle(&pipelines, &mut history, 0);
    gather(&pipelines, &mut history);
    let rest = settle(&pipelines, &mut history, 0);
    assert!(rest.iter().any(|command| matches!(command.work, Work::TransformTable(_))), "the good rest goes on");
    let plan = plan_of(&pipelines, &history);
    let failed = plan.steps.iter().find(|step| step.step.as_ref() == Some(&load.step)).unwrap();
    let StepState::Failed { reason } = &failed.state else { panic!("{failed:?}") };
    assert!(reason.message.contains("refused") && reason.message.contains("sales/a.csv, sales/b.csv"), "{reason:?}");
    history.insert(entry(Record::Retried(load.step.clone())));
    let again = decide(&pipelines, &history).remove(0);
    assert_eq!((again.step.attempt, &again.work), (2, &load.work));
    settle(&pipelines, &mut history, 0);
    assert_eq!(plan_of(&pipelines, &history).state(), RunState::Succeeded);
}

/// Answers the ingests that are owed, each with one more column.
fn ingest_with(pipelines: &Pipelines, history: &mut History, column: (&str, ColumnType)) {
    for command in decide(pipelines, history) {
        let mut outcome = outcome(&command, 1);
        if let Outcome::BatchIngested(batch) = &mut outcome {
            let mut new = batch.columns[0].clone();
            (new.name, new.kind) = (column.0.into(), column.1.clone());
            batch.columns.push(new);
        }
        history.insert(entry(Record::Done(StepFact { step: command.step, fact: outcome })));
    }
}

#[test]
fn a_load_has_the_columns_of_all_its_files_and_a_column_of_another_type_is_for_the_next() {
    let pipelines = windowed();
    let mut history = uploads(&[]);
    settle(&pipelines, &mut history, 0);
    for (generation, name, kind) in
        [(2, "note", ColumnType::String), (3, "weight", ColumnType::Float64), (4, "NOTE", ColumnType::Int64)]
    {
        history.insert(entry(upload(&format!("sales/{generation}.csv"), generation, 7)));
        ingest_with(&pipelines, &mut history, (name, kind));
    }
    gather(&pipelines, &mut history);
    let commands = decide(&pipelines, &history);
    let columns: Vec<_> =
        loads(&commands)[0].columns.iter().map(|column| (column.name.as_str(), column.required)).collect();
    assert_eq!(columns, [("id", true), ("note", false), ("weight", false)]);
    assert_eq!(only(&plan_of(&pipelines, &history).gatherings).files.len(), 1);
}

proptest! {
    #[test]
    fn however_files_come_and_sweeps_happen_each_file_is_in_one_load(choices in prop::collection::vec(0_u8..4, 1..40)) {
        let pipelines = windowed();
        let mut history = uploads(&[]);
        let mut loaded = Vec::new();
        let mut files = 0;
        for choice in choices {
            match choice {
                0 => {
                    files += 1;
                    history.insert(entry(upload(&format!("sales/{files}.csv"), 10 + files, 7)));
                }
                1 => loaded.extend(settle(&pipelines, &mut history, 0)),
                2 => {
                    if let Some(gathering) = plan_of(&pipelines, &history).gatherings.first() {
                        history.insert(entry(gathering.record()));
                    }
                }
                _ => {
                    // The records again, in another order.
                    let mut entries: Vec<Entry> = history.entries().cloned().collect();
                    entries.reverse();
                    let mut other = History::new(run());
                    other.extend([entries.clone(), entries].concat());
                    prop_assert_eq!(plan_of(&pipelines, &other), plan_of(&pipelines, &history));
                }
            }
        }
        loop {
            loaded.extend(settle(&pipelines, &mut history, 0));
            let Some(gathering) = plan_of(&pipelines, &history).gatherings.first().cloned() else { break };
            history.insert(entry(gathering.record()));
        }
        let batches: Vec<_> = loads(&loaded).into_iter().flat_map(|load| load.batches.clone()).collect();
        let distinct: std::collections::BTreeSet<_> = batches.iter().collect();
        prop_assert_eq!((batches.len() as u64, distinct.len() as u64), (files, files));
    }
}
