//! Between scratch files and the object store, and JSON kept there.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use futures::{StreamExt, TryStreamExt};
use millstream_events::names::ObjectPath;
use millstream_ports::{ErrorKind, ObjectStore, ObjectStoreExt, PortError, PortResult, Precondition, optional};
use serde::{Serialize, de::DeserializeOwned};
use tempfile::NamedTempFile;
use tokio_util::io::ReaderStream;

/// Bytes handed to the store at once.
const CHUNK: usize = 1 << 20;

/// The largest JSON kept: a plan of a hundred thousand ranges.
const JSON_LIMIT: u64 = 64 << 20;

/// What is written before it is whole: gone with the process, or when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) batch: NamedTempFile,
    pub(crate) quarantine: NamedTempFile,
}

impl Scratch {
    /// Two files in `folder`, which is made if need be.
    pub(crate) fn in_folder(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { batch: NamedTempFile::new_in(folder)?, quarantine: NamedTempFile::new_in(folder)? })
    }
}

/// Puts a file into the folder as `stem.extension`, and says where it is.
///
/// An interrupted reading may have left another file there, with rows as they were then: it is not written over, since
/// someone may be about to rely on it. The file goes in beside it, under a name that its content gives.
pub(crate) async fn put(
    store: &dyn ObjectStore,
    file: &NamedTempFile,
    folder: &ObjectPath,
    stem: &str,
    extension: &str,
) -> PortResult<ObjectPath> {
    let path = join(folder, &format!("{stem}.{extension}"))?;
    match put_file(store, file, &path).await {
        Err(error) if error.kind() == ErrorKind::Conflict => {}
        put => return put.map(|()| path),
    }
    let reopened = file.reopen().map_err(|error| scratch_error(&path, error))?;
    let summed = tokio::task::spawn_blocking(move || checksum(reopened)).await;
    let (size, crc32c) = match summed {
        Ok(summed) => summed.map_err(|error| scratch_error(&path, error))?,
        Err(error) => return Err(PortError::internal("summing up a scratch file failed").caused_by(error)),
    };
    let there = optional(store.stat(&path).await)?;
    if there.is_some_and(|there| (there.size, there.crc32c) == (size, crc32c)) {
        return Ok(path);
    }
    let beside = join(folder, &format!("{stem}-{crc32c:08x}.{extension}"))?;
    match put_file(store, file, &beside).await {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(beside),
        put => put.map(|()| beside),
    }
}

async fn put_file(store: &dyn ObjectStore, file: &NamedTempFile, to: &ObjectPath) -> PortResult<()> {
    let reopened: File = file.reopen().map_err(|error| scratch_error(to, error))?;
    let of_chunk = to.clone();
    let body = ReaderStream::with_capacity(tokio::fs::File::from_std(reopened), CHUNK)
        .map_err(move |error| scratch_error(&of_chunk, error))
        .boxed();
    store.put_stream(to, body, Precondition::Absent).await.map(drop)
}

fn checksum(mut file: File) -> io::Result<(u64, u32)> {
    let (mut size, mut sum, mut chunk) = (0, 0, vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok((size, sum)),
            count => {
                size += count as u64;
                sum = crc32c::crc32c_append(sum, &chunk[..count]);
            }
        }
    }
}

fn scratch_error(to: &ObjectPath, error: io::Error) -> PortError {
    PortError::unavailable(format!("the scratch file of {to} could not be read")).caused_by(error)
}

/// What is kept at `path`; `None` while nothing is.
pub(crate) async fn kept<T: DeserializeOwned>(store: &dyn ObjectStore, path: &ObjectPath) -> PortResult<Option<T>> {
    let Some(json) = optional(store.read(path, JSON_LIMIT).await)? else { return Ok(None) };
    let kept = serde_json::from_slice(&json);
    kept.map(Some).map_err(|error| PortError::internal(format!("{path} cannot be read")).caused_by(error))
}

/// Keeps a value, unless another delivery was faster: then that one stands.
pub(crate) async fn keep<T: Serialize + DeserializeOwned>(
    store: &dyn ObjectStore,
    path: &ObjectPath,
    value: T,
) -> PortResult<T> {
    let json = serde_json::to_vec(&value)
        .map_err(|error| PortError::internal(format!("{path} cannot be written as JSON")).caused_by(error))?;
    match store.put(path, json, Precondition::Absent).await {
        Ok(_) => Ok(value),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(kept(store, path).await?.unwrap_or(value)),
        Err(error) => Err(error),
    }
}

/// An object of a folder.
pub(crate) fn join(folder: &ObjectPath, name: &str) -> PortResult<ObjectPath> {
    folder.join(name).map_err(|error| PortError::invalid(error.to_string()))
}
