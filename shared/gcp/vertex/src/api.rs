//! The REST APIs of Vertex AI, Cloud Monitoring and Cloud Logging, as far as they are used here.
//!
//! Plain calls: Google's generated client of Vertex AI is a million lines, writes enums as numbers, and has nothing for the
//! other two. Each request is checked in the tests by Google's own message definitions.

use std::{sync::OnceLock, time::Duration};

use millstream_gcp_client::{Connection, Service, install_tls};
use millstream_ports::{PortError, PortResult};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{errors::Problem, settings::VertexSettings};

/// A call that takes longer is given up: jobs and operations are asked for, never waited for, in one call.
const CALL_TIME: Duration = Duration::from_secs(60);

/// The longest answer that is read, in bytes: a page of log entries is at most 10 MB, everything else is far smaller.
const ANSWER_LIMIT: usize = 32 << 20;

/// Resources a page of a list.
const PAGE: usize = 100;

/// The most pages of a list that are read: more is a mistake somewhere.
const PAGES: usize = 1_000;

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// Vertex AI in the settings' region.
    Platform,
    /// Cloud Monitoring.
    Monitoring,
    /// Cloud Logging.
    Logging,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) host: Host,
    pub(crate) method: Method,
    /// Below the API's version, such as `projects/shop/locations/us-central1/models`. Its parts were validated as names.
    pub(crate) path: String,
    pub(crate) query: Vec<(&'a str, String)>,
    pub(crate) body: Option<Value>,
}

impl<'a> Call<'a> {
    /// Reads from Vertex AI.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { host: Host::Platform, method: Method::GET, path: path.into(), query: Vec::new(), body: None }
    }

    /// Sends to Vertex AI.
    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(path) }
    }

    /// Changes at Vertex AI what `mask` names.
    pub(crate) fn patch(path: impl Into<String>, mask: &str, body: Value) -> Self {
        let query = vec![("updateMask", mask.to_owned())];
        Self { method: Method::PATCH, query, ..Self::post(path, body) }
    }

    /// With one more parameter.
    pub(crate) fn with(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// To another of the APIs.
    pub(crate) fn to(self, host: Host) -> Self {
        Self { host, ..self }
    }
}

/// The APIs for one project and region.
#[derive(Debug)]
pub(crate) struct Api {
    connection: Connection,
    location: String,
    client: OnceLock<reqwest::Client>,
}

impl Api {
    pub(crate) fn new(connection: Connection, settings: &VertexSettings) -> Self {
        Self { connection, location: settings.location.clone(), client: OnceLock::new() }
    }

    /// The project's id.
    pub(crate) fn project(&self) -> &str {
        &self.connection.project
    }

    /// What jobs, models and endpoints are below: `projects/PROJECT/locations/LOCATION`.
    pub(crate) fn parent(&self) -> String {
        format!("projects/{}/locations/{}", self.connection.project, self.location)
    }

    fn client(&self) -> PortResult<&reqwest::Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        install_tls();
        let client = reqwest::Client::builder()
            .timeout(CALL_TIME)
            .build()
            .map_err(|error| PortError::internal("no HTTP client for Vertex AI").caused_by(error))?;
        Ok(self.client.get_or_init(|| client))
    }

    fn base(&self, host: Host) -> String {
        let version = match host {
            Host::Platform => "v1",
            Host::Monitoring => "v3",
            Host::Logging => "v2",
        };
        if let Some(emulator) = self.connection.emulator(Service::Vertex) {
            return format!("{emulator}/{version}");
        }
        match host {
            Host::Platform => format!("https://{}-aiplatform.googleapis.com/{version}", self.location),
            Host::Monitoring => format!("https://monitoring.googleapis.com/{version}"),
            Host::Logging => format!("https://logging.googleapis.com/{version}"),
        }
    }

    /// Sends a request and reads the answer; a refusal is the inner error. `doing` completes "cannot ..".
    pub(crate) async fn ask<T: DeserializeOwned>(&self, doing: &str, call: Call<'_>) -> PortResult<Result<T, Problem>> {
        let mut url = Url::parse(&format!("{}/{}", self.base(call.host), call.path))
            .map_err(|error| PortError::internal(format!("cannot {doing}: the address is no URL")).caused_by(error))?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = self.client()?.request(call.method, url);
        if let Some(token) = self.connection.bearer(Service::Vertex).await? {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| {
            PortError::unavailable(format!("cannot {doing}: {:?} does not answer", call.host))
                .caused_by(error.without_url())
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(PortError::internal(format!(
                    "cannot {doing}: the answer is longer than {ANSWER_LIMIT} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Ok(Err(Problem::of_response(status.as_u16(), &body)));
        }
        let answer = serde_json::from_slice(&body).map_err(|error| {
            PortError::internal(format!("cannot {doing}: the answer cannot be read")).caused_by(error)
        })?;
        Ok(Ok(answer))
    }

    /// As [`ask`](Self::ask), where a refusal is an error.
    pub(crate) async fn call<T: DeserializeOwned>(&self, doing: &str, call: Call<'_>) -> PortResult<T> {
        self.ask(doing, call).await?.map_err(|problem| problem.into_error(doing))
    }

    /// A whole list; `field` is its name in the answers.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        doing: &str,
        field: &str,
        path: &str,
        filter: &str,
    ) -> PortResult<Vec<T>> {
        let call = |token: Option<&str>| {
            let mut call = Call::get(path).with("pageSize", PAGE.to_string());
            if !filter.is_empty() {
                call = call.with("filter", filter);
            }
            match token {
                Some(token) => call.with("pageToken", token),
                None => call,
            }
        };
        self.pages(doing, field, call).await
    }

    /// Every page of a list; `call` makes the request for the page that a token names, the first one without.
    pub(crate) async fn pages<'a, T: DeserializeOwned>(
        &self,
        doing: &str,
        field: &str,
        call: impl Fn(Option<&str>) -> Call<'a>,
    ) -> PortResult<Vec<T>> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let mut page: serde_json::Map<String, Value> = self.call(doing, call(token.as_deref())).await?;
            if let Some(found) = page.remove(field) {
                let found: Vec<T> = serde_json::from_value(found).map_err(|error| {
                    PortError::internal(format!("cannot {doing}: the answer's {field} cannot be read")).caused_by(error)
                })?;
                all.extend(found);
            }
            match page.get("nextPageToken").and_then(Value::as_str) {
                Some(next) if !next.is_empty() => token = Some(next.to_owned()),
                _ => return Ok(all),
            }
        }
        Err(PortError::internal(format!("cannot {doing}: more than {PAGES} pages of {field}")))
    }
}
