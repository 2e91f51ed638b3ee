//! Delivery in one process: retries, single flight, limits, observers, the sweep and shutdown. Time is paused: it moves
//! only when nothing else can.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use millstream_events::Envelope;
use millstream_ports::EventBus;
use millstream_runtime::{Ack, Backoff, DispatchSettings, Dispatcher, Handler, Metrics, dispatch::Stopped, ticker};
use support::{Scripted, clock, export, retry, run_requested, sweep};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

const EXPORT: &str = "dev.millstream.export.requested.v1";
const SWEEP: &str = "dev.millstream.sweep.due.v1";
const RUN: &str = "dev.millstream.run.requested.v1";

fn dispatcher(settings: DispatchSettings, handlers: Vec<Arc<dyn Handler>>) -> Dispatcher {
    let dispatcher = Dispatcher::new(settings, Metrics::new().unwrap());
    dispatcher.start(handlers);
    dispatcher
}

async fn publish(dispatcher: &Dispatcher, events: impl IntoIterator<Item = Envelope>) {
    dispatcher.publish(events.into_iter().collect()).await.unwrap();
}

/// Lets everything that can run without time passing run.
async fn settle() {
    tokio::time::sleep(Duration::from_nanos(1)).await;
}

/// A handler whose deliveries wait for the test's permits, and which counts them.
struct Gated {
    event_type: &'static str,
    name: &'static str,
    permits: Semaphore,
    running: AtomicUsize,
    most: AtomicUsize,
    finished: AtomicUsize,
}

impl Gated {
    fn new(name: &'static str, event_type: &'static str) -> Arc<Self> {
        Arc::new(Self {
            event_type,
            name,
            permits: Semaphore::new(0),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
        })
    }

    fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    fn finished(&self) -> usize {
        self.finished.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Handler for Gated {
    fn name(&self) -> &'static str {
        self.name
    }

    fn takes(&self, event_type: &str) -> bool {
        event_type == self.event_type
    }

    async fn handle(&self, _: &Envelope) -> Ack {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.finished.fetch_add(1, Ordering::SeqCst);
        Ack::Done
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_goes_to_the_handlers_that_take_its_type_and_to_every_observer() {
    let (exports, mut exported) = Scripted::new(EXPORT, []);
    let (others, mut swept) = Scripted::new(SWEEP, []);
    let dispatcher = dispatcher(DispatchSettings::default(), vec![exports, others]);
    let mut observed = dispatcher.subscribe();
    publish(&dispatcher, [export(1), run_requested("nobody takes it"), sweep()]).await;
    assert_eq!(exported.recv().await, Some(export(1)));
    assert_eq!(swept.recv().await, Some(sweep()));
    for expected in [export(1), run_requested("nobody takes it"), sweep()] {
        assert_eq!(*observed.recv().await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_backs_off_twice_as_long_each_time_and_is_then_left_to_the_sweep() {
    let backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_millis(300), retries: 5 };
    let (handler, mut deliveries) = Scripted::new(EXPORT, std::iter::repeat_n(retry(), 6));
    let dispatcher = dispatcher(DispatchSettings { backoff, ..DispatchSettings::default() }, vec![handler]);
    publish(&dispatcher, [export(1)]).await;
    deliveries.recv().await.unwrap();
    let mut last = Instant::now();
    for expected in [50, 100, 200, 300, 300] {
        deliveries.recv().await.unwrap();
        // The timer wheel counts in whole milliseconds.
        let paused = last.elapsed().as_millis();
        assert!((expected..=expected + 1).contains(&paused), "{paused} ms instead of {expected}");
        last = Instant::now();
    }
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert!(deliveries.try_recv().is_err(), "delivered more often than it is retried");
    assert!(!dispatcher.is_in_flight(&export(1).event));

    publish(&dispatcher, [export(1)]).await;
    deliveries.recv().await.expect("the sweep asks again");
}

#[tokio::test(start_paused = true)]
async fn what_is_published_again_while_it_backs_off_does_not_jump_the_pause() {
    let (handler, mut deliveries) = Scripted::new(EXPORT, [retry()]);
    let dispatcher = dispatcher(DispatchSettings::default(), vec![handler]);
    publish(&dispatcher, [export(1)]).await;
    deliveries.recv().await.unwrap();
    publish(&dispatcher, [export(1), export(1)]).await;
    settle().await;
    assert!(deliveries.try_recv().is_err());
    deliveries.recv().await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(deliveries.try_recv().is_err(), "one redelivery is enough");
}

#[tokio::test(start_paused = true)]
async fn a_pending_step_is_asked_again_after_its_time_and_at_once_when_it_is_published_again() {
    let pending = || Ack::Pending { check_after: Duration::from_secs(30) };
    let (handler, mut deliveries) = Scripted::new(EXPORT, [pending(), pending()]);
    let dispatcher = dispatcher(DispatchSettings::default(), vec![handler]);
    let start = Instant::now();
    publish(&dispatcher, [export(1)]).await;
    deliveries.recv().await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;

    publish(&dispatcher, [export(1)]).await;
    deliveries.recv().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(11), "the sweep asked: no reason to wait");

    deliveries.recv().await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 40, "thirty seconds after the second answer, not after the first");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert!(deliveries.try_recv().is_err(), "it was done");
}

#[tokio::test(start_paused = true)]
async fn one_event_is_in_flight_once_and_runs_once_more_if_it_came_meanwhile() {
    let gated = Gated::new("gated", EXPORT);
    let dispatcher = dispatcher(DispatchSettings::default(), vec![gated.clone()]);
    publish(&dispatcher, [export(1)]).await;
    settle().await;
    assert_eq!(gated.running(), 1);
    publish(&dispatcher, std::iter::repeat_with(|| export(1)).take(20)).await;
    settle().await;
    assert_eq!(gated.running(), 1);
    gated.permits.add_permits(100);
    settle().await;
    assert_eq!(gated.most.load(Ordering::SeqCst), 1);
    assert_eq!(gated.finished(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_handler_has_its_own_limit_and_does_not_hold_up_another() {
    let slow = Gated::new("slow", EXPORT);
    let (quick, mut swept) = Scripted::new(SWEEP, []);
    let settings =
        DispatchSettings { concurrency_of: BTreeMap::from([("slow".to_owned(), 3)]), ..DispatchSettings::default() };
    let dispatcher = dispatcher(settings, vec![slow.clone(), quick]);
    publish(&dispatcher, (1..=20).map(export)).await;
    publish(&dispatcher, [sweep()]).await;
    swept.recv().await.expect("the other handler is not busy");
    settle().await;
    assert_eq!(slow.running(), 3);
    slow.permits.add_permits(100);
    settle().await;
    assert_eq!((slow.finished(), slow.most.load(Ordering::SeqCst)), (20, 3));
}

/// Publishes events to itself from inside a delivery.
struct Multiplies(Dispatcher, AtomicUsize);

#[async_trait]
impl Handler for Multiplies {
    fn name(&self) -> &'static str {
        "multiplies"
    }

    fn takes(&self, event_type: &str) -> bool {
        event_type == RUN
    }

    async fn handle(&self, delivery: &Envelope) -> Ack {
        self.1.fetch_add(1, Ordering::SeqCst);
        if delivery == &run_requested("first") {
            let more = (0..10_000).map(|number| run_requested(&number.to_string())).collect();
            self.0.publish(more).await.unwrap();
        }
        Ack::Done
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_publishes_more_than_it_can_take_does_not_wait_for_itself() {
    let dispatcher =
        Dispatcher::new(DispatchSettings { concurrency: 1, ..DispatchSettings::default() }, Metrics::new().unwrap());
    let handler = Arc::new(Multiplies(dispatcher.clone(), AtomicUsize::new(0)));
    dispatcher.start(vec![handler.clone()]);
    publish(&dispatcher, [run_requested("first")]).await;
    settle().await;
    assert_eq!(handler.1.load(Ordering::SeqCst), 10_001);
}

/// Panics on its first delivery.
struct PanicsOnce(AtomicUsize);

#[async_trait]
impl Handler for PanicsOnce {
    fn name(&self) -> &'static str {
        "panics-once"
    }

    fn takes(&self, _: &str) -> bool {
        true
    }

    async fn handle(&self, _: &Envelope) -> Ack {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "the first delivery panics");
        Ack::Done
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_panicked_is_made_again() {
    let handler = Arc::new(PanicsOnce(AtomicUsize::new(0)));
    let dispatcher = dispatcher(DispatchSettings::default(), vec![handler.clone()]);
    publish(&dispatcher, [export(1)]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(handler.0.load(Ordering::SeqCst), 2);
    assert!(!dispatcher.is_in_flight(&export(1).event));
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_what_runs_end_and_drops_what_waits() {
    let gated = Gated::new("gated", EXPORT);
    let settings = DispatchSettings { concurrency: 2, ..DispatchSettings::default() };
    let dispatcher = dispatcher(settings, vec![gated.clone()]);
    publish(&dispatcher, (1..=5).map(export)).await;
    settle().await;
    let stopping = tokio::spawn({
        let dispatcher = dispatcher.clone();
        async move { dispatcher.shutdown(Duration::from_secs(10)).await }
    });
    settle().await;
    let error = dispatcher.publish(vec![export(6)]).await.unwrap_err();
    assert!(error.is_retryable(), "what is refused is not lost: {error}");
    gated.permits.add_permits(100);
    assert_eq!(stopping.await.unwrap(), Stopped { finished: true, dropped: 3 });
    assert_eq!(gated.finished(), 2);
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_longer_than_its_deadline() {
    let gated = Gated::new("gated", EXPORT);
    let dispatcher = dispatcher(DispatchSettings::default(), vec![gated.clone()]);
    publish(&dispatcher, [export(1)]).await;
    settle().await;
    let start = Instant::now();
    assert_eq!(dispatcher.shutdown(Duration::from_secs(10)).await, Stopped { finished: false, dropped: 0 });
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(gated.finished(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_retry_does_not_hold_up_a_shutdown() {
    let (handler, mut deliveries) = Scripted::new(EXPORT, [Ack::Pending { check_after: Duration::from_secs(900) }]);
    let dispatcher = dispatcher(DispatchSettings::default(), vec![handler]);
    publish(&dispatcher, [export(1)]).await;
    deliveries.recv().await.unwrap();
    settle().await;
    let start = Instant::now();
    assert_eq!(dispatcher.shutdown(Duration::from_secs(10)).await, Stopped { finished: true, dropped: 1 });
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_event_published_before_the_start_is_refused_and_not_lost() {
    let dispatcher = Dispatcher::new(DispatchSettings::default(), Metrics::new().unwrap());
    assert!(dispatcher.publish(vec![export(1)]).await.unwrap_err().is_retryable());
}

#[tokio::test(start_paused = true)]
async fn the_sweep_ticks_at_once_and_then_regularly_but_never_beside_itself() {
    let gated = Gated::new("plan-run", SWEEP);
    let dispatcher = dispatcher(DispatchSettings::default(), vec![gated.clone()]);
    let stop = CancellationToken::new();
    let ticking = tokio::spawn({
        let (dispatcher, stop) = (dispatcher.clone(), stop.clone());
        async move { ticker::sweep(&dispatcher, &clock(), Duration::from_secs(5), stop).await }
    });
    settle().await;
    assert_eq!(gated.running(), 1, "the first tick heals what an earlier process left");

    tokio::time::sleep(Duration::from_secs(60)).await;
    gated.permits.add_permits(1);
    settle().await;
    assert_eq!((gated.finished(), gated.running()), (1, 0), "the ticks of that minute were skipped, not saved up");

    gated.permits.add_permits(100);
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert!((4..=6).contains(&gated.finished()), "{} sweeps in 21 s", gated.finished());
    stop.cancel();
    ticking.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn queue_and_deliveries_are_counted() {
    let metrics = Metrics::new().unwrap();
    let gated = Gated::new("gated", EXPORT);
    let dispatcher =
        Dispatcher::new(DispatchSettings { concurrency: 1, ..DispatchSettings::default() }, metrics.clone());
    dispatcher.start(vec![gated.clone()]);
    publish(&dispatcher, (1..=4).map(export)).await;
    settle().await;
    assert_eq!(metrics.queued.with_label_values(&["gated"]).get(), 3);
    gated.permits.add_permits(100);
    settle().await;
    assert_eq!(metrics.queued.with_label_values(&["gated"]).get(), 0);
    assert_eq!(metrics.deliveries.with_label_values(&["gated", "done"]).get(), 4);
    assert_eq!(metrics.hop_seconds.with_label_values(&["gated"]).get_sample_count(), 4);
    assert_eq!(metrics.handling_seconds.with_label_values(&["gated"]).get_sample_count(), 4);
}
