//! JSON instances -> the matrix a model reads.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::types::{Date32Type, TimestampMicrosecondType};
use arrow::compute::kernels::cast_utils::Parser;
use serde_json::{Map, Value};

use crate::columns::{MICROSECONDS_A_DAY, to_feature};
use crate::signature::{Feature, FeatureKind, Signature, nearest};

/// Why an instance cannot be scored: which one, which field, what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("instance {instance}{}: {problem}", field.as_ref().map(|name| format!(", field {name:?}")).unwrap_or_default())]
pub struct InstanceError {
    /// The instance's place in the request, from 0.
    pub instance: usize,
    /// The field at fault, when one is.
    pub field: Option<String>,
    /// What is wrong.
    pub problem: InstanceProblem,
}

/// What can be wrong with an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceProblem {
    /// The model has no such feature.
    UnknownField {
        /// The feature most like it.
        nearest: Option<String>,
    },
    /// A feature every training row had is absent or null.
    Missing,
    /// A value of another type than the feature's.
    WrongType {
        /// What the feature takes.
        expected: &'static str,
        /// What was there.
        found: String,
    },
    /// Values by position, but not one for each feature.
    WrongLength {
        /// The number of features.
        expected: usize,
        /// The number of values.
        found: usize,
    },
    /// Neither an object nor an array.
    NotAnInstance {
        /// What was there.
        found: String,
    },
}

impl fmt::Display for InstanceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField { nearest: Some(name) } => {
                write!(f, "the model has no such feature; did you mean {name:?}?")
            }
            Self::UnknownField { nearest: None } => write!(f, "the model has no such feature"),
            Self::Missing => write!(f, "a value is required"),
            Self::WrongType { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::WrongLength { expected, found } => {
                write!(f, "expected {expected} values, one for each feature in order, found {found}")
            }
            Self::NotAnInstance { found } => {
                write!(f, "expected an object of features by name or an array of values in order, found {found}")
            }
        }
    }
}

/// Encodes instances under one signature; built once a model.
#[derive(Debug, Clone)]
pub struct Encoder {
    signature: Arc<Signature>,
    positions: HashMap<String, usize>,
    /// A category feature's codes; empty for the other kinds.
    codes: Vec<HashMap<String, f32>>,
}

impl Encoder {
    /// Prepares the look-ups of a signature.
    pub fn new(signature: Arc<Signature>) -> Self {
        let positions = signature.features.iter().enumerate().map(|(at, feature)| (feature.name.clone(), at)).collect();
        let codes = signature.features.iter().map(|feature| codes(&feature.kind)).collect();
        Self { signature, positions, codes }
    }

    /// What is encoded.
    pub fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }

    /// Encodes instances, each an object (by name) or an array (by position), into rows of the model's features;
    /// NaN stands for a missing value.
    pub fn encode(&self, instances: &[Value]) -> Result<Vec<f32>, InstanceError> {
        let width = self.signature.features.len();
        let mut matrix = vec![f32::NAN; instances.len() * width];
        for (index, (instance, row)) in instances.iter().zip(matrix.chunks_exact_mut(width)).enumerate() {
            self.encode_one(instance, row).map_err(|(field, problem)| InstanceError {
                instance: index,
                field,
                problem,
            })?;
        }
        Ok(matrix)
    }

    fn encode_one(&self, instance: &Value, row: &mut [f32]) -> Result<(), (Option<String>, InstanceProblem)> {
        match instance {
            Value::Object(fields) => self.encode_by_name(fields, row)?,
            Value::Array(values) if values.len() == row.len() => {
                for (position, value) in values.iter().enumerate() {
                    row[position] = self.encode_value(position, value)?;
                }
            }
            Value::Array(values) => {
                let problem = InstanceProblem::WrongLength { expected: row.len(), found: values.len() };
                return Err((None, problem));
            }
            other => return Err((None, InstanceProblem::NotAnInstance { found: describe(other) })),
        }
        for (feature, value) in self.signature.features.iter().zip(row) {
            // A category outside the vocabulary is present, though it is encoded as missing.
            if feature.required && value.is_nan() && !has_value(instance, feature, &self.positions) {
                return Err((Some(feature.name.clone()), InstanceProblem::Missing));
            }
        }
        Ok(())
    }

    fn encode_by_name(
        &self,
        fields: &Map<String, Value>,
        row: &mut [f32],
    ) -> Result<(), (Option<String>, InstanceProblem)> {
        for (name, value) in fields {
            let Some(&position) = self.positions.get(name) else {
                let names = self.signature.features.iter().map(|feature| feature.name.as_str());
                let nearest = nearest(name, names).map(str::to_owned);
                return Err((Some(name.clone()), InstanceProblem::UnknownField { nearest }));
            };
            row[position] = self.encode_value(position, value)?;
        }
        Ok(())
    }

    fn encode_value(&self, position: usize, value: &Value) -> Result<f32, (Option<String>, InstanceProblem)> {
        let feature = &self.signature.features[position];
        let wrong = |expected| {
            let problem = InstanceProblem::WrongType { expected, found: describe(value) };
            (Some(feature.name.clone()), problem)
        };
        match (&feature.kind, value) {
            (_, Value::Null) => Ok(f32::NAN),
            (FeatureKind::Numeric, value) => value.as_f64().map(to_feature).ok_or_else(|| wrong("a number")),
            (FeatureKind::Boolean, Value::Bool(value)) => Ok(f32::from(u8::from(*value))),
            (FeatureKind::Boolean, _) => Err(wrong("true or false")),
            (FeatureKind::Category { .. }, Value::String(value)) => {
                Ok(self.codes[position].get(value).copied().unwrap_or(f32::NAN))
            }
            (FeatureKind::Category { .. }, _) => Err(wrong("a string")),
            (FeatureKind::Timestamp, value) => {
                value.as_str().and_then(days).ok_or_else(|| wrong("a date or an RFC 3339 time as a string"))
            }
        }
    }
}

fn has_value(instance: &Value, feature: &Feature, positions: &HashMap<String, usize>) -> bool {
    let value = match instance {
        Value::Object(fields) => fields.get(&feature.name),
        Value::Array(values) => positions.get(&feature.name).and_then(|&position| values.get(position)),
        _ => None,
    };
    value.is_some_and(|value| !value.is_null())
}

/// The code of each value of a category.
pub(crate) fn codes(kind: &FeatureKind) -> HashMap<String, f32> {
    match kind {
        FeatureKind::Category { values } => {
            values.iter().enumerate().map(|(code, value)| (value.clone(), code as f32)).collect()
        }
        _ => HashMap::new(),
    }
}

fn days(text: &str) -> Option<f32> {
    // Arrow reads times through nanoseconds, which end in 2262; later ones, such as an open end of 9999-12-31, count by
    // their day.
    let days = match TimestampMicrosecondType::parse(text) {
        Some(micros) => micros as f64 / MICROSECONDS_A_DAY,
        None => f64::from(Date32Type::parse(text)?),
    };
    Some(to_feature(days))
}

/// A JSON value in an error: short, and with enough of it to be found.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => format!("{value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > 40 => {
            format!("the string \"{}...\"", text.chars().take(40).collect::<String>())
        }
        Value::String(text) => format!("the string {text:?}"),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Task;

    fn encoder() -> Encoder {
        let feature = |name: &str, kind, required| Feature { name: name.into(), kind, required };
        Encoder::new(Arc::new(Signature {
            task: Task::Regression,
            target: "price".into(),
            features: vec![
                feature("weight", FeatureKind::Numeric, true),
                feature("sold", FeatureKind::Boolean, false),
                feature("colour", FeatureKind::Category { values: vec!["red".into(), "blue".into()] }, true),
                feature("since", FeatureKind::Timestamp, false),
            ],
            classes: vec![],
            model: None,
            fingerprint: None,
        }))
    }

    fn error(instance: Value) -> String {
        let good = json!({"weight": 1, "colour": "red"});
        encoder().encode(&[good, instance]).unwrap_err().to_string()
    }

    #[test]
    fn instances_by_name_and_by_position_make_the_same_row() {
        let by_name = json!({"since": "1970-01-02T12:00:00Z", "colour": "blue", "sold": true, "weight": 2.5});
        let by_position = json!([2.5, true, "blue", "1970-01-02T12:00:00Z"]);
        let matrix = encoder().encode(&[by_name, by_position]).unwrap();
        assert_eq!(matrix, [2.5, 1.0, 1.0, 1.5, 2.5, 1.0, 1.0, 1.5]);
    }

    #[test]
    fn an_absent_optional_field_a_null_and_an_unknown_category_are_missing_values() {
        let matrix = encoder().encode(&[json!({"weight": 1, "sold": null, "colour": "green"})]).unwrap();
        assert_eq!(matrix[0], 1.0);
        assert!(matrix[1..].iter().all(|value| value.is_nan()));
    }

    #[test]
    fn a_date_is_days_since_the_epoch_even_far_away() {
        let matrix = encoder().encode(&[json!([1, null, "red", "9999-12-31"])]).unwrap();
        assert_eq!(matrix[3], 2_932_896.0);
    }

    #[test]
    fn a_number_too_large_for_32_bits_becomes_the_largest_one() {
        let matrix =
            encoder().encode(&[json!([1e300, null, "red", null]), json!([-1e300, null, "red", null])]).unwrap();
        assert_eq!((matrix[0], matrix[4]), (f32::MAX, f32::MIN));
    }

    #[test]
    fn a_mistyped_field_is_named_with_the_nearest_feature() {
        let message = error(json!({"wieght": 1, "colour": "red"}));
        assert_eq!(message, r#"instance 1, field "wieght": the model has no such feature; did you mean "weight"?"#);
    }

    #[test]
    fn a_missing_required_field_is_named_whether_absent_or_null() {
        let expected = r#"instance 1, field "weight": a value is required"#;
        assert_eq!(error(json!({"colour": "red"})), expected);
        assert_eq!(error(json!([null, true, "red", null])), expected);
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_what_was_expected() {
        assert_eq!(
            error(json!({"weight": "heavy", "colour": "red"})),
            r#"instance 1, field "weight": expected a number, found the string "heavy""#
        );
        assert_eq!(
            error(json!({"weight": 1, "colour": 7})),
            r#"instance 1, field "colour": expected a string, found the number 7"#
        );
        assert_eq!(
            error(json!({"weight": 1, "colour": "red", "sold": 1})),
            r#"instance 1, field "sold": expected true or false, found the number 1"#
        );
        assert_eq!(
            error(json!({"weight": 1, "colour": "red", "since": "yesterday"})),
            r#"instance 1, field "since": expected a date or an RFC 3339 time as a string, found the string "yesterday""#
        );
    }

    #[test]
    fn an_array_of_another_length_and_a_bare_value_are_refused() {
        assert_eq!(error(json!([1])), "instance 1: expected 4 values, one for each feature in order, found 1");
        assert!(error(json!(5)).starts_with("instance 1: expected an object of features by name"));
    }
}
