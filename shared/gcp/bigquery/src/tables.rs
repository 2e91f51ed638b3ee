//! Tables: what is known of them, and what Millstream notes in their labels.
//!
//! `millstream_version` is the commit number of the last write, `millstream_slot` and `millstream_sequence` say where the
//! table's log of replaces has got to (see [`replaces`](crate::replaces)). Labels are written after the job: one that was
//! not written because of a crash is written when the job is asked for again.

use std::collections::HashMap;

use gcp_bigquery_client::model::table_reference::TableReference;
use millstream_events::{Fingerprint, names::TableName, work::TableLayout};
use millstream_ports::{ErrorKind, PortError, PortResult, TableFacts};
use serde_json::json;

use crate::{
    BigQueryWarehouse,
    jobs::managed,
    model::{Labels, Table, number},
    schema,
};

pub(crate) const VERSION: &str = "millstream_version";
pub(crate) const SLOT: &str = "millstream_slot";
pub(crate) const SEQUENCE: &str = "millstream_sequence";

/// How a table for rows on their way into another one is called.
const STAGE: &str = "_millstream_stage_";

/// How often labels are written again after somebody else changed the table meanwhile.
const TRIES: u32 = 5;

/// What a write leaves in its table's labels.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Commit {
    /// Its commit number.
    pub(crate) version: u64,
    /// For a replace: its slot in the log and its sequence.
    pub(crate) replace: Option<(u64, u64)>,
}

/// What is known of a table.
pub(crate) fn facts(name: &TableName, table: &Table) -> PortResult<TableFacts> {
    Ok(TableFacts {
        table: name.clone(),
        columns: schema::columns(table.fields())?,
        rows: table.rows(),
        version: version(table),
    })
}

/// The commit number of a table's last write; of one that Millstream did not write, when it was last changed.
pub(crate) fn version(table: &Table) -> u64 {
    table.label(VERSION).or_else(|| number(table.last_modified_time.as_deref())).unwrap_or_default()
}

/// Whether a table only holds rows on their way into another.
pub(crate) fn is_stage(table: &TableName) -> bool {
    table.table().starts_with(STAGE)
}

/// The table for the rows of a job on their way into this one.
pub(crate) fn stage(table: &TableName, job: &str) -> PortResult<TableName> {
    let name = format!("{}.{STAGE}{}", table.dataset(), Fingerprint::of("stage", [job.as_bytes()]).as_str());
    name.parse().map_err(|error| PortError::internal("a staging table has no valid name").caused_by(error))
}

impl BigQueryWarehouse {
    /// A table as BigQuery refers to it.
    pub(crate) fn reference(&self, table: &TableName) -> TableReference {
        TableReference::new(self.api.project(), table.dataset(), table.table())
    }

    /// Notes a write in its table's labels, where it is not noted yet. Gives the table as it was before, if it is there.
    pub(crate) async fn note(
        &self,
        table: &TableName,
        layout: &TableLayout,
        commit: Commit,
    ) -> PortResult<Option<Table>> {
        for _ in 0..TRIES {
            // A table that somebody dropped since has no use for labels.
            let Some(found) = self.api.table(table).await? else { return Ok(None) };
            let is_newer = |name: &str, value: u64| found.label(name).is_none_or(|known| known < value);
            let mut labels = managed(Labels::new());
            if is_newer(VERSION, commit.version) {
                labels.insert(VERSION.into(), commit.version.to_string());
            }
            if let Some((slot, sequence)) = commit.replace
                && is_newer(SLOT, slot)
            {
                labels.extend([(SLOT.into(), slot.to_string()), (SEQUENCE.into(), sequence.to_string())]);
            }
            if labels.iter().all(|(name, value)| found.labels.get(name) == Some(value)) {
                return Ok(Some(found));
            }
            let all: HashMap<&String, &String> = found.labels.iter().chain(&labels).collect();
            let mut patch = json!({ "labels": all });
            if let (None, Some(description)) = (&found.description, &layout.description) {
                patch["description"] = json!(description);
            }
            match self.api.patch_table(table, found.etag.as_deref(), &patch).await {
                Ok(()) => return Ok(Some(found)),
                // Somebody changed it since it was read.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(PortError::unavailable(format!("the labels of {table} change all the time; ask again")))
    }
}
