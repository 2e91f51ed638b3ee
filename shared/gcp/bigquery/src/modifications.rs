//! The 1,500 times a day that a table may be modified.
//!
//! Loads, copies and queries that write a table count together, failed ones too; DML does not. BigQuery gives its daily
//! quotas back over the day rather than at an hour, so what is counted is the last 24 hours, which is never less than
//! BigQuery's own count. It is read from the job history of this service account and kept up to date by the jobs started
//! here; the history is asked again, only for what is new, once a minute. Another account that writes the same tables is
//! not seen: the limit leaves room for it.
//!
//! Source: <https://cloud.google.com/bigquery/quotas#standard_tables>.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use gcp_bigquery_client::model::{job_list_jobs::JobListJobs, table_reference::TableReference};
use millstream_events::names::TableName;
use millstream_ports::{ErrorKind, PortError, PortResult};

use crate::{api::Api, model::number};

/// What a modification counts towards.
const DAY: TimeDelta = TimeDelta::hours(24);

/// How long the history that was read is good for.
const FRESH: TimeDelta = TimeDelta::minutes(1);

/// Jobs appear in the history a little after they were created: the next look goes back over this.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);

/// A wait for room is no shorter, so that a step is not asked for in vain again and again.
const SHORTEST_WAIT: Duration = Duration::from_secs(60);

/// Statements that write a table without counting.
const DML: [&str; 5] = ["INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE_TABLE"];

/// Counts modifications by table.
#[derive(Debug)]
pub(crate) struct Modifications {
    limit: u32,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    /// Job ids and when they were created, by table.
    tables: HashMap<String, HashMap<String, DateTime<Utc>>>,
    read: Option<DateTime<Utc>>,
}

impl Modifications {
    /// At most `limit` a table and day.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, counted: Mutex::default() }
    }

    /// Whether one more modification of a table has room; otherwise when it will.
    pub(crate) async fn admit(&self, api: &Api, now: DateTime<Utc>, table: &TableName) -> PortResult<()> {
        let read = self.counted().read;
        if read.is_none_or(|read| now - read >= FRESH) {
            let since = read.map_or(now - DAY, |read| (read - OVERLAP).max(now - DAY));
            let jobs = api.jobs_since(u64::try_from(since.timestamp_millis()).unwrap_or_default()).await?;
            let mut counted = self.counted();
            for job in jobs {
                counted.add(api.project(), job);
            }
            counted.read = Some(now);
        }
        self.room(now, table)
    }

    fn room(&self, now: DateTime<Utc>, table: &TableName) -> PortResult<()> {
        let mut counted = self.counted();
        let Some(jobs) = counted.tables.get_mut(&table.to_string()) else { return Ok(()) };
        jobs.retain(|_, created| now - *created < DAY);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if jobs.len() < limit {
            return Ok(());
        }
        let mut created: Vec<DateTime<Utc>> = jobs.values().copied().collect();
        created.sort_unstable();
        // As many must have left as there are too many.
        let leaves = created.get(jobs.len() - limit).map_or(now, |created| *created + DAY);
        let retry_after = (leaves - now).to_std().unwrap_or_default().max(SHORTEST_WAIT);
        Err(PortError::new(
            ErrorKind::Quota { retry_after },
            format!(
                "{table} was modified {} times in 24 hours, of the {} allowed to Millstream (BigQuery allows 1,500): it waits; \
                 gather small files into fewer loads with a window",
                jobs.len(),
                self.limit
            ),
        ))
    }

    /// Counts a job that was started here.
    pub(crate) fn note(&self, now: DateTime<Utc>, table: &TableName, job: &str) {
        self.counted().tables.entry(table.to_string()).or_default().insert(job.to_owned(), now);
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn add(&mut self, project: &str, job: JobListJobs) {
        let created = job.statistics.as_ref().and_then(|statistics| number(statistics.creation_time.as_deref()));
        let created = created.and_then(|created| DateTime::from_timestamp_millis(i64::try_from(created).ok()?));
        let id = job.job_reference.as_ref().and_then(|reference| reference.job_id.clone());
        if let (Some(table), Some(created), Some(id)) = (modified(&job), created, id)
            && table.project_id == project
        {
            let table = format!("{}.{}", table.dataset_id, table.table_id);
            self.tables.entry(table).or_default().insert(id, created);
        }
    }
}

/// The table that a job modified in a way that counts.
fn modified(job: &JobListJobs) -> Option<&TableReference> {
    let configuration = job.configuration.as_ref()?;
    let statement = job.statistics.as_ref().and_then(|all| all.query.as_ref()?.statement_type.as_deref());
    if statement.is_some_and(|statement| DML.contains(&statement)) {
        return None;
    }
    let loaded = configuration.load.as_ref().and_then(|load| load.destination_table.as_ref());
    let copied = || configuration.copy.as_ref().and_then(|copy| copy.destination_table.as_ref());
    let queried = || configuration.query.as_ref().and_then(|query| query.destination_table.as_ref());
    loaded.or_else(copied).or_else(queried)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000).unwrap() + TimeDelta::minutes(minutes)
    }

    fn job(id: &str, kind: &str, statement: Option<&str>, created: DateTime<Utc>) -> JobListJobs {
        let table = json!({ "projectId": "p", "datasetId": "d", "tableId": "t" });
        let mut configuration = json!({ kind: { "destinationTable": table } });
        if kind == "query" {
            configuration["query"]["query"] = json!("..");
        }
        serde_json::from_value(json!({
            "jobReference": { "jobId": id },
            "configuration": configuration,
            "statistics": {
                "creationTime": created.timestamp_millis().to_string(),
                "query": { "statementType": statement }
            }
        }))
        .unwrap()
    }

    #[test]
    fn a_table_waits_until_its_oldest_modification_is_a_day_old() {
        let table = "d.t".parse().unwrap();
        let modifications = Modifications::new(2);
        modifications.note(at(0), &table, "a");
        assert!(modifications.room(at(1), &table).is_ok());
        modifications.note(at(30), &table, "b");
        let wait = |minute| modifications.room(at(minute), &table).unwrap_err().kind();
        assert_eq!(wait(60), ErrorKind::Quota { retry_after: Duration::from_secs(23 * 3600) });
        assert!(modifications.room(at(60), &"d.other".parse().unwrap()).is_ok());
        assert!(modifications.room(at(24 * 60), &table).is_ok());
    }

    #[test]
    fn loads_copies_and_results_count_and_dml_does_not() {
        let mut counted = Counted::default();
        for (id, kind, statement) in [
            ("a", "load", None),
            ("b", "copy", None),
            ("c", "query", Some("CREATE_TABLE_AS_SELECT")),
            ("c", "query", Some("CREATE_TABLE_AS_SELECT")),
            ("d", "query", Some("MERGE")),
        ] {
            counted.add("p", job(id, kind, statement, at(0)));
        }
        counted.add("another", job("e", "load", None, at(0)));
        let mut ids: Vec<&String> = counted.tables["d.t"].keys().collect();
        ids.sort();
        assert_eq!(ids, ["a", "b", "c"]);
    }
}
