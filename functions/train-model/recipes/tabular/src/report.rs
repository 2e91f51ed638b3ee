//! What a training says about itself: `metrics.json`.

use std::collections::BTreeMap;

use millstream_scoring::{ConfusionMatrix, Task};
use serde::Serialize;

/// The content of `metrics.json`; the metrics' names are those of [`millstream_scoring::metrics`].
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was learned.
    pub task: Task,
    /// The metrics on the held-out rows.
    pub metrics: BTreeMap<String, f64>,
    /// Who was taken for whom among the held-out rows; only for a classification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion_matrix: Option<ConfusionMatrix>,
    /// The rows by their use.
    pub rows: RowCounts,
    /// The loss each feature took away, as shares of one.
    pub feature_importance: BTreeMap<String, f64>,
    /// The rounds of trees kept.
    pub rounds: usize,
    /// The columns that were not learned from.
    pub dropped: Vec<Dropped>,
}

/// Rows by their use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    /// Rows that taught.
    pub train: usize,
    /// Rows that told when to stop.
    pub validation: usize,
    /// Rows that measured the model.
    pub holdout: usize,
    /// Rows passed over because they have no target.
    pub without_target: usize,
}

/// A column that was not learned from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The column.
    pub column: String,
    /// Why.
    pub reason: String,
}
