//! Finding the objects of a bucket that people put there.

use std::{path::PathBuf, sync::Arc, time::Duration};

use millstream_events::names::ObjectPath;
use millstream_ports::{ErrorKind, ObjectMeta, PortResult};

use super::{LocalObjectStore, disk::Disk, errors::io_error, walk};
use crate::blocking::blocking;

/// Ends of the names that programs give to files they have not finished.
const UNFINISHED: [&str; 5] = [".tmp", ".part", ".partial", ".crdownload", "~"];

/// A file that cannot be an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The file.
    pub file: PathBuf,
    /// Why, and what to do.
    pub reason: String,
}

/// What is in a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Its complete objects, by name.
    pub objects: Vec<ObjectMeta>,
    /// Its files that cannot be objects.
    pub refused: Vec<Refused>,
}

impl LocalObjectStore {
    /// All complete objects of a bucket, hidden and unfinished files left out. A file modified within the last `quiet` may
    /// still be being written and is left to the next scan.
    pub async fn scan(&self, bucket: &str, quiet: Duration) -> PortResult<Scan> {
        let (disk, bucket) = (self.disk.clone(), bucket.to_owned());
        blocking(move || scan(&disk, &bucket, quiet)).await
    }
}

fn scan(disk: &Arc<Disk>, bucket: &str, quiet: Duration) -> PortResult<Scan> {
    let folder = disk.root().join(bucket);
    let names = walk::files(&folder, "").map_err(|error| io_error(format!("scanning gs://{bucket}"), error))?;
    let mut found = Scan::default();
    for name in names {
        let file = folder.join(&name);
        if is_ignored(&name.to_string_lossy()) || is_young(disk, &file, quiet) {
            continue;
        }
        match look(disk, bucket, &name) {
            Look::Object(meta) => found.objects.push(meta),
            Look::Refused(reason) => found.refused.push(Refused { file, reason }),
            Look::NotNow => {}
        }
    }
    found.objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    found.refused.sort_unstable_by(|a, b| a.file.cmp(&b.file));
    Ok(found)
}

/// What a look at a file shows.
pub(super) enum Look {
    Object(ObjectMeta),
    Refused(String),
    /// It is gone again or being written.
    NotNow,
}

/// Looks at the file `name` of a bucket.
pub(super) fn look(disk: &Disk, bucket: &str, name: &std::ffi::OsStr) -> Look {
    let Some(text) = name.to_str() else {
        return Look::Refused("its name is not UTF-8; rename it".to_owned());
    };
    let path = match ObjectPath::new(bucket, text) {
        Ok(path) => path,
        Err(error) => return Look::Refused(format!("{error}; rename it")),
    };
    match disk.stat(&path) {
        Ok(meta) => Look::Object(meta),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unavailable) => Look::NotNow,
        Err(error) => Look::Refused(error.to_string()),
    }
}

/// Whether a name, relative to its bucket, is one that no upload has: hidden, in a hidden folder, or unfinished.
pub(super) fn is_ignored(name: &str) -> bool {
    name.split('/').any(|segment| segment.starts_with('.')) || UNFINISHED.iter().any(|end| name.ends_with(end))
}

fn is_young(disk: &Disk, file: &std::path::Path, quiet: Duration) -> bool {
    let modified = std::fs::metadata(file).and_then(|metadata| metadata.modified());
    // A time in the future says nothing about when it was written.
    modified.is_ok_and(|at| disk.now().duration_since(at).is_ok_and(|age| age < quiet))
}
