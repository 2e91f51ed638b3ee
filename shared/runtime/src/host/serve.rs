//! From a listener to its end: requests are taken until a signal, those in hand end within a limit.

use std::{
    future::{Future, IntoFuture},
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::answers::again_later;

/// How long requests in hand may go on after SIGTERM. Cloud Run ends a process ten seconds after it; what is left of them
/// is for saying good-bye, and for sending the last traces.
pub const DRAIN: Duration = Duration::from_secs(7);

/// How long the answers to requests that are cut off may take to be sent.
const FAREWELL: Duration = Duration::from_secs(1);

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Requests that were in hand at the limit. They were answered with 503: their senders deliver them again, and nothing
    /// is lost by it.
    pub cut_off: usize,
}

/// Serves until `shutdown`, then takes no more connections and lets the requests in hand end, `drain` long at most.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
    drain: Duration,
) -> io::Result<Drained> {
    let in_hand = InHand::default();
    let router = router.layer(middleware::from_fn_with_state(in_hand.clone(), hold));
    let stopping = CancellationToken::new();
    let stop = stopping.clone();
    let stopped = async move {
        shutdown.await;
        stop.cancel();
    };
    let mut serving = pin!(axum::serve(listener, router).with_graceful_shutdown(stopped).into_future());
    let limit = async {
        stopping.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        biased;
        served = &mut serving => return served.map(|()| Drained { cut_off: 0 }),
        () = limit => {}
    }
    let cut_off = in_hand.number.load(Ordering::Acquire);
    in_hand.cut.cancel();
    // A connection that stays open longer, such as a stream of events, ends with the process.
    match tokio::time::timeout(FAREWELL, serving).await {
        Ok(served) => served.map(|()| Drained { cut_off }),
        Err(_) => Ok(Drained { cut_off }),
    }
}

/// The requests that have no answer yet.
#[derive(Debug, Clone, Default)]
struct InHand {
    number: Arc<AtomicUsize>,
    cut: CancellationToken,
}

/// Counts one request for as long as it lives, also where it is dropped.
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(number: Arc<AtomicUsize>) -> Self {
        number.fetch_add(1, Ordering::AcqRel);
        Self(number)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn hold(State(in_hand): State<InHand>, request: Request, next: Next) -> Response {
    let _held = Held::new(in_hand.number);
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = in_hand.cut.cancelled() => again_later(StatusCode::SERVICE_UNAVAILABLE, "the process stops"),
    }
}

/// A token that the first SIGINT or SIGTERM cancels. The second one ends the process at once, for whoever will not wait:
/// nothing is lost by it.
///
/// # Errors
/// When the signals cannot be listened for.
pub fn shutdown_signal() -> io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let first = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupts.recv() => 130,
                _ = terminations.recv() => 143,
            }
        };
        next().await;
        tracing::info!("stopping; once more to stop at once");
        first.cancel();
        let code = next().await;
        std::process::exit(code);
    });
    Ok(token)
}
