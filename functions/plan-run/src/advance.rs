//! Moves one run on: asks for what is owed, closes it when nothing is.

use millstream_events::{
    Command, Envelope, Event,
    history::{Finished, History, Record},
    names::RunId,
};
use millstream_pipeline::plan::{Plan, RunState, StepState, plan};
use millstream_ports::PortResult;
use millstream_runtime::trace_context;

use crate::{Asking, PlanRun};

impl PlanRun {
    /// Publishes the commands that are owed; when none is, records how the run ended and closes it.
    pub(crate) async fn advance(&self, run: &RunId, asking: Asking) -> PortResult<()> {
        let pipelines = self.pipelines();
        let Some(pipeline) = pipelines.by_name.get(&run.pipeline) else {
            // Its pipeline was removed: what it did stays in the ledger, nothing more is owed.
            return Ok(());
        };
        loop {
            let snapshot = self.ports.ledger.snapshot(run).await?;
            let plan = plan(&pipelines, pipeline, &snapshot.history);
            if asking == Asking::Again && self.gather(run, &plan, &snapshot.history).await? {
                continue;
            }
            if self.take_turns(run, &plan).await? {
                continue;
            }
            // A run whose files wait for others, or that waits for its turn, stays open: the sweep knows when that has ended.
            if plan.owed().next().is_some() || !plan.gatherings.is_empty() || !plan.turns.is_empty() {
                if snapshot.open.is_none() {
                    self.ports.ledger.open(run).await?;
                }
                return self.ask(run, &plan, asking).await;
            }
            let Some(mark) = snapshot.open else { return Ok(()) };
            if matches!(plan.state(), RunState::Succeeded | RunState::Failed) {
                let finished = finished(&plan);
                tracing::info!(%run, succeeded = finished.succeeded, "run ended");
                self.ports.ledger.record(run, Record::Finished(finished)).await?;
            }
            if self.ports.ledger.close(run, mark).await? {
                // A trigger recorded between the snapshot and the close found the run open and may count on that.
                let now = self.ports.ledger.snapshot(run).await?;
                if now.history.records().count() <= snapshot.history.records().count() + 1 && now.open.is_none() {
                    return Ok(());
                }
                self.ports.ledger.open(run).await?;
            }
        }
    }

    /// Makes loads of files that have waited long enough; whether there are any. Whose record was the first decides which
    /// files go together, so the plan is to be made again either way.
    async fn gather(&self, run: &RunId, plan: &Plan, history: &History) -> PortResult<bool> {
        let now = self.ports.clock.now();
        let mut gathered = false;
        for gathering in plan.gatherings.iter().filter(|gathering| gathering.is_due(history, now)) {
            tracing::info!(%run, table = %gathering.table, files = gathering.files.len(), "files gathered into one load");
            self.ports.ledger.record(run, gathering.record()).await?;
            gathered = true;
        }
        Ok(gathered)
    }

    async fn ask(&self, run: &RunId, plan: &Plan, asking: Asking) -> PortResult<()> {
        let time = self.ports.clock.now();
        let asked: Vec<&Command> = plan
            .steps
            .iter()
            .filter_map(|step| match &step.state {
                StepState::Owed { command, requested, .. } if asking == Asking::Again || !requested => Some(&**command),
                _ => None,
            })
            .collect();
        let traceparent = trace_context::current();
        let envelope = |command: &&Command| Envelope {
            event: Event::Command((*command).clone()),
            time,
            traceparent: traceparent.clone(),
        };
        self.ports.bus.publish(asked.iter().map(envelope).collect()).await?;
        // After publishing: a crash in between asks twice, the other order could leave asking to the sweep.
        for command in asked {
            self.ports.ledger.record(run, Record::Requested(command.step.clone())).await?;
        }
        Ok(())
    }
}

fn finished(plan: &Plan) -> Finished {
    Finished {
        plan: plan.fingerprint(),
        succeeded: plan.state() == RunState::Succeeded,
        steps: plan.steps.iter().map(|step| step.name.clone()).collect(),
        refs: plan.steps.iter().map(|step| step.step.clone()).collect(),
    }
}
