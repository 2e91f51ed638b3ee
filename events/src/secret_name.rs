//! Secrets by their names: all that a file, an event or a record ever says of one.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a setting or a pipeline refers to a secret.
const PREFIX: &str = "secret:";

/// The longest name that Secret Manager takes.
const LONGEST: usize = 255;

/// A secret's name: 1 to 255 letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SecretName(String);

/// A text that names no secret. The text is not repeated: it may be the secret itself, written where its name belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that is no secret's name: use 1 to 255 of a-z, A-Z, 0-9, - and _, such as secret:crm-password")]
pub struct SecretNameError;

impl SecretName {
    /// Checks a name.
    ///
    /// # Errors
    /// When it is empty, too long or has other characters.
    pub fn new(text: impl Into<String>) -> Result<Self, SecretNameError> {
        let text = text.into();
        let is_valid = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if is_valid && (1..=LONGEST).contains(&text.len()) { Ok(Self(text)) } else { Err(SecretNameError) }
    }

    /// The name in a reference `secret:NAME`; `None` for a text that is a plain value.
    ///
    /// # Errors
    /// When it is a reference with a name that no secret can have.
    pub fn of_reference(text: &str) -> Option<Result<Self, SecretNameError>> {
        text.strip_prefix(PREFIX).map(Self::new)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SecretName {
    type Error = SecretNameError;

    fn try_from(text: String) -> Result<Self, SecretNameError> {
        Self::new(text)
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl FromStr for SecretName {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        Self::new(text)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_told_from_a_plain_value_and_from_a_broken_reference() {
        assert_eq!(SecretName::of_reference("secret:crm_Password-2").unwrap().unwrap().as_str(), "crm_Password-2");
        assert_eq!(SecretName::of_reference("plain"), None);
        for broken in ["secret:", "secret:a b", "secret:../crm", "secret:größe"] {
            assert_eq!(SecretName::of_reference(broken), Some(Err(SecretNameError)), "{broken}");
        }
        assert!(SecretName::new("x".repeat(255)).is_ok() && SecretName::new("x".repeat(256)).is_err());
    }

    #[test]
    fn an_error_about_a_name_does_not_repeat_what_was_written() {
        let error = "hunter two".parse::<SecretName>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter"));
    }
}
