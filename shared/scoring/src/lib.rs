//! Scoring: what a trained model is, and what it predicts.
//!
//! In: an ONNX file with its [`Signature`] (as `signature.json` beside it or in its `metadata_props`), and rows as JSON
//! instances or Arrow batches. Out: [`Predictions`], and [`Metrics`] over held-out rows. Training writes what this
//! crate reads, promotion re-scores with it and `serve-model` answers with it, so all three agree on every number.
//!
//! An ONNX graph fits when its one input is `float32 [rows, features]` in the signature's order, NaN being a missing
//! value, and when it has an output `float32 [rows, classes]` of probabilities or, for a regression, `[rows, 1]` or
//! `[rows]` of values.

mod columns;
mod encode;
mod holdout;
pub mod metrics;
mod model;
mod prediction;
mod signature;
mod trees;

pub use columns::{ColumnError, class_labels, column_values};
pub use encode::{Encoder, InstanceError, InstanceProblem};
pub use holdout::{HoldoutError, score_holdout};
pub use metrics::{ConfusionMatrix, Metrics};
pub use model::{MODEL_FILE, Model, ModelError, SIGNATURE_FILE, SIGNATURE_PROPERTY};
pub use prediction::{Prediction, Predictions};
pub use signature::{Feature, FeatureKind, Signature, SignatureError, Task};
