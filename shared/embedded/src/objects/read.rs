//! Reading an object as a stream.

use std::{fs::File, io::Read, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, stream};
use millstream_events::names::ObjectPath;
use millstream_ports::{ObjectRead, PortError, PortResult};

use super::{disk::Disk, errors::io_error, identity::Identity, write::SMALL};
use crate::blocking::blocking;

/// Bytes read by one visit to a blocking thread.
const CHUNK: u64 = 1 << 20;

/// Opens an object; `generation` asks for exactly that one.
pub(super) async fn get(disk: Arc<Disk>, path: ObjectPath, generation: Option<u64>) -> PortResult<ObjectRead> {
    blocking(move || {
        let file = disk.open_file(&path)?;
        let meta = disk.describe(&path, &file)?;
        if let Some(wanted) = generation
            && wanted != meta.generation
        {
            let found = meta.generation;
            return Err(PortError::not_found(format!("{path} is no longer in generation {wanted} but in {found}")));
        }
        let state = file.metadata().map_err(|error| io_error(format!("reading {path}"), error))?;
        let mut reader = Reader { path, file, opened: Identity::of(&state), left: meta.size };
        // A small object is there with the same visit.
        let body = if meta.size <= SMALL as u64 {
            let bytes = reader.next()?;
            stream::iter(bytes.map(Ok)).boxed()
        } else {
            stream::try_unfold(reader, |mut reader| blocking(move || Ok(reader.next()?.map(|bytes| (bytes, reader)))))
                .boxed()
        };
        Ok(ObjectRead { meta, body })
    })
    .await
}

/// An object's file, as it was when it was opened. The store itself replaces files and never writes into one, so that an
/// open file stays what it is; a person's program may write into it, which is noticed at the end.
struct Reader {
    path: ObjectPath,
    file: File,
    opened: Identity,
    left: u64,
}

impl Reader {
    fn next(&mut self) -> PortResult<Option<Bytes>> {
        let failed = |path: &ObjectPath, error| io_error(format!("reading {path}"), error);
        if self.left == 0 {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.left.min(CHUNK)).unwrap_or_default());
        self.file.by_ref().take(CHUNK.min(self.left)).read_to_end(&mut bytes).map_err(|e| failed(&self.path, e))?;
        self.left -= bytes.len() as u64;
        // The last bytes are held back until it is sure that all of them belong together.
        if self.left == 0 || bytes.is_empty() {
            let now = Identity::of(&self.file.metadata().map_err(|error| failed(&self.path, error))?);
            if now != self.opened || bytes.is_empty() {
                let path = &self.path;
                return Err(PortError::unavailable(format!("reading {path}: it was changed while it was read")));
            }
        }
        Ok(Some(bytes.into()))
    }
}
