//! Scoring a champion on a challenger's held-out rows.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use millstream_events::names::ObjectPath;
use millstream_ports::{ObjectStore, PortError, PortResult, Scorer, optional};
use millstream_scoring::{HoldoutError, score_holdout};

use super::{loaded::LoadedModels, name_error};
use crate::{blocking::blocking, copied::copy, objects::io_error};

/// The held-out rows' name beside a model's files.
const HOLDOUT_FILE: &str = "holdout.parquet";

/// A [`Scorer`] for ONNX models, in process.
#[derive(Debug)]
pub struct OnnxScorer {
    store: Arc<dyn ObjectStore>,
    models: LoadedModels,
}

impl OnnxScorer {
    /// Scores what is in `store`.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { models: LoadedModels::new(store.clone()), store }
    }
}

#[async_trait]
impl Scorer for OnnxScorer {
    async fn score(&self, artifact: &ObjectPath, holdout_of: &ObjectPath) -> PortResult<Option<BTreeMap<String, f64>>> {
        let holdout = holdout_of.join(HOLDOUT_FILE).map_err(|error| name_error(&error))?;
        if optional(self.store.stat(&holdout).await)?.is_none() {
            return Ok(None);
        }
        let Some(model) = self.models.get(artifact).await? else { return Ok(None) };
        // Removed with this: the rows are read once.
        let copied =
            tempfile::NamedTempFile::new().map_err(|error| io_error(format!("keeping a copy of {holdout}"), error))?;
        let file = match self.store.local_path(&holdout) {
            Some(file) => file,
            None => {
                copy(&*self.store, &holdout, copied.path()).await?;
                copied.path().to_owned()
            }
        };
        blocking(move || match score_holdout(&model, &file) {
            Ok(scored) => Ok(Some(scored.metrics)),
            // The tables have grown apart: an old model cannot be compared on new rows, which is no fault of the new one.
            Err(HoldoutError::Model(error)) => {
                tracing::warn!(%holdout, %error, "a model cannot be scored on the held-out rows of another");
                Ok(None)
            }
            Err(error) => {
                Err(PortError::invalid(format!("the held-out rows {holdout} cannot be scored: {error}"))
                    .caused_by(error))
            }
        })
        .await
    }
}
