//! Passwords and keys by their names: a reference `secret:crm` in a file, its value only where it is used.

use std::fmt;

use async_trait::async_trait;

pub use millstream_events::secret_name::{SecretName, SecretNameError};

use crate::error::{PortError, PortResult};

/// Finds secrets.
#[async_trait]
pub trait Secrets: fmt::Debug + Send + Sync {
    /// The secret's value as it is now. Ask at each use and keep nothing: a secret may be replaced at any time.
    ///
    /// `NotFound` says where it should be put; `Denied` who may not read it.
    async fn get(&self, name: &SecretName) -> PortResult<Secret>;
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
