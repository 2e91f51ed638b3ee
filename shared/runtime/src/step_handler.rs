//! Turns a [`Function`] into a [`Handler`]: a command comes in, `ensure` is asked, a fact goes out, the delivery is
//! acknowledged. This is the platform's one acknowledgement policy:
//!
//! | `ensure` says            | published       | acknowledged                             |
//! |--------------------------|-----------------|------------------------------------------|
//! | done                     | the step's fact | `Done`                                   |
//! | pending                  | nothing         | `Pending`                                |
//! | retry, or a panic        | `step.deferred` | `Retry`                                  |
//! | retry: a quota is used up| `step.deferred` | `Pending` until the quota may be free    |
//! | permanent                | `step.failed`   | `Done`                                   |
//! | anything, not published  | (failed)        | `Retry`                                  |
//! | (not asked: a probe)     | `step.deferred` | `Done`                                   |
//!
//! Facts beside the step's own ([`Function::facts_beside`]) are published with it, ahead of it. While a step goes on, each is
//! published once by this process; with the fact that ends the step all of them are once more, so that one that was lost on
//! the way is not lost for good.
//!
//! The acknowledgement always comes last: a crash before it means another delivery, and `ensure` has one effect however
//! often it is asked.

use std::{
    collections::VecDeque,
    error::Error,
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use millstream_events::{
    Command, Envelope, Event, StepFact,
    fact::{Outcome, Reason},
    probe,
    work::WorkKind,
};
use millstream_ports::{Clock, ErrorKind, EventBus, PortError};

use crate::{
    delivery::catch_panic,
    function::{Failure, Function, Progress},
    handler::{Ack, Handler},
    trace_context,
};

/// Ids of facts beside a step's own that are remembered as published. One that is forgotten is published again, under the
/// same id.
const TOLD: usize = 1_024;

/// A function with what it needs to answer deliveries.
#[derive(Debug)]
pub struct StepHandler<F> {
    function: F,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    told: Mutex<VecDeque<String>>,
}

impl<F: Function> StepHandler<F> {
    /// A handler that publishes `function`'s facts on `bus`.
    pub fn new(function: F, bus: Arc<dyn EventBus>, clock: Arc<dyn Clock>) -> Self {
        Self { function, bus, clock, told: Mutex::default() }
    }

    /// The function inside.
    pub fn function(&self) -> &F {
        &self.function
    }

    /// How far the step is, and what else is true by now. Where the second cannot be told, the step is not answered either:
    /// a step that is done is not asked again.
    async fn ensure(&self, command: &Command<F::Work>) -> (Result<Progress, Failure>, Vec<Event>) {
        let panicked = |message: String| PortError::internal(format!("{} panicked: {message}", F::NAME));
        let progress = catch_panic(self.function.ensure(command))
            .await
            .unwrap_or_else(|message| Err(Failure::Retry(panicked(message))));
        let beside = catch_panic(self.function.facts_beside(command)).await;
        match (progress, beside.unwrap_or_else(|message| Err(panicked(message)))) {
            (progress, Ok(facts)) => (progress, facts),
            // Why it has to be asked again anyway says more.
            (Err(Failure::Retry(error)), Err(_)) => (Err(Failure::Retry(error)), Vec::new()),
            (_, Err(error)) => (Err(Failure::Retry(error)), Vec::new()),
        }
    }

    /// Publishes `facts` and then `event`, if there is one, caused by `delivery`; answers `ack` once the bus has them.
    async fn answer(&self, delivery: &Envelope, facts: Vec<Event>, event: Option<Event>, ack: Ack) -> Ack {
        let Some(what) = event.as_ref().or(facts.last()).map(Event::event_type) else { return ack };
        let told: Vec<String> = facts.iter().map(Event::id).collect();
        // Delivered by hand, as in a test, there is no context but the event's own.
        let traceparent = trace_context::current().or_else(|| delivery.traceparent.clone());
        let time = self.clock.now();
        let envelope = |event| Envelope { event, time, traceparent: traceparent.clone() };
        match self.bus.publish(facts.into_iter().chain(event).map(envelope).collect()).await {
            Ok(()) => {
                self.remember(told);
                ack
            }
            Err(error) => {
                let mut reason = format!("{what} could not be published: {}", with_causes(&error));
                if let Ack::Retry { reason: first } = ack {
                    // The step's own reason is the one to act on; writing to a String cannot fail.
                    let _ = write!(reason, "; the step itself: {first}");
                }
                Ack::Retry { reason }
            }
        }
    }

    fn remember(&self, ids: Vec<String>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<String> = ids.into_iter().filter(|id| !told.contains(id)).collect();
        told.extend(new);
        let surplus = told.len().saturating_sub(TOLD);
        told.drain(..surplus);
    }

    /// Those of the facts that this process has not published yet.
    fn untold(&self, facts: Vec<Event>) -> Vec<Event> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        facts.into_iter().filter(|fact| !told.contains(&fact.id())).collect()
    }

    async fn deferred(
        &self,
        delivery: &Envelope,
        command: &Command<F::Work>,
        beside: Vec<Event>,
        error: &PortError,
    ) -> Ack {
        let ack = match error.kind() {
            // Asking again sooner would only use the quota up again.
            ErrorKind::Quota { retry_after } => {
                tracing::warn!(reason = with_causes(error), ?retry_after, "step waits for a quota");
                Ack::Pending { check_after: retry_after.max(Duration::from_secs(1)) }
            }
            _ => Ack::Retry { reason: with_causes(error) },
        };
        let fact = StepFact { step: command.step.clone(), fact: Reason::new(error.to_string()) };
        self.answer(delivery, self.untold(beside), Some(Event::StepDeferred(fact)), ack).await
    }

    async fn done(&self, delivery: &Envelope, command: &Command<F::Work>, beside: Vec<Event>, outcome: Outcome) -> Ack {
        tracing::info!(fact = outcome.event_type(), "step done");
        let fact = StepFact { step: command.step.clone(), fact: outcome };
        self.answer(delivery, beside, Some(Event::StepDone(fact)), Ack::Done).await
    }

    async fn failed(&self, delivery: &Envelope, command: &Command<F::Work>, beside: Vec<Event>, reason: Reason) -> Ack {
        tracing::error!(reason = reason.message, detail = reason.detail, "step failed");
        let fact = StepFact { step: command.step.clone(), fact: reason };
        self.answer(delivery, beside, Some(Event::StepFailed(fact)), Ack::Done).await
    }
}

#[async_trait]
impl<F: Function> Handler for StepHandler<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn takes(&self, event_type: &str) -> bool {
        event_type == F::Work::TYPE
    }

    async fn handle(&self, delivery: &Envelope) -> Ack {
        let command = match &delivery.event {
            Event::Command(command) => command.typed::<F::Work>(),
            _ => None,
        };
        let Some(command) = command else {
            tracing::warn!(event = delivery.event.event_type(), "delivered to a function that does not take it");
            return Ack::Done;
        };
        if probe::is_probe(&command.step.run) {
            let fact = StepFact { step: command.step, fact: probe::answer() };
            return self.answer(delivery, Vec::new(), Some(Event::StepDeferred(fact)), Ack::Done).await;
        }
        let (progress, beside) = self.ensure(&command).await;
        match progress {
            Ok(Progress::Done(outcome)) => self.done(delivery, &command, beside, outcome).await,
            Ok(Progress::Pending { reason, check_after }) => {
                tracing::info!(reason, "step pending");
                self.answer(delivery, self.untold(beside), None, Ack::Pending { check_after }).await
            }
            Err(Failure::Retry(error)) => self.deferred(delivery, &command, beside, &error).await,
            Err(Failure::Permanent(reason)) => self.failed(delivery, &command, beside, reason).await,
        }
    }
}

/// An error with its causes, for the log: `a: b: c`.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
