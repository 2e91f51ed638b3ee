//! Predictions, and how they read as JSON.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::{Signature, Task};

/// A model's answer to a batch of rows.
#[derive(Debug, Clone)]
pub struct Predictions {
    signature: Arc<Signature>,
    /// Probabilities row by row for a classification, one value a row for a regression.
    values: Vec<f32>,
}

/// The answer to one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prediction<'a> {
    /// The likeliest class and every class's probability; as JSON `{"label": .., "probabilities": {..}}`.
    Class {
        /// The likeliest class, the first of equals.
        label: &'a str,
        /// The classes in the order of the probabilities.
        classes: &'a [String],
        /// The probabilities in the order of the classes.
        probabilities: &'a [f32],
    },
    /// A number; as JSON `{"value": ..}`.
    Value(f32),
}

impl Prediction<'_> {
    /// One number for the answer, to be compared over time and between versions: a value as it is, of two classes the second's
    /// probability, of more the likeliest's.
    #[must_use]
    pub fn score(&self) -> f64 {
        match self {
            Self::Value(value) => f64::from(*value),
            Self::Class { probabilities: [_, second], .. } => f64::from(*second),
            Self::Class { probabilities, .. } => f64::from(probabilities[highest(probabilities)]),
        }
    }
}

impl Predictions {
    pub(crate) fn new(signature: Arc<Signature>, values: Vec<f32>) -> Self {
        Self { signature, values }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.width()
    }

    /// True when there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The rows' answers in order.
    pub fn iter(&self) -> impl Iterator<Item = Prediction<'_>> {
        self.values.chunks_exact(self.width()).map(|row| match self.signature.task {
            Task::Regression => Prediction::Value(row[0]),
            Task::Binary | Task::Multiclass => Prediction::Class {
                label: &self.signature.classes[highest(row)],
                classes: &self.signature.classes,
                probabilities: row,
            },
        })
    }

    /// The mean of the rows' [scores](Prediction::score); `None` where there are none.
    pub fn mean_score(&self) -> Option<f64> {
        let (sum, count) = self
            .iter()
            .map(|prediction| prediction.score())
            .filter(|score| score.is_finite())
            .fold((0.0, 0_u32), |(sum, count), score| (sum + score, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// All numbers, row by row: a probability for each class, or the value.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    fn width(&self) -> usize {
        self.signature.classes.len().max(1)
    }
}

/// The place of the highest score, the first of equals.
pub(crate) fn highest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}

impl Serialize for Prediction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("value", value)?;
                map.end()
            }
            Self::Class { label, classes, probabilities } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("label", label)?;
                map.serialize_entry("probabilities", &ByClass { classes, probabilities })?;
                map.end()
            }
        }
    }
}

struct ByClass<'a> {
    classes: &'a [String],
    probabilities: &'a [f32],
}

impl Serialize for ByClass<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.classes.iter().zip(self.probabilities))
    }
}

impl Serialize for Predictions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(task: Task, classes: &[&str], values: Vec<f32>) -> Predictions {
        let classes = classes.iter().map(|class| class.to_string()).collect();
        let signature =
            Signature { task, target: "t".into(), features: vec![], classes, model: None, fingerprint: None };
        Predictions::new(Arc::new(signature), values)
    }

    #[test]
    fn a_classification_reads_as_its_label_and_every_class_s_probability() {
        let predictions = predictions(Task::Binary, &["no", "yes"], vec![0.25, 0.75, 0.5, 0.5]);
        let json = serde_json::to_string(&predictions).unwrap();
        assert_eq!(
            json,
            r#"[{"label":"yes","probabilities":{"no":0.25,"yes":0.75}},{"label":"no","probabilities":{"no":0.5,"yes":0.5}}]"#
        );
        assert_eq!(predictions.len(), 2);
    }

    #[test]
    fn a_score_is_the_value_the_second_of_two_classes_or_the_likeliest_of_more() {
        let score = |task, classes: &[&str], values| predictions(task, classes, values).mean_score();
        assert_eq!(score(Task::Regression, &[], vec![3.0, -1.0]), Some(1.0));
        assert_eq!(score(Task::Binary, &["no", "yes"], vec![0.75, 0.25, 0.25, 0.75]), Some(0.5));
        assert_eq!(score(Task::Multiclass, &["a", "b", "c"], vec![0.25, 0.5, 0.25]), Some(0.5));
        assert_eq!(score(Task::Regression, &[], vec![f32::NAN, 2.0]), Some(2.0), "what is no number has no mean");
        assert_eq!(score(Task::Regression, &[], vec![]), None);
    }

    #[test]
    fn a_regression_reads_as_its_value_in_its_shortest_form() {
        let json = serde_json::to_string(&predictions(Task::Regression, &[], vec![3.2])).unwrap();
        assert_eq!(json, r#"[{"value":3.2}]"#);
    }
}
