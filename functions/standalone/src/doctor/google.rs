//! Google's REST APIs, read only: what is there, and what cannot be seen.

use std::{error::Error, time::Duration};

use anyhow::Context;
use millstream_gcp_client::{Connection, Service};
use reqwest::{Client, Method, StatusCode, redirect};
use serde_json::Value;

use super::Report;

/// The longest part of an answer's own words that is told, in characters.
const TOLD: usize = 200;

/// An API that the doctor reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Storage,
    PubSub,
    BigQuery,
    /// Cloud Run.
    Run,
    /// Cloud Scheduler.
    Scheduler,
    Eventarc,
    /// Projects and who may do what in them.
    Projects,
}

impl Api {
    /// Which of the connection's services it is, and where Google has it.
    const fn place(self) -> (Service, &'static str) {
        match self {
            Self::Storage => (Service::Storage, "https://storage.googleapis.com/storage/v1"),
            Self::PubSub => (Service::PubSub, "https://pubsub.googleapis.com/v1"),
            Self::BigQuery => (Service::BigQuery, "https://bigquery.googleapis.com/bigquery/v2"),
            Self::Run => (Service::Platform, "https://run.googleapis.com/v2"),
            Self::Scheduler => (Service::Platform, "https://cloudscheduler.googleapis.com/v1"),
            Self::Eventarc => (Service::Platform, "https://eventarc.googleapis.com/v1"),
            Self::Projects => (Service::Platform, "https://cloudresourcemanager.googleapis.com/v1"),
        }
    }

    /// The part of Google's base address that an emulator has too.
    const fn path(self) -> &'static str {
        match self {
            Self::Storage => "/storage/v1",
            Self::BigQuery => "/bigquery/v2",
            _ => "/v1",
        }
    }
}

/// What an API answered.
#[derive(Debug)]
pub(super) enum Answer {
    Found(Value),
    Missing,
    /// It cannot be seen from here, and why.
    Hidden(String),
    /// There was no usable answer, and why.
    Failed(String),
}

impl Answer {
    /// What was found. Else the report says what that means, `missing` being what to do where it is not there.
    pub(super) fn or_tell(
        self,
        report: &mut Report,
        link: &'static str,
        subject: &str,
        missing: impl FnOnce() -> (String, String),
    ) -> Option<Value> {
        match self {
            Self::Found(value) => return Some(value),
            Self::Missing => {
                let (detail, todo) = missing();
                report.broken(link, subject, detail, todo);
            }
            Self::Hidden(why) => report.unchecked(link, subject, why),
            Self::Failed(why) => {
                report.broken(
                    link,
                    subject,
                    why,
                    "see that the service is reachable from here, then ask the doctor again",
                );
            }
        }
        None
    }
}

/// The APIs, as one caller.
pub(super) struct Google {
    http: Client,
    connection: Connection,
}

impl Google {
    pub(super) fn new(connection: Connection, patience: Duration) -> anyhow::Result<Self> {
        let http = Client::builder().redirect(redirect::Policy::none()).timeout(patience).build();
        Ok(Self { http: http.context("HTTP cannot be set up")?, connection })
    }

    /// Whether an emulator stands in for an API.
    pub(super) fn is_emulated(&self, api: Api) -> bool {
        self.connection.emulator(api.place().0).is_some()
    }

    /// Whether this is a platform of emulators: then there is nothing of Google's around them.
    pub(super) fn is_local(&self) -> bool {
        [Api::Storage, Api::PubSub, Api::BigQuery].into_iter().all(|api| self.is_emulated(api))
    }

    /// Reads a resource, such as `projects/P/topics/T`.
    pub(super) async fn get(&self, api: Api, resource: &str) -> Answer {
        self.call(api, Method::GET, resource).await
    }

    /// Reads who may do what with a resource.
    pub(super) async fn policy(&self, api: Api, resource: &str) -> Answer {
        // Of all these APIs, only that of projects wants a POST.
        let method = if api == Api::Projects { Method::POST } else { Method::GET };
        self.call(api, method, &format!("{resource}:getIamPolicy")).await
    }

    /// Every item of a list, page by page.
    pub(super) async fn list(&self, api: Api, resource: &str, items: &str) -> Result<Vec<Value>, Answer> {
        let mut all = Vec::new();
        let mut page = String::new();
        loop {
            let asked = if page.is_empty() { resource.to_owned() } else { format!("{resource}?pageToken={page}") };
            let Value::Object(mut answer) = (match self.get(api, &asked).await {
                Answer::Found(value) => value,
                other => return Err(other),
            }) else {
                return Err(Answer::Failed(format!("{resource} is not answered with a list")));
            };
            if let Some(Value::Array(found)) = answer.remove(items) {
                all.extend(found);
            }
            match answer.get("nextPageToken").and_then(Value::as_str) {
                // A token is opaque, and base64 has signs that mean something in a query.
                Some(next) if !next.is_empty() => page = percent_encoded(next),
                _ => return Ok(all),
            }
        }
    }

    async fn call(&self, api: Api, method: Method, resource: &str) -> Answer {
        let (service, base) = api.place();
        if service == Service::Platform && self.is_local() {
            return Answer::Hidden(format!("{api:?} has no emulator"));
        }
        let emulator = self.connection.emulator(service);
        let base = emulator.map_or_else(|| base.to_owned(), |emulator| format!("{emulator}{}", api.path()));
        let mut request = self.http.request(method.clone(), format!("{base}/{resource}"));
        if method == Method::POST {
            request = request.json(&serde_json::json!({}));
        }
        match self.connection.bearer(service).await {
            Ok(Some(token)) => request = request.bearer_auth(token),
            Ok(None) => {}
            Err(error) => return Answer::Failed(error.to_string()),
        }
        self.answered(request, emulator.is_some()).await
    }

    /// Asks any address, such as a function's or a cluster's.
    pub(super) async fn ask(&self, url: &str, token: Option<String>) -> Answer {
        let request = self.http.get(url);
        self.answered(token.into_iter().fold(request, |request, token| request.bearer_auth(token)), false).await
    }

    /// A token for what Google's own tokens are known to, where there is one.
    pub(super) async fn token(&self, service: Service) -> Option<String> {
        self.connection.bearer(service).await.ok().flatten()
    }

    async fn answered(&self, request: reqwest::RequestBuilder, is_emulator: bool) -> Answer {
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Answer::Failed(unanswered(&error)),
        };
        let status = answer.status();
        let body = match answer.bytes().await {
            Ok(body) => body,
            Err(error) => return Answer::Failed(unanswered(&error)),
        };
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let said = json.as_ref().and_then(|json| json["error"]["message"].as_str()).unwrap_or_default();
        let said: String = said.chars().take(TOLD).collect();
        match status {
            _ if status.is_success() => Answer::Found(json.unwrap_or(Value::Null)),
            // An emulator without a thing answers like a server without a page.
            StatusCode::NOT_FOUND if is_emulator && json.is_none() => {
                Answer::Hidden("the emulator has no such thing".into())
            }
            StatusCode::NOT_IMPLEMENTED if is_emulator => Answer::Hidden("the emulator has no such thing".into()),
            StatusCode::NOT_FOUND => Answer::Missing,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Answer::Hidden(format!("you may not look at it ({}): {said}", status.as_u16()))
            }
            _ => Answer::Failed(format!("answers {}: {said}", status.as_u16())),
        }
    }
}

/// Why there was no answer: the innermost cause says it shortest. The address is left out, it may carry a name and password.
fn unanswered(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    if error.is_timeout() { "does not answer in time".to_owned() } else { format!("does not answer: {innermost}") }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            all.push(byte.into());
        } else {
            all.push_str(&format!("%{byte:02X}"));
        }
        all
    })
}
