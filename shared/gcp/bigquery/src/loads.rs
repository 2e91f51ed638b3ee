//! Appends: files into a table, as one load job under the caller's id.

use std::collections::HashMap;

use gcp_bigquery_client::model::{
    clustering::Clustering, job_configuration_load::JobConfigurationLoad, time_partitioning::TimePartitioning,
};
use millstream_events::{
    names::{ObjectPath, TableName},
    work::{LoadTable, TableLayout, UploadedFile},
};
use millstream_ports::{JobState, PortError, PortResult, TableWrite};
use serde_json::{Value, json};

use crate::{
    BigQueryWarehouse,
    jobs::{Known, NewJob, managed},
    model::{Job, Labels, Schema, Table, number},
    schema,
    sources::source,
    tables::{self, Commit},
};

/// A job's label: the rows that its table had before. With the rows the job wrote it gives the rows after, the same each
/// time the job is asked for; writers that overlap may both count from the same number.
pub(crate) const ROWS_BEFORE: &str = "millstream_rows_before";

/// A load job.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    pub(crate) table: &'a TableName,
    pub(crate) files: &'a [ObjectPath],
    pub(crate) uploaded: Option<&'a UploadedFile>,
    pub(crate) schema: &'a Schema,
    /// Given for a table that the load makes or makes anew.
    pub(crate) layout: Option<&'a TableLayout>,
    pub(crate) disposition: &'static str,
    pub(crate) updates: &'a [&'static str],
    pub(crate) labels: Labels,
}

impl BigQueryWarehouse {
    /// Its configuration.
    pub(crate) fn load_configuration(&self, load: Load<'_>) -> PortResult<Value> {
        let (read, beyond) = source(load.files, load.uploaded)?;
        let layout = load.layout.cloned().unwrap_or_default();
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let configuration = JobConfigurationLoad {
            destination_table: Some(self.reference(load.table)),
            create_disposition: Some("CREATE_IF_NEEDED".into()),
            write_disposition: Some(load.disposition.into()),
            schema_update_options: Some(texts(load.updates)).filter(|updates| !updates.is_empty()),
            time_partitioning: layout.partition_by.map(|column| TimePartitioning::per_day().field(&column)),
            clustering: Some(layout.cluster_by)
                .filter(|columns| !columns.is_empty())
                .map(|columns| Clustering { fields: Some(columns) }),
            ..read
        };
        let unwritable = |error| PortError::internal("a load cannot be written as JSON").caused_by(error);
        let mut configuration = serde_json::to_value(configuration).map_err(unwritable)?;
        configuration["schema"] = serde_json::to_value(load.schema).map_err(unwritable)?;
        if let Value::Object(known) = &mut configuration {
            known.extend(beyond);
        }
        Ok(json!({ "load": configuration, "labels": managed(load.labels) }))
    }

    /// See `Warehouse::ensure_load`.
    pub(crate) async fn append(&self, job: &str, load: &LoadTable) -> PortResult<JobState<TableWrite>> {
        let doing = format!("load {}", load.table);
        let state = match self.known(&doing, job).await? {
            Known::Settled(state) => state,
            Known::Owed(id) => {
                self.check_files(load).await?;
                self.api.create_dataset(load.table.dataset()).await?;
                let files = self.unmarked(load, job).await?;
                let table = self.api.table(&load.table).await?;
                let schema = match &table {
                    Some(table) => schema::grown(&load.table.to_string(), table.fields(), &load.columns)?,
                    None => schema::schema(&load.columns),
                };
                let configuration = self.load_configuration(Load {
                    table: &load.table,
                    files: &files,
                    uploaded: load.uploaded.as_ref(),
                    schema: &schema,
                    layout: table.is_none().then_some(&load.layout),
                    disposition: "WRITE_APPEND",
                    updates: &["ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION"],
                    labels: rows_before(table.as_ref()),
                })?;
                self.start(&id, NewJob { doing: &doing, modifies: Some(&load.table), configuration }).await?
            }
        };
        let JobState::Done(done) = state else { return Ok(JobState::Running) };
        self.committed(load, &done, None).await?;
        self.drop_unmarked(load, job).await;
        let rows = number(done.statistics.load.output_rows.as_deref()).unwrap_or_default();
        let total_rows = done.label(ROWS_BEFORE).unwrap_or_default() + rows;
        Ok(JobState::Done(TableWrite { rows, total_rows, version: done.version(), superseded: false }))
    }

    /// Checks what a load that is done has read, once, and notes it in the table's labels.
    pub(crate) async fn committed(&self, load: &LoadTable, done: &Job, replace: Option<(u64, u64)>) -> PortResult<()> {
        if load.uploaded.is_some() {
            // A write that is noted was checked: the upload may have been replaced since.
            let noted = self.api.table(&load.table).await?.and_then(|table| table.label(tables::VERSION));
            if noted.is_none_or(|noted| noted < done.version()) {
                self.check_read(load).await?;
            }
        }
        let commit = Commit { version: done.version(), replace };
        self.note(&load.table, &load.layout, commit).await.map(|_| ())
    }
}

/// The label that holds a table's rows before a job.
pub(crate) fn rows_before(table: Option<&Table>) -> Labels {
    HashMap::from([(ROWS_BEFORE.to_owned(), table.map_or(0, Table::rows).to_string())])
}
