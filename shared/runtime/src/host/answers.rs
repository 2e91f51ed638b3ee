//! What is answered to a request that is not done: `{error, hint}`.

use axum::{
    Json,
    extract::rejection::BytesRejection,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

use crate::cloudevent::Undecodable;

/// How long a sender is asked to wait before another delivery. Pub/Sub keeps its own time; people's scripts read this.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// How much of an undecodable body is logged.
const LOGGED_BYTES: usize = 200;

/// What is wrong, and what the sender can do.
pub(crate) fn problem(status: StatusCode, error: &str, hint: &str) -> Response {
    (status, Json(serde_json::json!({ "error": error, "hint": hint }))).into_response()
}

/// Asks for the same request again: 503, or 429 where the sender is one of too many.
pub(crate) fn again_later(status: StatusCode, reason: &str) -> Response {
    let mut response = problem(status, reason, "deliver the same request again after a while");
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
    response
}

pub(super) fn refused(rejection: &BytesRejection) -> Response {
    let hint = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => "send less at once, or raise http.max_body_mib",
        _ => "send the whole body",
    };
    problem(rejection.status(), &rejection.body_text(), hint)
}

pub(super) fn undecodable(error: &Undecodable, body: &[u8]) -> Response {
    let beginning = body[..body.len().min(LOGGED_BYTES)].escape_ascii().to_string();
    tracing::warn!(%error, body = beginning, bytes = body.len(), "request refused");
    problem(StatusCode::BAD_REQUEST, &error.to_string(), error.hint())
}
