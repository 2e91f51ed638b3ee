//! The signature: what a model takes and what it answers, in the words of the table it was trained on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One of two classes; the second of [`Signature::classes`] is the positive one.
    Binary,
    /// One of three or more classes.
    Multiclass,
    /// A number.
    Regression,
}

impl Task {
    /// True when the model answers classes.
    pub fn is_classification(self) -> bool {
        self != Self::Regression
    }
}

/// How a feature's values become numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeatureKind {
    /// A number, as it is, rounded to 32 bits.
    Numeric,
    /// `false` is 0, `true` is 1.
    Boolean,
    /// A string, by its place in `values`; one that is not among them counts as missing.
    Category {
        /// The vocabulary, in the order of its codes.
        values: Vec<String>,
    },
    /// A date (`2026-11-24`) or an RFC 3339 time, as days since 1970-01-01 UTC.
    Timestamp,
}

/// One input of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// The column it was trained on.
    pub name: String,
    /// How its values become numbers.
    #[serde(flatten)]
    pub kind: FeatureKind,
    /// True when training saw no row without it: a prediction without it is refused rather than guessed.
    #[serde(default)]
    pub required: bool,
}

/// A model's inputs in order, its task and its classes. Stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// What the model predicts.
    pub task: Task,
    /// The column it predicts.
    pub target: String,
    /// Its inputs, in the order of the matrix's columns.
    pub features: Vec<Feature>,
    /// The classes in the order of the probabilities; empty for a regression.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The model's name, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The fingerprint of the training that made it, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// Why a signature is refused.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// Not JSON of a signature's shape.
    #[error("the signature is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON that contradicts itself.
    #[error("the signature is inconsistent: {0}")]
    Inconsistent(String),
}

impl Signature {
    /// Reads and checks a signature.
    pub fn from_json(json: &[u8]) -> Result<Self, SignatureError> {
        let signature: Self = serde_json::from_slice(json)?;
        signature.check()?;
        Ok(signature)
    }

    /// The signature as the text of `signature.json`.
    pub fn to_json(&self) -> Result<String, SignatureError> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    fn check(&self) -> Result<(), SignatureError> {
        let fail = |reason: String| Err(SignatureError::Inconsistent(reason));
        if self.features.is_empty() {
            return fail("it has no features".into());
        }
        let mut names = BTreeSet::new();
        for feature in &self.features {
            if !names.insert(&feature.name) {
                return fail(format!("feature {:?} is listed twice", feature.name));
            }
        }
        let classes = self.classes.iter().collect::<BTreeSet<_>>().len();
        if classes != self.classes.len() {
            return fail("a class is listed twice".into());
        }
        match (self.task, classes) {
            (Task::Binary, 2) | (Task::Regression, 0) | (Task::Multiclass, 3..) => Ok(()),
            (task, classes) => fail(format!("a {task:?} model cannot have {classes} classes").to_lowercase()),
        }
    }
}

/// The name most like `wrong`, if one is like it at all.
pub(crate) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IRIS: &str = r#"{"task": "multiclass", "target": "species", "classes": ["a", "b", "c"], "features": [
        {"name": "width", "kind": "numeric", "required": true},
        {"name": "colour", "kind": "category", "values": ["red", "blue"]}]}"#;

    #[test]
    fn a_signature_survives_its_json() {
        let signature = Signature::from_json(IRIS.as_bytes()).unwrap();
        assert_eq!(signature.features[1].kind, FeatureKind::Category { values: vec!["red".into(), "blue".into()] });
        assert!(signature.features[0].required && !signature.features[1].required);
        let again = Signature::from_json(signature.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(again, signature);
    }

    #[test]
    fn a_signature_whose_classes_do_not_fit_its_task_is_refused() {
        let wrong = IRIS.replace("multiclass", "binary");
        let error = Signature::from_json(wrong.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "the signature is inconsistent: a binary model cannot have 3 classes");
    }

    #[test]
    fn a_feature_listed_twice_is_refused() {
        let wrong = IRIS.replace("colour", "width");
        assert!(Signature::from_json(wrong.as_bytes()).unwrap_err().to_string().contains("\"width\" is listed twice"));
    }

    #[test]
    fn the_nearest_name_ignores_case_and_gives_up_on_strangers() {
        assert_eq!(nearest("Sepal_lenght", ["sepal_width", "sepal_length"]), Some("sepal_length"));
        assert_eq!(nearest("zzz", ["sepal_width", "sepal_length"]), None);
    }
}
