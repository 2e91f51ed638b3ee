//! Events as values: decoded once at the edge, matched by functions.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    fact::{Outcome, Reason, TrafficMoved},
    fingerprint::Fingerprint,
    names::{RunId, StepName},
    trigger::{MessagePublished, ObjectFinalized, RetryRequested, RunRequested, ScheduleFired, SweepDue},
    work::{Work, WorkKind},
};

/// Which step, in which content, at which attempt: the identity of a command and of the facts that answer it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct StepRef {
    /// The run.
    pub run: RunId,
    /// The step in it.
    pub step: StepName,
    /// What it is: its definition and its inputs, hashed.
    pub fingerprint: Fingerprint,
    /// 1 at first; `retry` asks for the next one.
    pub attempt: u32,
}

impl StepRef {
    /// The name of what the step makes: job ids, object folders. The first attempt is the bare fingerprint.
    #[must_use]
    pub fn job_id(&self) -> String {
        if self.attempt <= 1 { self.fingerprint.to_string() } else { format!("{}-a{}", self.fingerprint, self.attempt) }
    }

    /// An event or record id that is the same whenever it is derived again.
    fn derived_id(&self, what: &str) -> String {
        let identity = format!("{}\n{}\n{}\n{}", self.run, self.step, self.fingerprint, self.attempt);
        let hash = Fingerprint::of(what, [identity.as_bytes()]);
        format!("{what}-{hash}")
    }
}

/// Asks one function to ensure one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Command<W = Work> {
    /// Which step.
    pub step: StepRef,
    /// What is to be true afterwards.
    pub work: W,
}

impl Command<Work> {
    /// This command as its function's own type.
    #[must_use]
    pub fn typed<W: WorkKind>(&self) -> Option<Command<W>> {
        W::from_work(&self.work).map(|work| Command { step: self.step.clone(), work: work.clone() })
    }
}

/// A step's fact on the wire: which step, and what it made true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepFact<T> {
    /// Which step.
    pub step: StepRef,
    /// What is now true.
    pub fact: T,
}

/// Everything that travels.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "every other event is a command, and one is held behind an Arc anyway")]
pub enum Event {
    /// An object is in a bucket.
    ObjectFinalized(ObjectFinalized),
    /// A message was published.
    MessagePublished(MessagePublished),
    /// A schedule came due.
    ScheduleFired(ScheduleFired),
    /// Time to look at what is open.
    SweepDue(SweepDue),
    /// A person asked for a run.
    RunRequested(RunRequested),
    /// A person asked for another try.
    RetryRequested(RetryRequested),
    /// A function is asked to ensure a step.
    Command(Command),
    /// A step is done.
    StepDone(StepFact<Outcome>),
    /// A step cannot be done as it stands; only a retry or a change helps.
    StepFailed(StepFact<Reason>),
    /// A step could not be done just now and will be asked for again.
    StepDeferred(StepFact<Reason>),
    /// An endpoint's traffic was moved; the step that did it goes on.
    TrafficMoved(TrafficMoved),
}

/// A payload that does not fit its type.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not one of Millstream's types.
    #[error("the event type {0:?} is not one that Millstream knows")]
    UnknownType(String),
    /// A known type with data that does not fit.
    #[error("the data of a {event_type} event does not fit its contract: {source}")]
    Data {
        /// The event type.
        event_type: String,
        /// What does not fit.
        source: serde_json::Error,
    },
}

const OBJECT_FINALIZED: &str = "google.cloud.storage.object.v1.finalized";
const MESSAGE_PUBLISHED: &str = "google.cloud.pubsub.topic.v1.messagePublished";
const SCHEDULE_FIRED: &str = "dev.millstream.schedule.fired.v1";
const SWEEP_DUE: &str = "dev.millstream.sweep.due.v1";
const RUN_REQUESTED: &str = "dev.millstream.run.requested.v1";
const RETRY_REQUESTED: &str = "dev.millstream.retry.requested.v1";
const STEP_FAILED: &str = "dev.millstream.step.failed.v1";
const STEP_DEFERRED: &str = "dev.millstream.step.deferred.v1";
const TRAFFIC_MOVED: &str = "dev.millstream.model.traffic_moved.v1";

impl Event {
    /// The CloudEvents `type`.
    #[must_use]
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::ObjectFinalized(_) => OBJECT_FINALIZED,
            Self::MessagePublished(_) => MESSAGE_PUBLISHED,
            Self::ScheduleFired(_) => SCHEDULE_FIRED,
            Self::SweepDue(_) => SWEEP_DUE,
            Self::RunRequested(_) => RUN_REQUESTED,
            Self::RetryRequested(_) => RETRY_REQUESTED,
            Self::Command(command) => command.work.event_type(),
            Self::StepDone(fact) => fact.fact.event_type(),
            Self::StepFailed(_) => STEP_FAILED,
            Self::StepDeferred(_) => STEP_DEFERRED,
            Self::TrafficMoved(_) => TRAFFIC_MOVED,
        }
    }

    /// The CloudEvents `id`, derived from the content: the same event has the same id whoever makes it again.
    #[must_use]
    pub fn id(&self) -> String {
        let of = |what: &str, text: String| format!("{what}-{}", Fingerprint::of(what, [text.as_bytes()]));
        match self {
            Self::ObjectFinalized(object) => of("object", format!("{}\n{}", object.object, object.generation)),
            Self::MessagePublished(message) => of("message", format!("{}\n{}", message.topic, message.data)),
            Self::ScheduleFired(tick) => {
                let source = tick.source.as_ref().map(|source| format!("\n{source}")).unwrap_or_default();
                of("tick", format!("{}\n{}{source}", tick.pipeline, tick.scheduled_at.timestamp()))
            }
            Self::SweepDue(_) => "sweep".to_owned(),
            Self::RunRequested(request) => of("run", format!("{}\n{}", request.pipeline, request.request)),
            Self::RetryRequested(retry) => {
                // No step has an empty name: empty means all of them.
                let step = retry.step.as_ref().map_or("", StepName::as_str);
                of("retry", format!("{}\n{step}", retry.run))
            }
            Self::Command(command) => command.step.derived_id("requested"),
            Self::StepDone(fact) => fact.step.derived_id("done"),
            Self::StepFailed(fact) => fact.step.derived_id("failed"),
            Self::StepDeferred(fact) => {
                let reason = Fingerprint::of("reason", [fact.fact.message.as_bytes()]);
                format!("{}-{}", fact.step.derived_id("deferred"), reason.short())
            }
            // An endpoint that is made anew counts from 1 again, at another time.
            Self::TrafficMoved(moved) => of(
                "moved",
                format!("{}\n{}\n{}\n{}", moved.run, moved.endpoint, moved.number, moved.at.timestamp_micros()),
            ),
        }
    }

    /// The step a command or fact is about; none for traffic that a person moved.
    #[must_use]
    pub fn step(&self) -> Option<&StepRef> {
        match self {
            Self::Command(command) => Some(&command.step),
            Self::StepDone(fact) => Some(&fact.step),
            Self::StepFailed(fact) | Self::StepDeferred(fact) => Some(&fact.step),
            Self::TrafficMoved(moved) => moved.step.as_ref(),
            _ => None,
        }
    }

    /// The CloudEvents `subject`: the object, the run, the step or the endpoint it is about.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        match self {
            Self::ObjectFinalized(object) => Some(format!("objects/{}", object.object.name())),
            Self::MessagePublished(message) => Some(format!("topics/{}", message.topic)),
            Self::ScheduleFired(tick) => Some(tick.pipeline.to_string()),
            Self::RunRequested(request) => Some(request.pipeline.to_string()),
            Self::RetryRequested(retry) => Some(retry.run.to_string()),
            Self::SweepDue(_) => None,
            Self::TrafficMoved(moved) => Some(format!("endpoints/{}", moved.endpoint)),
            _ => self.step().map(|step| format!("{}/{}", step.run, step.step)),
        }
    }

    /// The `data` as JSON.
    pub fn data(&self) -> Result<Value, serde_json::Error> {
        let with_step = |step: &StepRef, key: &str, value: Value| {
            serde_json::to_value(step).map(|step| serde_json::json!({ "step": step, key: value }))
        };
        match self {
            Self::ObjectFinalized(object) => serde_json::to_value(object),
            Self::MessagePublished(message) => serde_json::to_value(message),
            Self::ScheduleFired(tick) => serde_json::to_value(tick),
            Self::SweepDue(sweep) => serde_json::to_value(sweep),
            Self::RunRequested(request) => serde_json::to_value(request),
            Self::RetryRequested(retry) => serde_json::to_value(retry),
            Self::Command(command) => with_step(&command.step, "work", command.work.to_json()?),
            Self::StepDone(fact) => with_step(&fact.step, "fact", fact.fact.to_json()?),
            Self::StepFailed(fact) | Self::StepDeferred(fact) => serde_json::to_value(fact),
            Self::TrafficMoved(moved) => serde_json::to_value(moved),
        }
    }

    /// Reads an event back from its type and data.
    ///
    /// The two Google types are accepted in Millstream's own form here; the edge turns Google's forms into it first.
    pub fn from_parts(event_type: &str, data: Value) -> Result<Self, DecodeError> {
        let fits = |result: Result<Self, serde_json::Error>| {
            result.map_err(|source| DecodeError::Data { event_type: event_type.to_owned(), source })
        };
        fits(match event_type {
            OBJECT_FINALIZED => serde_json::from_value(data).map(Self::ObjectFinalized),
            MESSAGE_PUBLISHED => serde_json::from_value(data).map(Self::MessagePublished),
            SCHEDULE_FIRED => serde_json::from_value(data).map(Self::ScheduleFired),
            SWEEP_DUE => serde_json::from_value(data).map(Self::SweepDue),
            RUN_REQUESTED => serde_json::from_value(data).map(Self::RunRequested),
            RETRY_REQUESTED => serde_json::from_value(data).map(Self::RetryRequested),
            STEP_FAILED => serde_json::from_value(data).map(Self::StepFailed),
            STEP_DEFERRED => serde_json::from_value(data).map(Self::StepDeferred),
            TRAFFIC_MOVED => serde_json::from_value(data).map(Self::TrafficMoved),
            other => return Self::from_step_parts(other, data),
        })
    }

    fn from_step_parts(event_type: &str, data: Value) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Parts {
            step: StepRef,
            #[serde(alias = "fact")]
            work: Value,
        }
        let error = |source| DecodeError::Data { event_type: event_type.to_owned(), source };
        // Before the data is looked at: of an unknown type, nothing can be said about what its data should be.
        if !Work::is_type(event_type) && !Outcome::is_type(event_type) {
            return Err(DecodeError::UnknownType(event_type.to_owned()));
        }
        let Parts { step, work } = serde_json::from_value(data).map_err(error)?;
        if Work::is_type(event_type) {
            let work = Work::from_json(event_type, work)
                .ok_or_else(|| DecodeError::UnknownType(event_type.to_owned()))?
                .map_err(error)?;
            return Ok(Self::Command(Command { step, work }));
        }
        let fact = Outcome::from_json(event_type, work)
            .ok_or_else(|| DecodeError::UnknownType(event_type.to_owned()))?
            .map_err(error)?;
        Ok(Self::StepDone(StepFact { step, fact }))
    }
}

/// Every event type with the JSON Schema of its data.
#[must_use]
pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
    let mut all = vec![
        (OBJECT_FINALIZED, schemars::schema_for!(ObjectFinalized)),
        (MESSAGE_PUBLISHED, schemars::schema_for!(MessagePublished)),
        (SCHEDULE_FIRED, schemars::schema_for!(ScheduleFired)),
        (SWEEP_DUE, schemars::schema_for!(SweepDue)),
        (RUN_REQUESTED, schemars::schema_for!(RunRequested)),
        (RETRY_REQUESTED, schemars::schema_for!(RetryRequested)),
        (STEP_FAILED, schemars::schema_for!(StepFact<Reason>)),
        (STEP_DEFERRED, schemars::schema_for!(StepFact<Reason>)),
        (TRAFFIC_MOVED, schemars::schema_for!(TrafficMoved)),
    ];
    all.extend(crate::work::schemas());
    all.extend(crate::fact::schemas());
    all
}

/// An event with the envelope it travels in.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The event.
    pub event: Event,
    /// When it was made.
    pub time: DateTime<Utc>,
    /// The W3C trace context of the delivery that caused it.
    pub traceparent: Option<String>,
}
