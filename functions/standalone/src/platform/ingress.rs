//! What may come in over HTTP: triggers. Commands and facts are made inside this process; taken from outside they would let a
//! sender say that a step is done.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_events::{Envelope, Event};
use millstream_plan_run::PlanRun;
use millstream_runtime::{Ack, Handler};

/// Hands triggers on to `plan-run`.
pub(crate) struct Ingress(pub(crate) Arc<PlanRun>);

#[async_trait]
impl Handler for Ingress {
    fn name(&self) -> &'static str {
        "ingress"
    }

    fn takes(&self, _event_type: &str) -> bool {
        true
    }

    async fn handle(&self, delivery: &Envelope) -> Ack {
        match &delivery.event {
            Event::Command(_)
            | Event::StepDone(_)
            | Event::StepFailed(_)
            | Event::StepDeferred(_)
            | Event::TrafficMoved(_) => {
                tracing::warn!(event = delivery.event.event_type(), "not taken from outside: it is no trigger");
                Ack::Done
            }
            _ => self.0.handle(delivery).await,
        }
    }
}
