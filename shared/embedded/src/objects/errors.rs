//! I/O errors as port errors that say what to do.

use std::{fmt::Display, io};

use millstream_ports::{ErrorKind, PortError};

/// `action` reads as "reading gs://lake/a.csv".
pub(crate) fn io_error(action: impl Display, error: io::Error) -> PortError {
    let (kind, hint) = match error.kind() {
        // A path through a file is no more there than a path that ends nowhere.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => (ErrorKind::NotFound, "it is not there"),
        io::ErrorKind::PermissionDenied => {
            (ErrorKind::Denied, "this user may not; check the owner and mode of the file and its folders")
        }
        io::ErrorKind::InvalidFilename => {
            (ErrorKind::Invalid, "the file system does not take the name; keep every part of it below 255 bytes")
        }
        io::ErrorKind::CrossesDevices | io::ErrorKind::Unsupported => (
            ErrorKind::Invalid,
            "the data folder must lie on one file system with hard links (not on exFAT or FAT, no bucket on another disk)",
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::Unavailable, "the disk is full; free some space and it goes on by itself")
        }
        _ => (ErrorKind::Unavailable, "the operating system refused"),
    };
    PortError::new(kind, format!("{action}: {hint} ({error})")).caused_by(error)
}
