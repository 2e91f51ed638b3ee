//! Passwords and keys by their names: a reference `secret:crm` in a file, its value only where it is used.

use std::{fmt, str::FromStr};

use async_trait::async_trait;

use crate::error::{PortError, PortResult};

/// How a setting or a pipeline refers to a secret.
const PREFIX: &str = "secret:";

/// The longest name that Secret Manager takes.
const LONGEST: usize = 255;

/// Finds secrets.
#[async_trait]
pub trait Secrets: fmt::Debug + Send + Sync {
    /// The secret's value as it is now. Ask at each use and keep nothing: a secret may be replaced at any time.
    ///
    /// `NotFound` says where it should be put; `Denied` who may not read it.
    async fn get(&self, name: &SecretName) -> PortResult<Secret>;
}

/// A secret's name: 1 to 255 letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// A secret's value. It can be neither printed nor serialised by mistake: using it takes a call of [`expose`](Self::expose).
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(value.into())
    }

    /// The value.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value as text.
    ///
    /// # Errors
    /// `Invalid` for bytes that are no text.
    pub fn expose_text(&self) -> PortResult<&str> {
        // The error of the conversion would say which byte it stopped at, and nothing of a secret is said.
        std::str::from_utf8(&self.0).map_err(|_| PortError::invalid("the secret is no UTF-8 text"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
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
