//! A deployment's secrets, buckets and ledger, for a person at a command line.

use std::sync::Arc;

use millstream_gcp_client::Connection;
use millstream_gcp_secrets::SecretManager;
use millstream_gcp_storage::GcsObjectStore;
use millstream_ports::{Clock, ObjectLedger, ObjectStore, SystemClock};

use super::emulators;
use crate::{
    commands::sources::{Reach, scratch},
    project::Project,
};

/// Those of the deployment that the settings name, as whoever calls.
pub(crate) async fn reach(project: &Project) -> anyhow::Result<Reach> {
    let gcp = project.settings.gcp()?;
    let connection = Connection::new(&gcp.project, emulators())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store: Arc<dyn ObjectStore> = Arc::new(GcsObjectStore::connect(&connection).await?);
    let ledger = Arc::new(ObjectLedger::new(store.clone(), project.settings.buckets.ledger.clone(), clock.clone()));
    Ok(Reach { secrets: Arc::new(SecretManager::new(connection, clock)?), store, ledger, scratch: scratch(project) })
}
