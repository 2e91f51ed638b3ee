//! Scores a model on rows kept apart from training, so that two models can be compared on the same ones.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::columns::column;
use crate::{FeatureKind, Metrics, Model, ModelError, class_labels, column_values, metrics};

/// Why held-out rows cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum HoldoutError {
    /// The file cannot be opened.
    #[error("cannot read {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not Parquet.
    #[error("the held-out rows are not Parquet: {0}")]
    Parquet(#[from] ParquetError),
    /// The file is damaged.
    #[error("the held-out rows cannot be read: {0}")]
    Arrow(#[from] ArrowError),
    /// The rows do not fit the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// There is nothing to measure.
    #[error("no held-out row has a value of the target {0:?}")]
    NoRows(String),
}

/// Scores `model` on a Parquet file with its features and its target; rows whose target is null are passed over.
pub fn score_holdout(model: &Model, parquet: &Path) -> Result<Metrics, HoldoutError> {
    let file = File::open(parquet).map_err(|source| HoldoutError::Open { path: parquet.to_owned(), source })?;
    let mut truth = Truth::default();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
        truth.add(model, &batch?)?;
    }
    truth.measure(model)
}

/// What happened beside what was predicted, gathered batch by batch.
#[derive(Default)]
struct Truth {
    labels: Vec<String>,
    numbers: Vec<f64>,
    predicted: Vec<f32>,
}

impl Truth {
    fn add(&mut self, model: &Model, batch: &RecordBatch) -> Result<(), HoldoutError> {
        let signature = model.signature();
        let target = column(batch, &signature.target).map_err(ModelError::from)?;
        let predictions = model.predict_batch(batch)?;
        let width = signature.classes.len().max(1);
        let rows = predictions.values().chunks_exact(width);
        if signature.task.is_classification() {
            let labels = class_labels(&signature.target, target).map_err(ModelError::from)?;
            for (label, row) in labels.into_iter().zip(rows) {
                if let Some(label) = label {
                    self.labels.push(label);
                    self.predicted.extend_from_slice(row);
                }
            }
        } else {
            let numbers = column_values(&signature.target, target, &FeatureKind::Numeric).map_err(ModelError::from)?;
            for (number, row) in numbers.into_iter().zip(rows) {
                if !number.is_nan() {
                    self.numbers.push(f64::from(number));
                    self.predicted.extend_from_slice(row);
                }
            }
        }
        Ok(())
    }

    fn measure(&self, model: &Model) -> Result<Metrics, HoldoutError> {
        let signature = model.signature();
        if self.predicted.is_empty() {
            return Err(HoldoutError::NoRows(signature.target.clone()));
        }
        Ok(if signature.task.is_classification() {
            metrics::classification(&signature.classes, &self.labels, &self.predicted)
        } else {
            metrics::regression(&self.numbers, &self.predicted)
        })
    }
}
