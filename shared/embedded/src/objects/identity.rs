//! What tells one state of a file from another.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Read at a time when a checksum is computed.
const CHECKSUM_CHUNK: usize = 256 << 10;

/// A file's state: whoever writes into it or puts another in its place changes at least one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    inode: u64,
    pub(super) size: u64,
    modified: i128,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Self { inode: metadata.ino(), size: metadata.len(), modified }
    }

    /// The generation that the modification time stands for. Microseconds, as in Cloud Storage: unlike nanoseconds they
    /// survive a JSON reader that knows only doubles.
    pub(super) fn generation(&self) -> u64 {
        u64::try_from(self.modified / 1_000).unwrap_or(0).max(1)
    }

    /// Whether both are the same file, whatever is in it.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        self.inode == other.inode
    }
}

/// The modification time that stands for a generation.
pub(super) fn time_of(generation: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(generation)
}

/// CRC32C of a whole file, leaving its cursor where it is.
pub(super) fn checksum(file: &File) -> io::Result<u32> {
    let mut buffer = vec![0; CHECKSUM_CHUNK];
    let (mut crc, mut offset) = (0, 0);
    loop {
        match file.read_at(&mut buffer, offset) {
            Ok(0) => return Ok(crc),
            Ok(read) => {
                crc = crc32c::crc32c_append(crc, &buffer[..read]);
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
