//! Metrics: predictions beside what really happened -> named numbers.
//!
//! | name | task | meaning |
//! |---|---|---|
//! | `accuracy` | classification | share of rows whose label is right |
//! | `log_loss` | classification | mean negative log of the true class's probability (natural, clipped at 2.2e-16) |
//! | `auc_roc` | classification | area under the ROC curve; three or more classes: one-vs-rest, macro mean |
//! | `auc_pr` | classification | average precision; three or more classes: one-vs-rest, macro mean |
//! | `f1` | classification | of the positive (second) class; three or more classes: macro mean |
//! | `f1_weighted` | multiclass | mean of the classes' F1, weighted by their rows |
//! | `rmse`, `mae`, `r2` | regression | root mean squared error, mean absolute error, coefficient of determination |
//!
//! The definitions are scikit-learn's. A metric that the rows cannot tell (an AUC where only one class occurs) is left
//! out, so that a gate on it fails by name instead of comparing with an invented number.

mod classification;
mod ranking;
mod regression;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use classification::classification;
pub use regression::regression;

use crate::Task;

/// What a model scored on a set of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The model's task.
    pub task: Task,
    /// The numbers by name; see the module's table.
    pub metrics: BTreeMap<String, f64>,
    /// Who was taken for whom; only for a classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion_matrix: Option<ConfusionMatrix>,
    /// How many rows were scored.
    pub rows: usize,
}

/// Counts of rows by true class (outer) and predicted class (inner).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// The classes in the order of rows and columns: the model's own, then those only the rows have.
    pub labels: Vec<String>,
    /// `counts[actual][predicted]`.
    pub counts: Vec<Vec<u64>>,
}

fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.into_iter().fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod testing {
    use std::collections::BTreeMap;

    /// The same names, and values equal to within the rounding of 32-bit probabilities.
    pub(super) fn assert_close(metrics: &BTreeMap<String, f64>, expected: &[(&str, f64)]) {
        assert!(metrics.keys().eq(expected.iter().map(|(name, _)| name)), "{metrics:?}");
        for (name, value) in expected {
            assert!((metrics[*name] - value).abs() < 1e-6, "{name}: {} is not {value}", metrics[*name]);
        }
    }
}
