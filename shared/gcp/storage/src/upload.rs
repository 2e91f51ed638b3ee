//! A body on its way into Cloud Storage: what fits one request, and what streams through a resumable session.

use std::time::Duration;

use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, Fuse},
};
use google_cloud_storage::streaming_source::StreamingSource;
use millstream_ports::{ByteStream, PortError, PortResult};
use tokio::sync::{Mutex, watch};

/// What of a body has been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) size: u64,
    pub(crate) crc32c: u32,
}

impl Sum {
    fn add(&mut self, bytes: &Bytes) {
        self.size += bytes.len() as u64;
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
    }
}

/// A body whose size decides the way it goes.
pub(crate) enum Body {
    /// All of it, in memory.
    Whole(Bytes, Sum),
    /// Its first pieces and the rest.
    Large(ByteStream),
}

impl Body {
    /// Reads until the end, or until it is more than `limit` bytes.
    pub(crate) async fn sort(mut body: ByteStream, limit: usize) -> PortResult<Self> {
        let (mut pieces, mut sum) = (Vec::new(), Sum::default());
        while let Some(bytes) = body.try_next().await? {
            sum.add(&bytes);
            pieces.push(bytes);
            if sum.size > limit as u64 {
                return Ok(Self::Large(stream::iter(pieces.into_iter().map(Ok)).chain(body).boxed()));
            }
        }
        Ok(Self::Whole(joined(pieces), sum))
    }
}

/// A small body usually comes in one piece, which is taken as it is.
fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() > 1 { pieces.concat().into() } else { pieces.pop().unwrap_or_default() }
}

/// How far a session's body has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) sum: Sum,
    /// All of it was read.
    pub(crate) complete: bool,
    /// The body's own error.
    pub(crate) broken: Option<PortError>,
    /// The client waits for the body, not for Cloud Storage.
    waits: bool,
}

/// A session's body, told of as it goes.
pub(crate) struct Source {
    /// Behind a lock only since the client asks for `Sync`: nobody else has it.
    body: Mutex<Fuse<ByteStream>>,
    progress: watch::Sender<Progress>,
}

/// The body broke off; its own error is kept in [`Progress`].
#[derive(Debug, thiserror::Error)]
#[error("the body broke off")]
pub(crate) struct BrokenOff;

impl Source {
    /// Also gives its progress, which stays when the client has dropped the source.
    pub(crate) fn new(body: ByteStream) -> (Self, watch::Sender<Progress>) {
        let progress = watch::Sender::default();
        // Fused, since the client asks again after the end when it resumes the last piece.
        (Self { body: Mutex::new(body.fuse()), progress: progress.clone() }, progress)
    }
}

impl StreamingSource for Source {
    type Error = BrokenOff;

    async fn next(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        self.progress.send_modify(|progress| progress.waits = true);
        let next = self.body.get_mut().next().await;
        let (mut answer, mut broken) = (None, None);
        match next {
            Some(Ok(bytes)) => answer = Some(Ok(bytes)),
            Some(Err(error)) => (answer, broken) = (Some(Err(BrokenOff)), Some(error)),
            None => {}
        }
        self.progress.send_modify(|progress| {
            progress.waits = false;
            progress.broken = broken;
            match &answer {
                Some(Ok(bytes)) => progress.sum.add(bytes),
                Some(Err(_)) => {}
                None => progress.complete = true,
            }
        });
        answer
    }
}

/// Returns when the client has not come back for more of the body for this long.
pub(crate) async fn stands_still(progress: &watch::Sender<Progress>, patience: Duration) {
    let mut progress = progress.subscribe();
    loop {
        let waits = progress.borrow_and_update().waits;
        let moved = progress.changed();
        // The sender is borrowed above, so that `changed` cannot find it gone.
        let still = if waits { moved.await.is_err() } else { tokio::time::timeout(patience, moved).await.is_err() };
        if still {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(sizes: &[usize]) -> ByteStream {
        let pieces: Vec<PortResult<Bytes>> = sizes.iter().map(|size| Ok(Bytes::from(vec![7; *size]))).collect();
        stream::iter(pieces).boxed()
    }

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_is_one_request() {
        let Ok(Body::Whole(bytes, sum)) = Body::sort(body(&[3, 7]), 10).await else { panic!("it fits") };
        assert_eq!((bytes.len(), sum), (10, Sum { size: 10, crc32c: crc32c::crc32c(&[7; 10]) }));
    }

    #[tokio::test]
    async fn a_larger_body_keeps_its_first_pieces() {
        let Ok(Body::Large(stream)) = Body::sort(body(&[3, 8, 5]), 10).await else { panic!("it does not fit") };
        let sizes: Vec<usize> = stream.map_ok(|piece| piece.len()).try_collect().await.unwrap();
        assert_eq!(sizes, [3, 8, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_waited_for_and_a_dead_line_is_not() {
        let slow = stream::once(async {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            Ok(Bytes::from_static(b"late"))
        });
        let (mut source, progress) = Source::new(slow.boxed());
        let asking = async {
            assert_eq!(source.next().await.unwrap().unwrap(), "late");
            std::future::pending::<()>().await;
        };
        let started = tokio::time::Instant::now();
        tokio::select! {
            () = asking => unreachable!("it stays pending"),
            () = stands_still(&progress, Duration::from_secs(60)) => {}
        }
        assert_eq!(started.elapsed().as_secs(), 3_660);
    }
}
