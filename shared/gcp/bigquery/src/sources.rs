//! What a load reads: validated Parquet batches, or the object that a user uploaded.

use futures::{StreamExt, TryStreamExt};
use gcp_bigquery_client::model::job_configuration_load::JobConfigurationLoad;
use millstream_events::{
    contract::{FileFormat, FileOptions},
    names::ObjectPath,
    work::{LoadTable, UploadedFile},
};
use millstream_ports::{ErrorKind, PortError, PortResult};
use serde_json::{Map, Value, json};

use crate::BigQueryWarehouse;

/// Objects looked up at the same time.
const LOOKUPS: usize = 16;

/// What BigQuery takes in one load.
const MOST_FILES: usize = 10_000;

impl BigQueryWarehouse {
    /// Checks that every file is there, and that an uploaded one still has the bytes that are meant: a load that failed
    /// for want of a file would burn its id.
    pub(crate) async fn check_files(&self, load: &LoadTable) -> PortResult<()> {
        if load.batches.is_empty() || load.columns.is_empty() {
            return Err(PortError::invalid(format!("the load of {} has no files or no columns", load.table)));
        }
        if load.deletes && load.uploaded.is_some() {
            return Err(PortError::invalid(format!(
                "the load of {} is of a file as it was uploaded, in which no row can be marked as deleted",
                load.table
            )));
        }
        if load.batches.len() > MOST_FILES {
            return Err(PortError::invalid(format!(
                "{} files are more than the {MOST_FILES} that BigQuery loads at once; use a shorter window",
                load.batches.len()
            )));
        }
        let stats: Vec<_> = load.batches.iter().map(|batch| self.store.stat(batch)).collect();
        let found: Vec<_> = futures::stream::iter(stats).buffered(LOOKUPS).try_collect().await?;
        if let (Some(uploaded), [meta]) = (&load.uploaded, found.as_slice())
            && (meta.size, meta.crc32c) != (uploaded.size, uploaded.crc32c)
        {
            return Err(changed(&meta.path, "before"));
        }
        Ok(())
    }

    /// Checks that what a load has read is what was meant: BigQuery takes no generation in a URI.
    pub(crate) async fn check_read(&self, load: &LoadTable) -> PortResult<()> {
        match self.check_files(load).await {
            Err(error)
                if load.uploaded.is_some() && matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound) =>
            {
                Err(load.batches.first().map_or(error, |object| changed(object, "while")))
            }
            // Batches never change, and may be gone by now.
            _ if load.uploaded.is_none() => Ok(()),
            other => other,
        }
    }
}

fn changed(object: &ObjectPath, when: &str) -> PortError {
    PortError::invalid(format!(
        "{object} was changed {when} it was loaded; the new upload has a run of its own, upload the old content again \
         under another name if it is needed too"
    ))
}

/// Where the rows are and how they are read.
pub(crate) fn source(
    files: &[ObjectPath],
    uploaded: Option<&UploadedFile>,
) -> PortResult<(JobConfigurationLoad, Map<String, Value>)> {
    let mut load = JobConfigurationLoad {
        source_uris: Some(files.iter().map(ToString::to_string).collect()),
        // Rows that do not fit fail the load: they were to be found before, or the file was said to be clean.
        max_bad_records: Some(0),
        ..JobConfigurationLoad::default()
    };
    let mut beyond = Map::new();
    let format = uploaded.map_or(FileFormat::Parquet, |uploaded| uploaded.format);
    match format {
        FileFormat::Parquet => {
            load.source_format = Some("PARQUET".into());
            load.max_bad_records = None;
            // Lists as arrays of their elements, not as structs around them.
            beyond.insert("parquetOptions".into(), json!({ "enableListInference": true }));
        }
        FileFormat::JsonLines => load.source_format = Some("NEWLINE_DELIMITED_JSON".into()),
        FileFormat::Csv => {
            load.source_format = Some("CSV".into());
            csv(&mut load, &mut beyond, uploaded.map(|uploaded| &uploaded.options), files);
        }
        FileFormat::Workbook => return Err(PortError::invalid("BigQuery loads no workbooks: ingest the file first")),
    }
    Ok((load, beyond))
}

fn csv(
    load: &mut JobConfigurationLoad,
    beyond: &mut Map<String, Value>,
    options: Option<&FileOptions>,
    files: &[ObjectPath],
) {
    let no_header = options.is_some_and(|options| options.no_header);
    load.skip_leading_rows = Some(i32::from(!no_header));
    // With a header columns are matched by name, so that a table's own order may be another.
    beyond.insert("sourceColumnMatch".into(), json!(if no_header { "POSITION" } else { "NAME" }));
    load.allow_quoted_newlines = Some(true);
    let is_tsv = files.iter().any(|file| file.name().trim_end_matches(".gz").to_ascii_lowercase().ends_with(".tsv"));
    let delimiter = options.and_then(|options| options.delimiter).unwrap_or(if is_tsv { '\t' } else { ',' });
    load.field_delimiter = Some(delimiter.to_string());
    if let Some(options) = options.filter(|options| !options.null_values.is_empty()) {
        let markers: Vec<&str> = std::iter::once("").chain(options.null_values.iter().map(String::as_str)).collect();
        beyond.insert("nullMarkers".into(), json!(markers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uploaded_csv_is_read_as_its_source_says() {
        let file = ["gs://landing/a.tsv".parse().unwrap()];
        let uploaded = UploadedFile {
            generation: 1,
            size: 1,
            crc32c: 1,
            format: FileFormat::Csv,
            options: FileOptions { null_values: vec!["NA".into()], ..FileOptions::default() },
        };
        let (load, beyond) = source(&file, Some(&uploaded)).unwrap();
        assert_eq!((load.skip_leading_rows, load.field_delimiter.as_deref()), (Some(1), Some("\t")));
        assert_eq!((load.max_bad_records, load.source_format.as_deref()), (Some(0), Some("CSV")));
        assert_eq!(Value::Object(beyond), json!({ "nullMarkers": ["", "NA"], "sourceColumnMatch": "NAME" }));
    }
}
