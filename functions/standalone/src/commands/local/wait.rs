//! Waits for runs and shows how they come along.

use std::time::{Duration, Instant};

use futures::StreamExt;
use millstream_events::names::RunId;

use crate::{
    api::{
        Answer, Code, Operations,
        views::{RunDetails, StepView},
    },
    render::Progress,
};

/// A look is taken this often even where no event says that there is something new: an event may be missed, and a fact is told
/// of a moment before it is recorded.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A step that was put off is asked for again and again: it may wait for a table that only another upload brings. This long
/// without any news it is no longer waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether nothing of a run goes on but steps that were put off.
fn is_put_off(details: &RunDetails) -> bool {
    let goes_on = |step: &&StepView| matches!(step.state.as_str(), "running" | "owed");
    details.steps.iter().filter(goes_on).all(|step| step.reason.is_some())
}

/// Waits until none of the runs has anything more to do, or only what was put off, and returns them in the same order.
pub(crate) async fn until_settled(
    operations: &(dyn Operations + '_),
    runs: &[RunId],
    progress: &mut Progress,
) -> Answer<Vec<RunDetails>> {
    until(operations, runs, progress, &|_| true).await
}

/// The same, but a run also has to have come as far as `is_far_enough` says.
pub(crate) async fn until(
    operations: &(dyn Operations + '_),
    runs: &[RunId],
    progress: &mut Progress,
    is_far_enough: &(dyn Fn(&RunDetails) -> bool + Sync),
) -> Answer<Vec<RunDetails>> {
    let mut events = operations.events().await?;
    let (mut last, mut since) = (Vec::new(), Instant::now());
    loop {
        let mut found = Vec::new();
        for run in runs {
            match operations.show(run).await {
                Ok(details) => {
                    progress.show(&details);
                    found.push(details);
                }
                // Its trigger is on its way.
                Err(refusal) if refusal.code == Code::NotFound => {}
                Err(refusal) => return Err(refusal),
            }
        }
        if found.len() == runs.len() && found.iter().all(|details| !details.summary.open && is_far_enough(details)) {
            progress.finish();
            return Ok(found);
        }
        if found != last {
            (last, since) = (found.clone(), Instant::now());
        } else if since.elapsed() >= PATIENCE && found.len() == runs.len() && found.iter().all(is_put_off) {
            progress.finish();
            return Ok(found);
        }
        let news = async {
            while let Some(event) = events.next().await {
                if event.run.is_some() {
                    return;
                }
            }
            // The stream has ended: only the pause below is left.
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(LOOK_AGAIN, news).await;
    }
}
