//! The files below a folder.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

/// The names, relative to `bucket` and in no order, of all files whose name starts with `prefix`. A bucket that is not there
/// is empty. Links to files count as files; links to folders are not followed, since they may lead in circles.
pub(super) fn files(bucket: &Path, prefix: &str) -> io::Result<Vec<OsString>> {
    let mut found = Vec::new();
    // Only the folder that the prefix leads to needs a look.
    let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
    let leaves_the_bucket = folder.split('/').any(|segment| matches!(segment, "." | ".."));
    if folder.starts_with('/') || leaves_the_bucket {
        return Ok(found);
    }
    let mut folders = vec![OsString::from(folder)];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(bucket.join(&folder)) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let mut name = folder.clone().into_vec();
            if !name.is_empty() {
                name.push(b'/');
            }
            name.extend_from_slice(entry.file_name().as_bytes());
            let kind = entry.file_type()?;
            let name = OsString::from_vec(name);
            if kind.is_dir() {
                if leads_to(&name, prefix) {
                    folders.push(name);
                }
            } else if name.as_bytes().starts_with(prefix.as_bytes())
                && (kind.is_file() || fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()))
            {
                found.push(name);
            }
        }
    }
    Ok(found)
}

/// Whether names below `folder` can start with `prefix`.
fn leads_to(folder: &OsString, prefix: &str) -> bool {
    let mut start = folder.clone().into_vec();
    start.push(b'/');
    start.starts_with(prefix.as_bytes()) || prefix.as_bytes().starts_with(&start)
}

/// Removes a folder that has no files in it at any depth; fails at the first file, having removed only empty folders.
pub(super) fn remove_empty_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty_folders(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}
