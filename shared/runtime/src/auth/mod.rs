//! Who may deliver events: a request's headers in, its [`Caller`] or a [`Refusal`] out.
//!
//! Pub/Sub's push subscriptions, Eventarc's triggers and Cloud Scheduler's jobs send a token that Google has signed for
//! the service account they run as. `oidc::Verifier` (feature `oidc`) verifies it; `require` puts it before the
//! [host](mod@crate::host)'s event routes.
//!
//! | the request's token                                 | answer                                                     |
//! |-----------------------------------------------------|------------------------------------------------------------|
//! | is not there                                        | 401 `WWW-Authenticate: Bearer`                             |
//! | is not signed by Google, for another audience, late | 401 `WWW-Authenticate: Bearer error="invalid_token"`       |
//! | is good, and its account is not among those allowed | 403                                                        |
//! | cannot be verified: no keys, the key server is down | 503 with `Retry-After`: the sender delivers again           |
//!
//! A token is never logged, nor any part of it but the account's name.

#[cfg(feature = "oidc")]
pub mod oidc;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::host::{again_later, problem};

/// Tells who sends a request.
#[async_trait]
pub trait Authenticate: Debug + Send + Sync {
    /// The caller, where it may deliver events here.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Refusal>;
}

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The service account's address.
    pub email: String,
}

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not say who sends it.
    #[error("the request carries no bearer token")]
    NoToken,
    /// It says so in a way that proves nothing.
    #[error("the token is not accepted: {0}")]
    BadToken(String),
    /// It is known who sends it, and that one may not.
    #[error("{0}")]
    NotAllowed(String),
    /// Whether it is true cannot be found out now.
    #[error("the token cannot be verified now: {0}")]
    Unverifiable(String),
}

impl Refusal {
    /// What the sender can do; nothing but wait where the token cannot be verified.
    fn hint(&self) -> &'static str {
        match self {
            Self::NoToken => "send `Authorization: Bearer TOKEN` with an identity token that Google has signed",
            Self::BadToken(_) => {
                "give the subscription, trigger or job an OIDC token whose audience is in auth.audiences of the settings"
            }
            Self::NotAllowed(_) => "add the service account to auth.accounts of the settings",
            Self::Unverifiable(_) => "",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let challenge = match &self {
            Self::Unverifiable(_) => return again_later(StatusCode::SERVICE_UNAVAILABLE, &self.to_string()),
            Self::NotAllowed(_) => return problem(StatusCode::FORBIDDEN, &self.to_string(), self.hint()),
            Self::NoToken => HeaderValue::from_static("Bearer"),
            Self::BadToken(_) => HeaderValue::from_static("Bearer error=\"invalid_token\""),
        };
        let mut response = problem(StatusCode::UNAUTHORIZED, &self.to_string(), self.hint());
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}

/// Lets a request through whose caller may deliver events.
pub(crate) async fn require(State(callers): State<Arc<dyn Authenticate>>, request: Request, next: Next) -> Response {
    match callers.authenticate(request.headers()).await {
        Ok(caller) => {
            tracing::debug!(caller = caller.email, "request authenticated");
            next.run(request).await
        }
        Err(refusal) => {
            tracing::warn!(%refusal, "request refused");
            refusal.into_response()
        }
    }
}
