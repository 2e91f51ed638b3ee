//! `millstream doctor`'s test event: each function is asked, nothing is done.

use millstream_events::{Command, Envelope, Event, history::Record, names::RunId, probe, trigger::ObjectFinalized};
use millstream_ports::{PortError, PortResult};
use millstream_runtime::trace_context;

use crate::PlanRun;

impl PlanRun {
    /// Keeps a probe's object and asks every function once. The run is not opened: no sweep asks again for what is only there to
    /// show whether it comes by itself.
    pub(crate) async fn take_probe(&self, run: &RunId, object: &ObjectFinalized) -> PortResult<()> {
        let commands = probe::commands(run, &object.object).map_err(|error| PortError::internal(error.to_string()))?;
        let record = Record::Uploaded { source: probe::NAME.to_owned(), object: object.clone() };
        self.ports.ledger.record(run, record).await?;
        // Before publishing, other than for a run's steps: an answer's time is counted from here.
        for command in &commands {
            self.ports.ledger.record(run, Record::Requested(command.step.clone())).await?;
        }
        let (time, traceparent) = (self.ports.clock.now(), trace_context::current());
        let envelope =
            |command: Command| Envelope { event: Event::Command(command), time, traceparent: traceparent.clone() };
        self.ports.bus.publish(commands.into_iter().map(envelope).collect()).await
    }
}
