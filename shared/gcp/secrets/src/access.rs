//! The answers of `versions:access`. Whatever is wrong with one, nothing of it is repeated but Google's own error: what
//! cannot be read may still be a secret.

use base64::{Engine, engine::general_purpose::STANDARD};
use millstream_ports::{PortError, PortResult, Secret, SecretName};
use serde::Deserialize;

/// A version's value.
pub(crate) fn payload(name: &SecretName, body: &[u8]) -> PortResult<Secret> {
    #[derive(Deserialize)]
    struct Answer {
        payload: Payload,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        #[serde(default)]
        data: String,
        /// A 64-bit number, which JSON writes as text.
        data_crc32c: Option<String>,
    }

    let unreadable = || PortError::internal(format!("Secret Manager's answer for the secret {name} cannot be read"));
    let Answer { payload } = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let value = STANDARD.decode(payload.data).map_err(|_| unreadable())?;
    match payload.data_crc32c.map(|text| text.parse::<u32>()) {
        Some(Ok(checksum)) if checksum == crc32c::crc32c(&value) => Ok(Secret::new(value)),
        Some(Ok(_)) => {
            Err(PortError::unavailable(format!("the secret {name} arrived damaged: its checksum is another")))
        }
        Some(Err(_)) | None => Err(unreadable()),
    }
}

/// Google's own words for an error.
pub(crate) fn reason(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        error: Problem,
    }

    #[derive(Deserialize)]
    struct Problem {
        message: String,
    }

    serde_json::from_slice::<Answer>(body).ok().map(|answer| answer.error.message)
}
