//! How well classes were told apart.

use std::collections::BTreeMap;

use super::{ConfusionMatrix, Metrics, mean, ranking};
use crate::Task;
use crate::prediction::highest;

/// Measures a classification: `actual` holds each row's true label, `probabilities` each row's probabilities in the
/// order of `classes`. A label that is not among `classes` counts as wrong everywhere.
pub fn classification(classes: &[String], actual: &[String], probabilities: &[f32]) -> Metrics {
    let task = if classes.len() == 2 { Task::Binary } else { Task::Multiclass };
    let rows: Vec<&[f32]> = probabilities.chunks_exact(classes.len().max(1)).collect();
    let mut labels = classes.to_vec();
    let actual: Vec<usize> = actual.iter().map(|label| place(&mut labels, label)).collect();
    let mut counts = vec![vec![0; labels.len()]; labels.len()];
    for (&actual, row) in actual.iter().zip(&rows) {
        counts[actual][highest(row)] += 1;
    }
    let confusion = ConfusionMatrix { labels, counts };

    let mut metrics = BTreeMap::new();
    let mut put = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            metrics.insert(name.to_owned(), value);
        }
    };
    put("accuracy", mean(actual.iter().zip(&rows).map(|(&actual, row)| f64::from(u8::from(actual == highest(row))))));
    put("log_loss", mean(actual.iter().zip(&rows).map(|(&actual, row)| loss(row.get(actual).copied()))));
    let measured = if task == Task::Binary { 1..2 } else { 0..classes.len() };
    let against_rest = |class: usize| {
        let scores: Vec<(f32, bool)> =
            actual.iter().zip(&rows).map(|(&actual, row)| (row[class], actual == class)).collect();
        ranking::areas(scores)
    };
    let areas: Vec<ranking::Areas> = measured.filter_map(against_rest).collect();
    put("auc_roc", mean(areas.iter().map(|areas| areas.roc)));
    put("auc_pr", mean(areas.iter().map(|areas| areas.precision_recall)));
    match task {
        Task::Binary => put("f1", Some(f1(&confusion, 1))),
        _ => {
            // As scikit-learn does it, over the classes that occur at all.
            let occurring: Vec<usize> =
                (0..confusion.labels.len()).filter(|&class| occurs(&confusion, class)).collect();
            put("f1", mean(occurring.iter().map(|&class| f1(&confusion, class))));
            let weighted = |&class: &usize| f1(&confusion, class) * total(&confusion.counts[class]);
            put("f1_weighted", Some(occurring.iter().map(weighted).sum::<f64>() / rows.len().max(1) as f64));
        }
    }
    Metrics { task, metrics, confusion_matrix: Some(confusion), rows: rows.len() }
}

fn place(labels: &mut Vec<String>, label: &String) -> usize {
    labels.iter().position(|known| known == label).unwrap_or_else(|| {
        labels.push(label.clone());
        labels.len() - 1
    })
}

fn loss(probability: Option<f32>) -> f64 {
    -f64::from(probability.unwrap_or(0.0)).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

fn f1(confusion: &ConfusionMatrix, class: usize) -> f64 {
    let right = confusion.counts[class][class] as f64;
    let either = total(&confusion.counts[class]) + predicted(confusion, class);
    if either == 0.0 { 0.0 } else { 2.0 * right / either }
}

fn occurs(confusion: &ConfusionMatrix, class: usize) -> bool {
    total(&confusion.counts[class]) + predicted(confusion, class) > 0.0
}

fn predicted(confusion: &ConfusionMatrix, class: usize) -> f64 {
    confusion.counts.iter().map(|row| row[class] as f64).sum()
}

fn total(counts: &[u64]) -> f64 {
    counts.iter().map(|&count| count as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::assert_close;

    fn strings(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|label| label.to_string()).collect()
    }

    // Expected values: scikit-learn 1.9.1 (accuracy_score, log_loss, roc_auc_score, average_precision_score, f1_score).
    #[test]
    fn binary_metrics_equal_scikit_learn_s_with_tied_scores() {
        let actual = strings(&["0", "1", "1", "0", "1", "0", "1", "1", "0", "0"]);
        let positive = [0.1, 0.8, 0.35, 0.4, 0.9, 0.35, 0.6, 0.4, 0.2, 0.7f32];
        let probabilities: Vec<f32> = positive.iter().flat_map(|p| [1.0 - p, *p]).collect();
        let scored = classification(&strings(&["0", "1"]), &actual, &probabilities);
        let expected = [
            ("accuracy", 0.7),
            ("auc_pr", 0.808_333_333_333_333_3),
            ("auc_roc", 0.8),
            ("f1", 0.666_666_666_666_666_6),
            ("log_loss", 0.527_952_795_826_726_7),
        ];
        assert_close(&scored.metrics, &expected);
        assert_eq!(scored.confusion_matrix.unwrap().counts, [[4, 1], [2, 3]]);
    }

    #[test]
    fn multiclass_metrics_equal_scikit_learn_s() {
        let actual = strings(&["a", "b", "c", "c", "b", "a", "c", "b"]);
        #[rustfmt::skip]
        let probabilities = [
            0.7, 0.2, 0.1, 0.1, 0.6, 0.3, 0.2, 0.3, 0.5, 0.4, 0.35, 0.25,
            0.3, 0.3, 0.4, 0.5, 0.25, 0.25, 0.1, 0.1, 0.8, 0.2, 0.5, 0.3,
        ];
        let scored = classification(&strings(&["a", "b", "c"]), &actual, &probabilities);
        let expected = [
            ("accuracy", 0.75),
            ("auc_pr", 0.892_063_492_063_492_1),
            ("auc_roc", 0.888_888_888_888_888_8),
            ("f1", 0.755_555_555_555_555_5),
            ("f1_weighted", 0.75),
            ("log_loss", 0.720_044_103_268_074_4),
        ];
        assert_close(&scored.metrics, &expected);
        assert_eq!(scored.confusion_matrix.unwrap().counts, [[2, 0, 0], [0, 2, 1], [1, 0, 2]]);
    }

    #[test]
    fn with_one_class_only_the_areas_are_left_out() {
        let scored = classification(&strings(&["0", "1"]), &strings(&["0", "0"]), &[0.9, 0.1, 0.8, 0.2]);
        let names: Vec<&str> = scored.metrics.keys().map(String::as_str).collect();
        assert_eq!(names, ["accuracy", "f1", "log_loss"]);
    }

    #[test]
    fn a_class_the_model_does_not_know_counts_as_wrong() {
        let scored = classification(&strings(&["0", "1"]), &strings(&["2", "1"]), &[0.9, 0.1, 0.2, 0.8]);
        assert_eq!(scored.metrics["accuracy"], 0.5);
        assert!(scored.metrics["log_loss"] > 15.0);
        let confusion = scored.confusion_matrix.unwrap();
        assert_eq!((confusion.labels, confusion.counts[2][0]), (strings(&["0", "1", "2"]), 1));
    }
}
