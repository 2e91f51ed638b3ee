//! The contract of [`EventBus`].

use millstream_events::{
    Envelope, Event,
    trigger::{RunRequested, SweepDue},
};

use crate::{bus::EventBus, contracts::until};

/// Every rule. `delivered` gives all events that the bus has delivered so far.
pub async fn all(bus: &dyn EventBus, delivered: &impl AsyncFn() -> Vec<Event>) {
    run_rules!((bus, delivered):
        what_is_published_is_delivered,
        publishing_nothing_is_fine,
        an_event_published_again_is_the_same_event,
    );
}

fn requested(pipeline: &str, request: &str) -> Event {
    Event::RunRequested(RunRequested {
        pipeline: pipeline.parse().unwrap(),
        request: request.to_owned(),
        full_refresh: false,
    })
}

fn envelope(event: &Event) -> Envelope {
    Envelope { event: event.clone(), time: chrono::DateTime::UNIX_EPOCH, traceparent: None }
}

/// At least once, whatever the order, with the content unchanged.
pub async fn what_is_published_is_delivered(bus: &dyn EventBus, delivered: &impl AsyncFn() -> Vec<Event>) {
    let mut events: Vec<Event> = (0..20).map(|at| requested("bus-delivers", &format!("Größe {at} \"x\""))).collect();
    events.push(Event::SweepDue(SweepDue {}));
    bus.publish(events.iter().map(envelope).collect()).await.unwrap();
    until(async || {
        let delivered = delivered().await;
        events.iter().all(|event| delivered.contains(event)).then_some(())
    })
    .await;
}

/// A function with nothing to say publishes an empty list.
pub async fn publishing_nothing_is_fine(bus: &dyn EventBus, _delivered: &impl AsyncFn() -> Vec<Event>) {
    bus.publish(Vec::new()).await.unwrap();
}

/// A redelivered command publishes its fact again: its id is the same wherever it arrives.
pub async fn an_event_published_again_is_the_same_event(bus: &dyn EventBus, delivered: &impl AsyncFn() -> Vec<Event>) {
    let event = requested("bus-again", "once");
    bus.publish(vec![envelope(&event)]).await.unwrap();
    bus.publish(vec![envelope(&event)]).await.unwrap();
    let last = requested("bus-again", "last");
    bus.publish(vec![envelope(&last)]).await.unwrap();
    until(async || delivered().await.contains(&last).then_some(())).await;
    let ours = |found: &Event| matches!(found, Event::RunRequested(run) if run.pipeline.as_str() == "bus-again");
    let found: Vec<Event> = until(async || {
        let found: Vec<Event> = delivered().await.into_iter().filter(ours).collect();
        found.contains(&event).then_some(found)
    })
    .await;
    assert!(found.iter().all(|found| [event.id(), last.id()].contains(&found.id())), "{found:?}");
}
