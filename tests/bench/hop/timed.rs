//! When facts are published and functions entered, seen from outside of both.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use async_trait::async_trait;
use millstream_events::{Envelope, Event, names::RunId};
use millstream_ports::{EventBus, PortResult};
use millstream_runtime::{Ack, Dispatcher, Handler};

/// The moments of one run, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times {
    /// When a step's function was entered.
    pub(crate) entered: Vec<Instant>,
    /// When a step's fact was published.
    pub(crate) published: Vec<Instant>,
}

/// The moments of every run.
#[derive(Debug, Default)]
pub(crate) struct Marks(Mutex<BTreeMap<RunId, Times>>);

impl Marks {
    fn mark(&self, run: &RunId, of: impl FnOnce(&mut Times) -> &mut Vec<Instant>) {
        let now = Instant::now();
        of(self.0.lock().unwrap().entry(run.clone()).or_default()).push(now);
    }

    /// How many facts of the run were published.
    pub(crate) fn published(&self, run: &RunId) -> usize {
        self.0.lock().unwrap().get(run).map_or(0, |times| times.published.len())
    }

    /// Everything so far.
    pub(crate) fn taken(&self) -> BTreeMap<RunId, Times> {
        self.0.lock().unwrap().clone()
    }

    /// Forgets everything so far.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap().clear();
    }
}

/// A bus that notes when facts are published.
#[derive(Debug)]
pub(crate) struct TimedBus {
    pub(crate) inner: Dispatcher,
    pub(crate) marks: Arc<Marks>,
}

#[async_trait]
impl EventBus for TimedBus {
    async fn publish(&self, events: Vec<Envelope>) -> PortResult<()> {
        for envelope in &events {
            if let Event::StepDone(fact) = &envelope.event {
                self.marks.mark(&fact.step.run, |times| &mut times.published);
            }
        }
        self.inner.publish(events).await
    }
}

struct Timed {
    inner: Arc<dyn Handler>,
    marks: Arc<Marks>,
}

/// The same handlers, their entries noted.
pub(crate) fn timed(handlers: Vec<Arc<dyn Handler>>, marks: &Arc<Marks>) -> Vec<Arc<dyn Handler>> {
    let wrap = |inner| Arc::new(Timed { inner, marks: marks.clone() }) as Arc<dyn Handler>;
    handlers.into_iter().map(wrap).collect()
}

#[async_trait]
impl Handler for Timed {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn takes(&self, event_type: &str) -> bool {
        self.inner.takes(event_type)
    }

    async fn handle(&self, delivery: &Envelope) -> Ack {
        if let Event::Command(command) = &delivery.event {
            self.marks.mark(&command.step.run, |times| &mut times.entered);
        }
        self.inner.handle(delivery).await
    }
}
