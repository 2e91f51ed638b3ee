//! The calls of the `v2beta1` API.

use std::{error::Error, time::Duration};

use millstream_ports::{ErrorKind, PortError, PortResult};
use reqwest::{RequestBuilder, Response, StatusCode, header::HeaderValue, redirect::Policy};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{request::NewRun, run::Run, settings::PipelinesSettings};

/// A call that takes longer is given up.
const CALL_TIME: Duration = Duration::from_secs(60);

/// The longest answer, in bytes. A run repeats its whole pipeline and has a part for each task.
const LONGEST_ANSWER: usize = 32 << 20;

/// Runs or experiments a page. There are rarely two of one name.
const PAGE: &str = "20";

/// How many pages are read of one list: past it something is wrong with the service.
const PAGES: usize = 50;

/// How much of a refusal is repeated, in characters.
const REFUSAL: usize = 500;

/// A used-up quota is rarely free again sooner.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);

/// The service.
#[derive(Debug)]
pub(crate) struct Api {
    base: String,
    settings: PipelinesSettings,
    client: reqwest::Client,
}

/// An experiment. What is not read here may change as it likes.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Experiment {
    pub(crate) experiment_id: String,
}

/// One page of a list.
trait Page: DeserializeOwned {
    type Item;

    fn split(self) -> (Vec<Self::Item>, Option<String>);
}

macro_rules! page {
    ($name:ident { $field:ident: $item:ty }) => {
        #[derive(Deserialize)]
        struct $name {
            #[serde(default)]
            $field: Vec<$item>,
            next_page_token: Option<String>,
        }

        impl Page for $name {
            type Item = $item;

            fn split(self) -> (Vec<$item>, Option<String>) {
                (self.$field, self.next_page_token.filter(|token| !token.is_empty()))
            }
        }
    };
}

page!(Runs { runs: Run });
page!(Experiments { experiments: Experiment });

impl Api {
    /// # Errors
    /// `Invalid` for a URL that cannot be one.
    pub(crate) fn new(settings: PipelinesSettings) -> PortResult<Self> {
        let url = reqwest::Url::parse(&settings.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none())
            .ok_or_else(|| {
                PortError::invalid(format!(
                    "{:?} is no address of Kubeflow Pipelines: write a URL such as http://ml-pipeline.kubeflow:8888",
                    settings.url
                ))
            })?;
        // An error says that another thread was faster: there is one TLS provider for every client in the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(CALL_TIME)
            // The token is for this address alone. A gateway that wants a person to sign in redirects.
            .redirect(Policy::none())
            .build()
            .map_err(|error| PortError::internal("no HTTP client for Kubeflow Pipelines").caused_by(error))?;
        Ok(Self { base: url.as_str().trim_end_matches('/').to_owned(), settings, client })
    }

    /// The service's address, for messages.
    pub(crate) fn address(&self) -> &str {
        &self.base
    }

    pub(crate) fn settings(&self) -> &PipelinesSettings {
        &self.settings
    }

    /// The experiments of this name.
    pub(crate) async fn experiments(&self, name: &str) -> PortResult<Vec<Experiment>> {
        let mut query = vec![("filter", named(name))];
        query.extend(self.settings.namespace.clone().map(|namespace| ("namespace", namespace)));
        self.list::<Experiments>("experiments", query, "looking for the experiment").await
    }

    /// Makes an experiment; `Conflict` where there is one of this name.
    pub(crate) async fn create_experiment(&self, name: &str) -> PortResult<Experiment> {
        let mut body = json!({"display_name": name, "description": "Trainings of Millstream"});
        if let Some(namespace) = &self.settings.namespace {
            body["namespace"] = namespace.as_str().into();
        }
        self.post("experiments", &body, "making the experiment").await
    }

    /// The runs of this name in an experiment.
    pub(crate) async fn runs(&self, experiment: &str, name: &str) -> PortResult<Vec<Run>> {
        let mut query = vec![
            ("experiment_id", experiment.to_owned()),
            ("filter", named(name)),
            ("sort_by", "created_at asc".to_owned()),
        ];
        query.extend(self.settings.namespace.clone().map(|namespace| ("namespace", namespace)));
        self.list::<Runs>("runs", query, "looking for the run").await
    }

    pub(crate) async fn create_run(&self, run: &NewRun) -> PortResult<Run> {
        self.post("runs", run, "making the run").await
    }

    /// A run with its tasks; `None` when it is gone.
    pub(crate) async fn run(&self, run_id: &str) -> PortResult<Option<Run>> {
        let answer = self.send(self.client.get(self.url(&format!("runs/{}", checked(run_id)?)))).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.read(answer, "reading the run").await.map(Some)
    }

    /// Asks for a run's end. One that is gone is as good.
    pub(crate) async fn terminate(&self, run_id: &str) -> PortResult<()> {
        let url = self.url(&format!("runs/{}:terminate", checked(run_id)?));
        let answer = self.send(self.client.post(url)).await?;
        if answer.status() == StatusCode::NOT_FOUND || answer.status().is_success() {
            return Ok(());
        }
        self.read::<Value>(answer, "ending the run").await.map(drop)
    }

    /// Every page of a list.
    async fn list<P: Page>(&self, what: &str, query: Vec<(&str, String)>, doing: &str) -> PortResult<Vec<P::Item>> {
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES {
            let request = self.client.get(self.url(what)).query(&query).query(&[("page_size", PAGE)]);
            let request = match &token {
                Some(token) => request.query(&[("page_token", token)]),
                None => request,
            };
            let (items, next) = self.read::<P>(self.send(request).await?, doing).await?.split();
            all.extend(items);
            let Some(next) = next else { return Ok(all) };
            token = Some(next);
        }
        Err(PortError::internal(format!("{doing}, {} has more than {PAGES} pages of one name", self.base)))
    }

    async fn post<T: DeserializeOwned>(&self, what: &str, body: &impl Serialize, doing: &str) -> PortResult<T> {
        let answer = self.send(self.client.post(self.url(what)).json(body)).await?;
        self.read(answer, doing).await
    }

    fn url(&self, below: &str) -> String {
        format!("{}/apis/v2beta1/{below}", self.base)
    }

    async fn send(&self, request: RequestBuilder) -> PortResult<Response> {
        let request = match &self.settings.token {
            Some(source) => {
                let token = source.token().await?;
                let mut header = HeaderValue::from_bytes(&[b"Bearer ", token.expose()].concat())
                    .map_err(|_| PortError::invalid("the token for Kubeflow Pipelines cannot be a header"))?;
                header.set_sensitive(true);
                request.header(reqwest::header::AUTHORIZATION, header)
            }
            None => request,
        };
        request.send().await.map_err(|error| self.unreachable(error))
    }

    async fn read<T: DeserializeOwned>(&self, mut answer: Response, doing: &str) -> PortResult<T> {
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(error))? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST_ANSWER {
                return Err(PortError::internal(format!("{} answers more than {LONGEST_ANSWER} bytes", self.base)));
            }
        }
        if !status.is_success() {
            return Err(refusal(status, &body, doing));
        }
        serde_json::from_slice(&body).map_err(|error| {
            PortError::internal(format!("{doing}, {} gave an answer that cannot be read", self.base)).caused_by(error)
        })
    }

    fn unreachable(&self, error: impl Error + Send + Sync + 'static) -> PortError {
        PortError::unavailable(format!("Kubeflow Pipelines at {} does not answer", self.base)).caused_by(error)
    }
}

/// The filter of a list: everything of exactly this name.
fn named(name: &str) -> String {
    json!({"predicates": [{"key": "display_name", "operation": "EQUALS", "string_value": name}]}).to_string()
}

/// Ids come from the service and go into paths.
fn checked(run_id: &str) -> PortResult<&str> {
    if !run_id.is_empty() && run_id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Ok(run_id);
    }
    Err(PortError::internal(format!("Kubeflow Pipelines named a run {run_id:?}, which is no id")))
}

/// An answer that is no success: `google.rpc.Status` as JSON, or what a gateway says.
fn refusal(status: StatusCode, body: &[u8], doing: &str) -> PortError {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        message: String,
    }
    let kind = match status.as_u16() {
        // A redirect leads to where a person signs in.
        300..=399 | 401 | 403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        429 => ErrorKind::Quota { retry_after: QUOTA_PAUSE },
        400..=499 => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    let words = match serde_json::from_slice::<Answer>(body) {
        Ok(answer) => answer.message,
        Err(_) => String::from_utf8_lossy(body).lines().next().unwrap_or_default().to_owned(),
    };
    let words: String = words.trim().chars().take(REFUSAL).collect();
    PortError::new(kind, format!("{doing}, Kubeflow Pipelines answers {}: {words}", status.as_u16()))
}
