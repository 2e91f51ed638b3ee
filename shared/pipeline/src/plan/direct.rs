//! Files that the warehouse's own loader may read as they were uploaded.
//!
//! Loading such a file directly must come to what ingesting it first comes to, so that only the way is shorter. What a
//! loader does is BigQuery's: <https://cloud.google.com/bigquery/docs/batch-loading-data>.

use millstream_events::{
    contract::{ColumnType, FileFormat, MaxBad, OnNewColumn},
    trigger::ObjectFinalized,
    work::{UploadedFile, WriteMode},
};

use crate::model::Source;

/// BigQuery's limit for a compressed file, and for a CSV file whose values may have line breaks.
const LARGEST_FILE: u64 = 4_000_000_000;

/// How to load the object as it is, if the loader keeps the source's contract.
pub(super) fn uploaded(source: &Source, object: &ObjectFinalized) -> Option<UploadedFile> {
    let name = object.object.name();
    let format = source.options.format.or_else(|| FileFormat::of_name(name))?;
    let keeps = refuses_bad_rows(source)
        && reads_columns(source, format)
        && unpacks(name, format)
        && object.size <= LARGEST_FILE
        // A merge needs one row a key, in the order of the file; a gathered load is of many files.
        && !matches!(source.write, WriteMode::Merge { .. })
        && source.window.is_none();
    keeps.then(|| UploadedFile {
        generation: object.generation,
        size: object.size,
        crc32c: object.crc32c,
        format,
        options: source.options.clone(),
    })
}

/// A loader takes all of a file or nothing, has no quarantine, and knows no conditions.
fn refuses_bad_rows(source: &Source) -> bool {
    source.contract.max_bad == MaxBad::Rows(0) && source.contract.expect.is_empty()
}

/// Whether the loader finds the contract's columns in the file, and treats others as the contract says.
fn reads_columns(source: &Source, format: FileFormat) -> bool {
    match format {
        // By place: a header's names would be skipped unread. A row of more or fewer values is a bad one for both.
        FileFormat::Csv => {
            let is_plain = |kind: &ColumnType| !matches!(kind, ColumnType::Array(_) | ColumnType::Struct(_));
            source.options.no_header && source.contract.columns.iter().all(|column| is_plain(&column.kind))
        }
        // By name, and a name that the table does not have refuses the file.
        FileFormat::JsonLines | FileFormat::Parquet => source.contract.on_new_column == OnNewColumn::Reject,
        FileFormat::Workbook => false,
    }
}

/// The loader unpacks gzip around text, and nothing else.
fn unpacks(name: &str, format: FileFormat) -> bool {
    let name = name.to_ascii_lowercase();
    let is = |endings: [&str; 2]| endings.iter().any(|ending| name.ends_with(ending));
    !is([".zst", ".zstd"]) && (format != FileFormat::Parquet || !is([".gz", ".gzip"]))
}
