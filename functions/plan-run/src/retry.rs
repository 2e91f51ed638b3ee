//! A person asks for another try.

use millstream_events::{history::Record, trigger::RetryRequested};
use millstream_pipeline::plan::StepState;
use millstream_ports::PortResult;

use crate::{Asking, PlanRun};

impl PlanRun {
    pub(crate) async fn take_retry(&self, retry: &RetryRequested) -> PortResult<()> {
        let Some(plan) = self.plan(&retry.run).await? else {
            tracing::warn!(run = %retry.run, "nothing to retry: no pipeline has this name");
            return Ok(());
        };
        for step in plan.steps {
            let wanted = retry.step.as_ref().is_none_or(|name| *name == step.name);
            // The failed attempt itself is named: the same request delivered twice asks for one next attempt.
            if let (true, StepState::Failed { .. }, Some(failed)) = (wanted, step.state, step.step) {
                self.record_trigger(&retry.run, Record::Retried(failed)).await?;
            }
        }
        self.advance(&retry.run, Asking::New).await
    }
}
