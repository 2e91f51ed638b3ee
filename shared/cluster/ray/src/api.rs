//! The Jobs API's calls.

use std::{error::Error, time::Duration};

use chrono::{DateTime, Utc};
use millstream_ports::{ErrorKind, PortError, PortResult};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header::HeaderValue, redirect::Policy};
use serde::Serialize;

use crate::{
    info::JobInfo,
    log::{Tail, start_in},
    settings::RaySettings,
    submission::Submission,
};

/// A call that takes longer is given up: the head asks the node that the job runs on.
const CALL_TIME: Duration = Duration::from_secs(60);

/// The longest description of a job, in bytes: Ray cuts what it quotes of a log at 20,000 characters.
const LONGEST_ANSWER: usize = 4 << 20;

/// Ray's lines before a program's own, in bytes. They repeat the entrypoint.
const LOG_HEAD: usize = 1 << 20;

/// How much of a refusal is repeated, in characters.
const REFUSAL: usize = 500;

/// A quota of a proxy is rarely free again sooner.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);

/// What became of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// The cluster took it.
    New,
    /// The cluster has a job of this id already.
    Exists,
}

/// A cluster's Jobs API.
#[derive(Debug)]
pub(crate) struct Api {
    base: String,
    authorization: Option<HeaderValue>,
    client: reqwest::Client,
}

impl Api {
    /// # Errors
    /// `Invalid` for an address or a token that cannot be one.
    pub(crate) fn new(settings: &RaySettings) -> PortResult<Self> {
        let address = reqwest::Url::parse(&settings.address)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none())
            .ok_or_else(|| {
                PortError::invalid(format!(
                    "{:?} is no address of a Ray cluster: write the dashboard's, such as http://127.0.0.1:8265",
                    settings.address
                ))
            })?;
        let authorization = settings.token.as_ref().map(|token| bearer(token.expose())).transpose()?;
        // An error says that another thread was faster: there is one TLS provider for every client in the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(CALL_TIME)
            // The token is for this address alone.
            .redirect(Policy::none())
            .build()
            .map_err(|error| PortError::internal("no HTTP client for Ray").caused_by(error))?;
        Ok(Self { base: address.as_str().trim_end_matches('/').to_owned(), authorization, client })
    }

    /// The cluster's address, for messages.
    pub(crate) fn address(&self) -> &str {
        &self.base
    }

    /// What the cluster knows of a job.
    pub(crate) async fn job(&self, job: &str) -> PortResult<Option<JobInfo>> {
        let answer = self.send(self.request(Method::GET, job, "")).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = self.body(success(answer, "reading").await?).await?;
        serde_json::from_slice(&body).map(Some).map_err(|error| {
            PortError::internal(format!("Ray's answer for the job {job} cannot be read")).caused_by(error)
        })
    }

    pub(crate) async fn submit(&self, submission: &Submission) -> PortResult<Submitted> {
        let request = self.authorized(self.client.post(format!("{}/api/jobs/", self.base)));
        let answer = self.send(json(request, submission)?).await?;
        if answer.status().is_success() {
            return Ok(Submitted::New);
        }
        match refusal(answer, "submitting").await {
            Refusal { exists: true, .. } => Ok(Submitted::Exists),
            Refusal { error, .. } => Err(error),
        }
    }

    /// Asks for a job's end. One that is not there is as good.
    pub(crate) async fn stop(&self, job: &str) -> PortResult<()> {
        let answer = self.send(self.request(Method::POST, job, "/stop")).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        success(answer, "stopping").await.map(drop)
    }

    /// Forgets a job that has ended. One that is not there is as good.
    pub(crate) async fn delete(&self, job: &str) -> PortResult<()> {
        let answer = self.send(self.request(Method::DELETE, job, "")).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        success(answer, "deleting").await.map(drop)
    }

    /// The last `limit` bytes of a job's log.
    pub(crate) async fn log_tail(&self, job: &str, limit: usize) -> PortResult<String> {
        let mut answer = self.log(job).await?;
        let mut tail = Tail::new(limit);
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(error))? {
            tail.push(&chunk);
        }
        tail.read().ok_or_else(|| PortError::internal(format!("Ray's answer with the log of {job} cannot be read")))
    }

    /// When the job's program began to run, where its log says so.
    pub(crate) async fn start(&self, job: &str) -> PortResult<Option<DateTime<Utc>>> {
        let mut answer = self.log(job).await?;
        let mut head = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(error))? {
            head.extend_from_slice(&chunk);
            if let Some(start) = start_in(&head) {
                return Ok(Some(start));
            }
            if head.len() > LOG_HEAD {
                break;
            }
        }
        Ok(None)
    }

    async fn log(&self, job: &str) -> PortResult<Response> {
        let answer = self.send(self.request(Method::GET, job, "/logs")).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(PortError::not_found(format!(
                "there is no training job {job} in the Ray cluster {}",
                self.base
            )));
        }
        success(answer, "reading the log of").await
    }

    /// `job` has been checked: its characters need no escaping in a path.
    fn request(&self, method: Method, job: &str, below: &str) -> RequestBuilder {
        self.authorized(self.client.request(method, format!("{}/api/jobs/{job}{below}", self.base)))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            Some(authorization) => request.header(reqwest::header::AUTHORIZATION, authorization),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> PortResult<Response> {
        request.send().await.map_err(|error| self.unreachable(error))
    }

    /// An answer's bytes, as far as an answer may be long.
    async fn body(&self, mut answer: Response) -> PortResult<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(error))? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST_ANSWER {
                return Err(PortError::internal(format!("{} answers more than {LONGEST_ANSWER} bytes", self.base)));
            }
        }
        Ok(body)
    }

    fn unreachable(&self, error: impl Error + Send + Sync + 'static) -> PortError {
        PortError::unavailable(format!("the Ray cluster {} does not answer; is its dashboard up?", self.base))
            .caused_by(error)
    }
}

fn bearer(token: &[u8]) -> PortResult<HeaderValue> {
    let mut header = HeaderValue::from_bytes(&[b"Bearer ", token.trim_ascii()].concat())
        .map_err(|_| PortError::invalid("the token of the Ray cluster has characters that no header can have"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn json(request: RequestBuilder, body: &impl Serialize) -> PortResult<RequestBuilder> {
    let body = serde_json::to_vec(body)
        .map_err(|error| PortError::internal("a Ray job cannot be written as JSON").caused_by(error))?;
    Ok(request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body))
}

async fn success(answer: Response, doing: &str) -> PortResult<Response> {
    if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer, doing).await.error) }
}

/// An answer that is no success.
struct Refusal {
    /// Whether there is a job of this id already.
    exists: bool,
    error: PortError,
}

/// Reads a refusal: Ray answers with a traceback of Python as text, whose last line says what is wrong.
async fn refusal(mut answer: Response, doing: &str) -> Refusal {
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    // A line that breaks leaves what has come so far.
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    let said = |what: &str| text.contains(what);
    let words = || text.lines().map(str::trim).rfind(|line| !line.is_empty() && *line != ".").unwrap_or_default();
    let kind = match status {
        400 => ErrorKind::Invalid,
        401 | 403 => ErrorKind::Denied,
        429 => ErrorKind::Quota { retry_after: QUOTA_PAUSE },
        // The head passes on what the agent of a node refuses.
        500 if said("Request failed with status code 400") => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    let words: String = words().chars().take(REFUSAL).collect();
    Refusal {
        exists: status == 500 && said("already exists") && said("submission_id"),
        error: PortError::new(kind, format!("{doing} a job, Ray answers {status}: {words}")),
    }
}
