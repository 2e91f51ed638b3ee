//! What a token says, and whether that is enough.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Caller, Refusal};

/// Google writes either.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// How far two machines' clocks may be apart, in seconds.
const LEEWAY: f64 = 30.0;

/// The claims of a token whose signature is good. Times are in seconds since 1970.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    /// The caller, where the token is Google's, for us, in force, and of an account that is allowed.
    pub(super) fn check(
        self,
        audiences: &BTreeSet<String>,
        accounts: &BTreeSet<String>,
        now: DateTime<Utc>,
    ) -> Result<Caller, Refusal> {
        let bad = |reason: &str| Err(Refusal::BadToken(reason.to_owned()));
        if !ISSUERS.contains(&self.iss.as_str()) {
            return bad("Google has not issued it");
        }
        let is_for_us = match &self.aud {
            Audience::One(audience) => audiences.contains(audience),
            Audience::Several(several) => several.iter().any(|audience| audiences.contains(audience)),
        };
        if !is_for_us {
            return bad("it is for another audience");
        }
        // Whole seconds of any date are exact in a double.
        let now = now.timestamp() as f64;
        if now >= self.exp + LEEWAY {
            return bad("it has expired");
        }
        if self.nbf.is_some_and(|not_before| now + LEEWAY < not_before) {
            return bad("it is not valid yet");
        }
        let Some(email) = self.email else { return bad("it names no account") };
        if !self.email_verified {
            return Err(Refusal::NotAllowed(format!("the address {email} is not verified")));
        }
        if !accounts.contains(&email) {
            return Err(Refusal::NotAllowed(format!("{email} may not deliver events here")));
        }
        Ok(Caller { email })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn check(change: Value) -> Result<Caller, Refusal> {
        let mut claims = json!({
            "iss": "https://accounts.google.com", "aud": "https://load-table.run.app", "exp": NOW + 3_600,
            "email": "push@p.iam.gserviceaccount.com", "email_verified": true,
        });
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let claims: Claims = serde_json::from_value(claims).unwrap();
        let audiences = BTreeSet::from(["https://load-table.run.app".to_owned()]);
        let accounts = BTreeSet::from(["push@p.iam.gserviceaccount.com".to_owned()]);
        claims.check(&audiences, &accounts, DateTime::from_timestamp(NOW, 0).unwrap())
    }

    #[test]
    fn both_spellings_of_the_issuer_and_a_list_of_audiences_are_accepted() {
        check(json!({})).unwrap();
        check(json!({"iss": "accounts.google.com", "aud": ["other", "https://load-table.run.app"]})).unwrap();
    }

    #[test]
    fn clocks_may_be_thirty_seconds_apart_and_no_more() {
        check(json!({"exp": NOW - 29, "nbf": NOW + 30})).unwrap();
        for change in [json!({"exp": NOW - 30}), json!({"nbf": NOW + 31})] {
            assert!(matches!(check(change.clone()), Err(Refusal::BadToken(_))), "{change}");
        }
    }

    #[test]
    fn a_token_without_an_account_is_no_proof() {
        assert_eq!(check(json!({"email": null})), Err(Refusal::BadToken("it names no account".to_owned())));
    }
}
