//! The sweep's tick in a process that has no Cloud Scheduler.

use std::{sync::Arc, time::Duration};

use millstream_events::{Envelope, Event, trigger::SweepDue};
use millstream_ports::{Clock, EventBus};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::dispatch::Dispatcher;

/// Publishes `SweepDue` at once, which heals what an earlier process left, and then every `every` until `stop`. A tick is
/// skipped while an earlier one is still being handled: a sweep that takes long must not be followed by another at once.
pub async fn sweep(dispatcher: &Dispatcher, clock: &Arc<dyn Clock>, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let event = Event::SweepDue(SweepDue {});
        if dispatcher.is_in_flight(&event) {
            tracing::debug!("the earlier sweep is still being handled");
            continue;
        }
        let tick = Envelope { event, time: clock.now(), traceparent: None };
        if let Err(error) = dispatcher.publish(vec![tick]).await {
            tracing::debug!(%error, "no sweep");
        }
    }
}
