//! A session: signing in, statements, their cancelling, and its end.

use std::{fmt, sync::Arc, time::Duration};

use millstream_ports::{Clock, PortError, PortResult, SystemClock};
use reqwest::{Client, Method, RequestBuilder, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::{sync::RwLock, time::Instant};
use url::Url;
use uuid::Uuid;

use crate::{
    answer::{Answer, Outcome, SignedIn},
    errors::{lost, refused, status, too_slow, unreadable},
    jwt,
    target::{Proof, Target},
};

/// How long connecting may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest one call may take: the service answers within 45 seconds that a statement still runs.
const CALL_TIMEOUT: Duration = Duration::from_secs(300);

/// The pause before a running statement is asked about again. Each question waits at the service too.
const PAUSE: Duration = Duration::from_millis(500);

/// How much longer than the service's own limit an answer is waited for.
const GRACE: Duration = Duration::from_secs(30);

/// The session's token is no longer taken.
const EXPIRED: [&str; 3] = ["390112", "390104", "390111"];

/// An open session. It is ended when this is dropped.
pub(crate) struct Session {
    pub(crate) target: Arc<Target>,
    client: Client,
    /// The longest a statement may take.
    pub(crate) limit: Duration,
    token: RwLock<String>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("target", &self.target).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// A statement and the texts of its `?`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<String>,
    /// Whether only its columns are wanted.
    pub(crate) describe_only: bool,
}

impl Statement {
    /// A statement without parameters.
    pub(crate) fn plain(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), ..Self::default() }
    }
}

impl Session {
    /// Signs in. Every statement ends after `limit`.
    pub(crate) async fn open(target: &Arc<Target>, client: &Client, limit: Duration) -> PortResult<Self> {
        let session = Self { target: Arc::clone(target), client: client.clone(), limit, token: RwLock::default() };
        session.sign_in().await?;
        Ok(session)
    }

    async fn sign_in(&self) -> PortResult<()> {
        const DOING: &str = "signing in";
        let target = &*self.target;
        let mut url = self.url("session/v1/login-request")?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("requestId", &Uuid::new_v4().to_string()).append_pair("databaseName", &target.database);
            for (name, value) in
                [("schemaName", &target.schema), ("warehouse", &target.warehouse), ("roleName", &target.role)]
            {
                if let Some(value) = value {
                    query.append_pair(name, value);
                }
            }
        }
        let mut data = json!({
            // Results come as Arrow to the drivers that are known to read it.
            "CLIENT_APP_ID": "Go",
            "CLIENT_APP_VERSION": "1.15.0",
            "ACCOUNT_NAME": target.account,
            "LOGIN_NAME": target.user,
            "CLIENT_ENVIRONMENT": {"APPLICATION": "millstream"},
            "SESSION_PARAMETERS": {
                "QUERY_TAG": "millstream",
                "STATEMENT_TIMEOUT_IN_SECONDS": self.limit.as_secs().max(1),
                "GO_QUERY_RESULT_FORMAT": "ARROW",
                "TIMEZONE": "UTC",
                "GEOGRAPHY_OUTPUT_FORMAT": "GeoJSON",
                "GEOMETRY_OUTPUT_FORMAT": "GeoJSON",
                "CLIENT_SESSION_KEEP_ALIVE": false,
            },
        });
        match &target.proof {
            Proof::Password(password) => data["PASSWORD"] = Value::from(password.as_str()),
            Proof::Key(key) => {
                let now = SystemClock.now().timestamp();
                data["AUTHENTICATOR"] = Value::from("SNOWFLAKE_JWT");
                data["TOKEN"] = Value::from(jwt::token(key, &target.account, &target.user, now)?);
            }
        }
        let request = self.client.post(url).json(&json!({ "data": data })).header(header::ACCEPT, "application/json");
        let answer: Answer<SignedIn> = self.call(DOING, request).await?;
        match answer.data {
            Some(SignedIn { token: Some(token) }) if answer.success => {
                *self.token.write().await = token;
                Ok(())
            }
            _ => Err(refused(DOING, target, answer.code.as_deref(), answer.message.as_deref())),
        }
    }

    /// Runs a statement; a dropped call cancels it.
    ///
    /// # Errors
    /// As `Source`'s.
    pub(crate) async fn run(&self, doing: &str, statement: &Statement) -> PortResult<Outcome> {
        let limit = self.limit.saturating_add(GRACE);
        match tokio::time::timeout(limit, self.run_renewing(doing, statement)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(too_slow(doing, &self.target, self.limit)),
        }
    }

    async fn run_renewing(&self, doing: &str, statement: &Statement) -> PortResult<Outcome> {
        let answer = self.run_once(doing, statement).await?;
        let answer = if answer.code.as_deref().is_some_and(|code| !answer.success && EXPIRED.contains(&code)) {
            // Sessions last for four hours; a long extraction signs in again.
            self.sign_in().await?;
            self.run_once(doing, statement).await?
        } else {
            answer
        };
        match answer.data {
            Some(data) if answer.success => Ok(data),
            _ => Err(refused(doing, &self.target, answer.code.as_deref(), answer.message.as_deref())),
        }
    }

    async fn run_once(&self, doing: &str, statement: &Statement) -> PortResult<Answer<Outcome>> {
        let id = Uuid::new_v4().to_string();
        let mut url = self.url("queries/v1/query-request")?;
        url.query_pairs_mut().append_pair("requestId", &id);
        let mut body = json!({
            "sqlText": statement.sql,
            "asyncExec": false,
            "sequenceId": 1,
            "describeOnly": statement.describe_only,
        });
        if !statement.parameters.is_empty() {
            let numbered = statement.parameters.iter().enumerate();
            let bindings: Map<String, Value> = numbered
                .map(|(index, value)| ((index + 1).to_string(), json!({"type": "TEXT", "value": value})))
                .collect();
            body["bindings"] = Value::Object(bindings);
        }
        let token = self.token.read().await.clone();
        let mut running =
            Running { session: Some((self.client.clone(), self.url("queries/v1/abort-request")?)), token, id, body };
        let request = authorized(self.client.post(url).json(&running.body), &running.token);
        let mut answer: Answer<Outcome> = self.call(doing, request).await?;
        let mut asked = Instant::now();
        while answer.is_in_progress() {
            let place = answer.data.as_ref().and_then(|data| data.get_result_url.clone());
            let place = place.ok_or_else(|| unreadable(doing, &self.target, "no place to ask for the result"))?;
            tokio::time::sleep_until(asked + PAUSE).await;
            asked = Instant::now();
            let url = self.url(place.trim_start_matches('/'))?;
            answer = self.call(doing, authorized(self.client.request(Method::GET, url), &running.token)).await?;
        }
        running.session = None;
        Ok(answer)
    }

    /// An address of the account itself: nothing that an answer says sends the token elsewhere.
    fn url(&self, path: &str) -> PortResult<Url> {
        let base = &self.target.base;
        let url = base.join(path).map_err(|error| unreadable("looking for an address", &self.target, error))?;
        if url.origin() != base.origin() {
            return Err(unreadable("looking for an address", &self.target, "the address is of another host"));
        }
        Ok(url)
    }

    async fn call<T: DeserializeOwned>(&self, doing: &str, request: RequestBuilder) -> PortResult<Answer<T>> {
        let target = &*self.target;
        let response = request.send().await.map_err(|error| lost(doing, target, error))?;
        let code = response.status();
        let body = response.bytes().await.map_err(|error| lost(doing, target, error))?;
        match serde_json::from_slice(&body) {
            Ok(answer) if code.is_success() || code.as_u16() == 401 => Ok(answer),
            _ if !code.is_success() => Err(status(doing, target, code.as_u16())),
            Ok(answer) => Ok(answer),
            Err(error) => Err(unreadable(doing, target, error)),
        }
    }

    /// The client that every call goes through.
    ///
    /// # Errors
    /// `Internal` when it cannot be made.
    pub(crate) fn client(tls: rustls::ClientConfig) -> PortResult<Client> {
        Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .user_agent(concat!("millstream/", env!("CARGO_PKG_VERSION")))
            // A redirect would take the token with it.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| PortError::internal("the client of Snowflake cannot be made").caused_by(error))
    }

    /// The client, for results that lie elsewhere.
    pub(crate) fn http(&self) -> &Client {
        &self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (Ok(mut url), token) = (self.url("session"), std::mem::take(self.token.get_mut())) else { return };
        url.query_pairs_mut().append_pair("delete", "true").append_pair("requestId", &Uuid::new_v4().to_string());
        send_alone(authorized(self.client.post(url), &token));
    }
}

fn authorized(request: RequestBuilder, token: &str) -> RequestBuilder {
    request
        .header(header::ACCEPT, "application/snowflake")
        .header(header::AUTHORIZATION, format!("Snowflake Token=\"{token}\""))
}

/// Sends what nobody waits for.
fn send_alone(request: RequestBuilder) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            // The service forgets sessions and statements by itself too.
            let _ = request.timeout(CONNECT_TIMEOUT).send().await;
        });
    }
}

/// A statement that was sent. Dropped before it has ended, it is cancelled.
struct Running {
    session: Option<(Client, Url)>,
    token: String,
    id: String,
    body: Value,
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some((client, mut url)) = self.session.take() else { return };
        url.query_pairs_mut().append_pair("requestId", &Uuid::new_v4().to_string());
        let body = json!({"sqlText": self.body["sqlText"], "requestId": self.id});
        send_alone(authorized(client.post(url).json(&body), &self.token));
    }
}
