//! BigQuery's REST API for one project and location.
//!
//! Calls go through gcp-bigquery-client where its models hold all that is needed, and through [`Api::call`] where they do
//! not (see [`model`](crate::model)), with the same bearer token.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::TryStreamExt;
use gcp_bigquery_client::{
    Client,
    auth::Authenticator,
    client_builder::ClientBuilder,
    error::BQError,
    model::{
        dataset::Dataset,
        job_list_jobs::JobListJobs,
        job_list_parameters::{JobListParameters, Projection},
    },
    table::ListOptions,
};
use millstream_events::names::TableName;
use millstream_gcp_client::{Connection, Service};
use millstream_ports::{ErrorKind, PortError, PortResult, optional};
use reqwest::{Method, Url, header::IF_MATCH};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    errors::{Mapped, Problem},
    model::{DatasetPage, Job, QueryResults, Table},
};

/// Where BigQuery is.
const GOOGLE: &str = "https://bigquery.googleapis.com";

/// A call that takes longer is given up: jobs are asked for, never waited for, in one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Resources a page of a list.
const PAGE: u32 = 1_000;

/// BigQuery's REST API.
pub(crate) struct Api {
    client: Client,
    http: reqwest::Client,
    connection: Connection,
    base: String,
    location: String,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base).field("location", &self.location).finish_non_exhaustive()
    }
}

/// The connection's bearer for the client, which knows no call without one: an emulator ignores what it is sent.
#[derive(Debug, Clone)]
struct Bearer(Connection);

#[async_trait]
impl Authenticator for Bearer {
    async fn access_token(&self) -> Result<String, BQError> {
        let bearer = self.0.bearer(Service::BigQuery).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "no access token for BigQuery");
            BQError::NoToken
        })?;
        Ok(bearer.unwrap_or_else(|| "emulator".to_owned()))
    }
}

impl Api {
    /// For the project of a connection and this location.
    pub(crate) async fn connect(connection: &Connection, location: &str) -> PortResult<Self> {
        let host = connection.emulator(Service::BigQuery).unwrap_or(GOOGLE);
        let base = format!("{host}/bigquery/v2");
        let client = ClientBuilder::new()
            .with_v2_base_url(base.clone())
            .build_from_authenticator(Arc::new(Bearer(connection.clone())))
            .await
            .mapped("set up BigQuery's client")?;
        let http = reqwest::Client::builder().timeout(CALL_TIMEOUT).build().mapped("set up BigQuery's client")?;
        Ok(Self { client, http, connection: connection.clone(), base, location: location.to_owned() })
    }

    /// The project.
    pub(crate) fn project(&self) -> &str {
        &self.connection.project
    }

    /// One call of the project's, `path` below it.
    async fn call<T: DeserializeOwned>(&self, doing: &str, request: Call<'_>) -> PortResult<Result<T, Problem>> {
        let unusable = |error: &dyn fmt::Display| PortError::internal(format!("cannot {doing}: {error}"));
        let mut url = Url::parse(&self.base).map_err(|error| unusable(&error))?;
        url.path_segments_mut()
            .map_err(|()| unusable(&"BigQuery's address has no path"))?
            .extend(["projects", self.project()])
            .extend(request.path);
        if !request.parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(request.parameters);
        }
        let mut builder = self.http.request(request.method, url);
        if let Some(token) = self.connection.bearer(Service::BigQuery).await? {
            builder = builder.bearer_auth(token);
        }
        if let Some(etag) = request.etag {
            builder = builder.header(IF_MATCH, etag);
        }
        if let Some(body) = request.body {
            builder = builder.json(body);
        }
        let response = builder.send().await.mapped(doing)?;
        let status = response.status();
        let body = response.bytes().await.mapped(doing)?;
        if !status.is_success() {
            return Ok(Err(Problem::of_response(status.as_u16(), &body)));
        }
        let value = serde_json::from_slice(&body)
            .map_err(|error| PortError::internal(format!("cannot {doing}: unreadable answer")).caused_by(error))?;
        Ok(Ok(value))
    }

    /// A job, if there is one of this id.
    pub(crate) async fn job(&self, id: &str) -> PortResult<Option<Job>> {
        let (path, parameters) = (["jobs", id], [("location", self.location.as_str())]);
        let call = Call { parameters: &parameters, ..Call::get(&path) };
        let doing = format!("look up the job {id}");
        optional(self.call(&doing, call).await?.map_err(|problem| problem.into_error(&doing)))
    }

    /// Starts a job; `None` where one of this id exists already.
    pub(crate) async fn insert(&self, doing: &str, id: Option<&str>, configuration: &Value) -> PortResult<Option<Job>> {
        let mut reference = json!({ "projectId": self.project(), "location": self.location });
        if let Some(id) = id {
            reference["jobId"] = json!(id);
        }
        let body = json!({ "jobReference": reference, "configuration": configuration });
        match self.call(doing, Call { method: Method::POST, body: Some(&body), ..Call::get(&["jobs"]) }).await? {
            Ok(job) => Ok(Some(job)),
            Err(problem) if id.is_some() && problem.kind() == ErrorKind::Conflict => Ok(None),
            Err(problem) => Err(problem.into_error(doing)),
        }
    }

    /// The rows of a query's result; waits some seconds for a query that runs.
    pub(crate) async fn results(&self, doing: &str, id: &str, rows: usize) -> PortResult<QueryResults> {
        let rows = rows.to_string();
        let parameters = [
            ("location", self.location.as_str()),
            ("maxResults", &rows),
            ("timeoutMs", "10000"),
            // Timestamps as microseconds: the default is a double, which has not enough digits for every one.
            ("formatOptions.useInt64Timestamp", "true"),
        ];
        let path = ["queries", id];
        let call = Call { parameters: &parameters, ..Call::get(&path) };
        self.call(doing, call).await?.map_err(|problem| problem.into_error(doing))
    }

    /// The project's jobs that this service account started since then, in milliseconds.
    pub(crate) async fn jobs_since(&self, milliseconds: u64) -> PortResult<Vec<JobListJobs>> {
        let parameters = JobListParameters {
            max_results: Some(PAGE),
            min_creation_time: Some(milliseconds),
            projection: Some(Projection::Full),
            ..JobListParameters::default()
        };
        let pages = self.client.job().get_job_list(self.project(), Some(parameters));
        let pages: Vec<_> = pages.try_collect().await.mapped("list today's jobs")?;
        Ok(pages.into_iter().flat_map(|page| page.jobs.unwrap_or_default()).collect())
    }

    /// A table, if it is there.
    pub(crate) async fn table(&self, table: &TableName) -> PortResult<Option<Table>> {
        let doing = format!("look up {table}");
        let path = ["datasets", table.dataset(), "tables", table.table()];
        optional(self.call(&doing, Call::get(&path)).await?.map_err(|problem| problem.into_error(&doing)))
    }

    /// Creates a table; one that is there already stays as it is.
    pub(crate) async fn create_table(&self, table: &Table) -> PortResult<()> {
        let doing = format!("create {}.{}", table.table_reference.dataset_id, table.table_reference.table_id);
        let body = serde_json::to_value(table)
            .map_err(|error| PortError::internal(format!("cannot {doing}")).caused_by(error))?;
        let path = ["datasets", &table.table_reference.dataset_id, "tables"];
        let call = Call { method: Method::POST, body: Some(&body), ..Call::get(&path) };
        match self.call::<Value>(&doing, call).await? {
            Err(problem) if problem.kind() != ErrorKind::Conflict => Err(problem.into_error(&doing)),
            _ => Ok(()),
        }
    }

    /// Changes a table's metadata, unless it has been changed since it was read under `etag`.
    pub(crate) async fn patch_table(&self, table: &TableName, etag: Option<&str>, patch: &Value) -> PortResult<()> {
        let doing = format!("label {table}");
        let path = ["datasets", table.dataset(), "tables", table.table()];
        let call = Call { method: Method::PATCH, body: Some(patch), etag, ..Call::get(&path) };
        self.call::<Value>(&doing, call).await?.map(|_| ()).map_err(|problem| problem.into_error(&doing))
    }

    /// Removes a table; one that is not there is as good.
    pub(crate) async fn delete_table(&self, table: &TableName) -> PortResult<()> {
        let deleted = self.client.table().delete(self.project(), table.dataset(), table.table()).await;
        optional(deleted.mapped(&format!("drop {table}"))).map(|_| ())
    }

    /// Creates a dataset; one that is there already stays as it is.
    pub(crate) async fn create_dataset(&self, name: &str) -> PortResult<()> {
        let dataset = Dataset::new(self.project(), name).location(&self.location).label("managed_by", "millstream");
        match self.client.dataset().create(dataset).await.mapped(&format!("create the dataset {name}")) {
            Err(error) if error.kind() != ErrorKind::Conflict => Err(error),
            _ => Ok(()),
        }
    }

    /// The names of the project's datasets in this location.
    pub(crate) async fn datasets(&self) -> PortResult<Vec<String>> {
        let doing = "list datasets";
        let mut names = Vec::new();
        let mut token = String::new();
        loop {
            let parameters = [("pageToken", token.as_str())];
            let call = Call { parameters: &parameters, ..Call::get(&["datasets"]) };
            let page: DatasetPage = self.call(doing, call).await?.map_err(|problem| problem.into_error(doing))?;
            let here = |location: &Option<String>| {
                location.as_ref().is_none_or(|location| location.eq_ignore_ascii_case(&self.location))
            };
            let found = page.datasets.into_iter().filter(|dataset| here(&dataset.location));
            names.extend(found.map(|dataset| dataset.dataset_reference.dataset_id));
            match page.next_page_token {
                Some(next) => token = next,
                None => return Ok(names),
            }
        }
    }

    /// The names of a dataset's tables, without its views.
    pub(crate) async fn tables(&self, dataset: &str) -> PortResult<Vec<TableName>> {
        let doing = format!("list the tables of {dataset}");
        let mut names = Vec::new();
        let mut options = ListOptions::default().max_results(PAGE.into());
        loop {
            let page = self.client.table().list(self.project(), dataset, options).await.mapped(&doing)?;
            let tables = page.tables.unwrap_or_default();
            let tables = tables.into_iter().filter(|table| table.r#type.as_deref() == Some("TABLE"));
            // A name that is none of ours, such as one with a dash, belongs to somebody else.
            names.extend(
                tables.filter_map(|table| format!("{dataset}.{}", table.table_reference.table_id).parse().ok()),
            );
            match page.next_page_token {
                Some(next) => options = ListOptions::default().max_results(PAGE.into()).page_token(next),
                None => return Ok(names),
            }
        }
    }
}

/// A request.
struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
    parameters: &'a [(&'a str, &'a str)],
    etag: Option<&'a str>,
    body: Option<&'a Value>,
}

impl<'a> Call<'a> {
    fn get(path: &'a [&'a str]) -> Self {
        Self { method: Method::GET, path, parameters: &[], etag: None, body: None }
    }
}
