//! BigQuery's resources as far as they are read here.
//!
//! Requests are built from gcp-bigquery-client's types. These stand beside them where they leave out what is needed: a
//! column's precision and scale, a merge's row counts, a table's etag, and a dataset list that may be empty.

use std::collections::HashMap;

use gcp_bigquery_client::model::{
    dataset_reference::DatasetReference, error_proto::ErrorProto, job_reference::JobReference, job_status::JobStatus,
    table_reference::TableReference, table_row::TableRow,
};
use serde::{Deserialize, Serialize};

use crate::errors::Problem;

/// Labels of a job or a table.
pub(crate) type Labels = HashMap<String, String>;

/// A job, as `jobs.insert` and `jobs.get` answer it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Job {
    pub(crate) configuration: JobConfiguration,
    pub(crate) job_reference: JobReference,
    pub(crate) statistics: JobStatistics,
    pub(crate) status: JobStatus,
}

/// What is read of a job's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct JobConfiguration {
    pub(crate) labels: Labels,
    pub(crate) extract: Extract,
}

/// What is read of an export's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Extract {
    pub(crate) destination_uris: Vec<String>,
}

/// What is read of a job's statistics. 64-bit numbers are text in BigQuery's JSON.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct JobStatistics {
    pub(crate) end_time: Option<String>,
    pub(crate) load: LoadStatistics,
    pub(crate) query: QueryStatistics,
    pub(crate) extract: ExtractStatistics,
}

/// What a load did.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LoadStatistics {
    pub(crate) output_rows: Option<String>,
}

/// What a query did.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct QueryStatistics {
    pub(crate) statement_type: Option<String>,
    pub(crate) num_dml_affected_rows: Option<String>,
    pub(crate) dml_stats: Option<DmlStatistics>,
    pub(crate) query_plan: Vec<QueryStage>,
    pub(crate) schema: Option<Schema>,
}

impl QueryStatistics {
    /// The rows of the table that it made.
    pub(crate) fn made(&self) -> Option<u64> {
        number(self.query_plan.last()?.records_written.as_deref())
    }
}

/// What a MERGE did.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DmlStatistics {
    pub(crate) inserted_row_count: Option<String>,
    pub(crate) deleted_row_count: Option<String>,
}

/// A stage of a query; the last one writes the result.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct QueryStage {
    pub(crate) records_written: Option<String>,
}

/// What an export did.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExtractStatistics {
    pub(crate) destination_uri_file_counts: Vec<String>,
}

/// How far a job is.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Pending or running.
    Running,
    /// Done, with its effect.
    Done,
    /// Done, without an effect.
    Failed(Problem),
}

impl Job {
    /// How far it is. A job is a success only where it is done without an `errorResult`; `errors` alone are warnings.
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.status.state.as_deref(), &self.status.error_result) {
            (Some("DONE"), None) => Outcome::Done,
            (Some("DONE"), Some(error)) => {
                let all: &[ErrorProto] = self.status.errors.as_deref().unwrap_or_default();
                Outcome::Failed(Problem::of_job(error, all))
            }
            _ => Outcome::Running,
        }
    }

    /// Its commit number: the millisecond it ended in. BigQuery orders the jobs of one table by it.
    pub(crate) fn version(&self) -> u64 {
        number(self.statistics.end_time.as_deref()).unwrap_or_default()
    }

    /// A label that holds a number.
    pub(crate) fn label(&self, name: &str) -> Option<u64> {
        number(self.configuration.labels.get(name).map(String::as_str))
    }
}

/// A number that BigQuery wrote as text.
pub(crate) fn number(text: Option<&str>) -> Option<u64> {
    text?.parse().ok()
}

/// A table, as far as it is read or written here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Table {
    pub(crate) table_reference: TableReference,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<Schema>,
    #[serde(skip_serializing)]
    pub(crate) labels: Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expiration_time: Option<String>,
    #[serde(skip_serializing)]
    pub(crate) last_modified_time: Option<String>,
    #[serde(skip_serializing)]
    pub(crate) num_rows: Option<String>,
    #[serde(skip_serializing)]
    pub(crate) num_bytes: Option<String>,
    #[serde(skip_serializing)]
    pub(crate) etag: Option<String>,
}

impl Table {
    /// Its rows.
    pub(crate) fn rows(&self) -> u64 {
        number(self.num_rows.as_deref()).unwrap_or_default()
    }

    /// A label that holds a number.
    pub(crate) fn label(&self, name: &str) -> Option<u64> {
        number(self.labels.get(name).map(String::as_str))
    }

    /// Its columns' definitions.
    pub(crate) fn fields(&self) -> &[Field] {
        self.schema.as_ref().map_or(&[], |schema| &schema.fields)
    }
}

/// A table's columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Schema {
    #[serde(default)]
    pub(crate) fields: Vec<Field>,
}

/// A column's or a nested field's definition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) precision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scale: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<Field>,
}

/// The first rows of a query's result.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct QueryResults {
    pub(crate) job_complete: Option<bool>,
    pub(crate) schema: Option<Schema>,
    pub(crate) rows: Option<Vec<TableRow>>,
    pub(crate) total_rows: Option<String>,
}

/// A page of a project's datasets.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DatasetPage {
    pub(crate) datasets: Vec<DatasetItem>,
    pub(crate) next_page_token: Option<String>,
}

/// A dataset of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DatasetItem {
    pub(crate) dataset_reference: DatasetReference,
    pub(crate) location: Option<String>,
}
