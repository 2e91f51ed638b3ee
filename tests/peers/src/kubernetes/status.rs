//! A refusal, as the API says it: a `Status` object.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::objects::{Key, Resource};

/// A refusal.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    code: u16,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: String, details: Value) -> Self {
        Self { code, reason, message, details }
    }

    /// 404: there is no such object.
    pub(super) fn not_found(resource: &Resource, key: &Key) -> Self {
        let message = format!("{} \"{}\" not found", resource.qualified(), key.name);
        Self::new(404, "NotFound", message, details(resource, &key.name))
    }

    /// 404: there is no such kind, or path.
    pub(super) fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource".to_owned(), Value::Null)
    }

    /// 404: there is no such namespace.
    pub(super) fn no_namespace(namespace: &str) -> Self {
        let message = format!("namespaces \"{namespace}\" not found");
        Self::new(404, "NotFound", message, json!({"name": namespace, "kind": "namespaces"}))
    }

    /// 409: the name is taken.
    pub(super) fn already_exists(resource: &Resource, key: &Key) -> Self {
        let message = format!("{} \"{}\" already exists", resource.qualified(), key.name);
        Self::new(409, "AlreadyExists", message, details(resource, &key.name))
    }

    /// 409: somebody else was faster, or owns a field.
    pub(super) fn conflict(resource: &Resource, key: &Key, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{}\": {why}", resource.qualified(), key.name);
        Self::new(409, "Conflict", message, details(resource, &key.name))
    }

    /// 410: a page of a list that cannot be gone on with.
    pub(super) fn expired() -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result.".to_owned();
        Self::new(410, "Expired", message, Value::Null)
    }

    /// 400: the request is not understood.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into(), Value::Null)
    }

    /// 401: nobody knows who asks.
    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized".to_owned(), Value::Null)
    }

    /// 422: the object is wrong.
    pub(super) fn invalid(resource: &Resource, key: &Key, why: &str) -> Self {
        let message = format!("{} \"{}\" is invalid: {why}", resource.kind, key.name);
        Self::new(422, "Invalid", message, details(resource, &key.name))
    }

    /// 405 and 415.
    pub(super) fn unsupported(code: u16, message: &str) -> Self {
        Self::new(code, "MethodNotAllowed", message.to_owned(), Value::Null)
    }
}

fn details(resource: &Resource, name: &str) -> Value {
    json!({"name": name, "group": resource.group, "kind": resource.plural})
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if !self.details.is_null() {
            body["details"] = self.details;
        }
        (code, Json(body)).into_response()
    }
}
