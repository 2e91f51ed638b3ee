//! How often, and what, is tried again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use google_cloud_gax::{
    backoff_policy::BackoffPolicy,
    exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder},
    retry_policy::RetryPolicy,
    retry_result::RetryResult,
    retry_state::RetryState,
};
use google_cloud_storage::{Error, retry_policy::RetryableErrors};
use millstream_ports::{ErrorKind, PortError};

use crate::StoreOptions;

/// Pauses that grow, at most to a fifth of what a call may take.
pub(crate) fn backoff(options: &StoreOptions) -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_delay(options.first_pause)
        .with_maximum_delay(options.patience / 5)
        .with_scaling(2.0)
        .clamp()
}

/// How an upload or a read goes on after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The whole request once more.
    Request,
    /// The rest of a resumable session, but only after an error that Cloud Storage answered. Where the line broke instead,
    /// version 1.21 of the client forgets the piece on its way and goes on with the next one, under the same offset.
    Session,
}

/// The limits on retries of one call through Google's client, and whether there was any.
#[derive(Debug, Clone)]
pub(crate) struct Attempts {
    options: StoreOptions,
    again: Again,
    retried: Arc<AtomicBool>,
}

impl Attempts {
    pub(crate) fn new(options: &StoreOptions, again: Again) -> Self {
        Self { options: options.clone(), again, retried: Arc::default() }
    }

    /// Whether the call was sent more than once: an earlier one may have had its effect.
    pub(crate) fn retried(&self) -> bool {
        self.retried.load(Ordering::Relaxed)
    }
}

impl RetryPolicy for Attempts {
    fn on_error(&self, state: &RetryState, error: Error) -> RetryResult {
        let error = match RetryableErrors.on_error(state, error) {
            RetryResult::Continue(error) => error,
            last => return last,
        };
        if self.again == Again::Session && error.http_status_code().is_none() {
            return RetryResult::Permanent(error);
        }
        // A session may take hours; that it does not stand still is watched elsewhere.
        let late = self.again == Again::Request && state.start.elapsed() >= self.options.patience;
        if late || state.attempt_count >= self.options.attempts {
            return RetryResult::Exhausted(error);
        }
        self.retried.store(true, Ordering::Relaxed);
        RetryResult::Continue(error)
    }
}

/// The same limits for calls of the JSON API.
#[derive(Debug)]
pub(crate) struct ApiAttempts {
    options: StoreOptions,
    backoff: ExponentialBackoff,
    state: RetryState,
    retried: bool,
}

impl ApiAttempts {
    pub(crate) fn new(options: &StoreOptions) -> Self {
        Self { options: options.clone(), backoff: backoff(options), state: RetryState::new(true), retried: false }
    }

    /// Whether the call was sent more than once.
    pub(crate) fn retried(&self) -> bool {
        self.retried
    }

    /// Pauses before the next attempt, or gives the error back when it is the last word.
    pub(crate) async fn pause(&mut self, error: PortError) -> Result<(), PortError> {
        self.state.attempt_count += 1;
        let passing = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Quota { .. });
        let late = self.state.start.elapsed() >= self.options.patience;
        if !passing || late || self.state.attempt_count >= self.options.attempts {
            return Err(error);
        }
        tokio::time::sleep(self.backoff.on_failure(&self.state)).await;
        self.retried = true;
        Ok(())
    }
}
