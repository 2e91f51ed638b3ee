//! The operations asked of a running `millstream up`.

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use millstream_events::names::{ModelName, ObjectPath, PipelineName, RunId, StepName};
use reqwest::{Client as Http, RequestBuilder, Response};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Answer, Code, Operations, Refusal,
    http::{FileBody, MessageBody, ObjectBody, QueryBody, RunBody, StepBody, VersionBody},
    views::{
        EventView, ModelDetails, ModelSummary, QuarantinedFile, QuarantinedRows, Replayed, Rows, RunDetails,
        RunSummary, Shifted, TableView, Taken, TrainingLog,
    },
};
use crate::platform::lock::Address;

/// A running platform.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: Http,
    address: Address,
}

impl Client {
    pub(crate) fn new(address: Address) -> Self {
        Self { http: Http::new(), address }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1{path}", self.address.address)
    }

    async fn send(&self, request: RequestBuilder) -> Answer<Response> {
        let response =
            request.bearer_auth(&self.address.token).send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        Err(response
            .json::<Refusal>()
            .await
            .unwrap_or_else(|_| Refusal::new(Code::Internal, format!("the running platform answered {status}"))))
    }

    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Answer<T> {
        self.send(request).await?.json().await.map_err(|error| {
            Refusal::new(
                Code::Internal,
                format!("the running platform's answer was not understood; is it another version? ({error})"),
            )
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Answer<T> {
        self.read(self.http.get(self.url(path))).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + Sync)) -> Answer<T> {
        self.read(self.http.post(self.url(path)).json(body)).await
    }

    fn unreachable(&self, error: &reqwest::Error) -> Refusal {
        let Address { address, pid, .. } = &self.address;
        Refusal::new(
            Code::Unavailable,
            format!(
                "the running platform (process {pid}) does not answer at {address}: {error}; it may be starting or stopping"
            ),
        )
    }
}

#[async_trait]
impl Operations for Client {
    async fn runs(&self) -> Answer<Vec<RunSummary>> {
        self.get("/runs").await
    }

    async fn show(&self, run: &RunId) -> Answer<RunDetails> {
        self.get(&format!("/runs/{run}")).await
    }

    async fn retry(&self, run: &RunId, step: Option<&StepName>) -> Answer<()> {
        self.post(&format!("/runs/{run}/retry"), &StepBody { step: step.cloned() }).await
    }

    async fn training_log(&self, run: &RunId, step: Option<&StepName>) -> Answer<TrainingLog> {
        self.post(&format!("/runs/{run}/log"), &StepBody { step: step.cloned() }).await
    }

    async fn start_run(&self, pipeline: &PipelineName, full_refresh: bool) -> Answer<Taken> {
        self.post(&format!("/pipelines/{pipeline}/run"), &RunBody { full_refresh }).await
    }

    async fn take(&self, object: &ObjectPath) -> Answer<Taken> {
        self.post("/objects", &ObjectBody { object: object.clone() }).await
    }

    async fn publish(&self, topic: &str, data: &str) -> Answer<Taken> {
        self.post("/messages", &MessageBody { topic: topic.to_owned(), data: data.to_owned() }).await
    }

    async fn sweep(&self) -> Answer<()> {
        self.post("/sweep", &()).await
    }

    async fn tables(&self) -> Answer<Vec<TableView>> {
        self.get("/tables").await
    }

    async fn query(&self, sql: &str, limit: usize) -> Answer<Rows> {
        self.post("/query", &QueryBody { sql: sql.to_owned(), limit }).await
    }

    async fn quarantine(&self) -> Answer<Vec<QuarantinedFile>> {
        self.get("/quarantine").await
    }

    async fn quarantined_rows(&self, name: &str, limit: usize) -> Answer<QuarantinedRows> {
        self.post("/quarantine/rows", &FileBody { name: name.to_owned(), limit }).await
    }

    async fn replay(&self, name: &str) -> Answer<Replayed> {
        self.post("/quarantine/replay", &FileBody { name: name.to_owned(), limit: 0 }).await
    }

    async fn models(&self) -> Answer<Vec<ModelSummary>> {
        self.get("/models").await
    }

    async fn model(&self, model: &ModelName) -> Answer<ModelDetails> {
        self.get(&format!("/models/{model}")).await
    }

    async fn roll_back(&self, model: &ModelName) -> Answer<Vec<Shifted>> {
        self.post(&format!("/models/{model}/rollback"), &()).await
    }

    async fn promote(&self, model: &ModelName, version: u64) -> Answer<Vec<Shifted>> {
        self.post(&format!("/models/{model}/promote"), &VersionBody { version }).await
    }

    async fn predict(&self, endpoint: &ModelName, request: Value) -> Answer<Value> {
        self.post(&format!("/predict/{endpoint}"), &request).await
    }

    async fn events(&self) -> Answer<BoxStream<'static, EventView>> {
        let response = self.send(self.http.get(self.url("/events"))).await?;
        let lines = futures::stream::unfold((response, Vec::new()), |(mut response, mut read)| async move {
            loop {
                if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = read.drain(..=end).collect();
                    match serde_json::from_slice::<EventView>(&line) {
                        Ok(event) => return Some((event, (response, read))),
                        Err(_) => continue,
                    }
                }
                // The stream's end, or a platform that went away: whoever waits looks at the run again.
                read.extend_from_slice(&response.chunk().await.ok()??);
            }
        });
        Ok(lines.boxed())
    }
}
