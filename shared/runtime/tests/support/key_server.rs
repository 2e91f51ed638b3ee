//! A key server under a test's control, and tokens signed with its keys or with others.
#![allow(unreachable_pub, reason = "a test file takes this in as a module")]

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::{Router, extract::State, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use p256::pkcs8::EncodePrivateKey;
use rsa::{RsaPrivateKey, pkcs1::EncodeRsaPrivateKey, pkcs8::EncodePublicKey};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A private key and its name.
pub struct Signer {
    pub kid: String,
    private: EncodingKey,
    algorithm: Algorithm,
    /// The public key, in the form that a public key would be taken for a secret in.
    pub public_pem: String,
}

impl Signer {
    /// An RSA key of 2,048 bits.
    pub fn rsa(kid: &str) -> Self {
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2_048).unwrap();
        Self {
            kid: kid.to_owned(),
            private: EncodingKey::from_rsa_der(key.to_pkcs1_der().unwrap().as_bytes()),
            algorithm: Algorithm::RS256,
            public_pem: key.to_public_key().to_public_key_pem(rsa::pkcs8::LineEnding::LF).unwrap(),
        }
    }

    /// A key on the curve P-256.
    pub fn p256(kid: &str) -> Self {
        let key = p256::ecdsa::SigningKey::random(&mut rsa::rand_core::OsRng);
        Self {
            kid: kid.to_owned(),
            private: EncodingKey::from_ec_der(key.to_pkcs8_der().unwrap().as_bytes()),
            algorithm: Algorithm::ES256,
            public_pem: key.verifying_key().to_public_key_pem(p256::pkcs8::LineEnding::LF).unwrap(),
        }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }

    fn public(&self) -> Value {
        let mut key = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        key.common.key_id = Some(self.kid.clone());
        serde_json::to_value(key).unwrap()
    }
}

/// Two keys for all tests of a process: making one takes a while.
pub fn signers() -> &'static [Signer; 2] {
    static SIGNERS: OnceLock<[Signer; 2]> = OnceLock::new();
    SIGNERS.get_or_init(|| [Signer::rsa("first"), Signer::rsa("second")])
}

/// A token put together by hand.
pub fn token(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode(signature))
}

/// Serves keys on loopback, counts how often, and can be down.
#[derive(Clone, Default)]
pub struct KeyServer {
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
    is_down: Arc<AtomicBool>,
}

impl KeyServer {
    /// Starts one with this key; its address.
    pub async fn start(signer: &Signer) -> (Self, String) {
        let server = Self::default();
        server.publish(&[signer]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/certs", listener.local_addr().unwrap());
        let router = Router::new().route("/certs", get(answer)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, url)
    }

    pub fn publish(&self, signers: &[&Signer]) {
        *self.keys.lock().unwrap() = signers.iter().map(|signer| signer.public()).collect();
    }

    pub fn set_down(&self, down: bool) {
        self.is_down.store(down, Ordering::SeqCst);
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(server): State<KeyServer>) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    server.asked.fetch_add(1, Ordering::SeqCst);
    let status = if server.is_down.load(Ordering::SeqCst) { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
    let keys = json!({"keys": *server.keys.lock().unwrap()});
    (status, [("cache-control", "public, max-age=3600")], keys.to_string())
}
