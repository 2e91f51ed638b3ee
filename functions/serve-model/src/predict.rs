//! One prediction request: JSON in, JSON out, without HTTP.

use millstream_scoring::{InstanceError, Model, ModelError, Predictions};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of a request. Other keys, `parameters` among them, have no effect: the models served here take none.
#[derive(Debug, Deserialize)]
struct Request {
    instances: Vec<Value>,
}

/// Which model answered, as Vertex AI's answers say it; what is unknown is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServedModel {
    /// The deployment's id on its endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_model_id: Option<String>,
    /// The model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The model's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version_id: Option<String>,
}

#[derive(Serialize)]
struct Response<'a> {
    predictions: &'a Predictions,
    #[serde(flatten)]
    served: &'a ServedModel,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The body is no request.
    #[error("the body is not {{\"instances\": [..]}}: {0}")]
    Body(#[source] serde_json::Error),
    /// An instance is at fault.
    #[error(transparent)]
    Instance(InstanceError),
    /// The model failed.
    #[error(transparent)]
    Model(ModelError),
}

impl PredictError {
    /// True when the request has to change, false when the model failed.
    pub fn is_callers_fault(&self) -> bool {
        !matches!(self, Self::Model(_))
    }
}

/// An answer, with the predictions that it says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) json: Vec<u8>,
    pub(crate) predictions: Predictions,
}

/// Answers a request's body with `{"predictions": [..]}` and the names of the model that was asked.
pub fn predict_json(model: &Model, served: &ServedModel, body: &[u8]) -> Result<Vec<u8>, PredictError> {
    answer(model, served, body).map(|answer| answer.json)
}

pub(crate) fn answer(model: &Model, served: &ServedModel, body: &[u8]) -> Result<Answer, PredictError> {
    let request: Request = serde_json::from_slice(body).map_err(PredictError::Body)?;
    let predictions = model.predict_instances(&request.instances).map_err(|error| match error {
        ModelError::Instance(error) => PredictError::Instance(error),
        other => PredictError::Model(other),
    })?;
    let json = serde_json::to_vec(&Response { predictions: &predictions, served })
        .map_err(|error| PredictError::Model(ModelError::Score(error.to_string())))?;
    Ok(Answer { json, predictions })
}
