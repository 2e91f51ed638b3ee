//! Cloud Scheduler's ticks.
//!
//! A Scheduler job sends the same body each time, so a job's body cannot hold the scheduled time, which is a tick's
//! identity. It is taken from what comes with the body:
//!
//! * over HTTP, the header `X-CloudScheduler-ScheduleTime`, the same at every try of one tick;
//! * over Pub/Sub, the message's publish time, the same at every delivery of one message.
//!
//! Either is cut to the minute, cron's own step: a try that comes seconds late is the same tick.
//!
//! Sources: <https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#HttpTarget> and
//! `#PubsubTarget` there.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use http::HeaderMap;
use millstream_events::{
    Event,
    names::PipelineName,
    trigger::{ScheduleFired, SweepDue},
};
use serde_json::Value;

use super::{
    decode::header_text,
    google::{PUBLISH_TIME, parse_time},
    undecodable::Undecodable,
};

const FIRED: &str = "dev.millstream.schedule.fired.v1";

/// The tick that a request's headers tell of: Cloud Scheduler's own, or an unwrapped message's.
pub(super) fn tick_of(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    header_text(headers, "x-cloudscheduler-scheduletime")
        .and_then(parse_time)
        .or_else(|| header_text(headers, PUBLISH_TIME).and_then(parse_time))
        .map(to_the_minute)
}

pub(super) fn to_the_minute(time: DateTime<Utc>) -> DateTime<Utc> {
    // It fails only for times past the year 2262, which are then left as they are.
    time.duration_trunc(TimeDelta::minutes(1)).unwrap_or(time)
}

/// Gives a tick's data the time it has not: a job's body names its pipeline only.
pub(super) fn complete(event_type: &str, data: &mut Value, tick: Option<DateTime<Utc>>) {
    if let (FIRED, Some(data), Some(tick)) = (event_type, data.as_object_mut(), tick) {
        data.entry("scheduled_at").or_insert_with(|| tick.to_rfc3339().into());
    }
}

/// The event of a message that has no data and says by one attribute what is due: `schedule=PIPELINE`, with
/// `source=NAME` for a source's own schedule, or `sweep=due`.
/// `None` for any other message.
pub(super) fn by_attributes<'a>(
    attribute: impl Fn(&str) -> Option<&'a str>,
    tick: Option<DateTime<Utc>>,
) -> Result<Option<Event>, Undecodable> {
    if let Some(pipeline) = attribute("schedule") {
        let scheduled_at = tick.ok_or(Undecodable::Missing { what: "the message", field: "publishTime" })?;
        let pipeline: PipelineName = pipeline
            .parse()
            .map_err(|_| Undecodable::field("the attribute schedule", pipeline, "expected a pipeline's name"))?;
        let source = attribute("source").map(str::to_owned);
        return Ok(Some(Event::ScheduleFired(ScheduleFired { pipeline, scheduled_at, source })));
    }
    match attribute("sweep") {
        Some("due") => Ok(Some(Event::SweepDue(SweepDue {}))),
        Some(other) => Err(Undecodable::field("the attribute sweep", other, "expected due")),
        None => Ok(None),
    }
}
