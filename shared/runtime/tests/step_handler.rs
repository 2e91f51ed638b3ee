//! How a function's answers become facts and acknowledgements.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use millstream_events::{
    Command, Envelope, Event,
    fact::{Reason, TrafficMove, TrafficMoved},
    work::ExportTable,
};
use millstream_ports::{ErrorKind, EventBus, PortError, PortResult, memory::MemoryBus};
use millstream_runtime::{Ack, Failure, Function, Handler, Metrics, Progress, StepHandler, delivery::deliver};
use support::{at, clock, export, exported, step, sweep};

/// Answers what the test says, and panics when it has nothing more to say.
struct Export {
    answers: Mutex<VecDeque<Result<Progress, Failure>>>,
    /// What is true besides; an error where that cannot be read.
    beside: Mutex<PortResult<Vec<Event>>>,
}

#[async_trait]
impl Function for Export {
    const NAME: &'static str = "export-table";
    type Work = ExportTable;

    async fn ensure(&self, command: &Command<ExportTable>) -> Result<Progress, Failure> {
        assert_eq!(command.work.table.to_string(), "production.features");
        let answer = self.answers.lock().unwrap().pop_front();
        answer.expect("no answer left")
    }

    async fn facts_beside(&self, _: &Command<ExportTable>) -> PortResult<Vec<Event>> {
        match &*self.beside.lock().unwrap() {
            Ok(facts) => Ok(facts.clone()),
            Err(error) => Err(PortError::new(error.kind(), error.to_string())),
        }
    }
}

fn handler(bus: Arc<dyn EventBus>, answers: Vec<Result<Progress, Failure>>) -> StepHandler<Export> {
    beside(bus, answers, Ok(Vec::new()))
}

/// A handler of a function that has facts besides.
fn beside(
    bus: Arc<dyn EventBus>,
    answers: Vec<Result<Progress, Failure>>,
    facts: PortResult<Vec<Event>>,
) -> StepHandler<Export> {
    let function = Export { answers: Mutex::new(answers.into()), beside: Mutex::new(facts) };
    StepHandler::new(function, bus, clock())
}

/// An endpoint's nth move.
fn moved(number: u64) -> Event {
    Event::TrafficMoved(TrafficMoved {
        run: step(24).run,
        step: Some(step(24)),
        endpoint: "fraud".parse().unwrap(),
        number,
        model: "fraud".parse().unwrap(),
        version: 2,
        kind: TrafficMove::Stepped,
        traffic: Vec::new(),
        reason: None,
        at: at("2026-11-24T06:00:00Z"),
    })
}

fn pending() -> Result<Progress, Failure> {
    Ok(Progress::pending("it bakes", Duration::from_secs(10)))
}

/// One delivery: the acknowledgement and what was published.
async fn answer_to(answer: Result<Progress, Failure>) -> (Ack, Vec<Event>) {
    let bus = Arc::new(MemoryBus::new());
    let ack = handler(bus.clone(), vec![answer]).handle(&export(24)).await;
    (ack, bus.events())
}

/// A bus that takes nothing.
#[derive(Debug)]
struct BrokenBus;

#[async_trait]
impl EventBus for BrokenBus {
    async fn publish(&self, _: Vec<Envelope>) -> PortResult<()> {
        Err(PortError::unavailable("no route to the bus"))
    }
}

#[tokio::test]
async fn a_done_step_is_published_as_its_fact_in_the_trace_of_its_command() {
    let bus = Arc::new(MemoryBus::new());
    let handler = handler(bus.clone(), vec![Ok(Progress::Done(exported()))]);
    assert!(handler.takes("dev.millstream.export.requested.v1"));
    assert_eq!(handler.handle(&export(24)).await, Ack::Done);
    let published = bus.take();
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].traceparent, export(24).traceparent);
    assert_eq!(published[0].event.event_type(), "dev.millstream.table.exported.v1");
    assert_eq!(published[0].event.step(), Some(&step(24)));
}

#[tokio::test]
async fn a_command_delivered_twice_gives_the_same_fact_under_the_same_id() {
    let bus = Arc::new(MemoryBus::new());
    let done = || Ok(Progress::Done(exported()));
    let handler = handler(bus.clone(), vec![done(), done()]);
    handler.handle(&export(24)).await;
    handler.handle(&export(24)).await;
    let ids: Vec<_> = bus.events().iter().map(Event::id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_pending_step_publishes_nothing_and_says_when_to_ask_again() {
    let check_after = Duration::from_secs(30);
    let (ack, published) = answer_to(Ok(Progress::pending("the job runs", check_after))).await;
    assert_eq!(ack, Ack::Pending { check_after });
    assert!(published.is_empty());
}

#[tokio::test]
async fn a_retry_is_told_to_the_run_and_asked_for_again() {
    let error = PortError::unavailable("the warehouse is locked").caused_by(std::io::Error::other("EAGAIN"));
    let (ack, published) = answer_to(Err(Failure::Retry(error))).await;
    assert_eq!(ack, Ack::Retry { reason: "the warehouse is locked: EAGAIN".into() });
    match &published[..] {
        [Event::StepDeferred(fact)] => assert_eq!(fact.fact.message, "the warehouse is locked"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_used_up_quota_waits_as_long_as_the_quota_says() {
    let retry_after = Duration::from_secs(600);
    let error = PortError::new(ErrorKind::Quota { retry_after }, "1,500 table modifications a day are used up");
    let (ack, published) = answer_to(Err(Failure::Retry(error))).await;
    assert_eq!(ack, Ack::Pending { check_after: retry_after });
    assert!(matches!(&published[..], [Event::StepDeferred(_)]), "{published:?}");
}

#[tokio::test]
async fn a_permanent_failure_is_a_fact_and_not_delivered_again() {
    let reason = Reason { detail: Some("line 3".into()), ..Reason::new("the column amount is missing") };
    let (ack, published) = answer_to(Err(Failure::Permanent(reason.clone()))).await;
    assert_eq!(ack, Ack::Done);
    match &published[..] {
        [Event::StepFailed(fact)] => assert_eq!((&fact.fact, &fact.step), (&reason, &step(24))),
        other => panic!("{other:?}"),
    }
}

/// A bus that takes its time.
#[derive(Debug, Default)]
struct SlowBus(tokio::sync::Notify);

#[async_trait]
impl EventBus for SlowBus {
    async fn publish(&self, _: Vec<Envelope>) -> PortResult<()> {
        self.0.notified().await;
        Ok(())
    }
}

#[tokio::test]
async fn the_acknowledgement_waits_until_the_bus_has_the_fact() {
    let bus = Arc::new(SlowBus::default());
    let handler = handler(bus.clone(), vec![Ok(Progress::Done(exported()))]);
    let delivery = export(24);
    let mut handling = handler.handle(&delivery);
    assert!(futures::poll!(&mut handling).is_pending());
    bus.0.notify_one();
    assert_eq!(handling.await, Ack::Done);
}

#[tokio::test]
async fn nothing_is_acknowledged_that_could_not_be_published() {
    for answer in [
        Ok(Progress::Done(exported())),
        Err(Failure::permanent("the column amount is missing")),
        Err(Failure::Retry(PortError::unavailable("the warehouse is locked"))),
    ] {
        match handler(Arc::new(BrokenBus), vec![answer]).handle(&export(24)).await {
            Ack::Retry { reason } => assert!(reason.contains("no route to the bus"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_panic_in_a_function_is_a_retry_that_the_run_is_told_of() {
    let bus = Arc::new(MemoryBus::new());
    let handler = handler(bus.clone(), Vec::new());
    match handler.handle(&export(24)).await {
        Ack::Retry { reason } => assert!(reason.contains("export-table panicked: no answer left"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(&bus.events()[..], [Event::StepDeferred(_)]));
}

#[tokio::test]
async fn an_event_that_is_no_command_of_the_function_changes_nothing() {
    let bus = Arc::new(MemoryBus::new());
    let handler = handler(bus.clone(), Vec::new());
    assert!(!handler.takes(sweep().event.event_type()));
    assert_eq!(handler.handle(&sweep()).await, Ack::Done);
    assert!(bus.events().is_empty());
}

#[tokio::test]
async fn facts_beside_a_pending_step_are_told_once_and_all_of_them_ahead_of_its_end() {
    let bus = Arc::new(MemoryBus::new());
    let handler =
        beside(bus.clone(), vec![pending(), pending(), pending(), Ok(Progress::Done(exported()))], Ok(vec![moved(1)]));
    let told = || bus.take().into_iter().map(|envelope| envelope.event).collect::<Vec<_>>();
    let ack = handler.handle(&export(24)).await;
    assert_eq!((ack, told()), (Ack::Pending { check_after: Duration::from_secs(10) }, vec![moved(1)]));
    handler.handle(&export(24)).await;
    assert_eq!(told(), []);
    *handler.function().beside.lock().unwrap() = Ok(vec![moved(1), moved(2)]);
    handler.handle(&export(24)).await;
    assert_eq!(told(), [moved(2)]);
    handler.handle(&export(24)).await;
    let at_the_end = told();
    assert_eq!(at_the_end[..2], [moved(1), moved(2)]);
    assert_eq!(at_the_end[2].event_type(), "dev.millstream.table.exported.v1");
}

#[tokio::test]
async fn a_fact_beside_that_could_not_be_published_is_not_taken_for_told() {
    let handler = beside(Arc::new(BrokenBus), vec![pending()], Ok(vec![moved(1)]));
    match handler.handle(&export(24)).await {
        Ack::Retry { reason } => assert!(reason.contains("traffic_moved.v1 could not be published"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let bus = Arc::new(MemoryBus::new());
    let handler = beside(bus.clone(), vec![Err(Failure::Retry(PortError::unavailable("away")))], Ok(vec![moved(1)]));
    assert_eq!(handler.handle(&export(24)).await, Ack::Retry { reason: "away".into() });
    assert_eq!(bus.events()[0], moved(1), "what was done before the step failed is told");
}

#[tokio::test]
async fn a_step_is_not_answered_while_what_is_true_besides_cannot_be_read() {
    for answer in [Ok(Progress::Done(exported())), Err(Failure::permanent("no such column")), pending()] {
        let bus = Arc::new(MemoryBus::new());
        let handler = beside(bus.clone(), vec![answer], Err(PortError::unavailable("the endpoint is away")));
        assert_eq!(handler.handle(&export(24)).await, Ack::Retry { reason: "the endpoint is away".into() });
        assert!(matches!(&bus.events()[..], [Event::StepDeferred(_)]), "{:?}", bus.events());
    }
}

/// Any handler, not only a function's.
struct Panics;

#[async_trait]
impl Handler for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn takes(&self, _: &str) -> bool {
        true
    }

    async fn handle(&self, _: &Envelope) -> Ack {
        panic!("index {} is out of range", 7)
    }
}

#[tokio::test]
async fn a_panic_in_any_handler_ends_its_delivery_only_and_is_counted() {
    let metrics = Metrics::new().unwrap();
    let ack = deliver(&Panics, &sweep(), &metrics).await;
    assert_eq!(ack, Ack::Retry { reason: "the handler panicked: index 7 is out of range".into() });
    let text = metrics.render().unwrap();
    assert!(text.contains(r#"millstream_deliveries_total{function="panics",result="panic"} 1"#), "{text}");
}

#[tokio::test]
async fn a_probe_is_answered_without_asking_the_function() {
    let bus = Arc::new(MemoryBus::new());
    let mut event = export(24);
    let Event::Command(command) = &mut event.event else { panic!("a command") };
    command.step.run = "millstream-doctor/probe-0123456789abcdef0123456789abcdef".parse().unwrap();
    let step = command.step.clone();
    // No answer is left: being asked would panic.
    assert_eq!(handler(bus.clone(), vec![]).handle(&event).await, Ack::Done);
    let said = bus.take();
    assert!(matches!(&said[..], [Envelope { event: Event::StepDeferred(fact), .. }] if fact.step == step), "{said:?}");
}
