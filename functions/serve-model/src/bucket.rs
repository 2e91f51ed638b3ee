//! A model's files from Cloud Storage, read into memory once.
//!
//! On Vertex AI `AIP_STORAGE_URI` names a folder of a bucket that is Google's; the account the model is deployed with may read it.

use millstream_events::names::ObjectPath;
use millstream_gcp_client::{Connection, Emulators, Service};
use millstream_gcp_storage::GcsObjectStore;
use millstream_ports::{ObjectStoreExt, PortError, PortResult, optional};
use millstream_scoring::{MODEL_FILE, Model, ModelError, SIGNATURE_FILE, Signature};

use crate::{LoadError, Settings};

/// A signature lists features and their categories: this is far more than any.
const SIGNATURE_LIMIT: u64 = 64 << 20;

/// The model of a folder in a bucket. Files past their limit are refused before they are read.
pub(crate) async fn load(folder: &ObjectPath, settings: &Settings) -> Result<Model, LoadError> {
    let mut emulators = Emulators::default();
    if let Some(address) = &settings.storage_emulator_host {
        emulators = emulators.with(Service::Storage, address);
    }
    // Reading names the bucket: which project that is in plays no part.
    let connection = Connection::new("", emulators)?;
    let uri = folder.to_string();
    let (onnx, signature) = read(&connection, folder, settings.max_model_bytes)
        .await
        .map_err(|source| LoadError::Bucket { uri: uri.clone(), source })?;
    let read = tokio::task::spawn_blocking(move || {
        let signature = signature.map(|json| Signature::from_json(&json)).transpose()?;
        Model::from_bytes(&onnx, signature)
    });
    read.await
        .unwrap_or_else(|error| Err(ModelError::Score(error.to_string())))
        .map_err(|source| LoadError::Model { uri, source })
}

type Files = (Vec<u8>, Option<Vec<u8>>);

async fn read(connection: &Connection, folder: &ObjectPath, limit: u64) -> PortResult<Files> {
    let store = GcsObjectStore::connect(connection).await?;
    let beside = |name: &str| folder.join(name).map_err(|error| PortError::invalid(error.to_string()));
    let onnx = store.read(&beside(MODEL_FILE)?, limit).await?;
    let signature = optional(store.read(&beside(SIGNATURE_FILE)?, SIGNATURE_LIMIT).await)?;
    Ok((onnx.into(), signature.map(Into::into)))
}
