//! Trainings as custom jobs.
//!
//! A custom job has no name of the caller's and no idempotency key: it is found by its label `millstream_job` before it is
//! created. Of two that were created at once the older one is ours; whoever sees the younger one cancels it.

mod job;
mod log;
mod state;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use millstream_gcp_client::Connection;
use millstream_ports::{Clock, PortError, PortResult, Trainer, TrainingJob, TrainingState, optional};
use serde_json::{Value, json};

use crate::{
    api::{Api, Call},
    names::with_label,
    settings::VertexSettings,
    trainer::state::CustomJob,
    turns::Turns,
};

/// The label that says whose a job is: the models bucket is one deployment's.
const DEPLOYMENT_LABEL: &str = "millstream_deployment";

/// The label that finds a job.
const JOB_LABEL: &str = "millstream_job";

/// How much of a failed job's log is told with the failure, in bytes.
const TAIL: usize = 4_000;

/// A [`Trainer`] on Vertex AI.
#[derive(Debug)]
pub struct VertexTrainer {
    api: Api,
    settings: VertexSettings,
    clock: Arc<dyn Clock>,
    turns: Turns,
    /// The jobs that this process has created, by their ids: a list may not show them at once.
    created: Mutex<HashMap<String, String>>,
}

impl VertexTrainer {
    /// Custom jobs in the connection's project and the settings' region.
    ///
    /// # Errors
    /// When a setting cannot be right. Whether Vertex AI answers is known at the first call.
    pub fn new(connection: Connection, settings: VertexSettings, clock: Arc<dyn Clock>) -> PortResult<Self> {
        settings.check()?;
        Ok(Self {
            api: Api::new(connection, &settings),
            settings,
            clock,
            turns: Turns::default(),
            created: Mutex::default(),
        })
    }

    fn jobs(&self) -> String {
        format!("{}/customJobs", self.api.parent())
    }

    /// The job, if there is one; younger ones of its name are cancelled.
    async fn find(&self, job: &str) -> PortResult<Option<CustomJob>> {
        let doing = format!("look up the custom job {job}");
        let filter = with_label(JOB_LABEL, job);
        let mut found: Vec<CustomJob> = self.api.list(&doing, "customJobs", &self.jobs(), &filter).await?;
        let deployment = job::deployment(&self.settings);
        found.retain(|job| job.labels.get(DEPLOYMENT_LABEL) == Some(&deployment));
        found.sort_by_key(CustomJob::age);
        let mut found = found.into_iter();
        let ours = match found.next() {
            Some(ours) => Some(ours),
            None => self.unlisted(job, &doing).await?,
        };
        for younger in found.filter(|younger| !younger.has_ended()) {
            tracing::warn!(job, name = younger.name, "a second custom job of one name is cancelled");
            self.end(job, &younger).await?;
        }
        Ok(ours)
    }

    /// A job that was created here and is not listed yet.
    async fn unlisted(&self, job: &str, doing: &str) -> PortResult<Option<CustomJob>> {
        let created = self.created.lock().unwrap_or_else(PoisonError::into_inner).get(job).cloned();
        match created {
            Some(name) => optional(self.api.call(doing, Call::get(name)).await),
            None => Ok(None),
        }
    }

    async fn start(&self, job: &str, body: Value) -> PortResult<CustomJob> {
        let doing = format!("create the custom job {job}");
        let created: CustomJob = self.api.call(&doing, Call::post(self.jobs(), body)).await?;
        let name = created.name.clone();
        self.created.lock().unwrap_or_else(PoisonError::into_inner).insert(job.to_owned(), name);
        // Another process may have created one at the same moment.
        Ok(self.find(job).await?.unwrap_or(created))
    }

    async fn end(&self, job: &str, found: &CustomJob) -> PortResult<()> {
        let doing = format!("cancel the custom job {job}");
        let call = Call::post(format!("{}:cancel", found.name), json!({}));
        let _: Value = self.api.call(&doing, call).await?;
        Ok(())
    }
}

#[async_trait]
impl Trainer for VertexTrainer {
    async fn ensure(&self, job: &str, training: &TrainingJob) -> PortResult<TrainingState> {
        let body = job::custom_job(job, training, &self.settings)?;
        let _turn = self.turns.take(job).await;
        let found = match self.find(job).await? {
            Some(found) => found,
            None => self.start(job, body).await?,
        };
        let state = found.state(training.wall_seconds, self.clock.now());
        let TrainingState::Failed { reason, .. } = state else { return Ok(state) };
        let log_tail = log::tail(&self.api, job, &found, TAIL).await.unwrap_or_else(|error| {
            tracing::warn!(job, error = &error as &dyn std::error::Error, "the log of a failed job cannot be read");
            String::new()
        });
        Ok(TrainingState::Failed { reason, log_tail, log: None })
    }

    async fn cancel(&self, job: &str) -> PortResult<()> {
        job::check_id(job)?;
        let _turn = self.turns.take(job).await;
        match self.find(job).await? {
            Some(found) if !found.has_ended() => self.end(job, &found).await,
            _ => Ok(()),
        }
    }

    async fn log(&self, job: &str, limit: usize) -> PortResult<String> {
        job::check_id(job)?;
        let found = self.find(job).await?;
        let found = found.ok_or_else(|| PortError::not_found(format!("there is no custom job {job}")))?;
        log::tail(&self.api, job, &found, limit).await
    }
}
