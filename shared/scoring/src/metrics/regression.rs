//! How far numbers were off.

use std::collections::BTreeMap;

use super::Metrics;
use crate::Task;

/// Measures a regression: each row's true value beside its prediction.
pub fn regression(actual: &[f64], predicted: &[f32]) -> Metrics {
    let mut metrics = BTreeMap::new();
    let rows = actual.len().min(predicted.len());
    if rows > 0 {
        let errors: Vec<f64> = actual.iter().zip(predicted).map(|(actual, guess)| actual - f64::from(*guess)).collect();
        let mean = actual.iter().sum::<f64>() / rows as f64;
        let squared: f64 = errors.iter().map(|error| error * error).sum();
        let spread: f64 = actual.iter().map(|actual| (actual - mean).powi(2)).sum();
        metrics.insert("rmse".into(), (squared / rows as f64).sqrt());
        metrics.insert("mae".into(), errors.iter().map(|error| error.abs()).sum::<f64>() / rows as f64);
        // A constant target: perfect or worthless, as scikit-learn has it.
        let r2 = match (spread, squared) {
            (0.0, 0.0) => 1.0,
            (0.0, _) => 0.0,
            _ => 1.0 - squared / spread,
        };
        metrics.insert("r2".into(), r2);
    }
    Metrics { task: Task::Regression, metrics, confusion_matrix: None, rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::assert_close;

    // Expected values: scikit-learn 1.9.1 (root_mean_squared_error, mean_absolute_error, r2_score).
    #[test]
    fn regression_metrics_equal_scikit_learn_s() {
        let scored = regression(&[3.0, -0.5, 2.0, 7.0, 4.2], &[2.5, 0.0, 2.0, 8.0, 4.0]);
        assert_close(
            &scored.metrics,
            &[("mae", 0.44), ("r2", 0.949_660_041_841_004_2), ("rmse", 0.554_977_477_020_464_3)],
        );
    }

    #[test]
    fn a_constant_target_scores_one_or_nothing() {
        assert_eq!(regression(&[2.0, 2.0], &[2.0, 2.0]).metrics["r2"], 1.0);
        assert_eq!(regression(&[2.0, 2.0], &[2.0, 3.0]).metrics["r2"], 0.0);
    }
}
