//! File work off the async threads.

use millstream_ports::{PortError, PortResult};

/// Runs `work` on a thread that may block. One call an operation: the hop costs more than most of the system calls in it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> PortResult<T> + Send + 'static,
) -> PortResult<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(PortError::internal("a file operation did not finish").caused_by(error)))
}
