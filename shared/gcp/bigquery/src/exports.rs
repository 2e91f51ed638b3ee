//! A table into objects, as one extract job under the caller's id.

use std::collections::HashMap;

use gcp_bigquery_client::model::job_configuration_extract::JobConfigurationExtract;
use millstream_events::{names::ObjectPath, work::DataFormat};
use millstream_ports::{ExportJob, ExportWrite, JobState, PortError, PortResult};
use serde_json::json;

use crate::{
    BigQueryWarehouse,
    jobs::{Known, NewJob, managed},
    model::{Job, Table, number},
};

/// BigQuery writes at most 1 GB into one file; a table near it, in bytes, becomes several.
const ONE_FILE: u64 = 900_000_000;

/// A job's label: the rows it copied.
const ROWS: &str = "millstream_rows";

impl BigQueryWarehouse {
    /// See `Warehouse::ensure_export`.
    pub(crate) async fn export(&self, job: &str, export: &ExportJob) -> PortResult<JobState<ExportWrite>> {
        let doing = format!("export {}", export.table);
        let state = match self.known(&doing, job).await? {
            Known::Settled(state) => state,
            Known::Owed(id) => {
                let Some(table) = self.api.table(&export.table).await? else {
                    return Err(PortError::not_found(format!("there is no table {} (yet)", export.table)));
                };
                let configuration = self.extract_configuration(export, &table)?;
                self.start(&id, NewJob { doing: &doing, modifies: None, configuration }).await?
            }
        };
        let JobState::Done(done) = state else { return Ok(JobState::Running) };
        let files = files(&done)?;
        let mut bytes = 0;
        for file in &files {
            bytes += self.store.stat(file).await?.size;
        }
        Ok(JobState::Done(ExportWrite { files, rows: done.label(ROWS).unwrap_or_default(), bytes }))
    }

    fn extract_configuration(&self, export: &ExportJob, table: &Table) -> PortResult<serde_json::Value> {
        let uri = match number(table.num_bytes.as_deref()) {
            Some(bytes) if bytes > ONE_FILE => several(&export.to),
            _ => export.to.to_string(),
        };
        let (format, compression) = match export.format {
            DataFormat::Parquet => ("PARQUET", "ZSTD"),
            DataFormat::Csv => ("CSV", "NONE"),
            DataFormat::Jsonl => ("NEWLINE_DELIMITED_JSON", "NONE"),
        };
        let extract = JobConfigurationExtract {
            source_table: Some(self.reference(&export.table)),
            destination_uris: Some(vec![uri]),
            destination_format: Some(format.into()),
            compression: Some(compression.into()),
            print_header: (export.format == DataFormat::Csv).then_some(true),
            ..JobConfigurationExtract::default()
        };
        let extract = serde_json::to_value(extract)
            .map_err(|error| PortError::internal("an export cannot be written as JSON").caused_by(error))?;
        let labels = HashMap::from([(ROWS.to_owned(), table.rows().to_string())]);
        Ok(json!({ "extract": extract, "labels": managed(labels) }))
    }
}

/// `a/b.parquet` as `a/b-*.parquet`: BigQuery puts `000000000000` and on in the place of the star.
fn several(to: &ObjectPath) -> String {
    let text = to.to_string();
    let folder = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[folder..].rfind('.') {
        Some(dot) => format!("{}-*{}", &text[..folder + dot], &text[folder + dot..]),
        None => format!("{text}-*"),
    }
}

/// The files that a job wrote.
fn files(done: &Job) -> PortResult<Vec<ObjectPath>> {
    let unreadable = |error| PortError::internal("an export went to no valid object").caused_by(error);
    let mut files = Vec::new();
    let counts = &done.statistics.extract.destination_uri_file_counts;
    for (at, uri) in done.configuration.extract.destination_uris.iter().enumerate() {
        let count = number(counts.get(at).map(String::as_str)).unwrap_or(1);
        if uri.contains('*') {
            let names = (0..count).map(|file| uri.replace('*', &format!("{file:012}")).parse().map_err(unreadable));
            files.extend(names.collect::<PortResult<Vec<ObjectPath>>>()?);
        } else {
            files.push(uri.parse().map_err(unreadable)?);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_table_becomes_files_beside_the_one_asked_for() {
        let to = "gs://lake/fraud/a.b/features.parquet".parse().unwrap();
        assert_eq!(several(&to), "gs://lake/fraud/a.b/features-*.parquet");
        assert_eq!(several(&"gs://lake/a.b/features".parse().unwrap()), "gs://lake/a.b/features-*");
        let done: Job = serde_json::from_value(json!({
            "configuration": { "extract": { "destinationUris": [several(&to)] } },
            "statistics": { "extract": { "destinationUriFileCounts": ["2"] } }
        }))
        .unwrap();
        let names: Vec<String> = files(&done).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names[1], "gs://lake/fraud/a.b/features-000000000001.parquet");
        assert_eq!(names.len(), 2);
    }
}
