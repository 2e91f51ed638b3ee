//! Which cluster, and how programs in it name objects.

use std::path::PathBuf;

use millstream_events::names::ObjectPath;
use millstream_ports::{PortError, PortResult, Secret};

/// How the `AIP_*` variables name an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Paths {
    /// `gs://BUCKET/NAME`, as on Vertex AI: the cluster's nodes have the buckets mounted as `/gcs/BUCKET`, or the program
    /// reads Cloud Storage itself.
    #[default]
    Uri,
    /// `{root}/{bucket}/{name}`: the cluster runs on the machine whose folder holds the buckets, as the embedded object store
    /// keeps them. What a program writes there is an object.
    Folder(PathBuf),
}

impl Paths {
    /// The object's name for a program in the cluster.
    ///
    /// # Errors
    /// `Invalid` for a folder whose path is not UTF-8.
    pub(crate) fn name_of(&self, object: &ObjectPath) -> PortResult<String> {
        match self {
            Self::Uri => Ok(object.to_string()),
            Self::Folder(root) => {
                let path = root.join(object.bucket()).join(object.name());
                path.into_os_string()
                    .into_string()
                    .map_err(|path| PortError::invalid(format!("{} is not UTF-8; use another folder", path.display())))
            }
        }
    }
}

/// Where the cluster is and what it is told.
#[derive(Debug, Clone)]
pub struct RaySettings {
    /// The dashboard's base URL, such as `http://127.0.0.1:8265`; the Jobs API is below it.
    pub address: String,
    /// Sent as `Authorization: Bearer ...`, to a cluster with token authentication or to a proxy before it.
    pub token: Option<Secret>,
    /// How programs name objects.
    pub paths: Paths,
    /// What runs for a job with the built-in recipe: a program of the cluster's image and its first arguments.
    pub tabular: Vec<String>,
}

impl RaySettings {
    /// A cluster without a token, whose programs get `gs://` URIs and whose image has `millstream`.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        let tabular = ["millstream", "recipe", "tabular"].map(str::to_owned).to_vec();
        Self { address: address.into(), token: None, paths: Paths::Uri, tabular }
    }
}
