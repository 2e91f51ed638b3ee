//! Turns at extracting, over many runs on one in-memory ledger: one at a time, each from where the last loaded one came to.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta};
use millstream_events::{
    Command, Envelope, Event, Fingerprint, StepFact,
    contract::Contract,
    extract::{Bookmark, Changes, Connection, Cursor, ExtractLimits, Selection, SourceKind},
    fact::{Outcome, Reason, SourceExtracted, TableUpdated},
    names::RunId,
    trigger::{RetryRequested, RunRequested, ScheduleFired, SweepDue},
    work::{TableLayout, Work, WriteMode},
};
use millstream_pipeline::{
    model::{Buckets, Extract, Pipeline, Pipelines},
    plan::{RunState, StepState},
};
use millstream_plan_run::{PlanRun, Ports};
use millstream_ports::{
    ObjectLedger,
    memory::{ManualClock, MemoryBus, MemoryObjectStore},
};
use millstream_runtime::{Ack, Handler};
use proptest::prelude::*;

fn customers(table: &str, cursor: &str, schedule: Option<&str>) -> Extract {
    Extract {
        name: table.to_owned(),
        schedule: schedule.map(str::to_owned),
        connection: Connection { from: SourceKind::Postgres, secret: Some("crm".parse().unwrap()), ca: None },
        select: Selection::Table(format!("public.{table}")),
        only: vec![],
        split_by: None,
        changes: Changes::Cursor(Cursor { column: cursor.to_owned(), lookback: None, deleted: None }),
        limits: ExtractLimits::default(),
        contract: Contract::default(),
        table: format!("source.{table}").parse().unwrap(),
        write: WriteMode::Merge { key: vec!["id".into()] },
        layout: TableLayout::default(),
    }
}

fn pipelines(extracts: Vec<Extract>) -> Pipelines {
    let pipeline = Pipeline {
        name: "shop".parse().unwrap(),
        description: None,
        schedule: Some("0 * * * *".into()),
        message: None,
        sources: vec![],
        extracts,
        models: vec![],
        exports: vec![],
        trainings: vec![],
    };
    Pipelines {
        buckets: Buckets::default(),
        direct_loads: false,
        by_name: BTreeMap::from([(pipeline.name.clone(), pipeline)]),
    }
}

struct Stage {
    function: PlanRun,
    bus: Arc<MemoryBus>,
    clock: Arc<ManualClock>,
    /// The newest value that the source has.
    newest: u32,
}

impl Stage {
    fn new(extracts: Vec<Extract>) -> Self {
        let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
        let store = Arc::new(MemoryObjectStore::new());
        let bus = Arc::new(MemoryBus::new());
        let ledger = Arc::new(ObjectLedger::new(store.clone(), "ledger", clock.clone()));
        let ports = Ports { ledger, store, bus: bus.clone(), clock: clock.clone() };
        Self { function: PlanRun::new(pipelines(extracts), ports), bus, clock, newest: 0 }
    }

    /// Delivers an event; the commands it led to.
    async fn deliver(&self, event: Event) -> Vec<Command> {
        let envelope = Envelope { event, time: DateTime::UNIX_EPOCH, traceparent: None };
        assert_eq!(self.function.handle(&envelope).await, Ack::Done);
        let commands = self.bus.take().into_iter().map(|envelope| match envelope.event {
            Event::Command(command) => command,
            other => panic!("plan-run publishes commands only, not {other:?}"),
        });
        commands.collect()
    }

    async fn tick(&self, hour: i64, source: Option<&str>) -> Vec<Command> {
        let scheduled_at = DateTime::UNIX_EPOCH + TimeDelta::hours(hour);
        let source = source.map(str::to_owned);
        self.deliver(Event::ScheduleFired(ScheduleFired { pipeline: "shop".parse().unwrap(), scheduled_at, source }))
            .await
    }

    async fn sweep(&self) -> Vec<Command> {
        self.deliver(Event::SweepDue(SweepDue {})).await
    }

    /// Answers a command as its function would.
    async fn done(&self, command: &Command) -> Vec<Command> {
        let fact = StepFact { step: command.step.clone(), fact: outcome(command, self.newest) };
        self.deliver(Event::StepDone(fact)).await
    }

    async fn failed(&self, command: &Command) -> Vec<Command> {
        let fact = StepFact { step: command.step.clone(), fact: Reason::new("no such table") };
        self.deliver(Event::StepFailed(fact)).await
    }

    async fn state(&self, run: &str) -> RunState {
        self.function.plan(&run.parse().unwrap()).await.unwrap().unwrap().state()
    }
}

fn outcome(command: &Command, newest: u32) -> Outcome {
    match &command.work {
        Work::ExtractSource(work) => Outcome::SourceExtracted(SourceExtracted {
            batches: vec![work.batches.join("range-00000.parquet").unwrap()],
            rows: 1,
            bad_rows: 0,
            quarantine: vec![],
            reasons: BTreeMap::new(),
            columns: vec![],
            bookmark: Bookmark { shape: Fingerprint::of("shape", []), position: Some(newest.to_string()) },
            everything: work.since.is_none(),
            deletes: false,
            notes: vec![],
        }),
        Work::LoadTable(work) => Outcome::TableUpdated(TableUpdated {
            table: work.table.clone(),
            rows: 1,
            total_rows: 1,
            version: 1,
            superseded: false,
        }),
        other => panic!("no such step here: {other:?}"),
    }
}

fn since(command: &Command) -> Option<String> {
    let Work::ExtractSource(work) = &command.work else { panic!("an extraction, not {command:?}") };
    work.since.as_ref().and_then(|since| since.position.clone())
}

#[track_caller]
fn only(commands: Vec<Command>) -> Command {
    assert_eq!(commands.len(), 1, "{commands:?}");
    commands.into_iter().next().unwrap()
}

#[tokio::test]
async fn each_extraction_starts_where_the_last_loaded_one_came_to() {
    let mut stage = Stage::new(vec![customers("customers", "updated_at", None)]);
    stage.newest = 10;
    let first = only(stage.tick(1, None).await);
    assert_eq!(first.step.step.as_str(), "extract/customers/turn-1");
    assert_eq!(since(&first), None, "everything, the first time");
    let load = only(stage.done(&first).await);
    let Work::LoadTable(work) = &load.work else { panic!("a load") };
    assert_eq!(work.write, WriteMode::Replace, "everything takes the place of what was there");
    assert!(stage.done(&load).await.is_empty());
    assert_eq!(stage.state("shop/tick-19700101T010000Z").await, RunState::Succeeded);

    stage.newest = 20;
    let second = only(stage.tick(2, None).await);
    assert_eq!(since(&second).as_deref(), Some("10"));
    let load = only(stage.done(&second).await);
    let Work::LoadTable(work) = &load.work else { panic!("a load") };
    assert_eq!(work.write, WriteMode::Merge { key: vec!["id".into()] }, "what changed is merged");
}

#[tokio::test]
async fn a_tick_waits_until_the_one_before_has_loaded() {
    let mut stage = Stage::new(vec![customers("customers", "updated_at", None)]);
    stage.newest = 10;
    let first = only(stage.tick(1, None).await);
    assert!(stage.tick(2, None).await.is_empty(), "the first goes on");
    let second = "shop/tick-19700101T020000Z";
    assert_eq!(stage.state(second).await, RunState::Waiting);
    let load = only(stage.done(&first).await);
    let asked: BTreeSet<RunId> = stage.sweep().await.into_iter().map(|command| command.step.run).collect();
    assert_eq!(asked, BTreeSet::from([load.step.run.clone()]), "extracted is not loaded");
    stage.done(&load).await;
    let next = only(stage.sweep().await);
    assert_eq!((next.step.run.to_string().as_str(), since(&next).as_deref()), (second, Some("10")));
}

#[tokio::test]
async fn a_turn_that_failed_is_passed_over_and_tried_again_as_another() {
    let mut stage = Stage::new(vec![customers("customers", "updated_at", None)]);
    stage.newest = 10;
    let first = only(stage.tick(1, None).await);
    let load = only(stage.done(&first).await);
    stage.done(&load).await;
    stage.newest = 20;
    let second = only(stage.tick(2, None).await);
    assert!(stage.failed(&second).await.is_empty());
    stage.newest = 30;
    let third = only(stage.tick(3, None).await);
    assert_eq!(since(&third).as_deref(), Some("10"), "what failed has loaded nothing");
    let retry = RetryRequested { run: second.step.run.clone(), step: None };
    assert!(stage.deliver(Event::RetryRequested(retry)).await.is_empty(), "it waits for its turn like any other");
    let load = only(stage.done(&third).await);
    stage.done(&load).await;
    let again = only(stage.sweep().await);
    assert_eq!((again.step.run.clone(), since(&again).as_deref()), (second.step.run, Some("30")));
    assert_eq!(again.step.step.as_str(), "extract/customers/turn-4");
}

#[tokio::test]
async fn a_full_refresh_and_another_cursor_read_everything() {
    let mut stage = Stage::new(vec![customers("customers", "updated_at", None)]);
    stage.newest = 10;
    let load = only(stage.done(&only(stage.tick(1, None).await)).await);
    stage.done(&load).await;
    let request = RunRequested { pipeline: "shop".parse().unwrap(), request: "1".into(), full_refresh: true };
    let refresh = only(stage.deliver(Event::RunRequested(request)).await);
    assert_eq!(since(&refresh), None);
    assert!(stage.failed(&refresh).await.is_empty());
    let next = only(stage.tick(2, None).await);
    assert_eq!(since(&next).as_deref(), Some("10"), "a refresh that failed has taken nothing away");
    let load = only(stage.done(&next).await);
    stage.done(&load).await;
    stage.function.replace_pipelines(pipelines(vec![customers("customers", "changed", None)]));
    assert_eq!(since(&only(stage.tick(3, None).await)), None, "a value of another column says nothing");
}

#[tokio::test]
async fn a_source_with_a_schedule_is_extracted_by_it_and_by_hand_alone() {
    let own = customers("orders", "id", Some("*/5 * * * *"));
    let stage = Stage::new(vec![customers("customers", "updated_at", None), own]);
    let names = |commands: Vec<Command>| -> Vec<String> {
        let mut names: Vec<_> = commands.iter().map(|command| command.step.step.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(names(stage.tick(1, None).await), ["extract/customers/turn-1"]);
    assert_eq!(names(stage.tick(1, Some("orders")).await), ["extract/orders/turn-1"]);
    let stage =
        Stage::new(vec![customers("customers", "updated_at", None), customers("orders", "id", Some("0 0 * * *"))]);
    let request = RunRequested { pipeline: "shop".parse().unwrap(), request: "1".into(), full_refresh: false };
    let both = names(stage.deliver(Event::RunRequested(request)).await);
    assert_eq!(both, ["extract/customers/turn-1", "extract/orders/turn-1"]);
}

#[tokio::test]
async fn an_extraction_without_rows_is_loaded_already() {
    let mut stage = Stage::new(vec![customers("customers", "updated_at", None)]);
    stage.newest = 10;
    let load = only(stage.done(&only(stage.tick(1, None).await)).await);
    stage.done(&load).await;
    let second = only(stage.tick(2, None).await);
    let Outcome::SourceExtracted(mut nothing) = outcome(&second, 11) else { panic!("extracted") };
    (nothing.batches, nothing.rows) = (vec![], 0);
    let fact = StepFact { step: second.step.clone(), fact: Outcome::SourceExtracted(nothing) };
    assert!(stage.deliver(Event::StepDone(fact)).await.is_empty(), "no load");
    assert_eq!(stage.state("shop/tick-19700101T020000Z").await, RunState::Succeeded);
    assert_eq!(since(&only(stage.tick(3, None).await)).as_deref(), Some("11"));
}

/// Something that happens.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Tick,
    Done(usize),
    DoneTwice(usize),
    Failed(usize),
    Retry(usize),
    Sweep,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        3 => Just(Happening::Tick),
        6 => (0_usize..8).prop_map(Happening::Done),
        2 => (0_usize..8).prop_map(Happening::DoneTwice),
        1 => (0_usize..8).prop_map(Happening::Failed),
        1 => (0_usize..8).prop_map(Happening::Retry),
        3 => Just(Happening::Sweep),
    ];
    proptest::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever comes in whatever order: at most one turn of the table goes on, and each starts where the last load before it
    /// came to.
    #[test]
    fn turns_are_a_chain(happenings in happenings()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut stage = Stage::new(vec![customers("customers", "updated_at", None)]);
            let (mut asked, mut hour, mut loaded): (Vec<Command>, i64, Option<String>) = (vec![], 0, None);
            let mut runs: Vec<RunId> = vec![];
            let mut seen = BTreeSet::new();
            for happening in happenings {
                stage.newest += 1;
                stage.clock.advance(std::time::Duration::from_secs(1));
                let commands = match happening {
                    Happening::Tick => {
                        hour += 1;
                        let key = (DateTime::UNIX_EPOCH + TimeDelta::hours(hour)).format("%Y%m%dT%H%M%SZ");
                        runs.push(format!("shop/tick-{key}").parse().unwrap());
                        stage.tick(hour, None).await
                    }
                    Happening::Sweep => stage.sweep().await,
                    Happening::Retry(at) if !runs.is_empty() => {
                        let run = runs[at % runs.len()].clone();
                        stage.deliver(Event::RetryRequested(RetryRequested { run, step: None })).await
                    }
                    Happening::Done(at) | Happening::DoneTwice(at) if !asked.is_empty() => {
                        let command = asked.remove(at % asked.len());
                        let is_load = matches!(command.work, Work::LoadTable(_));
                        if let (true, Work::LoadTable(_)) = (is_load, &command.work) {
                            // What its extraction had come to.
                            let plan = stage.function.plan(&command.step.run).await.unwrap().unwrap();
                            loaded = plan.steps.iter().find_map(|step| match &step.state {
                                StepState::Done { outcome: Outcome::SourceExtracted(source) } => source.bookmark.position.clone(),
                                _ => None,
                            });
                        }
                        let mut next = stage.done(&command).await;
                        if matches!(happening, Happening::DoneTwice(_)) {
                            next.extend(stage.done(&command).await);
                        }
                        next
                    }
                    Happening::Failed(at) if !asked.is_empty() => {
                        let command = asked.remove(at % asked.len());
                        stage.failed(&command).await
                    }
                    _ => vec![],
                };
                for command in commands {
                    if !seen.insert(command.step.clone()) {
                        continue; // The sweep asks again.
                    }
                    if matches!(command.work, Work::ExtractSource(_)) {
                        prop_assert_eq!(since(&command), loaded.clone(), "{}", command.step.step);
                        prop_assert!(asked.is_empty(), "{:?} while {:?} goes on", command.step, asked);
                    }
                    asked.push(command);
                }
            }
            Ok(())
        })?;
    }
}
