//! The copy of a workbook that is read: a reader goes back and forth in it, and it stays what it was when another one is put in
//! its place.

use std::{fs::File, path::Path, sync::Arc};

use futures::TryStreamExt;
use millstream_events::names::ObjectPath;
use millstream_ports::{ObjectMeta, ObjectStore, PortError, PortResult};
use tempfile::{NamedTempFile, TempPath};
use tokio::io::AsyncWriteExt;

/// The largest workbook that is taken.
const LARGEST: u64 = 1 << 30;

/// A copy on this machine, gone when its last user is.
#[derive(Debug, Clone)]
pub(crate) struct Copy(Arc<(ObjectMeta, TempPath)>);

impl Copy {
    pub(crate) fn meta(&self) -> &ObjectMeta {
        &self.0.0
    }

    /// A handle of its own: readers do not share a place.
    pub(crate) fn file(&self) -> PortResult<File> {
        File::open(&self.0.1).map_err(|error| no_scratch(&self.0.1, error))
    }
}

fn no_scratch(path: &Path, error: std::io::Error) -> PortError {
    let folder = path.parent().unwrap_or(path).display();
    PortError::unavailable(format!("a workbook cannot be copied into {folder}: is there room, and may it be written?"))
        .caused_by(error)
}

/// Copies a workbook into a folder.
pub(crate) async fn copy(store: &dyn ObjectStore, object: &ObjectPath, folder: &Path) -> PortResult<Copy> {
    let mut read = store.get(object, None).await?;
    if read.meta.size > LARGEST {
        let size = read.meta.size;
        return Err(PortError::invalid(format!(
            "{object} has {size} bytes, more than a workbook's {LARGEST}: split it"
        )));
    }
    tokio::fs::create_dir_all(folder).await.map_err(|error| no_scratch(folder, error))?;
    let (file, path) =
        NamedTempFile::with_prefix_in("workbook-", folder).map_err(|error| no_scratch(folder, error))?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    while let Some(chunk) = read.body.try_next().await? {
        file.write_all(&chunk).await.map_err(|error| no_scratch(&path, error))?;
    }
    file.flush().await.map_err(|error| no_scratch(&path, error))?;
    Ok(Copy(Arc::new((read.meta, path))))
}
