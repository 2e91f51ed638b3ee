//! Google's identity tokens: `Authorization: Bearer TOKEN` in, the service account out.
//!
//! A token is accepted that one of the key server's keys has signed (RS256 or ES256, whichever the key is for: what the
//! token's header says is not trusted), that Google has issued for one of our audiences, that is in force, and whose
//! account's address is verified and among those allowed.

mod claims;
mod keys;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use http::{HeaderMap, header};
use jsonwebtoken::{Validation, decode, decode_header};
use millstream_ports::Clock;

use self::{
    claims::Claims,
    keys::{KeyCache, Missing},
};
use super::{Authenticate, Caller, Refusal};
use crate::settings::Auth;

/// The longest token that is looked at; Google's are about a kilobyte.
const LONGEST_TOKEN: usize = 8 << 10;

/// The process's HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for the key server: {0}")]
pub struct VerifierError(#[from] reqwest::Error);

/// Verifies Google's identity tokens.
#[derive(Debug)]
pub struct Verifier {
    audiences: BTreeSet<String>,
    accounts: BTreeSet<String>,
    keys: Arc<KeyCache>,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// For these audiences and accounts. Keys are fetched with the first token; ring becomes the process's TLS provider
    /// where there is none yet.
    ///
    /// # Errors
    /// When the machine's root certificates cannot be used.
    pub fn new(auth: &Auth, clock: Arc<dyn Clock>) -> Result<Self, VerifierError> {
        crate::tls::install();
        Ok(Self {
            audiences: auth.audiences.iter().cloned().collect(),
            accounts: auth.accounts.iter().cloned().collect(),
            keys: Arc::new(KeyCache::new(auth.jwks_url.clone(), Arc::clone(&clock))?),
            clock,
        })
    }

    async fn verify(&self, token: &str) -> Result<Caller, Refusal> {
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::BadToken(format!("it is longer than {LONGEST_TOKEN} bytes")));
        }
        // The library's own words may quote the token; these do not.
        let header =
            decode_header(token).map_err(|_| Refusal::BadToken("it is no signed JSON Web Token".to_owned()))?;
        let kid = header.kid.ok_or_else(|| Refusal::BadToken("it does not say which key has signed it".to_owned()))?;
        let key = self.keys.get(&kid).await.map_err(|missing| match missing {
            Missing::Unknown => Refusal::BadToken("the key server does not know the key that has signed it".to_owned()),
            Missing::Unreachable(problem) => Refusal::Unverifiable(problem),
        })?;
        let mut signature_only = Validation::new(key.algorithm);
        // The claims are checked by our own rules and clock.
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        let token = decode::<Claims>(token, &key.decoding, &signature_only)
            .map_err(|_| Refusal::BadToken("its signature or its form is wrong".to_owned()))?;
        token.claims.check(&self.audiences, &self.accounts, self.clock.now())
    }
}

#[async_trait]
impl Authenticate for Verifier {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => self.verify(token.trim()).await,
            _ => Err(Refusal::NoToken),
        }
    }
}
