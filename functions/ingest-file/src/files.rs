//! Between the object store and the blocking world of files: uploads as `Read`, scratch files as objects.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use bytes::{Buf, Bytes};
use futures::{StreamExt, TryStreamExt};
use millstream_events::names::ObjectPath;
use millstream_ports::{ByteStream, ErrorKind, ObjectStore, PortError, PortResult, Precondition};
use millstream_tabular::Input;
use tempfile::NamedTempFile;
use tokio::runtime::Handle;
use tokio_util::io::ReaderStream;

/// Bytes handed to the store at once.
const CHUNK: usize = 1 << 20;

/// The upload, opened: the store's own file where it has one, else its stream. `NotFound` when this generation is gone.
pub(crate) async fn open(store: &dyn ObjectStore, object: &ObjectPath, generation: u64) -> PortResult<Input> {
    if let Some(path) = store.local_path(object) {
        let file = tokio::fs::File::open(path).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => PortError::not_found(format!("{object} does not exist")),
            _ => PortError::unavailable(format!("{object} could not be opened")).caused_by(error),
        })?;
        return Ok(Input::File(file.into_std().await));
    }
    let body = store.get(object, Some(generation)).await?.body;
    Ok(Input::Stream(Box::new(BlockingRead { body, chunk: Bytes::new(), runtime: Handle::current() })))
}

/// A stream read from a blocking thread. What it holds is one chunk: the reader sets the pace.
struct BlockingRead {
    body: ByteStream,
    chunk: Bytes,
    runtime: Handle,
}

impl Read for BlockingRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.chunk.has_remaining() {
            match self.runtime.block_on(self.body.try_next()).map_err(io::Error::other)? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.chunk.remaining());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

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

/// Puts a file into the store, once: what is there already was made from the same upload under the same contract.
pub(crate) async fn put(store: &dyn ObjectStore, file: &NamedTempFile, to: &ObjectPath) -> PortResult<()> {
    let reopened: File = file.reopen().map_err(|error| scratch_error(to, error))?;
    let of_chunk = to.clone();
    let body = ReaderStream::with_capacity(tokio::fs::File::from_std(reopened), CHUNK)
        .map_err(move |error| scratch_error(&of_chunk, error))
        .boxed();
    match store.put_stream(to, body, Precondition::Absent).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
        Err(error) => Err(error),
    }
}

fn scratch_error(to: &ObjectPath, error: io::Error) -> PortError {
    PortError::unavailable(format!("the scratch file of {to} could not be read")).caused_by(error)
}
