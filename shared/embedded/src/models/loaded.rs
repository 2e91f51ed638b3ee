//! Models in memory: read from the object store, the few used last kept.

use std::sync::{Arc, Mutex, PoisonError};

use millstream_events::names::ObjectPath;
use millstream_ports::{ObjectStore, ObjectStoreExt, PortError, PortResult, optional};
use millstream_scoring::{MODEL_FILE, Model, SIGNATURE_FILE, Signature};

use super::name_error;
use crate::blocking::blocking;

/// Models kept: a champion and a challenger for a few endpoints.
const KEPT: usize = 8;

/// A larger ONNX file is not read into memory.
const MODEL_LIMIT: u64 = 2 << 30;
const SIGNATURE_LIMIT: u64 = 64 << 20;

/// Loads models by their artifact's folder and the generation of its file.
#[derive(Debug)]
pub(super) struct LoadedModels {
    store: Arc<dyn ObjectStore>,
    /// The latest used last. The lock of one load does not stop answers of models that are there.
    models: Mutex<Vec<(Key, Arc<Model>)>>,
    loading: tokio::sync::Mutex<()>,
}

/// A folder and the generation of the ONNX file in it.
type Key = (ObjectPath, u64);

impl LoadedModels {
    pub(super) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, models: Mutex::default(), loading: tokio::sync::Mutex::default() }
    }

    /// The model in a folder; `None` when the folder has no `model.onnx`.
    pub(super) async fn get(&self, artifact: &ObjectPath) -> PortResult<Option<Arc<Model>>> {
        let path = artifact.join(MODEL_FILE).map_err(|error| name_error(&error))?;
        let Some(meta) = optional(self.store.stat(&path).await)? else { return Ok(None) };
        let key = (artifact.clone(), meta.generation);
        if let Some(model) = self.recall(&key) {
            return Ok(Some(model));
        }
        let _one_at_a_time = self.loading.lock().await;
        // Another request may have loaded it while this one waited.
        if let Some(model) = self.recall(&key) {
            return Ok(Some(model));
        }
        let model = self.load(artifact, &path).await?;
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if models.len() >= KEPT {
            models.remove(0);
        }
        models.push((key, model.clone()));
        Ok(Some(model))
    }

    fn recall(&self, key: &Key) -> Option<Arc<Model>> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let at = models.iter().position(|(known, _)| known == key)?;
        let found = models.remove(at);
        let model = found.1.clone();
        models.push(found);
        Some(model)
    }

    async fn load(&self, artifact: &ObjectPath, path: &ObjectPath) -> PortResult<Arc<Model>> {
        let onnx = self.store.read(path, MODEL_LIMIT).await?;
        let signature = artifact.join(SIGNATURE_FILE).map_err(|error| name_error(&error))?;
        let signature = optional(self.store.read(&signature, SIGNATURE_LIMIT).await)?;
        let artifact = artifact.clone();
        blocking(move || {
            let signature = signature.map(|json| Signature::from_json(&json)).transpose();
            let model = signature.map_err(Into::into).and_then(|signature| Model::from_bytes(&onnx, signature));
            model.map(Arc::new).map_err(|error| {
                PortError::invalid(format!("the model in {artifact} cannot be loaded: {error}")).caused_by(error)
            })
        })
        .await
    }
}
