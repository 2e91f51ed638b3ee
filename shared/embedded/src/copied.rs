//! An object as a file on this machine, where its store has none.

use std::path::Path;

use futures::TryStreamExt;
use millstream_events::names::ObjectPath;
use millstream_ports::{ObjectStore, PortError, PortResult};
use tokio::io::AsyncWriteExt;

/// Copies an object into `file`, which is replaced.
pub(crate) async fn copy(store: &dyn ObjectStore, object: &ObjectPath, file: &Path) -> PortResult<()> {
    let failed =
        |error: std::io::Error| PortError::unavailable(format!("cannot keep a copy of {object}")).caused_by(error);
    let mut copied = tokio::fs::File::create(file).await.map_err(failed)?;
    let mut read = store.get(object, None).await?;
    while let Some(chunk) = read.body.try_next().await? {
        copied.write_all(&chunk).await.map_err(failed)?;
    }
    copied.flush().await.map_err(failed)
}
