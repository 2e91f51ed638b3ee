//! Waits for runs and shows how they come along.

use std::time::Duration;

use futures::StreamExt;
use millstream_events::names::RunId;

use crate::{
    api::{Answer, Code, Operations, views::RunDetails},
    render::Progress,
};

/// A look is taken this often even where no event says that there is something new: an event may be missed, and a fact is told
/// of a moment before it is recorded.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Waits until none of the runs has anything more to do, and returns them in the same order.
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
