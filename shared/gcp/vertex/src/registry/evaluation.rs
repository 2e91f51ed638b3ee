//! A version's metrics as a model evaluation, where Vertex AI's console shows them.
//!
//! The registry's own truth is the record: an evaluation that cannot be imported is told in the log and tried again when the
//! version is asked for again.

use std::collections::BTreeMap;

use millstream_ports::PortResult;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    VertexRegistry,
    upload::{Record, version_name},
    version::Listed,
};
use crate::api::Call;

/// Metrics of Google's schema for classification, by our names.
const CLASSIFICATION: [(&str, &str); 3] = [("auc_pr", "auPrc"), ("auc_roc", "auRoc"), ("log_loss", "logLoss")];

/// Metrics of Google's schema for regression, by our names.
const REGRESSION: [(&str, &str); 4] = [
    ("rmse", "rootMeanSquaredError"),
    ("mae", "meanAbsoluteError"),
    ("mape", "meanAbsolutePercentageError"),
    ("r2", "rSquared"),
];

/// Where Google's schemas are.
const SCHEMAS: &str = "gs://google-cloud-aiplatform/schema/modelevaluation";

/// What the imported evaluation is called, so that it is imported once.
const DISPLAY_NAME: &str = "millstream";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Evaluation {
    display_name: String,
}

impl VertexRegistry {
    /// Imports the metrics, unless that was done.
    pub(super) async fn evaluate(&self, version: &Listed, record: &mut Record) {
        if record.registration.evaluated {
            return;
        }
        if let Err(error) = self.import(version, record).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(model = %record.model(), version = version.version_id, error, "metrics are not imported");
        }
    }

    async fn import(&self, version: &Listed, record: &mut Record) -> PortResult<()> {
        let (Some(number), Some(evaluation)) = (version.number(), evaluation(&record.registration.registered.metrics))
        else {
            return Ok(());
        };
        let doing = format!("import the metrics of version {number} of model {}", record.model());
        let path = format!("{}/evaluations", version_name(self.model(record.model()), number));
        let known: Vec<Evaluation> = self.api.list(&doing, "modelEvaluations", &path, "").await?;
        if !known.iter().any(|known| known.display_name == DISPLAY_NAME) {
            let call = Call::post(format!("{path}:import"), json!({"modelEvaluation": evaluation}));
            let _: Value = self.api.call(&doing, call).await?;
        }
        record.registration.evaluated = true;
        self.keep(record).await
    }
}

/// The evaluation that these metrics are; `None` where Google has no schema for any of them.
fn evaluation(metrics: &BTreeMap<String, f64>) -> Option<Value> {
    let named = |schema: &[(&str, &str)]| -> Map<String, Value> {
        let found = schema.iter().filter_map(|(ours, theirs)| Some(((*theirs).to_owned(), json!(metrics.get(*ours)?))));
        found.collect()
    };
    let (schema, known) = [("classification", named(&CLASSIFICATION)), ("regression", named(&REGRESSION))]
        .into_iter()
        .find(|(_, known)| !known.is_empty())?;
    Some(json!({
        "displayName": DISPLAY_NAME,
        "metricsSchemaUri": format!("{SCHEMAS}/{schema}_metrics_1.0.0.yaml"),
        "metrics": known,
        // The others are told too, beside the schema.
        "metadata": {"metrics": metrics},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(metrics: &[(&str, f64)]) -> Option<Value> {
        evaluation(&metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect())
    }

    #[test]
    fn metrics_go_under_googles_names() {
        let evaluation = of(&[("auc_pr", 0.75), ("accuracy", 0.9)]).unwrap();
        assert!(evaluation["metricsSchemaUri"].as_str().unwrap().ends_with("/classification_metrics_1.0.0.yaml"));
        assert_eq!(evaluation["metrics"], json!({"auPrc": 0.75}));
        assert_eq!(evaluation["metadata"], json!({"metrics": {"auc_pr": 0.75, "accuracy": 0.9}}));
        let evaluation = of(&[("rmse", 12.0), ("r2", 0.5)]).unwrap();
        assert_eq!(evaluation["metrics"], json!({"rootMeanSquaredError": 12.0, "rSquared": 0.5}));
    }

    #[test]
    fn metrics_of_no_schema_are_no_evaluation() {
        assert_eq!(of(&[("bleu", 0.3)]), None);
    }
}
