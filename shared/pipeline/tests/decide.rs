//! `decide`, as plain values: what is owed for what is known.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::collections::BTreeSet;

use millstream_events::{
    Command, StepFact,
    fact::Reason,
    history::{History, Record},
    work::{Work, WriteMode},
};
use millstream_pipeline::{
    decide,
    model::{Pipeline, Pipelines},
    plan::{RunState, plan},
};
use proptest::prelude::*;
use support::*;

fn history() -> History {
    History::new(run())
}

fn owed(pipelines: &Pipelines, history: &History) -> Vec<String> {
    let kind = |command: Command| command.step.step.as_str().split('/').take(2).collect::<Vec<_>>().join("/");
    decide(pipelines, history).into_iter().map(kind).collect()
}

/// Answers what is owed until nothing is; returns what was done, in order.
fn settle(pipelines: &Pipelines, history: &mut History) -> Vec<Command> {
    let mut all = Vec::new();
    loop {
        let commands = decide(pipelines, history);
        if commands.is_empty() {
            return all;
        }
        for command in commands {
            // As a warehouse numbers its commits: each later one is larger.
            let version = history.entries().count() as u64 + 1;
            history.insert(entry(done(&command, version)));
            all.push(command);
        }
    }
}

fn state(pipelines: &Pipelines, history: &History) -> RunState {
    plan(pipelines, &pipelines.by_name[&history.run.pipeline], history).state()
}

fn steps(commands: &[Command]) -> Vec<&str> {
    commands.iter().map(|command| command.step.step.as_str().split('/').next().unwrap()).collect()
}

#[test]
fn nothing_is_owed_before_anything_arrives() {
    let pipelines = project(pipeline());
    assert_eq!(owed(&pipelines, &history()), Vec::<String>::new());
    assert_eq!(state(&pipelines, &history()), RunState::Waiting);
}

#[test]
fn a_join_waits_for_all_its_sources_whatever_their_order() {
    for first in [upload("products.csv", 1, 1), upload("sales/a.csv", 2, 2)] {
        let pipelines = project(pipeline());
        let mut history = history();
        history.insert(entry(first));
        settle(&pipelines, &mut history);
        assert_eq!(state(&pipelines, &history), RunState::Waiting);
        history.insert(entry(upload("products.csv", 1, 1)));
        history.insert(entry(upload("sales/a.csv", 2, 2)));
        let rest = settle(&pipelines, &mut history);
        assert!(steps(&rest).ends_with(&["model", "export", "train", "promote"]), "{:?}", steps(&rest));
        assert_eq!(state(&pipelines, &history), RunState::Succeeded);
    }
}

fn settled() -> (Pipelines, History) {
    let pipelines = project(pipeline());
    let mut history = history();
    history.insert(entry(upload("products.csv", 1, 1)));
    history.insert(entry(upload("sales/a.csv", 2, 2)));
    settle(&pipelines, &mut history);
    (pipelines, history)
}

#[test]
fn the_same_bytes_uploaded_again_run_nothing() {
    let (pipelines, mut history) = settled();
    history.insert(entry(upload("products.csv", 7, 1)));
    history.insert(entry(upload("sales/a.csv", 8, 2)));
    assert_eq!(owed(&pipelines, &history), Vec::<String>::new());
}

#[test]
fn a_changed_select_reruns_only_what_is_downstream_of_it() {
    let (mut pipelines, mut history) = settled();
    let joined = &mut pipelines.by_name.values_mut().next().unwrap().models[1];
    joined.select.canonical.push_str(" WHERE id > 1");
    assert_eq!(steps(&settle(&pipelines, &mut history)), ["model", "export", "train", "promote"]);
    let (mut pipelines, mut history) = settled();
    pipelines.by_name.values_mut().next().unwrap().models[0].select.canonical.push_str(" WHERE id > 1");
    assert_eq!(steps(&settle(&pipelines, &mut history)), ["model", "model", "export", "train", "promote"]);
}

#[test]
fn an_appended_file_is_loaded_once_though_its_contract_changes_later() {
    let (mut pipelines, mut history) = settled();
    let pipeline = pipelines.by_name.values_mut().next().unwrap();
    pipeline.sources[0].contract.expect.push("id > 0".into());
    assert_eq!(owed(&pipelines, &history), Vec::<String>::new());
    history.insert(entry(upload("sales/b.csv", 9, 9)));
    assert_eq!(
        steps(&settle(&pipelines, &mut history)),
        ["ingest", "load", "model", "model", "export", "train", "promote"]
    );
}

#[test]
fn a_replaced_table_takes_only_the_newest_file_and_takes_an_old_one_again_when_it_returns() {
    let (pipelines, mut history) = settled();
    history.insert(entry(upload("products.csv", 10, 100)));
    history.insert(entry(upload("products.csv", 11, 101)));
    let commands = settle(&pipelines, &mut history);
    let ingested: Vec<u64> = commands
        .iter()
        .filter_map(|command| match &command.work {
            Work::IngestFile(work) => Some(work.generation),
            _ => None,
        })
        .collect();
    assert_eq!(ingested, [11], "the file in between was superseded before it was read");
    // The first file's bytes again: known as a batch, but no longer what the table holds.
    history.insert(entry(upload("products.csv", 12, 1)));
    assert_eq!(steps(&settle(&pipelines, &mut history))[..2], ["load", "model"]);
}

#[test]
fn a_late_write_of_an_older_definition_is_written_over_again() {
    let (mut pipelines, mut history) = settled();
    let late = Command {
        ..settle(&pipelines, &mut uploaded())
            .into_iter()
            .find(|c| c.step.step.as_str() == "model/production.joined")
            .unwrap()
    };
    pipelines.by_name.values_mut().next().unwrap().models[1].select.canonical.push_str(" WHERE id > 1");
    settle(&pipelines, &mut history);
    assert_eq!(owed(&pipelines, &history), Vec::<String>::new());
    let mut stale = late;
    stale.step.attempt = 9;
    history.insert(entry(done(&stale, 1_000)));
    let again = decide(&pipelines, &history);
    assert_eq!(steps(&again), ["model"]);
    assert_eq!(again[0].step.attempt, 2, "the same content under the next attempt");
}

/// Two uploads have arrived, nothing is done.
fn uploaded() -> History {
    let mut history = history();
    history.insert(entry(upload("products.csv", 1, 1)));
    history.insert(entry(upload("sales/a.csv", 2, 2)));
    history
}

#[test]
fn uploading_a_file_that_failed_again_is_another_try() {
    let pipelines = project(pipeline());
    let mut history = history();
    history.insert(entry(upload("products.csv", 1, 1)));
    let failed = decide(&pipelines, &history).remove(0);
    fail(&mut history, &failed);
    assert_eq!(owed(&pipelines, &history), Vec::<String>::new());
    history.insert(entry(upload("products.csv", 2, 1)));
    let again = decide(&pipelines, &history);
    assert_eq!((again[0].step.attempt, &again[0].step.fingerprint), (2, &failed.step.fingerprint));
    fail(&mut history, &again[0]);
    assert_eq!(owed(&pipelines, &history), Vec::<String>::new(), "one try an upload");
}

fn fail(history: &mut History, command: &Command) {
    let fact = Reason::new("no");
    history.insert(entry(Record::Failed(StepFact { step: command.step.clone(), fact })));
}

#[test]
fn a_rejected_file_does_not_block_the_good_rest() {
    let pipelines = project(pipeline());
    let mut history = uploaded();
    history.insert(entry(upload("sales/bad.csv", 3, 3)));
    for command in decide(&pipelines, &history) {
        match &command.work {
            Work::IngestFile(work) if work.object.name() == "sales/bad.csv" => fail(&mut history, &command),
            _ => drop(history.insert(entry(done(&command, 1)))),
        }
    }
    let rest = settle(&pipelines, &mut history);
    assert!(steps(&rest).contains(&"promote"));
    assert_eq!(state(&pipelines, &history), RunState::Failed, "what failed stays visible");
}

#[test]
fn a_failed_step_blocks_what_needs_it_until_it_is_retried() {
    let pipelines = project(pipeline());
    let mut history = uploaded();
    let mut failed = None;
    while let Some(command) = decide(&pipelines, &history).into_iter().next() {
        if command.step.step.as_str() == "model/production.joined" {
            fail(&mut history, &command);
            failed = Some(command);
        } else {
            history.insert(entry(done(&command, 1)));
        }
    }
    assert_eq!(state(&pipelines, &history), RunState::Failed);
    history.insert(entry(Record::Retried(failed.unwrap().step)));
    let rest = settle(&pipelines, &mut history);
    assert_eq!(steps(&rest), ["model", "export", "train", "promote"]);
    assert_eq!(rest[0].step.attempt, 2);
    assert_eq!(state(&pipelines, &history), RunState::Succeeded);
}

#[test]
fn files_are_merged_one_after_the_other() {
    let mut pipeline = pipeline();
    pipeline.sources[0].write = WriteMode::Merge { key: vec!["id".into()] };
    let pipelines = project(pipeline);
    let mut history = uploaded();
    history.insert(entry(upload("sales/b.csv", 3, 3)));
    let commands = settle(&pipelines, &mut history);
    let loads: Vec<u64> = commands
        .iter()
        .filter_map(|command| match &command.work {
            Work::LoadTable(work) if work.table.table() == "sales" => Some(work.sequence),
            _ => None,
        })
        .collect();
    assert_eq!(loads, [2, 3]);
    // An older file told of late goes in, and the newer one again after it.
    history.insert(entry(upload("sales/0.csv", 1, 7)));
    let again = settle(&pipelines, &mut history);
    let loads = again.iter().filter(|command| matches!(command.work, Work::LoadTable(_))).count();
    assert_eq!(loads, 3);
}

#[test]
fn a_run_over_the_tables_as_they_stand_does_its_models_anew() {
    let (pipelines, _) = settled();
    let occasion = |key: &str| {
        let mut history = History::new(format!("shop/{key}").parse().unwrap());
        history.insert(entry(Record::Started { by: "schedule".into(), extracts: None, full_refresh: false }));
        settle(&pipelines, &mut history)
    };
    let (monday, tuesday) = (occasion("tick-1"), occasion("tick-2"));
    assert_eq!(steps(&monday), ["model", "model", "export", "train", "promote"]);
    assert_ne!(monday[0].step.fingerprint, tuesday[0].step.fingerprint);
}

fn keyed() -> Pipeline {
    let mut pipeline = pipeline();
    pipeline.sources[0].upload = "sales/{date}/*.csv".parse().unwrap();
    pipeline
}

#[test]
fn a_keyed_run_takes_a_source_without_the_key_as_it_stands() {
    let pipelines = project(keyed());
    let mut history = History::new("shop/date=2026-11-24".parse().unwrap());
    history.insert(entry(upload("sales/2026-11-24/a.csv", 1, 1)));
    history.insert(entry(upload("sales/2026-11-23/b.csv", 2, 2)));
    let commands = settle(&pipelines, &mut history);
    assert_eq!(steps(&commands), ["ingest", "load", "model", "model", "export", "train", "promote"]);
    let exported = commands.iter().find_map(|command| match &command.work {
        Work::ExportTable(work) => Some(work.to.to_string()),
        _ => None,
    });
    assert_eq!(exported.unwrap(), "gs://lake/shop/date=2026-11-24/joined.parquet");
}

proptest! {
    #[test]
    fn any_order_and_any_duplicates_of_what_is_known_owe_the_same(seed in any::<u64>(), cut in 0_usize..40) {
        let (pipelines, full) = settled();
        let mut entries: Vec<_> = full.entries().cloned().collect();
        entries.truncate(cut.min(entries.len()));
        let mut in_order = history();
        in_order.extend(entries.clone());
        let mut shuffled = history();
        let mut doubled = [entries.clone(), entries].concat();
        let mut state = seed | 1;
        for at in (1..doubled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            doubled.swap(at, (state >> 33) as usize % (at + 1));
        }
        shuffled.extend(doubled);
        prop_assert_eq!(decide(&pipelines, &in_order), decide(&pipelines, &shuffled));
    }

    #[test]
    fn whichever_owed_step_is_done_next_each_is_done_once_and_all_in_the_end(choices in prop::collection::vec(any::<u8>(), 64)) {
        let pipelines = project(pipeline());
        let mut history = uploaded();
        history.insert(entry(upload("sales/b.csv", 3, 3)));
        let mut finished = BTreeSet::new();
        for (version, choice) in choices.iter().enumerate() {
            let commands = decide(&pipelines, &history);
            let Some(command) = commands.get(usize::from(*choice) % commands.len().max(1)) else { break };
            prop_assert!(finished.insert(command.step.clone()), "{:?} was owed twice", command.step);
            history.insert(entry(done(command, version as u64 + 1)));
        }
        prop_assert_eq!(state(&pipelines, &history), RunState::Succeeded);
        prop_assert_eq!(finished.len(), 3 + 3 + 2 + 1 + 1 + 1);
    }
}
