//! Secrets that a test gives.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;

use crate::{
    error::{PortError, PortResult},
    secrets::{Secret, SecretName, Secrets},
};

/// [`Secrets`] in memory.
#[derive(Debug, Default)]
pub struct MemorySecrets(Mutex<HashMap<SecretName, Secret>>);

impl MemorySecrets {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a secret, or replaces its value.
    pub fn put(&self, name: SecretName, value: Secret) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, value);
    }
}

#[async_trait]
impl Secrets for MemorySecrets {
    async fn get(&self, name: &SecretName) -> PortResult<Secret> {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.get(name).cloned().ok_or_else(|| PortError::not_found(format!("there is no secret {name}")))
    }
}
