//! What ended long ago is deleted when the next job is started.
//!
//! TrainJobs and RayJobs have no time to live of their own; PyTorchJobs have, and are only met here where their operator
//! was away. No failure here is a job's: what stays now goes with the next one.

use chrono::{DateTime, TimeDelta, Utc};
use millstream_ports::error::PortResult;
use serde_json::json;
use tracing::warn;

use crate::{
    jobs::{self, Jobs},
    kind::Kind,
    logs::creation,
    record::Records,
};

/// How long records are kept: far longer than a step is asked for again.
const RECORD_DAYS: i64 = 30;

/// Deletes objects that ended more than `keep_seconds` ago, and old records.
pub(crate) async fn run(jobs: &Jobs, records: &Records, now: DateTime<Utc>, keep_seconds: u32) {
    let keep = TimeDelta::seconds(keep_seconds.into());
    for kind in Kind::ALL {
        if let Err(error) = ended_objects(jobs, records, kind, now - keep).await {
            warn!(%error, kind = kind.as_str(), "ended jobs are not cleaned up");
        }
    }
    if let Err(error) = old_records(records, now - TimeDelta::days(RECORD_DAYS)).await {
        warn!(%error, "records of old jobs are not cleaned up");
    }
}

async fn ended_objects(jobs: &Jobs, records: &Records, kind: Kind, before: DateTime<Utc>) -> PortResult<()> {
    for object in jobs.own(kind).await? {
        let (Some(name), Some(uid)) = (&object.metadata.name, &object.metadata.uid) else { continue };
        if creation(&object.metadata).is_none_or(|created| created > before) {
            continue;
        }
        let record = records.get(name).await?;
        let ended = record.as_ref().filter(|record| record.end.is_some()).and_then(|record| record.ended);
        if ended.is_some_and(|ended| ended <= before) {
            jobs.delete(kind, &json!({"metadata": {"name": name, "uid": uid}})).await?;
        }
    }
    Ok(())
}

async fn old_records(records: &Records, before: DateTime<Utc>) -> PortResult<()> {
    let listed = jobs::own_metadata(records.api()).await;
    for map in listed.map_err(|error| crate::errors::port_error("ConfigMaps: list", error))? {
        let Some(name) = map.metadata.name.as_deref().filter(|name| name.starts_with("ms-")) else { continue };
        if creation(&map.metadata).is_some_and(|created| created < before)
            && let Some(record) = records.get(name).await?
        {
            records.forget(&record).await?;
        }
    }
    Ok(())
}
