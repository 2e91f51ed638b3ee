//! Where secrets, workbooks and the ledger are: on this machine, or in a deployment.

use std::{path::PathBuf, sync::Arc};

use millstream_ports::{Ledger, ObjectStore, Secrets};

use crate::{project::Project, sources::AdapterSources};

/// What a look at sources needs of its surroundings. Nothing is written there.
pub(crate) struct Reach {
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) ledger: Arc<dyn Ledger>,
    /// Where workbooks are put to be read.
    pub(crate) scratch: PathBuf,
}

impl Reach {
    /// This machine's, or those of the deployment that the settings name.
    pub(super) async fn new(project: &Project, of_deployment: bool) -> anyhow::Result<Self> {
        #[cfg(feature = "cloud")]
        if of_deployment {
            return crate::serve::reach(project).await;
        }
        let _ = of_deployment;
        Self::here(project)
    }

    #[cfg(feature = "embedded")]
    fn here(project: &Project) -> anyhow::Result<Self> {
        use millstream_embedded::objects::{LocalObjectStore, StoreOptions};
        use millstream_ports::{ObjectLedger, SystemClock};
        use millstream_runtime::secrets::EnvSecrets;

        let settings = &project.settings;
        let store: Arc<dyn ObjectStore> =
            Arc::new(LocalObjectStore::open(project.buckets_folder(), StoreOptions::default())?);
        Ok(Self {
            secrets: Arc::new(EnvSecrets::of_process(&settings.data_dir)),
            ledger: Arc::new(ObjectLedger::new(store.clone(), settings.buckets.ledger.clone(), Arc::new(SystemClock))),
            store,
            scratch: scratch(project),
        })
    }

    #[cfg(not(feature = "embedded"))]
    fn here(_project: &Project) -> anyhow::Result<Self> {
        anyhow::bail!("this build has no platform on this machine")
    }

    /// The sources.
    pub(super) fn sources(&self) -> AdapterSources {
        AdapterSources::new(self.secrets.clone(), self.store.clone(), self.scratch.clone())
    }
}

/// A folder for files on their way.
pub(crate) fn scratch(project: &Project) -> PathBuf {
    project.settings.data_dir.join("scratch/sources")
}
