//! The token that proves a private key.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use millstream_ports::{PortError, PortResult};
use rustls::{SignatureScheme, crypto::ring::sign::any_supported_type, pki_types::PrivateKeyDer};
use serde_json::json;
use sha2::{Digest, Sha256};

/// How long a token may be used for signing in, in seconds.
const VALID: i64 = 600;

/// A token of this user at this moment (seconds since 1970), signed with the key.
///
/// # Errors
/// `Invalid` for what is no RSA key.
pub(crate) fn token(key: &PrivateKeyDer<'_>, account: &str, user: &str, now: i64) -> PortResult<String> {
    let unfit = || PortError::invalid("the private_key of the Snowflake URL is no RSA key in PKCS#8");
    let key = any_supported_type(key).map_err(|_| unfit())?;
    let public = key.public_key().ok_or_else(unfit)?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or_else(unfit)?;
    let fingerprint = BASE64_STANDARD.encode(Sha256::digest(&public));
    let subject = format!("{}.{}", account.to_uppercase(), user.to_uppercase());
    let claims = json!({
        "iss": format!("{subject}.SHA256:{fingerprint}"),
        "sub": subject,
        "iat": now,
        "exp": now + VALID,
    });
    let part = |json: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(json!({"alg": "RS256", "typ": "JWT"})), part(claims));
    let signature = signer.sign(signed.as_bytes()).map_err(|_| unfit())?;
    Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}
