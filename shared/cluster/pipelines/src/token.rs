//! Who calls.

use std::{fmt::Debug, path::PathBuf};

use async_trait::async_trait;
use millstream_ports::{ErrorKind, PortError, PortResult, Secret};

/// Gives the bearer token of a call.
#[async_trait]
pub trait TokenSource: Debug + Send + Sync {
    /// A token that is good now.
    async fn token(&self) -> PortResult<Secret>;
}

/// The same token for each call.
#[derive(Debug, Clone)]
pub struct FixedToken(pub Secret);

#[async_trait]
impl TokenSource for FixedToken {
    async fn token(&self) -> PortResult<Secret> {
        Ok(self.0.clone())
    }
}

/// A file with a token, which Kubernetes replaces before it expires: a projected service account token with the audience
/// `pipelines.kubeflow.org`.
#[derive(Debug, Clone)]
pub struct TokenFile(pub PathBuf);

#[async_trait]
impl TokenSource for TokenFile {
    async fn token(&self) -> PortResult<Secret> {
        let token = tokio::fs::read(&self.0).await.map_err(|error| {
            PortError::new(ErrorKind::Denied, format!("the token file {} cannot be read: {error}", self.0.display()))
                .caused_by(error)
        })?;
        Ok(Secret::new(token.trim_ascii()))
    }
}
