//! One prediction.

use millstream_events::names::ModelName;
use millstream_ports::{ErrorKind, PortError, PredictError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::not_there;
use crate::{
    api::{Api, Call},
    names::model_version,
};

/// What Vertex AI answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    predictions: Vec<Value>,
    model: String,
    model_version_id: String,
}

/// Asks the endpoint; the request is `{"instances": [..], "parameters": ..}`.
pub(super) async fn ask(
    api: &Api,
    resource: String,
    endpoint: &ModelName,
    mut request: Value,
) -> Result<Value, PredictError> {
    let bad = |why: &str| PredictError::BadRequest(format!("the request is not {{\"instances\": [..]}}: {why}"));
    let instances = match request.get_mut("instances").map(Value::take) {
        Some(instances @ Value::Array(_)) => instances,
        Some(_) => return Err(bad("`instances` is no list")),
        None => return Err(bad("there is no `instances`")),
    };
    let mut body = json!({"instances": instances});
    if let Some(parameters) = request.get_mut("parameters").map(Value::take).filter(|given| !given.is_null()) {
        body["parameters"] = parameters;
    }
    let doing = format!("ask the endpoint {endpoint}");
    let answer: Answer = match api.ask(&doing, Call::post(format!("{resource}:predict"), body)).await? {
        Ok(answer) => answer,
        Err(problem) => {
            return Err(match problem.kind() {
                // The container's own words name the instance and the field.
                ErrorKind::Invalid => PredictError::BadRequest(problem.message().to_owned()),
                ErrorKind::NotFound => not_there(endpoint).into(),
                _ => problem.into_error(&doing).into(),
            });
        }
    };
    let (model, version) = model_version(&answer.model, &answer.model_version_id).ok_or_else(|| {
        PortError::internal(format!(
            "the endpoint {endpoint} was answered by {}, which is no model of ours",
            answer.model
        ))
    })?;
    Ok(json!({"predictions": answer.predictions, "model": model, "version": version}))
}
