//! The sweep: looks at what is there rather than at what was said, and asks again for what is owed.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use millstream_events::{
    history::{History, Record},
    names::RunId,
    trigger::ObjectFinalized,
};
use millstream_pipeline::{Pipelines, pattern::captures_of};
use millstream_ports::PortResult;

use crate::{
    Asking, PlanRun,
    intake::{runs_of, uploaded},
};

impl PlanRun {
    /// Asks again for everything owed in open runs. `survey` first finds uploads nobody told of and runs whose definition
    /// changed; `all` also looks at closed runs for what a crash may have left: done once after a start.
    pub(crate) async fn sweep(&self, all: bool, survey: bool) -> PortResult<()> {
        let pipelines = self.pipelines();
        let mut due = if survey { self.untold_uploads(&pipelines).await? } else { BTreeSet::new() };
        due.extend(self.ports.ledger.open_runs().await?);
        let known = if survey { self.ports.ledger.runs().await? } else { Vec::new() };
        due.extend(latest_of_each_shape(&known));
        if all {
            for run in &known {
                if !due.contains(run) && left_behind(&self.ports.ledger.snapshot(run).await?.history) {
                    due.insert(run.clone());
                }
            }
        }
        for run in due {
            // One run's trouble is not another's: it is logged, and the next sweep looks again.
            if let Err(error) = self.advance(&run, Asking::Again).await {
                tracing::warn!(%run, %error, "the sweep could not move this run on");
            }
        }
        Ok(())
    }

    async fn untold_uploads(&self, pipelines: &Pipelines) -> PortResult<BTreeSet<RunId>> {
        let mut by_run: BTreeMap<RunId, Vec<(String, ObjectFinalized)>> = BTreeMap::new();
        let mut objects = self.ports.store.list(&pipelines.buckets.landing, "");
        while let Some(meta) = objects.try_next().await? {
            for (run, source) in runs_of(pipelines, &meta.path) {
                by_run.entry(run).or_default().push((source, uploaded(meta.clone())));
            }
        }
        let mut runs = BTreeSet::new();
        for (run, uploads) in by_run {
            let history = self.ports.ledger.snapshot(&run).await?.history;
            for (source, object) in uploads {
                let record = Record::Uploaded { source, object };
                if history.entry(&record.id()).is_none() {
                    self.record_trigger(&run, record).await?;
                    runs.insert(run.clone());
                }
            }
        }
        Ok(runs)
    }
}

/// Each pipeline's newest run of each set of captures, by key: a changed definition reruns these, not all of history.
///
/// Runs over the tables as they stand (a schedule's, a message's, a person's) were for their occasion only.
fn latest_of_each_shape(runs: &[RunId]) -> impl Iterator<Item = RunId> {
    let mut latest: BTreeMap<(_, Vec<String>), &RunId> = BTreeMap::new();
    for run in runs {
        let captures = captures_of(&run.key);
        if captures.is_empty() && run.key.as_str() != "latest" {
            continue;
        }
        let shape = (&run.pipeline, captures.into_keys().collect());
        let newest = latest.entry(shape).or_insert(run);
        if run.key > newest.key {
            *newest = run;
        }
    }
    latest.into_values().cloned().collect::<Vec<_>>().into_iter()
}

/// Whether something was recorded after the run last ended: a crash may have come between recording and asking.
fn left_behind(history: &History) -> bool {
    let ended =
        history.entries().filter(|entry| matches!(entry.record, Record::Finished(_))).map(|entry| entry.at).max();
    history.last_activity() > ended
}
