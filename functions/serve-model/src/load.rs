//! A model from where its files are.

use std::path::PathBuf;

use millstream_scoring::{Model, ModelError};

use crate::{Settings, settings::Location};

/// Why there is no model to serve.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder's files are not there or are no model.
    #[error("cannot load the model of {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        source: ModelError,
    },
    /// A bucket's files cannot be read.
    #[cfg(feature = "cloud")]
    #[error("cannot read the model of {uri}; the service account needs `roles/storage.objectViewer` on its bucket")]
    Bucket {
        /// The folder, `gs://BUCKET/NAME`.
        uri: String,
        /// What is wrong.
        source: millstream_ports::PortError,
    },
    /// There are no credentials for a bucket.
    #[cfg(feature = "cloud")]
    #[error(transparent)]
    Credentials(#[from] millstream_gcp_client::ConnectionError),
    /// A bucket's files are no model.
    #[cfg(feature = "cloud")]
    #[error("cannot load the model of {uri}")]
    Model {
        /// The folder, `gs://BUCKET/NAME`.
        uri: String,
        /// What is wrong.
        source: ModelError,
    },
}

/// Loads the model at `location`.
pub async fn load(location: Location, settings: &Settings) -> Result<Model, LoadError> {
    match location {
        Location::Folder(folder) => Model::load(&folder).map_err(|source| LoadError::Folder { folder, source }),
        #[cfg(feature = "cloud")]
        Location::Bucket(folder) => crate::bucket::load(&folder, settings).await,
        #[cfg(not(feature = "cloud"))]
        Location::Bucket(never) => {
            let _ = settings;
            match never {}
        }
    }
}
