//! A project, who calls in it, and where its services are.

use google_cloud_auth::credentials::{self, AccessTokenCredentials, Credentials, anonymous::Builder as Anonymous};
use millstream_ports::{ErrorKind, PortError, PortResult};

use crate::emulators::Emulators;

/// All of Google Cloud: what the service account may do is decided by its roles.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A service of Google Cloud that Millstream calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Cloud Storage.
    Storage,
    /// Pub/Sub.
    PubSub,
    /// BigQuery.
    BigQuery,
    /// Secret Manager.
    SecretManager,
    /// Vertex AI.
    Vertex,
    /// The API server of a cluster, to which Google's tokens are known.
    Kubernetes,
    /// What is around them: Cloud Run, Cloud Scheduler, Eventarc, the project itself.
    Platform,
}

impl Service {
    /// Each of them.
    pub const ALL: [Self; 7] = [
        Self::Storage,
        Self::PubSub,
        Self::BigQuery,
        Self::SecretManager,
        Self::Vertex,
        Self::Kubernetes,
        Self::Platform,
    ];

    /// The variable that names an emulator. The last two are ours: Google has no emulator for these services.
    #[must_use]
    pub const fn emulator_variable(self) -> Option<&'static str> {
        match self {
            Self::Storage => Some("STORAGE_EMULATOR_HOST"),
            Self::PubSub => Some("PUBSUB_EMULATOR_HOST"),
            Self::BigQuery => Some("BIGQUERY_EMULATOR_HOST"),
            Self::SecretManager => Some("SECRET_MANAGER_EMULATOR_HOST"),
            Self::Vertex => Some("VERTEX_EMULATOR_HOST"),
            // A cluster is named by its settings, wherever it runs.
            Self::Kubernetes | Self::Platform => None,
        }
    }
}

/// The process's connection to Google Cloud could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// There are no application default credentials.
    #[error(
        "no credentials for Google Cloud: {0}; on a workstation run `gcloud auth application-default login`, in Google \
         Cloud give the service a service account"
    )]
    Credentials(#[source] google_cloud_auth::build_errors::Error),
}

/// A project, who calls in it, and where its services are.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The project's id.
    pub project: String,
    emulators: Emulators,
    /// Absent where emulators stand in for the whole platform: on such a machine there may be nobody to ask for a token.
    real: Option<AccessTokenCredentials>,
}

impl Connection {
    /// With the application default credentials, for the services that have no emulator. Within a Tokio runtime, which
    /// renews them.
    ///
    /// # Errors
    /// When there are none. Whether they are good is known at the first call.
    pub fn new(project: impl Into<String>, emulators: Emulators) -> Result<Self, ConnectionError> {
        let needed = [Service::Storage, Service::PubSub, Service::BigQuery];
        let real = if needed.into_iter().all(|service| emulators.url(service).is_some()) {
            None
        } else {
            let builder = credentials::Builder::default().with_scopes([SCOPE]);
            Some(builder.build_access_token_credentials().map_err(ConnectionError::Credentials)?)
        };
        Ok(Self { project: project.into(), emulators, real })
    }

    /// The emulator's base URL where one stands in for the service.
    #[must_use]
    pub fn emulator(&self, service: Service) -> Option<&str> {
        self.emulators.url(service)
    }

    /// What Google's own clients call the service with.
    #[must_use]
    pub fn credentials(&self, service: Service) -> Credentials {
        match &self.real {
            Some(real) if self.emulator(service).is_none() => real.clone().into(),
            _ => Anonymous::new().build(),
        }
    }

    /// The bearer token for a call over plain HTTP; `None` for an emulator. It is kept and renewed by the credentials.
    pub async fn bearer(&self, service: Service) -> PortResult<Option<String>> {
        if self.emulator(service).is_some() {
            return Ok(None);
        }
        let Some(real) = &self.real else {
            return Err(PortError::new(
                ErrorKind::Denied,
                format!("{service:?} has no emulator here, and beside emulators nobody asks Google for a token"),
            ));
        };
        let token = real.access_token().await.map_err(|error| {
            let kind = if error.is_transient() { ErrorKind::Unavailable } else { ErrorKind::Denied };
            PortError::new(kind, "no access token for Google Cloud").caused_by(error)
        })?;
        Ok(Some(token.token))
    }
}
