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
use millstream_pipeline::pattern::run_key;
use millstream_ports::{EventBus, ObjectStore, PortResult};
use millstream_promote_model::{PRODUCTION, by_hand::ByHand};
use serde_json::Value;

use super::{
    Answer, Operations, Refusal, events, history, quarantine,
    views::{
        EventView, ModelDetails, ModelSummary, QuarantinedFile, QuarantinedRows, Replayed, Rollback, Rows, RunDetails,
        RunSummary, TableView, Taken,
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
        let snapshot = self.0.ledger.snapshot(run).await?;
        let pipelines = self.0.planner.pipelines();
        let plan = pipelines
            .by_name
            .get(&run.pipeline)
            .map(|pipeline| millstream_pipeline::plan::plan(&pipelines, pipeline, &snapshot.history));
        let details = history::details(&snapshot, plan.as_ref());
        Ok((snapshot.history, details))
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

    async fn start_run(&self, pipeline: &PipelineName) -> Answer<Taken> {
        self.check_pipeline(pipeline)?;
        let request = self.0.clock.now().format("%Y%m%dT%H%M%S%6f").to_string();
        let run = format!("{pipeline}/manual-{request}");
        self.0.tell(Event::RunRequested(RunRequested { pipeline: pipeline.clone(), request })).await?;
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
        let endpoints = self.0.endpoints.endpoints().await?;
        let mut models = Vec::new();
        for model in self.0.registry.models().await? {
            let versions = self.0.registry.versions(&model).await?;
            let serves = |state: &&millstream_ports::EndpointState| {
                state.deployed.iter().any(|deployed| deployed.model == model)
            };
            models.push(ModelSummary {
                latest: versions.last().map_or(0, |version| version.version),
                production: self.0.registry.aliases(&model).await?.get(PRODUCTION).copied(),
                endpoints: endpoints.iter().filter(serves).map(|state| state.endpoint.clone()).collect(),
                model,
            });
        }
        Ok(models)
    }

    async fn model(&self, model: &ModelName) -> Answer<ModelDetails> {
        let versions = self.0.registry.versions(model).await?;
        if versions.is_empty() {
            return Err(Refusal::not_found(format!(
                "no model is called {model}; `millstream models` lists those that were trained"
            )));
        }
        let mut endpoints = self.0.endpoints.endpoints().await?;
        endpoints.retain(|state| state.deployed.iter().any(|deployed| deployed.model == *model));
        Ok(ModelDetails { model: model.clone(), aliases: self.0.registry.aliases(model).await?, versions, endpoints })
    }

    async fn roll_back(&self, model: &ModelName) -> Answer<Vec<Rollback>> {
        self.model(model).await?;
        let platform = &self.0;
        let by_hand = ByHand {
            registry: &*platform.registry,
            endpoints: &*platform.endpoints,
            bus: &StraightIn(platform),
            clock: &*platform.clock,
        };
        let moved = by_hand.rollback(model).await?;
        Ok(moved
            .into_iter()
            .map(|moved| Rollback {
                endpoint: moved.endpoint,
                from: moved.from.iter().map(|deployed| deployed.version).collect(),
                to: moved.to.version,
            })
            .collect())
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
