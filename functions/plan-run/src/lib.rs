//! Turns triggers and facts into commands. The only function that knows pipelines.
//!
//! Consumes every trigger and every fact; emits the commands that [`millstream_pipeline::decide()`] says are owed. What it
//! takes in is in the ledger before anything is asked for; what it asks for it can be asked to ask again.

mod advance;
mod intake;
mod probe;
mod retry;
mod sweep;
mod turns;

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use millstream_events::{
    Envelope, Event,
    extract::ExtractSource,
    history::Record,
    names::{PipelineName, RunId},
    work::{self, WorkKind},
};
use millstream_pipeline::{Pipelines, plan::Plan};
use millstream_ports::{Clock, EventBus, Ledger, ObjectStore, PortResult};
use millstream_runtime::{
    Ack, Handler,
    declaration::{Bucket, Declaration, Size, Touch},
};

/// What a deployment derives from.
pub const DECLARATION: Declaration = Declaration {
    name: "plan-run",
    consumes: &[
        "google.cloud.storage.object.v1.finalized",
        "google.cloud.pubsub.topic.v1.messagePublished",
        "dev.millstream.schedule.fired.v1",
        "dev.millstream.sweep.due.v1",
        "dev.millstream.run.requested.v1",
        "dev.millstream.retry.requested.v1",
        "dev.millstream.batch.ingested.v1",
        "dev.millstream.source.extracted.v1",
        "dev.millstream.table.updated.v1",
        "dev.millstream.table.exported.v1",
        "dev.millstream.model.trained.v1",
        "dev.millstream.model.promoted.v1",
        "dev.millstream.model.rejected.v1",
        "dev.millstream.model.traffic_moved.v1",
        "dev.millstream.step.failed.v1",
        "dev.millstream.step.deferred.v1",
    ],
    emits: &[
        <work::IngestFile as WorkKind>::TYPE,
        <ExtractSource as WorkKind>::TYPE,
        <work::LoadTable as WorkKind>::TYPE,
        <work::TransformTable as WorkKind>::TYPE,
        <work::ExportTable as WorkKind>::TYPE,
        <work::TrainModel as WorkKind>::TYPE,
        <work::PromoteModel as WorkKind>::TYPE,
    ],
    touches: &[
        // A message's rows land there.
        Touch::Writes(Bucket::Landing),
        Touch::Writes(Bucket::Ledger),
        Touch::Reads(Bucket::Pipelines),
        Touch::Publishes,
    ],
    size: Size {
        cpu: "1",
        memory: "512Mi",
        concurrency: 32,
        timeout_seconds: 60,
        max_instances: 10,
        between_requests: false,
    },
};

/// What `plan-run` needs of the world.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The record of every run.
    pub ledger: Arc<dyn Ledger>,
    /// The landing bucket: messages land there too, and the sweep looks for uploads nobody told of.
    pub store: Arc<dyn ObjectStore>,
    /// Where commands go.
    pub bus: Arc<dyn EventBus>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// The function.
#[derive(Debug)]
pub struct PlanRun {
    pipelines: RwLock<Arc<Pipelines>>,
    ports: Ports,
    /// How long a sweep may leave the landing bucket and the list of all runs alone.
    survey_every: Duration,
    /// When a sweep last looked there; none since the start or since the pipelines changed.
    surveyed: Mutex<Option<DateTime<Utc>>>,
    /// Whether a sweep since the start has looked at closed runs too.
    looked_at_all: AtomicBool,
}

impl PlanRun {
    /// For these pipelines.
    #[must_use]
    pub fn new(pipelines: Pipelines, ports: Ports) -> Self {
        Self {
            pipelines: RwLock::new(Arc::new(pipelines)),
            ports,
            survey_every: Duration::ZERO,
            surveyed: Mutex::new(None),
            looked_at_all: AtomicBool::new(false),
        }
    }

    /// Looks for uploads that nobody told of, and for runs that a changed definition concerns, this often instead of with each
    /// sweep: listing a large bucket costs money. Open runs are looked at with each sweep all the same.
    #[must_use]
    pub fn surveying_every(mut self, pause: Duration) -> Self {
        self.survey_every = pause;
        self
    }

    /// Goes on with other definitions; the next sweep asks for what they change.
    pub fn replace_pipelines(&self, pipelines: Pipelines) {
        *self.pipelines.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pipelines);
        *self.surveyed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The definitions in force.
    #[must_use]
    pub fn pipelines(&self) -> Arc<Pipelines> {
        self.pipelines.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A run's plan as it stands; `None` for a pipeline that is not defined.
    pub async fn plan(&self, run: &RunId) -> PortResult<Option<Plan>> {
        let pipelines = self.pipelines();
        let Some(pipeline) = pipelines.by_name.get(&run.pipeline) else { return Ok(None) };
        let snapshot = self.ports.ledger.snapshot(run).await?;
        Ok(Some(millstream_pipeline::plan::plan(&pipelines, pipeline, &snapshot.history)))
    }

    async fn take(&self, event: &Event) -> PortResult<()> {
        match event {
            Event::ObjectFinalized(object) => self.take_upload(object).await,
            Event::MessagePublished(message) => self.take_message(message).await,
            Event::ScheduleFired(tick) => {
                let time = tick.scheduled_at.format("%Y%m%dT%H%M%SZ");
                let (key, by) = match &tick.source {
                    Some(source) => (format!("tick-{time}-{source}"), format!("the schedule of {source}")),
                    None => (format!("tick-{time}"), "its schedule".to_owned()),
                };
                let extracts = tick.source.clone().map(|source| vec![source]);
                self.start(&tick.pipeline, &key, Record::Started { by, extracts, full_refresh: false }).await
            }
            Event::RunRequested(request) => {
                let key = format!("manual-{}", request.request);
                let by = if request.full_refresh { "millstream run --full-refresh" } else { "millstream run" };
                // A person means all of its sources, those with a schedule of their own too.
                let extracts = self
                    .pipelines()
                    .by_name
                    .get(&request.pipeline)
                    .map(|pipeline| pipeline.extracts.iter().map(|extract| extract.name.clone()).collect());
                let full_refresh = request.full_refresh;
                let started = Record::Started { by: by.to_owned(), extracts, full_refresh };
                self.start(&request.pipeline, &key, started).await
            }
            Event::RetryRequested(retry) => self.take_retry(retry).await,
            Event::SweepDue(_) => self.take_tick().await,
            Event::StepDone(fact) => self.take_fact(&fact.step.run, Record::Done(fact.clone())).await,
            Event::StepFailed(fact) => self.take_fact(&fact.step.run, Record::Failed(fact.clone())).await,
            Event::StepDeferred(fact) => {
                // Kept so that a person sees why a step waits; nothing follows from it.
                self.ports.ledger.record(&fact.step.run, Record::Deferred(fact.clone())).await.map(|_| ())
            }
            Event::TrafficMoved(moved) => {
                // Part of the run's story; the step says itself when it is done.
                self.ports.ledger.record(&moved.run, Record::Moved(moved.clone())).await.map(|_| ())
            }
            Event::Command(_) => Ok(()),
        }
    }

    async fn take_tick(&self) -> PortResult<()> {
        let all = !self.looked_at_all.load(Ordering::Acquire);
        let now = self.ports.clock.now();
        let last = *self.surveyed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |last: DateTime<Utc>| (now - last).to_std().is_ok_and(|passed| passed >= self.survey_every);
        let survey = all || last.is_none_or(is_due);
        self.sweep(all, survey).await?;
        if survey {
            *self.surveyed.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        self.looked_at_all.store(true, Ordering::Release);
        Ok(())
    }

    async fn take_fact(&self, run: &RunId, record: Record) -> PortResult<()> {
        self.ports.ledger.record(run, record).await?;
        self.advance(run, Asking::New).await
    }

    /// Starts a run over the tables as they stand.
    async fn start(&self, pipeline: &PipelineName, key: &str, started: Record) -> PortResult<()> {
        let Ok(key) = key.parse() else {
            tracing::warn!(%pipeline, key, "refused: a run cannot have this key");
            return Ok(());
        };
        if !self.pipelines().by_name.contains_key(pipeline) {
            tracing::warn!(%pipeline, "refused: no pipeline has this name");
            return Ok(());
        }
        let run = RunId { pipeline: pipeline.clone(), key };
        self.record_trigger(&run, started).await?;
        self.advance(&run, Asking::New).await
    }

    /// Opens the run, then records what opens it: in this order a concurrent close cannot lose it.
    async fn record_trigger(&self, run: &RunId, record: Record) -> PortResult<()> {
        self.ports.ledger.open(run).await?;
        self.ports.ledger.record(run, record).await.map(|_| ())
    }
}

/// Which owed commands to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// Those not asked for before: an event moves a run on.
    New,
    /// All of them: the sweep heals what was lost.
    Again,
}

#[async_trait]
impl Handler for PlanRun {
    fn name(&self) -> &'static str {
        "plan-run"
    }

    fn takes(&self, event_type: &str) -> bool {
        !event_type.starts_with("dev.millstream.")
            || !event_type.ends_with(".requested.v1")
            || matches!(event_type, "dev.millstream.run.requested.v1" | "dev.millstream.retry.requested.v1")
    }

    async fn handle(&self, delivery: &Envelope) -> Ack {
        match self.take(&delivery.event).await {
            Ok(()) => Ack::Done,
            Err(error) => Ack::Retry { reason: error.to_string() },
        }
    }
}
