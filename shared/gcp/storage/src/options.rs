//! How a store calls Cloud Storage.

use std::time::Duration;

/// How a [`GcsObjectStore`](crate::GcsObjectStore) calls Cloud Storage.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How often one call is tried, the first time included. Google's client by itself goes on for five minutes, which is
    /// longer than a delivery may take.
    pub attempts: u32,
    /// How long one call may take, its retries included, and how long a stream may stand still.
    pub patience: Duration,
    /// The pause before the first retry; each one after it is longer.
    pub first_pause: Duration,
    /// The largest body, in bytes, that is sent with one request; it is held in memory for that. A larger one, or one that
    /// does not end by then, goes through a resumable session.
    pub single_request: usize,
    /// How much of a resumable session's body is sent, and held in memory, at once, in bytes.
    pub session_piece: usize,
    /// Whether a deletion's precondition is looked at before the request, since the other side does not do it.
    pub check_before_delete: bool,
}

/// What Google recommends as the least that a session sends at once.
const PIECE: usize = 8 << 20;

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            attempts: 6,
            patience: Duration::from_secs(60),
            first_pause: Duration::from_millis(250),
            single_request: PIECE,
            session_piece: PIECE,
            check_before_delete: false,
        }
    }
}

impl StoreOptions {
    /// For fake-gcs-server, which minds the preconditions of single-request uploads only, and hands out session addresses
    /// without its port. So every upload is one request, held in memory whole, and a deletion looks first: two writers at
    /// the same moment may both find that it may go through, which they cannot on the service.
    #[must_use]
    pub fn emulator() -> Self {
        Self { single_request: usize::MAX, check_before_delete: true, ..Self::default() }
    }
}
