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
//!
//! The acknowledgement always comes last: a crash before it means another delivery, and `ensure` has one effect however
//! often it is asked.

use std::{error::Error, fmt::Write, sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::{
    Command, Envelope, Event, StepFact,
    fact::{Outcome, Reason},
    work::WorkKind,
};
use millstream_ports::{Clock, ErrorKind, EventBus, PortError};

use crate::{
    delivery::catch_panic,
    function::{Failure, Function, Progress},
    handler::{Ack, Handler},
    trace_context,
};

/// A function with what it needs to answer deliveries.
#[derive(Debug)]
pub struct StepHandler<F> {
    function: F,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
}

impl<F: Function> StepHandler<F> {
    /// A handler that publishes `function`'s facts on `bus`.
    pub fn new(function: F, bus: Arc<dyn EventBus>, clock: Arc<dyn Clock>) -> Self {
        Self { function, bus, clock }
    }

    /// The function inside.
    pub fn function(&self) -> &F {
        &self.function
    }

    async fn ensure(&self, command: &Command<F::Work>) -> Result<Progress, Failure> {
        catch_panic(self.function.ensure(command)).await.unwrap_or_else(|message| {
            Err(Failure::Retry(PortError::internal(format!("{} panicked: {message}", F::NAME))))
        })
    }

    /// Publishes one event caused by `delivery`; answers `ack` once the bus has it.
    async fn answer(&self, delivery: &Envelope, event: Event, ack: Ack) -> Ack {
        let what = event.event_type();
        // Delivered by hand, as in a test, there is no context but the event's own.
        let traceparent = trace_context::current().or_else(|| delivery.traceparent.clone());
        let envelope = Envelope { event, time: self.clock.now(), traceparent };
        match self.bus.publish(vec![envelope]).await {
            Ok(()) => ack,
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

    async fn deferred(&self, delivery: &Envelope, command: &Command<F::Work>, error: &PortError) -> Ack {
        let ack = match error.kind() {
            // Asking again sooner would only use the quota up again.
            ErrorKind::Quota { retry_after } => {
                tracing::warn!(reason = with_causes(error), ?retry_after, "step waits for a quota");
                Ack::Pending { check_after: retry_after.max(Duration::from_secs(1)) }
            }
            _ => Ack::Retry { reason: with_causes(error) },
        };
        let fact = StepFact { step: command.step.clone(), fact: Reason::new(error.to_string()) };
        self.answer(delivery, Event::StepDeferred(fact), ack).await
    }

    async fn done(&self, delivery: &Envelope, command: &Command<F::Work>, outcome: Outcome) -> Ack {
        tracing::info!(fact = outcome.event_type(), "step done");
        let fact = StepFact { step: command.step.clone(), fact: outcome };
        self.answer(delivery, Event::StepDone(fact), Ack::Done).await
    }

    async fn failed(&self, delivery: &Envelope, command: &Command<F::Work>, reason: Reason) -> Ack {
        tracing::error!(reason = reason.message, detail = reason.detail, "step failed");
        let fact = StepFact { step: command.step.clone(), fact: reason };
        self.answer(delivery, Event::StepFailed(fact), Ack::Done).await
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
        match self.ensure(&command).await {
            Ok(Progress::Done(outcome)) => self.done(delivery, &command, outcome).await,
            Ok(Progress::Pending { reason, check_after }) => {
                tracing::info!(reason, "step pending");
                Ack::Pending { check_after }
            }
            Err(Failure::Retry(error)) => self.deferred(delivery, &command, &error).await,
            Err(Failure::Permanent(reason)) => self.failed(delivery, &command, reason).await,
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
