//! Delivery inside one process: an [`EventBus`] that hands every published event to the handlers that take its type.
//!
//! The queue is in memory on purpose. What must outlive the process is in the ledger, and the sweep asks again for
//! whatever was still queued; so publishing never waits (a handler that publishes cannot deadlock with the queue it is
//! served from) and stopping loses nothing that matters.
//!
//! Each handler has a lane of its own with a limit of deliveries at once: slow loads do not hold up planning. Within a
//! lane, runs take turns. An event id is in flight at most once a lane: published again while it runs, it runs once more
//! afterwards, however often it was published.

mod fair_queue;
mod lane;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use millstream_events::{Envelope, Event};
use millstream_ports::{EventBus, PortError, PortResult};
use tokio::sync::broadcast;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::lane::{Lane, Shared};
use crate::{handler::Handler, metrics::Metrics};

/// How far an observer may fall behind before it misses events; observing is for progress, not for correctness.
const OBSERVED_EVENTS: usize = 4_096;

/// When a delivery that asked for a retry is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause before the first retry; each further one is twice as long.
    pub first: Duration,
    /// No pause is longer than this.
    pub longest: Duration,
    /// Retries before the delivery is left to the sweep.
    pub retries: u32,
}

impl Default for Backoff {
    /// 50 ms doubling to 10 s, ten times: 35 s in all, after which the sweep is as good.
    fn default() -> Self {
        Self { first: Duration::from_millis(50), longest: Duration::from_secs(10), retries: 10 }
    }
}

impl Backoff {
    /// The pause before the `retry`-th retry (1 is the first); `None` when there are no more.
    #[must_use]
    pub fn after(&self, retry: u32) -> Option<Duration> {
        let doublings = retry.saturating_sub(1).min(31);
        (retry <= self.retries).then(|| self.first.saturating_mul(1 << doublings).min(self.longest))
    }
}

/// How deliveries are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchSettings {
    /// Deliveries at once for each handler.
    pub concurrency: usize,
    /// Other limits for some handlers, by name.
    pub concurrency_of: BTreeMap<String, usize>,
    /// How retries are paced.
    pub backoff: Backoff,
}

impl Default for DispatchSettings {
    fn default() -> Self {
        Self { concurrency: 8, concurrency_of: BTreeMap::new(), backoff: Backoff::default() }
    }
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Whether everything that ran came to its end before the deadline.
    pub finished: bool,
    /// Deliveries that waited and were dropped; the sweep of the next start asks for them again.
    pub dropped: usize,
}

/// Delivers events to handlers in this process. Clones share one queue.
#[derive(Clone)]
pub struct Dispatcher {
    settings: DispatchSettings,
    shared: Shared,
    observers: broadcast::Sender<Arc<Envelope>>,
    lanes: Arc<RwLock<Phase>>,
}

enum Phase {
    Starting,
    Running(Arc<[Arc<Lane>]>),
    Stopped,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// A dispatcher without handlers: they are made with it as their bus, then given to [`Dispatcher::start`].
    #[must_use]
    pub fn new(settings: DispatchSettings, metrics: Metrics) -> Self {
        let shared = Shared {
            metrics,
            backoff: settings.backoff,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            abandoned: CancellationToken::new(),
        };
        let (observers, _) = broadcast::channel(OBSERVED_EVENTS);
        Self { settings, shared, observers, lanes: Arc::new(RwLock::new(Phase::Starting)) }
    }

    /// Begins to deliver to `handlers`. An event goes to each of them that takes its type. Only the first call counts.
    pub fn start(&self, handlers: Vec<Arc<dyn Handler>>) {
        let mut phase = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*phase, Phase::Starting) {
            let lane = |handler: Arc<dyn Handler>| {
                self.shared.metrics.announce(handler.name());
                let limit = self.settings.concurrency_of.get(handler.name()).copied();
                Arc::new(Lane::new(handler, limit.unwrap_or(self.settings.concurrency), self.shared.clone()))
            };
            *phase = Phase::Running(handlers.into_iter().map(lane).collect());
        }
    }

    /// Every event published from now on, in order. A receiver that falls far behind misses some and is told so.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Envelope>> {
        self.observers.subscribe()
    }

    /// Whether this very event waits or runs somewhere.
    #[must_use]
    pub fn is_in_flight(&self, event: &Event) -> bool {
        let id = event.id();
        self.lanes().is_ok_and(|lanes| lanes.iter().any(|lane| lane.knows(&id)))
    }

    /// Stops: takes no more events, drops what waits, lets what runs end until `deadline` and drops it then.
    ///
    /// An event published meanwhile is refused, so that its cause is not taken for done.
    pub async fn shutdown(&self, deadline: Duration) -> Stopped {
        let phase = std::mem::replace(&mut *self.lanes.write().unwrap_or_else(PoisonError::into_inner), Phase::Stopped);
        self.shared.stopping.cancel();
        let dropped = match phase {
            Phase::Running(lanes) => lanes.iter().map(|lane| lane.close()).sum(),
            Phase::Starting | Phase::Stopped => 0,
        };
        self.shared.tasks.close();
        let finished = tokio::time::timeout(deadline, self.shared.tasks.wait()).await.is_ok();
        if !finished {
            self.shared.abandoned.cancel();
            self.shared.tasks.wait().await;
        }
        Stopped { finished, dropped }
    }

    fn lanes(&self) -> PortResult<Arc<[Arc<Lane>]>> {
        match &*self.lanes.read().unwrap_or_else(PoisonError::into_inner) {
            Phase::Running(lanes) => Ok(Arc::clone(lanes)),
            Phase::Starting => Err(PortError::unavailable("events are not delivered yet: the process is starting")),
            Phase::Stopped => Err(PortError::unavailable("events are no longer delivered: the process is stopping")),
        }
    }
}

#[async_trait]
impl EventBus for Dispatcher {
    async fn publish(&self, events: Vec<Envelope>) -> PortResult<()> {
        let lanes = self.lanes()?;
        for envelope in events {
            let envelope = Arc::new(envelope);
            let event_type = envelope.event.event_type();
            // Nobody may be observing; that is no error.
            let _ = self.observers.send(Arc::clone(&envelope));
            let mut id: Option<Arc<str>> = None;
            for lane in lanes.iter().filter(|lane| lane.takes(event_type)) {
                let id = id.get_or_insert_with(|| envelope.event.id().into());
                lane.offer(id, &envelope);
            }
            if id.is_none() {
                tracing::debug!(event = event_type, "no handler takes this event");
            }
        }
        Ok(())
    }
}
