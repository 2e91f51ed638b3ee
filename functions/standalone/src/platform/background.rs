//! What goes on by itself while the platform runs: the landing folder's watch, the sweep, cron schedules, changed pipelines.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use millstream_embedded::objects::{Arrival, Watcher};
use millstream_events::{
    Envelope, Event,
    names::PipelineName,
    trigger::{ObjectFinalized, ScheduleFired, SweepDue},
};
use millstream_ports::EventBus;
use millstream_runtime::ticker;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Platform, schedule};
use crate::wiring;

/// A file whose writer does not say that it is done is taken when its size stays the same for this long.
const QUIET: Duration = Duration::from_secs(1);

/// Editors write a file in several steps; the pipelines are read when it has been calm for this long.
const CALM: Duration = Duration::from_millis(200);

/// The longest sleep of the schedules: the machine may sleep itself, and pipelines change.
const LONGEST_NAP: Duration = Duration::from_secs(20);

/// What goes on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Background {
    /// Only what open runs need: a command that works in its own process.
    Sweep,
    /// Everything: `millstream up`.
    Everything,
}

/// Starts the tasks; they end when `stop` is cancelled.
pub(super) async fn spawn(
    platform: &Arc<Platform>,
    background: Background,
    stop: &CancellationToken,
) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    if background == Background::Everything {
        // The watcher before the first sweep: a file that comes in between is told of twice rather than never.
        let landing = &platform.project.settings.buckets.landing;
        let watcher = Watcher::start(&platform.store, landing, QUIET).await?;
        tasks.spawn(watch(platform.clone(), watcher, stop.clone()));
        let (changes, changed) = watch_pipelines(&platform.project.settings.pipelines_dir)?;
        tasks.spawn(reload(platform.clone(), changes, changed, stop.clone()));
        tasks.spawn(fire_schedules(platform.clone(), stop.clone()));
    }
    let every = Duration::from_secs(platform.project.settings.sweep_seconds.get());
    let (platform, stop) = (platform.clone(), stop.clone());
    tasks.spawn(async move { ticker::sweep(&platform.dispatcher, &platform.clock, every, stop).await });
    Ok(tasks)
}

async fn publish(platform: &Platform, event: Event) {
    let envelope = Envelope { event, time: platform.clock.now(), traceparent: None };
    if let Err(error) = platform.dispatcher.publish(vec![envelope]).await {
        // The platform is stopping; the next start's sweep finds what this was about.
        tracing::debug!(%error, "not published");
    }
}

async fn watch(platform: Arc<Platform>, mut watcher: Watcher, stop: CancellationToken) {
    loop {
        let arrival = tokio::select! {
            () = stop.cancelled() => return,
            arrival = watcher.next() => arrival,
        };
        match arrival {
            Some(Arrival::Object(meta)) => {
                tracing::info!(object = %meta.path, bytes = meta.size, "uploaded");
                let object = ObjectFinalized {
                    object: meta.path,
                    generation: meta.generation,
                    size: meta.size,
                    crc32c: meta.crc32c,
                };
                publish(&platform, Event::ObjectFinalized(object)).await;
            }
            Some(Arrival::Refused(refused)) => {
                tracing::warn!(file = %refused.file.display(), "not taken: {}", refused.reason);
            }
            None => return,
        }
    }
}

/// A watch on the pipelines' folder that says when something in it changed.
fn watch_pipelines(folder: &Path) -> anyhow::Result<(RecommendedWatcher, mpsc::Receiver<()>)> {
    // One pending change is as good as many: all files are read again.
    let (changed, changes) = mpsc::channel(1);
    let is_change = |event: &notify::Event| !event.kind.is_access();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.as_ref().map_or(true, is_change) {
            let _ = changed.try_send(());
        }
    })?;
    watcher
        .watch(folder, RecursiveMode::Recursive)
        .with_context(|| format!("cannot watch the pipelines in {}", folder.display()))?;
    Ok((watcher, changes))
}

async fn reload(
    platform: Arc<Platform>,
    _watcher: RecommendedWatcher,
    mut changed: mpsc::Receiver<()>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            change = changed.recv() => if change.is_none() { return },
        }
        while let Ok(Some(())) = tokio::time::timeout(CALM, changed.recv()).await {}
        let project = platform.project.clone();
        if wiring::reload(&platform.planner, move || project.load_pipelines()).await {
            publish(&platform, Event::SweepDue(SweepDue {})).await;
        }
    }
}

async fn fire_schedules(platform: Arc<Platform>, stop: CancellationToken) {
    let started = platform.clock.now();
    let mut fired = last_ticks(&platform).await;
    loop {
        let now = platform.clock.now();
        let mut nap = LONGEST_NAP;
        for pipeline in platform.planner.pipelines().by_name.values() {
            for (source, cron) in pipeline.schedules() {
                let Some(cron) = schedule::parse(cron) else { continue };
                let source = source.map(str::to_owned);
                let last = fired.entry((pipeline.name.clone(), source.clone())).or_insert(started);
                if let Some(tick) = schedule::due(&cron, *last, now) {
                    *last = tick;
                    tracing::info!(pipeline = %pipeline.name, source, %tick, "schedule fired");
                    let event = ScheduleFired { pipeline: pipeline.name.clone(), scheduled_at: tick, source };
                    publish(&platform, Event::ScheduleFired(event)).await;
                }
                nap = schedule::until_next(&cron, now).map_or(nap, |next| nap.min(next));
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(nap.max(Duration::from_millis(10))) => {}
        }
    }
}

/// A schedule: a pipeline's own, or a source's of it.
type Scheduled = (PipelineName, Option<String>);

/// Each schedule's latest tick that became a run. What never ran by its schedule has missed nothing.
async fn last_ticks(platform: &Platform) -> HashMap<Scheduled, DateTime<Utc>> {
    let mut last = HashMap::new();
    match platform.ledger.runs().await {
        Ok(runs) => {
            for run in runs {
                if let Some((tick, source)) = schedule::tick_of(&run.key) {
                    let latest = last.entry((run.pipeline, source)).or_insert(tick);
                    *latest = tick.max(*latest);
                }
            }
        }
        Err(error) => tracing::warn!(%error, "missed ticks cannot be told: the ledger could not be read"),
    }
    last
}
