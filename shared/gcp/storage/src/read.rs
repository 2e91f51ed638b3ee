//! Reading an object as a stream of one generation, its checksum compared at the end.

use std::future::Future;

use futures::{StreamExt, stream};
use google_cloud_storage::{
    model_ext::ObjectHighlights,
    read_object::ReadObjectResponse,
    read_resume_policy::{ReadResumePolicyExt, Recommended},
};
use millstream_events::names::ObjectPath;
use millstream_ports::{ErrorKind, ObjectMeta, ObjectRead, PortError, PortResult};

use crate::{
    GcsObjectStore,
    errors::{client_failed, failed},
    preconditions::existing,
    retry::{Again, Attempts},
};

/// Opens an object; `generation` asks for exactly that one.
///
/// Where the line breaks the client goes on from the last byte, in the same generation. It compares the checksum of all
/// bytes with the object's and ends the stream with an error where they differ.
pub(crate) async fn get(store: &GcsObjectStore, path: &ObjectPath, generation: Option<u64>) -> PortResult<ObjectRead> {
    let action = format!("reading {path}");
    let mut request = store
        .data
        .read_object(bucket(path), path.name())
        .with_retry_policy(Attempts::new(&store.options, Again::Request))
        .with_read_resume_policy(Recommended.with_attempt_limit(store.options.attempts));
    if let Some(wanted) = generation {
        let Some(wanted) = existing(wanted) else {
            return Err(failed(action, ErrorKind::NotFound, format!("no object is in generation {wanted}")));
        };
        request = request.set_generation(wanted);
    }
    let patience = store.options.patience;
    let response = in_time(&action, patience, request.send()).await?.map_err(|error| client_failed(&action, error))?;
    let meta = meta(store, path, &response.object()).await?;
    let body = stream::try_unfold(response, move |mut response: ReadObjectResponse| {
        let action = action.clone();
        async move {
            match in_time(&action, patience, response.next()).await? {
                Some(Ok(bytes)) => Ok(Some((bytes, response))),
                Some(Err(error)) => Err(client_failed(&action, error)),
                None => Ok(None),
            }
        }
    });
    Ok(ObjectRead { meta, body: body.boxed() })
}

/// Without a checksum there would be nothing to compare the bytes with, so that is an error.
async fn meta(store: &GcsObjectStore, path: &ObjectPath, object: &ObjectHighlights) -> PortResult<ObjectMeta> {
    let crc32c = object.checksums.as_ref().and_then(|checksums| checksums.crc32c);
    let (Ok(generation), Ok(size), Some(crc32c)) =
        (u64::try_from(object.generation), u64::try_from(object.size), crc32c)
    else {
        return Err(PortError::internal(format!("reading {path}: the answer's headers have no CRC32C checksum")));
    };
    let meta = ObjectMeta { path: path.clone(), generation, size, crc32c };
    // fake-gcs-server leaves out the header of the size, which the client turns into 0; the checksum of no bytes is 0 too.
    if size > 0 || crc32c == 0 {
        return Ok(meta);
    }
    let described = store.api.stat(path).await?;
    if described.generation != generation {
        return Err(PortError::unavailable(format!("reading {path}: it was written while it was opened")));
    }
    Ok(described)
}

/// Google's client itself waits for ever.
pub(crate) async fn in_time<T>(
    action: &str,
    patience: std::time::Duration,
    call: impl Future<Output = T>,
) -> PortResult<T> {
    tokio::time::timeout(patience, call)
        .await
        .map_err(|_| failed(action, ErrorKind::Unavailable, format!("no answer in {patience:?}")))
}

/// A bucket as Google's client names it.
pub(crate) fn bucket(path: &ObjectPath) -> String {
    format!("projects/_/buckets/{}", path.bucket())
}
