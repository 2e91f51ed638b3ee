//! Waits for work that goes on by itself while its delivery is still in hand.
//!
//! Over HTTP a pending step is asked for again by the sweep only, a minute later at worst. A warehouse's load takes
//! seconds: waiting for it inside the request that asked for it keeps a chain of such steps fast.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millstream_events::Envelope;
use tokio::time::{Instant, sleep};

use crate::handler::{Ack, Handler};

/// A handler that asks again, each time after the pause that a pending answer names, while there is patience left.
///
/// What it does between two looks is nothing: dropped there, the delivery is as pending as before.
pub struct Patient {
    inner: Arc<dyn Handler>,
    patience: Duration,
}

impl Patient {
    /// Waits for `inner` as long as `patience`, which has to be shorter than a request may take.
    #[must_use]
    pub fn new(inner: Arc<dyn Handler>, patience: Duration) -> Self {
        Self { inner, patience }
    }
}

#[async_trait]
impl Handler for Patient {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn takes(&self, event_type: &str) -> bool {
        self.inner.takes(event_type)
    }

    async fn handle(&self, delivery: &Envelope) -> Ack {
        let deadline = Instant::now() + self.patience;
        loop {
            match self.inner.handle(delivery).await {
                Ack::Pending { check_after } if Instant::now() + check_after < deadline => sleep(check_after).await,
                answer => return answer,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use millstream_events::{Event, trigger::SweepDue};

    use super::*;

    /// Done at the `n`-th look.
    struct DoneAt(u32, AtomicU32);

    #[async_trait]
    impl Handler for DoneAt {
        fn name(&self) -> &'static str {
            "done-at"
        }

        fn takes(&self, _event_type: &str) -> bool {
            true
        }

        async fn handle(&self, _delivery: &Envelope) -> Ack {
            let look = self.1.fetch_add(1, Ordering::Relaxed) + 1;
            if look >= self.0 { Ack::Done } else { Ack::Pending { check_after: Duration::from_secs(2) } }
        }
    }

    async fn answer(done_at: u32, patience: u64) -> (Ack, u32) {
        let inner = Arc::new(DoneAt(done_at, AtomicU32::new(0)));
        let event = Event::SweepDue(SweepDue {});
        let delivery = Envelope { event, time: chrono::DateTime::UNIX_EPOCH, traceparent: None };
        let ack = Patient::new(inner.clone(), Duration::from_secs(patience)).handle(&delivery).await;
        (ack, inner.1.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn short_work_is_waited_for() {
        assert_eq!(answer(3, 10).await, (Ack::Done, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn long_work_is_left_to_the_sweep() {
        let pending = Ack::Pending { check_after: Duration::from_secs(2) };
        assert_eq!(answer(100, 9).await, (pending, 5));
    }
}
