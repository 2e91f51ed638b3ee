//! Writing an object whole, and finding out how a write ended that got no clear answer.
//!
//! A write with a precondition may be sent again after an error. Where the first one had its effect all the same, the
//! second is refused with 412: by our own object. Every write therefore leaves a name of its own in the object's metadata,
//! and an unclear end is settled by looking at that. So `Conflict` always means that somebody else was there, and of two
//! writers who create the same bytes at the same time still only one is told that it did.

use bytes::Bytes;
use google_cloud_storage::{Error as ClientError, builder::storage::WriteObject, error::WriteError, model::Object};
use millstream_events::names::ObjectPath;
use millstream_ports::{ByteStream, ErrorKind, ObjectMeta, PortError, PortResult, Precondition};
use uuid::Uuid;

use crate::{
    GcsObjectStore,
    errors::{client_failed, failed},
    preconditions::if_generation_match,
    read::{bucket, in_time},
    retry::{Again, Attempts},
    upload::{Body, Source, Sum, stands_still},
};

/// The key of a write's name in its object's metadata.
const WRITE: &str = "millstream-write";

/// Writes an object from a stream.
pub(crate) async fn put(
    store: &GcsObjectStore,
    path: &ObjectPath,
    body: ByteStream,
    when: Precondition,
) -> PortResult<ObjectMeta> {
    let expected = if_generation_match(path, when)?;
    let write = Write { store, path, expected, name: Uuid::new_v4().to_string(), action: format!("writing {path}") };
    match Body::sort(body, store.options.single_request).await? {
        Body::Whole(bytes, sum) => write.at_once(bytes, sum).await,
        Body::Large(stream) => write.in_pieces(stream).await,
    }
}

/// One call of [`put`].
struct Write<'a> {
    store: &'a GcsObjectStore,
    path: &'a ObjectPath,
    expected: Option<i64>,
    name: String,
    action: String,
}

impl Write<'_> {
    /// With one request, which is sent again only under a precondition: without one, the second might replace what somebody
    /// wrote after the first. Cloud Storage compares the checksum before it takes the object.
    async fn at_once(&self, bytes: Bytes, sum: Sum) -> PortResult<ObjectMeta> {
        let attempts = Attempts::new(&self.store.options, Again::Request);
        let request = self.store.data.write_object(bucket(self.path), self.path.name(), bytes);
        let request = self.with_conditions(request, &attempts).with_known_crc32c(sum.crc32c);
        let sent = in_time(&self.action, self.store.options.patience, request.send_unbuffered()).await;
        self.end(sent, sum, &attempts).await
    }

    /// Through a resumable session: nothing is there before its last piece is.
    async fn in_pieces(&self, body: ByteStream) -> PortResult<ObjectMeta> {
        let attempts = Attempts::new(&self.store.options, Again::Session);
        let (source, progress) = Source::new(body);
        let request = self.store.data.write_object(bucket(self.path), self.path.name(), source);
        let request = self.with_conditions(request, &attempts);
        let patience = self.store.options.patience;
        let sent = tokio::select! {
            sent = request.send_buffered() => Ok(sent),
            () = stands_still(&progress, patience) => {
                Err(failed(&self.action, ErrorKind::Unavailable, format!("nothing moved for {patience:?}")))
            }
        };
        let (mut broken, mut complete, mut sum) = (None, false, Sum::default());
        progress.send_modify(|progress| {
            (broken, complete, sum) = (progress.broken.take(), progress.complete, progress.sum);
        });
        match (broken, sent) {
            (Some(error), _) => Err(error),
            // A session that did not get its last piece leaves nothing.
            (None, Ok(Err(error))) if !complete => Err(client_failed(&self.action, error)),
            (None, Err(error)) if !complete => Err(error),
            (None, sent) => self.end(sent, sum, &attempts).await,
        }
    }

    fn with_conditions<T>(&self, request: WriteObject<T>, attempts: &Attempts) -> WriteObject<T> {
        let request = request.set_metadata([(WRITE, self.name.as_str())]).with_retry_policy(attempts.clone());
        match self.expected {
            Some(generation) => request.set_if_generation_match(generation),
            None => request,
        }
    }

    /// What came of it. After a retry, and where there was no answer, it may have gone through whatever the error says.
    async fn end(
        &self,
        sent: PortResult<Result<Object, ClientError>>,
        sum: Sum,
        attempts: &Attempts,
    ) -> PortResult<ObjectMeta> {
        let (error, unclear) = match sent {
            Ok(Ok(object)) => return self.written(&object, sum).await,
            Ok(Err(error)) => {
                if let Some(object) = other_bytes(&error) {
                    return Err(self.take_back(object).await);
                }
                let unclear = attempts.retried() || error.http_status_code().is_none();
                (client_failed(&self.action, error), unclear)
            }
            Err(error) => (error, true),
        };
        if unclear { self.settle(error, sum).await } else { Err(error) }
    }

    async fn written(&self, object: &Object, sum: Sum) -> PortResult<ObjectMeta> {
        let stored = object.checksums.as_ref().and_then(|checksums| checksums.crc32c);
        match (u64::try_from(object.generation), u64::try_from(object.size), stored) {
            (Ok(generation), Ok(size), Some(crc32c)) if (Sum { size, crc32c }) == sum => {
                Ok(ObjectMeta { path: self.path.clone(), generation, size, crc32c })
            }
            _ => Err(self.take_back(object).await),
        }
    }

    /// Looks whether the object is this write's. Where nobody can look, nobody can say that there is a conflict.
    async fn settle(&self, error: PortError, sum: Sum) -> PortResult<ObjectMeta> {
        match self.store.api.stat_with(self.path, WRITE).await {
            Ok((meta, Some(name))) if name == self.name => {
                let found = Sum { size: meta.size, crc32c: meta.crc32c };
                if found == sum { Ok(meta) } else { Err(self.take_back_generation(meta.generation).await) }
            }
            Err(unknown) if error.kind() == ErrorKind::Conflict && unknown.kind() != ErrorKind::NotFound => {
                Err(unknown)
            }
            _ => Err(error),
        }
    }

    async fn take_back(&self, object: &Object) -> PortError {
        self.take_back_generation(u64::try_from(object.generation).unwrap_or_default()).await
    }

    /// Bytes that are not what was sent must not stay. The client sends a checksum ahead wherever it can, so this is for
    /// sessions that were resumed.
    async fn take_back_generation(&self, generation: u64) -> PortError {
        let action = &self.action;
        match self.store.api.delete(self.path, Precondition::Generation(generation)).await {
            Ok(()) => failed(action, ErrorKind::Unavailable, "other bytes arrived than were sent; they were deleted"),
            Err(error) => {
                let said = format!("other bytes arrived than were sent, delete generation {generation}: {error}");
                failed(action, ErrorKind::Internal, said).caused_by(error)
            }
        }
    }
}

/// The object that was made of other bytes than those sent, where that is the error.
fn other_bytes(error: &ClientError) -> Option<&Object> {
    match std::error::Error::source(error)?.downcast_ref::<WriteError>()? {
        WriteError::ChecksumMismatch { object, .. } => Some(object),
        _ => None,
    }
}
