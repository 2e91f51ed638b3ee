//! The key server's public keys, kept as long as it says.
//!
//! A key that is not known, or a set that is too old, is asked for again, but never within [`SHORTEST_PAUSE`] of the last
//! time: tokens with made-up key names must not become requests to the key server. Requests that need the same answer
//! wait for one fetch. While the key server is down, what it said last is used, a day at most.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, header};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use millstream_ports::Clock;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

/// The least time between two fetches.
const SHORTEST_PAUSE: TimeDelta = TimeDelta::seconds(10);

/// For how long a set of keys may be fresh, whatever the key server says, and how long it is where it says nothing.
const FRESH_AT_LEAST: TimeDelta = TimeDelta::minutes(1);
const FRESH_AT_MOST: TimeDelta = TimeDelta::hours(24);
const FRESH_BY_DEFAULT: TimeDelta = TimeDelta::hours(1);

/// For how long keys are used that cannot be fetched again: a key withdrawn meanwhile must not be good for ever.
const USABLE: TimeDelta = TimeDelta::hours(24);

/// The longest a fetch may take; a request waits for it.
const FETCH_TIME: Duration = Duration::from_secs(5);

/// The largest set that is read; Google's is two kilobytes.
const LARGEST_SET: usize = 256 << 10;

/// A public key and the one algorithm it verifies.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

/// Why there is no key.
#[derive(Debug)]
pub(super) enum Missing {
    /// The key server does not know it.
    Unknown,
    /// The key server could not be asked.
    Unreachable(String),
}

/// What the key server said, and when.
#[derive(Clone)]
struct Held {
    keys: Arc<HashMap<String, Arc<Key>>>,
    fetched_at: DateTime<Utc>,
    fresh_for: TimeDelta,
}

/// The last fetch: when, and what went wrong.
struct Attempt {
    at: DateTime<Utc>,
    result: Result<(), String>,
}

/// The keys by their names.
pub(super) struct KeyCache {
    url: String,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    held: RwLock<Option<Held>>,
    last: Mutex<Option<Attempt>>,
}

impl std::fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyCache").field("url", &self.url).finish_non_exhaustive()
    }
}

impl KeyCache {
    pub(super) fn new(url: String, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().timeout(FETCH_TIME).build()?;
        Ok(Self { url, client, clock, held: RwLock::new(None), last: Mutex::new(None) })
    }

    /// The key of this name, fetched if need be.
    pub(super) async fn get(self: &Arc<Self>, name: &str) -> Result<Arc<Key>, Missing> {
        if let Some(key) = self.fresh(name) {
            return Ok(key);
        }
        // A task of its own: a caller that hangs up must not take the fetch, and everybody who waits for it, with it.
        let (cache, wanted) = (Arc::clone(self), name.to_owned());
        let asked = tokio::spawn(async move { cache.refresh(&wanted).await }).await;
        if let Some(key) = self.usable(name) {
            return Ok(key);
        }
        match asked {
            Ok(Ok(())) => Err(Missing::Unknown),
            Ok(Err(problem)) => Err(Missing::Unreachable(problem)),
            Err(stopped) => Err(Missing::Unreachable(stopped.to_string())),
        }
    }

    /// Fetches the keys, unless another caller has just done so.
    async fn refresh(&self, wanted: &str) -> Result<(), String> {
        let mut last = self.last.lock().await;
        if self.fresh(wanted).is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        if let Some(attempt) = &*last
            && (now - attempt.at).abs() < SHORTEST_PAUSE
        {
            return attempt.result.clone();
        }
        let result = self.fetch().await;
        match &result {
            Ok(held) => {
                tracing::debug!(keys = held.keys.len(), fresh_for = %held.fresh_for, "keys fetched");
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held.clone());
            }
            Err(problem) => tracing::warn!(url = self.url, problem, "the token keys cannot be fetched"),
        }
        let result = result.map(drop);
        *last = Some(Attempt { at: now, result: result.clone() });
        result
    }

    async fn fetch(&self) -> Result<Held, String> {
        let failed = |error: reqwest::Error| format!("the key server does not answer: {}", error.without_url());
        let mut response = self.client.get(&self.url).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(format!("the key server answers {}", response.status()));
        }
        let fresh_for = freshness(response.headers());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&part);
            if body.len() > LARGEST_SET {
                return Err(format!("the key server's answer is larger than {LARGEST_SET} bytes"));
            }
        }
        let keys = read(&body)?;
        Ok(Held { keys: Arc::new(keys), fetched_at: self.clock.now(), fresh_for })
    }

    fn fresh(&self, name: &str) -> Option<Arc<Key>> {
        self.held_for(name, |held| held.fresh_for)
    }

    fn usable(&self, name: &str) -> Option<Arc<Key>> {
        self.held_for(name, |_| USABLE)
    }

    fn held_for(&self, name: &str, how_long: impl Fn(&Held) -> TimeDelta) -> Option<Arc<Key>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        if self.clock.now() - held.fetched_at >= how_long(&held) {
            return None;
        }
        held.keys.get(name).cloned()
    }
}

/// How long the answer may be kept: `max-age` less the time that a cache on the way has kept it already.
fn freshness(headers: &HeaderMap) -> TimeDelta {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let max_age = text(header::CACHE_CONTROL).and_then(|directives| {
        let seconds = directives.split(',').find_map(|directive| directive.trim().strip_prefix("max-age="))?;
        seconds.parse::<u32>().ok()
    });
    let Some(max_age) = max_age else { return FRESH_BY_DEFAULT };
    let age = text(header::AGE).and_then(|seconds| seconds.parse::<u32>().ok()).unwrap_or(0);
    TimeDelta::seconds(i64::from(max_age.saturating_sub(age))).clamp(FRESH_AT_LEAST, FRESH_AT_MOST)
}

/// The keys of a JSON Web Key Set that verify signatures we accept; others may stand beside them.
fn read(body: &[u8]) -> Result<HashMap<String, Arc<Key>>, String> {
    #[derive(Deserialize)]
    struct KeySet {
        keys: Vec<Value>,
    }

    let set: KeySet = serde_json::from_slice(body).map_err(|error| format!("the key server's answer: {error}"))?;
    let keys: HashMap<_, _> =
        set.keys.into_iter().filter_map(|key| usable_key(&serde_json::from_value(key).ok()?)).collect();
    if keys.is_empty() { Err("the key server has no key for RS256 or ES256".to_owned()) } else { Ok(keys) }
}

/// By the key's own kind, never by what a token says: a public key must not be taken for an HMAC secret.
fn usable_key(key: &Jwk) -> Option<(String, Arc<Key>)> {
    let (algorithm, name) = match &key.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return None,
    };
    let is_for_it = key.common.key_algorithm.is_none_or(|given| given == name);
    let is_for_signatures = key.common.public_key_use.as_ref().is_none_or(|given| *given == PublicKeyUse::Signature);
    if !is_for_it || !is_for_signatures {
        return None;
    }
    let decoding = DecodingKey::from_jwk(key).ok()?;
    Some((key.common.key_id.clone()?, Arc::new(Key { algorithm, decoding })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_as_long_as_the_server_says_within_bounds() {
        for (cache_control, age, expected) in [
            (None, None, FRESH_BY_DEFAULT),
            (Some("no-store"), None, FRESH_BY_DEFAULT),
            (Some("public, max-age=20000, must-revalidate"), None, TimeDelta::seconds(20_000)),
            (Some("public, max-age=20000"), Some("5000"), TimeDelta::seconds(15_000)),
            (Some("max-age=0"), None, FRESH_AT_LEAST),
            (Some("max-age=99999999"), None, FRESH_AT_MOST),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::CACHE_CONTROL, cache_control), (header::AGE, age)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(freshness(&headers), expected, "{cache_control:?} {age:?}");
        }
    }

    #[test]
    fn a_set_without_a_key_that_we_accept_is_no_set() {
        let secret = br#"{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": "HS256"}, {"kty": "new"}]}"#;
        assert!(read(secret).is_err());
        assert!(read(b"<html>").is_err());
    }
}
