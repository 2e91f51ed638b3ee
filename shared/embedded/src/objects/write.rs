//! Writing an object from a stream: into a temporary file, then into its place.

use std::{io::Write, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;
use millstream_events::names::ObjectPath;
use millstream_ports::{ByteStream, ObjectMeta, PortResult, Precondition};

use super::{
    disk::{Disk, Temporary},
    errors::io_error,
};
use crate::blocking::blocking;

/// Objects up to this size are written, and read, by a single visit to a blocking thread.
pub(super) const SMALL: usize = 256 << 10;

/// Larger ones are written in pieces of about this size.
const PIECE: usize = 1 << 20;

pub(super) async fn put(
    disk: Arc<Disk>,
    path: ObjectPath,
    mut body: ByteStream,
    when: Precondition,
) -> PortResult<ObjectMeta> {
    let mut writer = None;
    let (mut pieces, mut waiting, mut limit) = (Vec::new(), 0, SMALL);
    while let Some(bytes) = body.try_next().await? {
        waiting += bytes.len();
        pieces.push(bytes);
        if waiting > limit {
            let (disk, path, full) = (disk.clone(), path.clone(), std::mem::take(&mut pieces));
            writer = Some(blocking(move || Writer::append(writer, &disk, &path, &full)).await?);
            (waiting, limit) = (0, PIECE);
        }
    }
    blocking(move || {
        let writer = Writer::append(writer, &disk, &path, &pieces)?;
        disk.publish(writer.temporary, &path, when, writer.crc32c)
    })
    .await
}

/// An object on its way; dropped half-way it leaves nothing.
struct Writer {
    temporary: Temporary,
    crc32c: u32,
}

impl Writer {
    fn append(started: Option<Self>, disk: &Disk, path: &ObjectPath, pieces: &[Bytes]) -> PortResult<Self> {
        let mut writer = match started {
            Some(writer) => writer,
            None => Self { temporary: disk.temporary()?, crc32c: 0 },
        };
        for piece in pieces {
            writer.temporary.file.write_all(piece).map_err(|error| io_error(format!("writing {path}"), error))?;
            writer.crc32c = crc32c::crc32c_append(writer.crc32c, piece);
        }
        Ok(writer)
    }
}
