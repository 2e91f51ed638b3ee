//! The operations on a platform in this process.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use millstream_events::{
    Envelope, Event, Fingerprint,
    contract::ColumnType,
    history::History,
    names::{ModelName, ObjectPath, PipelineName, RunId, StepName},
    trigger::{MessagePublished, ObjectFinalized, RetryRequested, RunRequested, SweepDue},
};
use millstream_pipeline::{
    pattern::run_key,
    plan::{Plan, plan},
};
use millstream_ports::{EventBus, ObjectStore, PortResult, Snapshot};
use serde_json::Value;

use super::{
    Answer, Operations, Refusal, events, history,
    models::Models,
    quarantine, training_log,
    views::{
        EventView, ModelDetails, ModelSummary, QuarantinedFile, QuarantinedRows, Replayed, Rows, RunDetails,
        RunSummary, Shifted, TableView, Taken, TrainingLog,
    },
};
use crate::platform::Platform;

/// The operations, in process.
#[derive(Clone)]
pub(crate) struct Local(pub(crate) Arc<Platform>);

impl Local {
    async fn all_runs(&self) -> Answer<Vec<(History, RunDetails)>> {
        let mut all = Vec::new();
        for run in self.0.ledger.runs().await? {
            all.push(self.details(&run).await?);
        }
        Ok(all)
    }

    async fn details(&self, run: &RunId) -> Answer<(History, RunDetails)> {
        let (snapshot, plan) = self.planned(run).await?;
        let details = history::details(&snapshot, plan.as_ref());
        Ok((snapshot.history, details))
    }

    /// What is known of a run, and its plan; none where its pipeline is gone.
    async fn planned(&self, run: &RunId) -> Answer<(Snapshot, Option<Plan>)> {
        let snapshot = self.0.ledger.snapshot(run).await?;
        let pipelines = self.0.planner.pipelines();
        let pipeline = pipelines.by_name.get(&run.pipeline);
        let plan = pipeline.map(|pipeline| plan(&pipelines, pipeline, &snapshot.history));
        Ok((snapshot, plan))
    }

    fn desk<'a>(&'a self, bus: &'a StraightIn<'a>) -> Models<'a> {
        let platform = &self.0;
        Models { registry: &*platform.registry, endpoints: &*platform.endpoints, bus, clock: &*platform.clock }
    }

    /// The runs an object of the landing bucket belongs to.
    pub(super) fn runs_of(&self, object: &ObjectPath) -> Vec<String> {
        let pipelines = self.0.planner.pipelines();
        let mut runs: Vec<String> = Vec::new();
        for pipeline in pipelines.by_name.values() {
            let keys = pipeline.sources.iter().filter_map(|source| run_key(&source.upload.matches(object.name())?));
            runs.extend(keys.map(|key| RunId { pipeline: pipeline.name.clone(), key }.to_string()));
        }
        runs.dedup();
        runs
    }

    fn pipeline_names(&self) -> String {
        let pipelines = self.0.planner.pipelines();
        let names: Vec<&str> = pipelines.by_name.keys().map(PipelineName::as_str).collect();
        if names.is_empty() { "there are none yet".to_owned() } else { format!("there are {}", names.join(", ")) }
    }

    fn check_pipeline(&self, pipeline: &PipelineName) -> Answer<()> {
        if self.0.planner.pipelines().by_name.contains_key(pipeline) {
            return Ok(());
        }
        Err(Refusal::not_found(format!("no pipeline is called {pipeline}; {}", self.pipeline_names())))
    }
}

#[async_trait]
impl Operations for Local {
    async fn runs(&self) -> Answer<Vec<RunSummary>> {
        let mut runs: Vec<_> = self.all_runs().await?.into_iter().map(|(_, details)| details.summary).collect();
        runs.sort_by(|a, b| b.last_activity.cmp(&a.last_activity).then_with(|| a.run.cmp(&b.run)));
        Ok(runs)
    }

    async fn show(&self, run: &RunId) -> Answer<RunDetails> {
        let (_, details) = self.details(run).await?;
        if details.summary.started_at.is_none() {
            self.check_pipeline(&run.pipeline)?;
            return Err(Refusal::not_found(format!("nothing is known of the run {run}; `millstream runs` lists them")));
        }
        Ok(details)
    }

    async fn retry(&self, run: &RunId, step: Option<&StepName>) -> Answer<()> {
        let details = self.show(run).await?;
        let failed = |view: &&super::views::StepView| view.state == "failed";
        let mut wanted = details.steps.iter().filter(failed);
        let found = match step {
            Some(step) => wanted.any(|view| view.step == step.as_str()),
            None => wanted.next().is_some(),
        };
        if !found {
            let what = step.map_or_else(|| "no step".to_owned(), |step| format!("no step {step}"));
            return Err(Refusal::invalid(format!(
                "{what} of {run} has failed: there is nothing to try again (`millstream show {run}` shows its steps)"
            )));
        }
        Ok(self.0.tell(Event::RetryRequested(RetryRequested { run: run.clone(), step: step.cloned() })).await?)
    }

    async fn training_log(&self, run: &RunId, step: Option<&StepName>) -> Answer<TrainingLog> {
        let (_, plan) = self.planned(run).await?;
        training_log::of(&self.0, run, plan.as_ref(), step).await
    }

    async fn start_run(&self, pipeline: &PipelineName, full_refresh: bool) -> Answer<Taken> {
        self.check_pipeline(pipeline)?;
        let request = self.0.clock.now().format("%Y%m%dT%H%M%S%6f").to_string();
        let run = format!("{pipeline}/manual-{request}");
        self.0.tell(Event::RunRequested(RunRequested { pipeline: pipeline.clone(), request, full_refresh })).await?;
        Ok(Taken { runs: vec![run] })
    }

    async fn take(&self, object: &ObjectPath) -> Answer<Taken> {
        let meta = self.0.store.stat(object).await?;
        let object =
            ObjectFinalized { object: meta.path, generation: meta.generation, size: meta.size, crc32c: meta.crc32c };
        let runs = self.runs_of(&object.object);
        self.0.tell(Event::ObjectFinalized(object)).await?;
        Ok(Taken { runs })
    }

    async fn publish(&self, topic: &str, data: &str) -> Answer<Taken> {
        let pipelines = self.0.planner.pipelines();
        // As `plan-run` names them.
        let content = Fingerprint::of("message", [topic.as_bytes(), data.as_bytes()]);
        let mut runs = Vec::new();
        if pipelines
            .by_name
            .values()
            .flat_map(|pipeline| &pipeline.sources)
            .any(|source| source.topic.as_deref() == Some(topic))
        {
            let name = format!("messages/{topic}/{content}.jsonl");
            let landed = ObjectPath::new(pipelines.buckets.landing.clone(), name)
                .map_err(|error| Refusal::invalid(error.to_string()))?;
            runs.extend(self.runs_of(&landed));
        }
        let woken = pipelines.by_name.values().filter(|pipeline| pipeline.message.as_deref() == Some(topic));
        runs.extend(woken.map(|pipeline| format!("{}/message-{}", pipeline.name, content.short())));
        if runs.is_empty() {
            return Err(Refusal::not_found(format!("no pipeline listens to a topic {topic}")));
        }
        let message = MessagePublished { topic: topic.to_owned(), data: data.to_owned() };
        self.0.tell(Event::MessagePublished(message)).await?;
        Ok(Taken { runs })
    }

    async fn sweep(&self) -> Answer<()> {
        Ok(self.0.tell(Event::SweepDue(SweepDue {})).await?)
    }

    async fn tables(&self) -> Answer<Vec<TableView>> {
        let tables = self.0.warehouse.tables().await?;
        Ok(tables
            .into_iter()
            .map(|facts| TableView { table: facts.table, rows: facts.rows, columns: facts.columns })
            .collect())
    }

    async fn query(&self, sql: &str, limit: usize) -> Answer<Rows> {
        let mut answer = self.0.warehouse.query(sql, limit).await?;
        for row in &mut answer.rows {
            for (value, column) in row.iter_mut().zip(&answer.columns) {
                if matches!(column.kind, ColumnType::Numeric { .. } | ColumnType::BigNumeric { .. }) {
                    trim_zeros(value);
                }
            }
        }
        Ok(Rows { columns: answer.columns, rows: answer.rows, truncated: answer.truncated })
    }

    async fn quarantine(&self) -> Answer<Vec<QuarantinedFile>> {
        Ok(quarantine::files(&self.all_runs().await?))
    }

    async fn quarantined_rows(&self, name: &str, limit: usize) -> Answer<QuarantinedRows> {
        let file = quarantine::find(&self.all_runs().await?, name)?;
        quarantine::rows(&self.0.store, file, limit).await
    }

    async fn replay(&self, name: &str) -> Answer<Replayed> {
        let file = quarantine::find(&self.all_runs().await?, name)?;
        let (object, rows, left_out) = quarantine::replay(&self.0.store, &self.0.planner.pipelines(), &file).await?;
        let taken = self.take(&object).await?;
        Ok(Replayed { object, rows, left_out, runs: taken.runs })
    }

    async fn models(&self) -> Answer<Vec<ModelSummary>> {
        self.desk(&StraightIn(&self.0)).all().await
    }

    async fn model(&self, model: &ModelName) -> Answer<ModelDetails> {
        self.desk(&StraightIn(&self.0)).one(model).await
    }

    async fn roll_back(&self, model: &ModelName) -> Answer<Vec<Shifted>> {
        self.desk(&StraightIn(&self.0)).roll_back(model).await
    }

    async fn promote(&self, model: &ModelName, version: u64) -> Answer<Vec<Shifted>> {
        self.desk(&StraightIn(&self.0)).promote(model, version).await
    }

    async fn predict(&self, endpoint: &ModelName, request: Value) -> Answer<Value> {
        Ok(self.0.endpoints.predict(endpoint, request).await?)
    }

    async fn events(&self) -> Answer<BoxStream<'static, EventView>> {
        Ok(events::stream(self.0.dispatcher.subscribe()))
    }
}

/// Takes facts straight into the ledger: a command may work where no platform runs to deliver them.
struct StraightIn<'a>(&'a Platform);

impl fmt::Debug for StraightIn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StraightIn")
    }
}

#[async_trait]
impl EventBus for StraightIn<'_> {
    async fn publish(&self, events: Vec<Envelope>) -> PortResult<()> {
        for envelope in events {
            self.0.tell(envelope.event).await?;
        }
        Ok(())
    }
}

/// Decimals as BigQuery writes them: without the zeros that only say how many digits there could be.
fn trim_zeros(value: &mut Value) {
    if let Value::String(text) = value
        && text.contains('.')
    {
        let end = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(end);
    }
}
