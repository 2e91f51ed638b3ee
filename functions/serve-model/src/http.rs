//! The routes: health, predict and metrics.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use millstream_scoring::{Model, Predictions};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::metrics::ServeMetrics;
use crate::predict::{Answer, answer};
use crate::{PredictError, ServedModel, Settings};

pub(crate) const METRICS_ROUTE: &str = "/metrics";

/// Bodies above this are scored on the blocking pool: up to here an answer takes well under a millisecond, and handing it
/// over would cost more than it spares the other connections.
const INLINE_BODY: usize = 4 * 1024;

/// A loaded model and what its server counts.
#[derive(Debug)]
pub struct ModelState {
    model: Model,
    served: ServedModel,
    metrics: ServeMetrics,
    /// As many large batches at once as there are cores: more would only slow each other down.
    large_batches: Semaphore,
}

impl ModelState {
    /// Wraps a model for serving.
    pub fn new(model: Model, settings: &Settings) -> Result<Self, prometheus::Error> {
        let signature = model.signature();
        let served = ServedModel {
            deployed_model_id: settings.deployed_model_id.clone(),
            model: settings.model.clone().or_else(|| signature.model.clone()),
            model_version_id: settings.model_version.clone().or_else(|| signature.fingerprint.clone()),
        };
        let metrics = ServeMetrics::new(signature.task)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { model, served, metrics, large_batches: Semaphore::new(cores) })
    }

    /// Logs the mean score of what was predicted since the last time; nothing where nothing was.
    pub fn log_score(&self) {
        if let Some((score, predictions)) = self.metrics.take_score() {
            let ServedModel { model, model_version_id, .. } = &self.served;
            // Named for a log-based metric: its filter is the message, its value the score, its labels model and version.
            tracing::info!(
                model = model.as_deref(),
                version = model_version_id.as_deref(),
                score,
                predictions,
                "prediction score"
            );
        }
    }

    async fn answer(self: &Arc<Self>, body: Bytes) -> Result<Answer, Failure> {
        if body.len() <= INLINE_BODY {
            return Ok(answer(&self.model, &self.served, &body)?);
        }
        let _permit = self.large_batches.acquire().await.map_err(|_| Failure::Stopping)?;
        let state = self.clone();
        let answered = tokio::task::spawn_blocking(move || answer(&state.model, &state.served, &body)).await;
        Ok(answered.map_err(|_| Failure::Stopping)??)
    }
}

/// The routes of a model's server; [`Settings::check_routes`] has to have passed.
pub fn router(state: Arc<ModelState>, settings: &Settings) -> Router {
    Router::new()
        .route(&settings.health_route, get(|| async { "ok" }))
        .route(&settings.predict_route, post(predict))
        .route(METRICS_ROUTE, get(metrics))
        .layer(DefaultBodyLimit::max(settings.max_body_bytes))
        .with_state(state)
}

async fn predict(State(state): State<Arc<ModelState>>, body: Result<Bytes, BytesRejection>) -> Response {
    let begun = Instant::now();
    let (answered, predictions): (Response, Option<Predictions>) = match body.map_err(Failure::from) {
        Ok(body) => match state.answer(body).await {
            Ok(answer) => (json_response(StatusCode::OK, answer.json), Some(answer.predictions)),
            Err(failure) => (failure.into_response(), None),
        },
        Err(failure) => (failure.into_response(), None),
    };
    state.metrics.observe(answered.status().as_u16(), begun.elapsed());
    if let Some(predictions) = predictions {
        state.metrics.observe_scores(&predictions);
    }
    answered
}

async fn metrics(State(state): State<Arc<ModelState>>) -> Response {
    match state.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn json_response(status: StatusCode, json: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// Why a request is not answered with predictions.
#[derive(Debug)]
enum Failure {
    Unreadable(BytesRejection),
    Predict(PredictError),
    /// The process is going down with the batch in flight.
    Stopping,
}

impl From<BytesRejection> for Failure {
    fn from(rejection: BytesRejection) -> Self {
        Self::Unreadable(rejection)
    }
}

impl From<PredictError> for Failure {
    fn from(error: PredictError) -> Self {
        Self::Predict(error)
    }
}

impl IntoResponse for Failure {
    /// Google's error form, with the instance and the field at fault where there are any.
    fn into_response(self) -> Response {
        let (code, status, message, details) = match self {
            Self::Unreadable(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let message = "the request is too large; send fewer instances at a time".to_owned();
                (StatusCode::PAYLOAD_TOO_LARGE, "INVALID_ARGUMENT", message, None)
            }
            Self::Unreadable(rejection) => (rejection.status(), "INVALID_ARGUMENT", rejection.body_text(), None),
            Self::Predict(PredictError::Instance(error)) => {
                let details = json!([{"instance": error.instance, "field": error.field}]);
                (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", error.to_string(), Some(details))
            }
            Self::Predict(error) if error.is_callers_fault() => {
                (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", error.to_string(), None)
            }
            Self::Predict(error) => {
                // What broke inside is the operator's to read, not the caller's.
                tracing::error!(%error, "a prediction failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "the model could not answer".to_owned(), None)
            }
            Self::Stopping => {
                let message = "the server is stopping; try again".to_owned();
                (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message, None)
            }
        };
        let mut error = json!({"code": code.as_u16(), "status": status, "message": message});
        if let Some(details) = details {
            error["details"] = details;
        }
        json_response(code, json!({"error": error}).to_string().into_bytes())
    }
}
