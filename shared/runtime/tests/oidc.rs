//! Who may deliver events: Google's identity tokens against a key server of the tests' own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

#[path = "support/key_server.rs"]
mod key_server;
mod support;

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{Request, Response, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use key_server::{KeyServer, Signer, signers, token};
use millstream_ports::{Clock, memory::ManualClock};
use millstream_runtime::{
    Metrics,
    auth::oidc::Verifier,
    cloudevent::{STRUCTURED, to_structured},
    host::{Host, Readiness, RequestLimits, router},
    settings::Auth,
};
use serde_json::{Value, json};
use support::{Scripted, at, sweep};
use tower::ServiceExt;

const SWEEP: &str = "dev.millstream.sweep.due.v1";
const ACCOUNT: &str = "push@shop.iam.gserviceaccount.com";

/// A function's routes behind a verifier.
struct Guarded {
    app: Router,
    clock: Arc<ManualClock>,
    deliveries: tokio::sync::mpsc::UnboundedReceiver<millstream_events::Envelope>,
}

impl Guarded {
    fn by(jwks_url: String) -> Self {
        let clock = Arc::new(ManualClock::new(at("2026-11-24T06:00:00Z")));
        let auth = Auth {
            require: true,
            audiences: vec!["https://plan-run.run.app".into(), "millstream".into()],
            accounts: vec![ACCOUNT.into()],
            jwks_url,
        };
        let verifier = Verifier::new(&auth, clock.clone()).unwrap();
        let (handler, deliveries) = Scripted::new(SWEEP, []);
        let host = Host {
            handlers: Arc::from([handler as Arc<dyn millstream_runtime::Handler>]),
            metrics: Metrics::new().unwrap(),
            clock: clock.clone(),
            readiness: Readiness::default(),
            callers: Some(Arc::new(verifier)),
        };
        Self { app: router(host, RequestLimits::default()), clock, deliveries }
    }

    /// A good token's claims, with changes.
    fn claims(&self, changes: Value) -> Value {
        let now = self.clock.now().timestamp();
        let mut claims = json!({
            "iss": "https://accounts.google.com", "aud": "https://plan-run.run.app", "sub": "117",
            "iat": now, "exp": now + 3_600, "email": ACCOUNT, "email_verified": true,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    }

    fn good(&self, signer: &Signer) -> String {
        signer.sign(&self.claims(json!({})))
    }

    async fn post(&self, authorization: Option<String>) -> Response<Body> {
        let mut request = Request::post("/").header("content-type", STRUCTURED);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let request = request.body(Body::from(to_structured(&sweep()).unwrap())).unwrap();
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn status_with(&self, token: &str) -> StatusCode {
        self.post(Some(format!("Bearer {token}"))).await.status()
    }

    /// What is answered to a token: the status, the challenge and the error.
    async fn answer_to(&self, token: &str) -> (StatusCode, Option<String>, String) {
        let response = self.post(Some(format!("Bearer {token}"))).await;
        let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(!body.contains(token), "the answer repeats the token");
        let body: Value = serde_json::from_str(&body).unwrap();
        (status, challenge, body["error"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn a_good_token_of_an_allowed_account_is_let_through() {
    let [first, _] = signers();
    let (_, url) = KeyServer::start(first).await;
    let mut guarded = Guarded::by(url);
    assert_eq!(guarded.status_with(&guarded.good(first)).await, StatusCode::NO_CONTENT);
    guarded.deliveries.try_recv().unwrap();
    // The scheme's case does not matter.
    let response = guarded.post(Some(format!("bearer {}", guarded.good(first)))).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_token_signed_on_a_curve_is_as_good() {
    let signer = Signer::p256("curve");
    let (_, url) = KeyServer::start(&signer).await;
    let guarded = Guarded::by(url);
    assert_eq!(guarded.status_with(&guarded.good(&signer)).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_request_without_a_token_is_401_and_nothing_is_delivered() {
    let [first, _] = signers();
    let (server, url) = KeyServer::start(first).await;
    let mut guarded = Guarded::by(url);
    for authorization in [None, Some("Basic dXNlcjpwdw==".to_owned()), Some("Bearer".to_owned())] {
        let response = guarded.post(authorization).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
    assert!(guarded.deliveries.try_recv().is_err());
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn a_token_that_proves_nothing_is_401_with_the_reason() {
    let [first, _] = signers();
    let (_, url) = KeyServer::start(first).await;
    let mut guarded = Guarded::by(url);
    let now = guarded.clock.now().timestamp();
    let other = Signer::rsa(&first.kid);
    let sign = |changes: Value| first.sign(&guarded.claims(changes));
    let good = guarded.good(first);
    let header = json!({"alg": "none", "typ": "JWT", "kid": first.kid});
    let confused = Header { kid: Some(first.kid.clone()), ..Header::new(Algorithm::HS256) };
    let public_as_secret = EncodingKey::from_secret(first.public_pem.as_bytes());
    for (token, reason) in [
        (other.sign(&guarded.claims(json!({}))), "signature"),
        (sign(json!({"aud": "https://another.run.app"})), "another audience"),
        (sign(json!({"iss": "https://accounts.example.com"})), "Google has not issued"),
        (sign(json!({"exp": now - 3_600})), "expired"),
        (sign(json!({"nbf": now + 3_600})), "not valid yet"),
        (sign(json!({"exp": null})), "form"),
        (token(&header, &guarded.claims(json!({})), b""), "no signed JSON Web Token"),
        (jsonwebtoken::encode(&confused, &guarded.claims(json!({})), &public_as_secret).unwrap(), "signature"),
        (format!("{}.", good.rsplit_once('.').unwrap().0), "signature"),
        (format!("{good}A"), "signature"),
        ("a.b.c".to_owned(), "no signed JSON Web Token"),
        ("x".repeat(9_000), "longer"),
    ] {
        let (status, challenge, error) = guarded.answer_to(&token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{reason}");
        assert_eq!(challenge.as_deref(), Some("Bearer error=\"invalid_token\""));
        assert!(error.contains(reason), "{reason} is not in {error}");
    }
    assert!(guarded.deliveries.try_recv().is_err());
}

#[tokio::test]
async fn a_good_token_of_an_account_that_is_not_allowed_is_403() {
    let [first, _] = signers();
    let (_, url) = KeyServer::start(first).await;
    let mut guarded = Guarded::by(url);
    for (changes, reason) in [
        (json!({"email": "someone@example.com"}), "someone@example.com may not"),
        (json!({"email_verified": false}), "not verified"),
    ] {
        let (status, _, error) = guarded.answer_to(&first.sign(&guarded.claims(changes))).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(error.contains(reason), "{error}");
    }
    assert!(guarded.deliveries.try_recv().is_err());
}

#[tokio::test]
async fn a_key_that_has_come_meanwhile_is_fetched_and_one_that_has_gone_is_forgotten() {
    let [first, second] = signers();
    let (server, url) = KeyServer::start(first).await;
    let guarded = Guarded::by(url);
    assert_eq!(guarded.status_with(&guarded.good(first)).await, StatusCode::NO_CONTENT);
    server.publish(&[second]);
    guarded.clock.advance(Duration::from_secs(60));
    assert_eq!(guarded.status_with(&guarded.good(second)).await, StatusCode::NO_CONTENT);
    assert_eq!(server.asked(), 2);
    assert_eq!(guarded.status_with(&guarded.good(first)).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn made_up_keys_do_not_become_requests_to_the_key_server() {
    let [first, _] = signers();
    let (server, url) = KeyServer::start(first).await;
    let guarded = Guarded::by(url);
    let claims = guarded.claims(json!({}));
    let made_up = |number: usize| token(&json!({"alg": "RS256", "kid": format!("k{number}")}), &claims, b"signature");
    for number in 0..20 {
        assert_eq!(guarded.status_with(&made_up(number)).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(server.asked(), 1);
    guarded.clock.advance(Duration::from_secs(11));
    assert_eq!(guarded.status_with(&made_up(20)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn requests_that_need_the_same_keys_wait_for_one_fetch() {
    let [first, _] = signers();
    let (server, url) = KeyServer::start(first).await;
    let guarded = Guarded::by(url);
    let token = guarded.good(first);
    let answers = futures::future::join_all((0..8).map(|_| guarded.status_with(&token))).await;
    assert_eq!(answers, [StatusCode::NO_CONTENT; 8]);
    assert_eq!(server.asked(), 1);
    // Until they are an hour old, which is what the server says.
    guarded.clock.advance(Duration::from_secs(3_599));
    assert_eq!(guarded.status_with(&guarded.good(first)).await, StatusCode::NO_CONTENT);
    assert_eq!(server.asked(), 1);
    guarded.clock.advance(Duration::from_secs(1));
    assert_eq!(guarded.status_with(&guarded.good(first)).await, StatusCode::NO_CONTENT);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn without_any_keys_the_sender_is_to_come_again() {
    let [first, _] = signers();
    let (server, url) = KeyServer::start(first).await;
    server.set_down(true);
    let guarded = Guarded::by(url);
    let response = guarded.post(Some(format!("Bearer {}", guarded.good(first)))).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    server.set_down(false);
    guarded.clock.advance(Duration::from_secs(11));
    assert_eq!(guarded.status_with(&guarded.good(first)).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn old_keys_are_used_while_the_key_server_is_down_for_a_day_at_most() {
    let [first, second] = signers();
    let (server, url) = KeyServer::start(first).await;
    let guarded = Guarded::by(url);
    assert_eq!(guarded.status_with(&guarded.good(first)).await, StatusCode::NO_CONTENT);
    server.set_down(true);
    guarded.clock.advance(Duration::from_secs(2 * 3_600));
    assert_eq!(guarded.status_with(&guarded.good(first)).await, StatusCode::NO_CONTENT);
    assert_eq!(server.asked(), 2);
    // This one may well be good: it cannot be known now.
    guarded.clock.advance(Duration::from_secs(11));
    assert_eq!(guarded.status_with(&guarded.good(second)).await, StatusCode::SERVICE_UNAVAILABLE);
    guarded.clock.advance(Duration::from_secs(22 * 3_600));
    assert_eq!(guarded.status_with(&guarded.good(first)).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn probes_want_no_token() {
    let [first, _] = signers();
    let (_, url) = KeyServer::start(first).await;
    let guarded = Guarded::by(url);
    let response = guarded.app.clone().oneshot(Request::get("/livez").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
