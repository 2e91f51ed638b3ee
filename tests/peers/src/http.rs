//! Plain HTTP to a peer: one blocking call, so that the code of a test stays a list of steps.

use std::{sync::LazyLock, time::Duration};

use serde_json::Value;
use ureq::{Agent, Body, http};

/// A peer that has not answered by then has stopped.
const PATIENCE: Duration = Duration::from_secs(60);

/// Peers are on this machine: a proxy of the environment would not find them.
static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    Agent::config_builder().proxy(None).http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
});

/// What a peer answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; nothing is `null`.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text, for messages.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Itself when the status says success.
    ///
    /// # Panics
    /// Otherwise, with the answer.
    #[must_use]
    pub fn success(self, what: &str) -> Self {
        assert!((200..300).contains(&self.status), "{what}: {} {}", self.status, self.text());
        self
    }
}

/// Sends a request with these headers and this body.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    try_send(method, url, headers, body).unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

/// As [`send`], where no answer is an answer too.
///
/// # Errors
/// When the peer cannot be reached or does not answer in time.
pub fn try_send(method: &str, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Answer, ureq::Error> {
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    // A body of no bytes is still a body, with a length, which some peers ask of every POST.
    let answer = match body {
        body if body.is_empty() && matches!(method, "GET" | "HEAD" | "DELETE") => AGENT.run(request.body(())?),
        body => AGENT.run(request.body(body)?),
    }?;
    read(answer)
}

fn read(answer: http::Response<Body>) -> Result<Answer, ureq::Error> {
    let status = answer.status().as_u16();
    let body = answer.into_body().into_with_config().limit(u64::MAX).read_to_vec()?;
    Ok(Answer { status, body })
}

/// Sends JSON and reads JSON.
///
/// # Panics
/// When the answer is not a success.
pub fn json(method: &str, url: &str, body: &Value) -> Value {
    let body = body.to_string().into_bytes();
    send(method, url, &[("content-type", "application/json")], body).success(&format!("{method} {url}")).json()
}
