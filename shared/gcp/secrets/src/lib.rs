//! Secrets from Google's Secret Manager: a name in, the value of its newest version out.

mod access;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use millstream_gcp_client::{Connection, Service, install_tls, kind_of_status};
use millstream_ports::{Clock, ErrorKind, PortError, PortResult, Secret, SecretName, Secrets};

/// Where Secret Manager is.
const GOOGLE: &str = "https://secretmanager.googleapis.com";

/// How long a value is used before it is asked for again: a replaced secret is in use after this long, and a process that
/// opens many connections does not ask for each.
const KEPT: TimeDelta = TimeDelta::minutes(5);

/// A call that takes longer is given up.
const CALL_TIME: Duration = Duration::from_secs(10);

/// [`Secrets`] in a project's Secret Manager.
#[derive(Debug)]
pub struct SecretManager {
    connection: Connection,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    kept: RwLock<HashMap<SecretName, Kept>>,
}

#[derive(Debug, Clone)]
struct Kept {
    secret: Secret,
    since: DateTime<Utc>,
}

impl SecretManager {
    /// The secrets of the connection's project.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(connection: Connection, clock: Arc<dyn Clock>) -> PortResult<Self> {
        install_tls();
        let client = reqwest::Client::builder()
            .timeout(CALL_TIME)
            .build()
            .map_err(|error| PortError::internal("no HTTP client for Secret Manager").caused_by(error))?;
        Ok(Self { connection, client, clock, kept: RwLock::default() })
    }

    fn kept(&self, name: &SecretName) -> Option<Secret> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()?;
        (self.clock.now() - kept.since < KEPT).then_some(kept.secret)
    }

    fn keep(&self, name: &SecretName, secret: Secret) {
        let kept = Kept { secret, since: self.clock.now() };
        self.kept.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), kept);
    }

    async fn access(&self, name: &SecretName) -> PortResult<Secret> {
        let base = self.connection.emulator(Service::SecretManager).unwrap_or(GOOGLE);
        // A name's characters need no escaping in a path.
        let url = format!("{base}/v1/projects/{}/secrets/{name}/versions/latest:access", self.connection.project);
        let mut request = self.client.get(url);
        if let Some(token) = self.connection.bearer(Service::SecretManager).await? {
            request = request.bearer_auth(token);
        }
        let unreachable = |error: reqwest::Error| {
            PortError::unavailable(format!("Secret Manager does not answer for the secret {name}")).caused_by(error)
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(unreachable)?;
        if status == 200 { access::payload(name, &body) } else { Err(self.refused(name, status, &body)) }
    }

    fn refused(&self, name: &SecretName, status: u16, body: &[u8]) -> PortError {
        let project = &self.connection.project;
        let kind = kind_of_status(status);
        let what = match kind {
            ErrorKind::NotFound => format!("there is no secret {name} in the project {project}, or it has no version"),
            ErrorKind::Denied => format!(
                "the secret {name} may not be read: give the service account \
                 roles/secretmanager.secretAccessor on it in the project {project}"
            ),
            _ => format!("the secret {name} of the project {project} cannot be read"),
        };
        match access::reason(body) {
            Some(reason) => PortError::new(kind, format!("{what} ({reason})")),
            None => PortError::new(kind, format!("{what} (status {status})")),
        }
    }
}

#[async_trait]
impl Secrets for SecretManager {
    async fn get(&self, name: &SecretName) -> PortResult<Secret> {
        if let Some(secret) = self.kept(name) {
            return Ok(secret);
        }
        let secret = self.access(name).await?;
        self.keep(name, secret.clone());
        Ok(secret)
    }
}
