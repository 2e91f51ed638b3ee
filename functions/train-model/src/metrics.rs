//! `metrics.json`, as training programs write it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Why a `metrics.json` cannot be used; reads on after the file's name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MetricsError(String);

impl std::fmt::Display for MetricsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: expected an object of numbers such as {{\"auc_pr\": 0.81}}, or one of them under \"metrics\"",
            self.0
        )
    }
}

/// Reads the metrics: the numbers of the object under `metrics`, else those of the whole document.
///
/// What is no number (a task's name, a confusion matrix) is left out of a flat document: a training that took hours is not
/// failed for a remark. Under `metrics` everything is meant as a metric, so anything else there is an error.
pub(crate) fn parse(json: &[u8]) -> Result<BTreeMap<String, f64>, MetricsError> {
    let document: Map<String, Value> = serde_json::from_slice(json).map_err(|error| {
        let hint = if error.is_syntax() { " (JSON has no NaN or Infinity)" } else { "" };
        MetricsError(format!("cannot be read, {error}{hint}"))
    })?;
    match document.get("metrics") {
        None => Ok(document.iter().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()),
        Some(Value::Object(metrics)) => metrics.iter().map(|(name, value)| number(name, value)).collect(),
        Some(_) => Err(MetricsError("has a \"metrics\" that is no object".to_owned())),
    }
}

fn number(name: &str, value: &Value) -> Result<(String, f64), MetricsError> {
    value
        .as_f64()
        .map(|number| (name.to_owned(), number))
        .ok_or_else(|| MetricsError(format!("has the metric {name:?} with the value {value}, which is no number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> String {
        parse(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn both_forms_are_read() {
        let expected = BTreeMap::from([("accuracy".to_owned(), 0.9), ("rows".to_owned(), 30.0)]);
        assert_eq!(parse(br#"{"accuracy": 0.9, "rows": 30}"#), Ok(expected.clone()));
        assert_eq!(parse(br#"{"task": "x", "metrics": {"accuracy": 0.9, "rows": 30}, "rounds": 7}"#), Ok(expected));
        assert_eq!(parse(b"{}"), Ok(BTreeMap::new()));
    }

    #[test]
    fn remarks_beside_flat_metrics_are_left_out() {
        let json = br#"{"accuracy": 0.9, "task": "classification", "confusion_matrix": [[1, 0], [0, 1]]}"#;
        assert_eq!(parse(json), Ok(BTreeMap::from([("accuracy".to_owned(), 0.9)])));
    }

    #[test]
    fn what_cannot_be_meant_says_what_was_expected() {
        for (json, part) in [
            ("[1, 2]", "cannot be read"),
            (r#"{"auc": NaN}"#, "JSON has no NaN"),
            (r#"{"metrics": [0.9]}"#, "\"metrics\" that is no object"),
            (r#"{"metrics": {"auc": "0.9"}}"#, r#"the metric "auc" with the value "0.9""#),
        ] {
            let message = error(json);
            assert!(message.contains(part) && message.contains("expected an object of numbers"), "{json}: {message}");
        }
    }
}
