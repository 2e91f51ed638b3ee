//! One handler's deliveries: what waits, what runs, what is to be asked again and when.
//!
//! An event id has at most one slot in a lane, and its stage says what another publishing of it means:
//!
//! ```text
//!            offer                  take                     settle
//! (unknown) ------> Ready --------------------> Running ----------------> (unknown)
//!                     ^ offer: coalesced           | offer: once more afterwards
//!                     |                            v
//!                     +-- timer, or an offer -- Waiting (pending: until it is worth asking again)
//!                     +-- timer only ---------- Waiting (retry: backing off)
//! ```

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use millstream_events::Envelope;
use prometheus::{Histogram, IntGauge};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Backoff, fair_queue::FairQueue};
use crate::{
    delivery::{deliver, run_of},
    handler::{Ack, Handler},
    metrics::Metrics,
};

/// What all lanes of a dispatcher share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) metrics: Metrics,
    pub(super) backoff: Backoff,
    pub(super) tasks: TaskTracker,
    /// Set when nothing more is to be started.
    pub(super) stopping: CancellationToken,
    /// Set when what still runs is to be dropped.
    pub(super) abandoned: CancellationToken,
}

/// A handler and its deliveries.
pub(super) struct Lane {
    handler: Arc<dyn Handler>,
    limit: usize,
    shared: Shared,
    queued: IntGauge,
    hop: Histogram,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: FairQueue,
    slots: HashMap<Arc<str>, Slot>,
    workers: usize,
    tickets: u64,
    closed: bool,
}

struct Slot {
    envelope: Arc<Envelope>,
    flow: Arc<str>,
    stage: Stage,
    /// When it became ready: the hop is counted from here.
    since: Instant,
    /// Retries so far since it was last published or last ended well.
    retries: u32,
}

enum Stage {
    Ready,
    Running { once_more: bool },
    Waiting { ticket: u64, retrying: bool },
}

struct Delivery {
    id: Arc<str>,
    envelope: Arc<Envelope>,
}

impl Lane {
    pub(super) fn new(handler: Arc<dyn Handler>, limit: usize, shared: Shared) -> Self {
        let queued = shared.metrics.queued.with_label_values(&[handler.name()]);
        let hop = shared.metrics.hop_seconds.with_label_values(&[handler.name()]);
        Self { handler, limit: limit.max(1), shared, queued, hop, state: Mutex::default() }
    }

    pub(super) fn takes(&self, event_type: &str) -> bool {
        self.handler.takes(event_type)
    }

    /// Whether this event id waits or runs here.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.state().slots.contains_key(id)
    }

    /// Takes an event for delivery; one that is in flight already is not delivered beside itself.
    pub(super) fn offer(self: &Arc<Self>, id: &Arc<str>, envelope: &Arc<Envelope>) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        let Some(slot) = state.slots.get_mut(id) else {
            let slot = Slot {
                envelope: Arc::clone(envelope),
                flow: flow_of(envelope),
                stage: Stage::Ready,
                since: Instant::now(),
                retries: 0,
            };
            state.slots.insert(Arc::clone(id), slot);
            self.make_ready(&mut state, id);
            return;
        };
        slot.envelope = Arc::clone(envelope);
        match &mut slot.stage {
            Stage::Ready | Stage::Waiting { retrying: true, .. } => {}
            Stage::Running { once_more } => *once_more = true,
            Stage::Waiting { retrying: false, .. } => self.make_ready(&mut state, id),
        }
    }

    /// Starts nothing more and forgets what waits; returns how many deliveries that were.
    pub(super) fn close(&self) -> usize {
        let mut state = self.state();
        state.closed = true;
        state.ready = FairQueue::default();
        self.queued.set(0);
        let before = state.slots.len();
        state.slots.retain(|_, slot| matches!(slot.stage, Stage::Running { .. }));
        before - state.slots.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code of a handler runs under this lock, so a poisoned one still holds a consistent state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_ready(self: &Arc<Self>, state: &mut State, id: &Arc<str>) {
        let Some(slot) = state.slots.get_mut(id) else { return };
        slot.stage = Stage::Ready;
        slot.since = Instant::now();
        state.ready.push(&slot.flow, Arc::clone(id));
        self.queued.inc();
        if state.workers < self.limit {
            state.workers += 1;
            self.shared.tasks.spawn(Arc::clone(self).work());
        }
    }

    /// A worker: delivers until nothing is ready.
    async fn work(self: Arc<Self>) {
        while let Some(delivery) = self.take() {
            let handled = deliver(self.handler.as_ref(), &delivery.envelope, &self.shared.metrics);
            tokio::select! {
                biased;
                () = self.shared.abandoned.cancelled() => return,
                ack = handled => self.settle(&delivery.id, ack),
            }
        }
    }

    fn take(&self) -> Option<Delivery> {
        let mut state = self.state();
        let next = if state.closed { None } else { state.ready.pop() };
        let Some((id, slot)) = next.and_then(|id| state.slots.get_mut(&id).map(|slot| (id, slot))) else {
            state.workers -= 1;
            return None;
        };
        slot.stage = Stage::Running { once_more: false };
        self.queued.dec();
        self.hop.observe(slot.since.elapsed().as_secs_f64());
        Some(Delivery { envelope: Arc::clone(&slot.envelope), id })
    }

    fn settle(self: &Arc<Self>, id: &Arc<str>, ack: Ack) {
        let mut state = self.state();
        if state.closed {
            state.slots.remove(id);
            return;
        }
        let Some(slot) = state.slots.get_mut(id) else { return };
        let once_more = matches!(slot.stage, Stage::Running { once_more: true });
        match ack {
            Ack::Done | Ack::Pending { .. } if once_more => {
                slot.retries = 0;
                self.make_ready(&mut state, id);
            }
            Ack::Done => {
                state.slots.remove(id);
            }
            Ack::Pending { check_after } => {
                slot.retries = 0;
                self.wait(&mut state, id, check_after, false);
            }
            Ack::Retry { .. } => {
                slot.retries += 1;
                match self.shared.backoff.after(slot.retries) {
                    Some(pause) => self.wait(&mut state, id, pause, true),
                    // Somebody has asked for it again meanwhile: that is a delivery of its own.
                    None if once_more => {
                        slot.retries = 0;
                        let pause = self.shared.backoff.longest;
                        self.wait(&mut state, id, pause, true);
                    }
                    None => {
                        tracing::warn!(
                            function = self.handler.name(),
                            event = slot.envelope.event.event_type(),
                            retries = slot.retries - 1,
                            "no more retries; the sweep will ask again"
                        );
                        state.slots.remove(id);
                    }
                }
            }
        }
    }

    /// Makes the delivery ready again after `pause`.
    fn wait(self: &Arc<Self>, state: &mut State, id: &Arc<str>, pause: Duration, retrying: bool) {
        state.tickets += 1;
        let ticket = state.tickets;
        if let Some(slot) = state.slots.get_mut(id) {
            slot.stage = Stage::Waiting { ticket, retrying };
        }
        let (lane, id) = (Arc::clone(self), Arc::clone(id));
        self.shared.tasks.spawn(async move {
            tokio::select! {
                () = lane.shared.stopping.cancelled() => {}
                () = tokio::time::sleep(pause) => lane.wake(&id, ticket),
            }
        });
    }

    fn wake(self: &Arc<Self>, id: &Arc<str>, ticket: u64) {
        let mut state = self.state();
        // Another stage or ticket means that somebody asked earlier than this timer.
        let expected = state
            .slots
            .get(id)
            .is_some_and(|slot| matches!(slot.stage, Stage::Waiting { ticket: current, .. } if current == ticket));
        if expected && !state.closed {
            self.make_ready(&mut state, id);
        }
    }
}

/// What an event takes turns as: its run, or its type where the run is not known yet.
fn flow_of(envelope: &Envelope) -> Arc<str> {
    run_of(&envelope.event).map_or_else(|| envelope.event.event_type().into(), |run| run.to_string().into())
}
