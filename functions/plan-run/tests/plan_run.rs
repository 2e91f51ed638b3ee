//! `plan-run` on in-memory ports: triggers and facts in, commands and ledger records out.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::DateTime;
use millstream_events::{
    Command, Envelope, Event, StepFact,
    contract::{Column, ColumnType, Contract, FileFormat, FileOptions},
    fact::{BatchIngested, Outcome, Reason, TableUpdated, TrafficMove, TrafficMoved, TrafficShare},
    history::Record,
    names::{ObjectPath, RunId},
    probe,
    trigger::{MessagePublished, ObjectFinalized, RetryRequested, RunRequested, ScheduleFired, SweepDue},
    work::{TableLayout, Work, WriteMode},
};
use millstream_pipeline::model::{Buckets, Pipeline, Pipelines, Source, SqlModel};
use millstream_plan_run::{PlanRun, Ports};
use millstream_ports::{
    Ledger, ObjectLedger, ObjectStore, ObjectStoreExt, Precondition,
    memory::{ManualClock, MemoryBus, MemoryObjectStore},
};
use millstream_runtime::{Ack, Handler};
use millstream_sql::Select;

struct Stage {
    store: Arc<MemoryObjectStore>,
    bus: Arc<MemoryBus>,
    ledger: Arc<ObjectLedger>,
    clock: Arc<ManualClock>,
    function: PlanRun,
}

fn source(name: &str, upload: &str, topic: Option<&str>) -> Source {
    let column = Column { name: "id".into(), kind: ColumnType::Int64, required: true, description: None };
    Source {
        name: name.into(),
        upload: upload.parse().unwrap(),
        topic: topic.map(Into::into),
        contract: Contract { columns: vec![column], ..Contract::default() },
        options: FileOptions { format: topic.map(|_| FileFormat::JsonLines), ..FileOptions::default() },
        table: format!("source.{name}").parse().unwrap(),
        write: WriteMode::Append,
        window: None,
        layout: TableLayout::default(),
    }
}

fn pipelines() -> Pipelines {
    let text = "SELECT * FROM source.sales";
    let pipeline = Pipeline {
        name: "shop".parse().unwrap(),
        description: None,
        schedule: Some("0 6 * * *".into()),
        message: Some("rebuild".into()),
        extracts: Vec::new(),
        sources: vec![
            source("sales", "sales/{date}/*.csv", None),
            source("clicks", "messages/clicks/*.jsonl", Some("clicks")),
        ],
        models: vec![SqlModel {
            table: "staging.sales".parse().unwrap(),
            select: Select { text: text.into(), canonical: text.into(), inputs: vec!["source.sales".parse().unwrap()] },
            write: WriteMode::Replace,
            layout: TableLayout::default(),
            expect: vec![],
        }],
        exports: vec![],
        trainings: vec![],
    };
    Pipelines {
        buckets: Buckets::default(),
        direct_loads: false,
        by_name: BTreeMap::from([(pipeline.name.clone(), pipeline)]),
    }
}

fn stage() -> Stage {
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let store = Arc::new(MemoryObjectStore::new());
    let bus = Arc::new(MemoryBus::new());
    let ledger = Arc::new(ObjectLedger::new(store.clone(), "ledger", clock.clone()));
    let ports = Ports { ledger: ledger.clone(), store: store.clone(), bus: bus.clone(), clock: clock.clone() };
    Stage { store, bus, ledger, clock, function: PlanRun::new(pipelines(), ports) }
}

impl Stage {
    async fn deliver(&self, event: Event) -> Vec<Command> {
        let envelope = Envelope { event, time: DateTime::UNIX_EPOCH, traceparent: None };
        assert_eq!(self.function.handle(&envelope).await, Ack::Done);
        self.commands()
    }

    fn commands(&self) -> Vec<Command> {
        let command = |envelope: Envelope| match envelope.event {
            Event::Command(command) => command,
            other => panic!("plan-run publishes commands only, not {other:?}"),
        };
        self.bus.take().into_iter().map(command).collect()
    }

    /// Answers commands as their functions would, until none is owed.
    async fn settle(&self, mut commands: Vec<Command>) -> usize {
        let mut done = 0;
        while let Some(command) = commands.pop() {
            done += 1;
            let fact = StepFact { step: command.step.clone(), fact: outcome(&command) };
            commands.extend(self.deliver(Event::StepDone(fact)).await);
        }
        done
    }

    async fn upload(&self, name: &str, text: &str) -> ObjectFinalized {
        let path = ObjectPath::new("landing", name).unwrap();
        let meta = self.store.put(&path, text.to_owned(), Precondition::None).await.unwrap();
        ObjectFinalized { object: meta.path, generation: meta.generation, size: meta.size, crc32c: meta.crc32c }
    }
}

fn outcome(command: &Command) -> Outcome {
    match &command.work {
        Work::IngestFile(work) => Outcome::BatchIngested(BatchIngested {
            object: work.object.clone(),
            batch: work.batch.clone(),
            rows: 1,
            bad_rows: 0,
            quarantine: None,
            reasons: BTreeMap::new(),
            columns: work.contract.columns.clone(),
            notes: vec![],
        }),
        Work::LoadTable(work) => updated(work.table.to_string()),
        Work::TransformTable(work) => updated(work.table.to_string()),
        other => panic!("no such step here: {other:?}"),
    }
}

fn updated(table: String) -> Outcome {
    let table = table.parse().unwrap();
    Outcome::TableUpdated(TableUpdated { table, rows: 1, total_rows: 1, version: 1, superseded: false })
}

fn sweep() -> Event {
    Event::SweepDue(SweepDue {})
}

#[tokio::test]
async fn an_upload_is_recorded_before_anything_is_asked_for_and_asked_for_once() {
    let stage = stage();
    let object = stage.upload("sales/2026-11-24/a.csv", "id\n1\n").await;
    let commands = stage.deliver(Event::ObjectFinalized(object.clone())).await;
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0].step.run.to_string(), "shop/date=2026-11-24");
    let snapshot = stage.ledger.snapshot(&commands[0].step.run).await.unwrap();
    assert!(snapshot.history.records().any(|record| matches!(record, Record::Uploaded { .. })));
    assert!(snapshot.open.is_some());
    assert_eq!(stage.deliver(Event::ObjectFinalized(object)).await, [], "a redelivery asks for nothing new");
}

#[tokio::test]
async fn a_run_goes_on_to_its_end_and_is_closed() {
    let stage = stage();
    let object = stage.upload("sales/2026-11-24/a.csv", "id\n1\n").await;
    let commands = stage.deliver(Event::ObjectFinalized(object)).await;
    let run = commands[0].step.run.clone();
    assert_eq!(stage.settle(commands).await, 3, "ingest, load, model");
    let snapshot = stage.ledger.snapshot(&run).await.unwrap();
    assert!(snapshot.open.is_none());
    assert!(snapshot.history.records().any(|record| matches!(record, Record::Finished(ended) if ended.succeeded)));
    assert_eq!(stage.deliver(sweep()).await, [], "up to date: nothing to do");
}

#[tokio::test]
async fn an_upload_that_nobody_told_of_is_found_by_the_sweep() {
    let stage = stage();
    stage.upload("sales/2026-11-24/a.csv", "id\n1\n").await;
    stage.upload("elsewhere/a.csv", "id\n1\n").await;
    let commands = stage.deliver(sweep()).await;
    assert_eq!(stage.settle(commands).await, 3);
}

#[tokio::test]
async fn between_two_surveys_the_sweep_looks_at_open_runs_only() {
    let mut stage = stage();
    stage.function = stage.function.surveying_every(Duration::from_secs(900));
    assert_eq!(stage.deliver(sweep()).await, [], "the first one surveys");
    let told = stage.upload("sales/2026-11-24/a.csv", "id\n1\n").await;
    let lost = stage.deliver(Event::ObjectFinalized(told)).await;
    stage.upload("sales/2026-11-25/a.csv", "id\n1\n").await;
    assert_eq!(stage.deliver(sweep()).await, lost, "of an open run");
    stage.clock.advance(Duration::from_secs(900));
    assert_eq!(stage.deliver(sweep()).await.len(), 2, "the upload that nobody told of, too");
    stage.upload("sales/2026-11-26/a.csv", "id\n1\n").await;
    stage.function.replace_pipelines(pipelines());
    assert_eq!(stage.deliver(sweep()).await.len(), 3, "changed pipelines are a reason to survey");
}

#[tokio::test]
async fn a_lost_command_is_asked_for_again_by_the_sweep_and_by_nothing_else() {
    let stage = stage();
    let object = stage.upload("sales/2026-11-24/a.csv", "id\n1\n").await;
    let lost = stage.deliver(Event::ObjectFinalized(object)).await;
    assert_eq!(stage.deliver(sweep()).await, lost);
}

#[tokio::test]
async fn a_failed_step_is_left_alone_until_a_person_retries_it_and_a_doubled_retry_is_one() {
    let stage = stage();
    let object = stage.upload("sales/2026-11-24/a.csv", "id\n1\n").await;
    let command = stage.deliver(Event::ObjectFinalized(object)).await.remove(0);
    let run = command.step.run.clone();
    let failed = StepFact { step: command.step.clone(), fact: Reason::new("a bad file") };
    assert_eq!(stage.deliver(Event::StepFailed(failed)).await, []);
    assert_eq!(stage.deliver(sweep()).await, [], "closed, with the failure on record");
    let retry = Event::RetryRequested(RetryRequested { run, step: None });
    let again = stage.deliver(retry.clone()).await;
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].step.attempt, &again[0].step.fingerprint), (2, &command.step.fingerprint));
    assert_eq!(stage.deliver(retry).await, [], "the second attempt is under way");
}

#[tokio::test]
async fn a_move_of_traffic_is_recorded_once_and_asks_for_nothing() {
    let stage = stage();
    let object = stage.upload("sales/2026-11-24/a.csv", "1").await;
    let commands = stage.deliver(Event::ObjectFinalized(object)).await;
    let run = commands[0].step.run.clone();
    let moved = TrafficMoved {
        run: run.clone(),
        step: None,
        endpoint: "demand".parse().unwrap(),
        number: 7,
        model: "demand".parse().unwrap(),
        version: 2,
        kind: TrafficMove::RolledBackByHand,
        traffic: vec![TrafficShare { model: "demand".parse().unwrap(), version: 1, percent: 100 }],
        reason: None,
        at: DateTime::UNIX_EPOCH,
    };
    for _ in 0..2 {
        assert_eq!(stage.deliver(Event::TrafficMoved(moved.clone())).await, []);
    }
    let snapshot = stage.ledger.snapshot(&run).await.unwrap();
    let recorded: Vec<_> = snapshot.history.records().filter(|record| matches!(record, Record::Moved(_))).collect();
    assert_eq!(recorded, [&Record::Moved(moved)]);
    assert_eq!(stage.settle(commands).await, 3, "the run goes on as if nothing had been said");
}

#[tokio::test]
async fn a_message_lands_as_an_object_once_and_is_loaded_like_a_file() {
    let stage = stage();
    let message = MessagePublished { topic: "clicks".into(), data: "{\"id\": 7}".into() };
    let commands = stage.deliver(Event::MessagePublished(message.clone())).await;
    assert!(matches!(&commands[0].work, Work::IngestFile(work) if work.object.name().starts_with("messages/clicks/")));
    assert_eq!(stage.deliver(Event::MessagePublished(message)).await, []);
    assert_eq!(stage.store.names("landing", "messages/").await.unwrap().len(), 1);
}

#[tokio::test]
async fn schedules_messages_and_people_start_runs_over_the_tables_as_they_stand() {
    let stage = stage();
    let tick = |seconds| {
        let scheduled_at = DateTime::from_timestamp(seconds, 0).unwrap();
        Event::ScheduleFired(ScheduleFired { pipeline: "shop".parse().unwrap(), scheduled_at, source: None })
    };
    let monday = stage.deliver(tick(0)).await;
    assert_eq!(monday[0].step.run.to_string(), "shop/tick-19700101T000000Z");
    assert!(matches!(monday[0].work, Work::TransformTable(_)));
    assert_eq!(stage.deliver(tick(0)).await, [], "the same tick again is the same run");
    assert_ne!(stage.deliver(tick(86_400)).await[0].step.fingerprint, monday[0].step.fingerprint);
    let wake = MessagePublished { topic: "rebuild".into(), data: "now".into() };
    assert_eq!(stage.deliver(Event::MessagePublished(wake)).await.len(), 1);
    let request = RunRequested { pipeline: "shop".parse().unwrap(), request: "1".into(), full_refresh: false };
    assert_eq!(stage.deliver(Event::RunRequested(request)).await[0].step.run.key.as_str(), "manual-1");
}

#[tokio::test]
async fn changed_definitions_rerun_the_newest_run_of_its_kind_only() {
    let stage = stage();
    for date in ["2026-11-23", "2026-11-24"] {
        let object = stage.upload(&format!("sales/{date}/a.csv"), "id\n1\n").await;
        let commands = stage.deliver(Event::ObjectFinalized(object)).await;
        stage.settle(commands).await;
    }
    let mut changed = pipelines();
    changed.by_name.values_mut().next().unwrap().models[0].select.canonical.push_str(" WHERE id > 0");
    stage.function.replace_pipelines(changed);
    let commands = stage.deliver(sweep()).await;
    let asked: Vec<_> =
        commands.iter().map(|command| (command.step.run.to_string(), command.step.step.to_string())).collect();
    assert_eq!(asked, [("shop/date=2026-11-24".to_owned(), "model/staging.sales".to_owned())]);
}

#[tokio::test]
async fn what_a_crash_left_between_recording_and_asking_is_found_after_a_start() {
    let stage = stage();
    let object = stage.upload("sales/2026-11-23/a.csv", "id\n1\n").await;
    let run: RunId = "shop/date=2026-11-23".parse().unwrap();
    stage.upload("sales/2026-11-24/a.csv", "id\n1\n").await;
    // The trigger is on record, the run is not open: as a crash after an unlucky close leaves it.
    stage.ledger.record(&run, Record::Uploaded { source: "sales".into(), object }).await.unwrap();
    let commands = stage.deliver(sweep()).await;
    assert!(commands.iter().any(|command| command.step.run == run));
}

#[tokio::test]
async fn names_that_cannot_be_a_key_and_topics_nobody_listens_to_are_taken_and_change_nothing() {
    let stage = stage();
    let object = stage.upload("sales/a,b=c/x.csv", "id\n1\n").await;
    assert_eq!(stage.deliver(Event::ObjectFinalized(object)).await, []);
    let message = MessagePublished { topic: "nobody".into(), data: String::new() };
    assert_eq!(stage.deliver(Event::MessagePublished(message)).await, []);
    assert_eq!(stage.ledger.runs().await.unwrap(), []);
}

/// A stage whose `sales` are gathered, and its run.
fn gathering_stage() -> (Stage, RunId) {
    let stage = stage();
    let mut gathering = pipelines();
    gathering.by_name.values_mut().next().unwrap().sources[0].window = Some(Duration::from_secs(300));
    stage.function.replace_pipelines(gathering);
    (stage, "shop/date=2026-11-24".parse().unwrap())
}

/// Uploads a file and has it ingested; nothing more is owed.
async fn ingest(stage: &Stage, name: &str) {
    let object = stage.upload(&format!("sales/2026-11-24/{name}"), name).await;
    let commands = stage.deliver(Event::ObjectFinalized(object)).await;
    assert_eq!(stage.settle(commands).await, 1, "the file is read, and waits");
}

fn batches_of(commands: &[Command]) -> Vec<usize> {
    commands
        .iter()
        .filter_map(|command| match &command.work {
            Work::LoadTable(work) => Some(work.batches.len()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn files_within_the_window_are_one_load_made_by_the_sweep_after_it() {
    let (stage, run) = gathering_stage();
    ingest(&stage, "a.csv").await;
    stage.clock.advance(Duration::from_secs(299));
    ingest(&stage, "b.csv").await;
    assert_eq!(stage.deliver(sweep()).await, [], "too early");
    assert!(stage.ledger.snapshot(&run).await.unwrap().open.is_some(), "a run whose files wait stays open");
    stage.clock.advance(Duration::from_secs(1));
    let commands = stage.deliver(sweep()).await;
    assert_eq!(batches_of(&commands), [2]);
    assert_eq!(stage.settle(commands).await, 2, "load, model");
    assert!(stage.ledger.snapshot(&run).await.unwrap().open.is_none());
    assert_eq!(stage.deliver(sweep()).await, []);
}

#[tokio::test]
async fn a_late_file_waits_for_its_own_window() {
    let (stage, _) = gathering_stage();
    ingest(&stage, "a.csv").await;
    stage.clock.advance(Duration::from_secs(300));
    let commands = stage.deliver(sweep()).await;
    ingest(&stage, "late.csv").await;
    stage.settle(commands).await;
    assert_eq!(stage.deliver(sweep()).await, []);
    stage.clock.advance(Duration::from_secs(300));
    let commands = stage.deliver(sweep()).await;
    assert_eq!(batches_of(&commands), [1]);
    assert_eq!(stage.settle(commands).await, 2);
}

#[tokio::test]
async fn a_sweep_that_loses_the_race_takes_the_winners_files() {
    let (stage, run) = gathering_stage();
    ingest(&stage, "a.csv").await;
    // What the other sweep saw before the second file came, recorded before this one's.
    let early = stage.function.plan(&run).await.unwrap().unwrap().gatherings[0].record();
    ingest(&stage, "b.csv").await;
    stage.clock.advance(Duration::from_secs(300));
    let store: Arc<dyn ObjectStore> = stage.store.clone();
    let other = ObjectLedger::new(store, "ledger", stage.clock.clone());
    other.record(&run, early).await.unwrap();
    let commands = stage.deliver(sweep()).await;
    assert_eq!(batches_of(&commands), [1, 1], "the winner's file, and the other in the next load");
    stage.settle(commands).await;
    assert!(stage.function.plan(&run).await.unwrap().unwrap().gatherings.is_empty());
}

#[tokio::test]
async fn what_a_crash_left_after_gathering_is_asked_for_by_the_next_sweep() {
    let (stage, run) = gathering_stage();
    ingest(&stage, "a.csv").await;
    let record = stage.function.plan(&run).await.unwrap().unwrap().gatherings[0].record();
    stage.ledger.record(&run, record).await.unwrap();
    let commands = stage.deliver(sweep()).await;
    assert_eq!(batches_of(&commands), [1]);
    assert_eq!(stage.deliver(sweep()).await, commands, "asked for again under the same name");
}

#[tokio::test]
async fn a_probe_asks_every_function_once_and_is_no_pipelines_upload() {
    let stage = stage();
    let mut pipelines = pipelines();
    let pipeline = pipelines.by_name.values_mut().next().unwrap();
    pipeline.sources.push(source("everything", "{folder}/*", None));
    stage.function.replace_pipelines(pipelines);
    let object = stage.upload(&probe::object_name("0123456789abcdef0123456789abcdef"), "").await;
    let run = probe::run_of(object.object.name()).unwrap();

    let commands = stage.deliver(Event::ObjectFinalized(object.clone())).await;
    assert_eq!(commands.len(), 7);
    for command in &commands {
        let fact = StepFact { step: command.step.clone(), fact: probe::answer() };
        assert_eq!(stage.deliver(Event::StepDeferred(fact)).await, []);
    }
    let history = stage.ledger.snapshot(&run).await.unwrap().history;
    let answered = history.records().filter(|record| matches!(record, Record::Deferred(_))).count();
    assert_eq!((answered, history.records().count()), (7, 15));

    // Neither a sweep nor a survey makes anything of it.
    stage.clock.advance(Duration::from_secs(3_600));
    assert_eq!(stage.deliver(Event::SweepDue(SweepDue {})).await, []);
    assert_eq!(stage.ledger.runs().await.unwrap(), [run]);
    assert_eq!(stage.ledger.open_runs().await.unwrap(), []);
}
