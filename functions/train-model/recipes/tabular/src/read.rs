//! A URI -> the table it names, as one Arrow batch.

use std::fmt;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::RecipeError;

/// How the table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// CSV with a header line; types are inferred, an empty field is null.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

impl FromStr for Format {
    type Err = RecipeError;

    fn from_str(name: &str) -> Result<Self, RecipeError> {
        match name {
            "parquet" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::JsonLines),
            other => Err(RecipeError::Format(other.to_owned())),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        })
    }
}

/// Where buckets are folders in a container: on Vertex AI, and in the pods of the training cluster.
const BUCKETS: &str = "/gcs";

/// A path, a `file://` URI or a `gs://` URI of a bucket that is mounted, as a path.
pub(crate) fn local_path(uri: &str) -> Result<PathBuf, RecipeError> {
    path_under(BUCKETS.as_ref(), uri)
}

fn path_under(buckets: &Path, uri: &str) -> Result<PathBuf, RecipeError> {
    match uri.split_once("://") {
        None => Ok(PathBuf::from(uri)),
        Some(("file", path)) if path.starts_with('/') => Ok(PathBuf::from(path)),
        Some(("gs", object)) => {
            let bucket = object.split('/').next().filter(|bucket| !bucket.is_empty() && !object.contains(".."));
            let is_mounted = bucket.is_some_and(|bucket| buckets.join(bucket).is_dir());
            if is_mounted { Ok(buckets.join(object)) } else { Err(RecipeError::NotMounted(uri.to_owned())) }
        }
        Some(_) => Err(RecipeError::NotLocal(uri.to_owned())),
    }
}

/// Reads every file a URI names into one batch, in the order of their names.
pub(crate) fn table(uri: &str, format: Format) -> Result<RecordBatch, RecipeError> {
    let files = files(uri, format)?;
    let schema = schema(&files, format)?;
    let mut batches = Vec::new();
    for file in &files {
        let content = |source| RecipeError::Content { path: file.clone(), format: format.to_string(), source };
        for batch in batches_of(file, format, &schema)? {
            // Nullability and metadata may differ from file to file; columns and types were checked.
            let columns = batch.map_err(content)?.columns().to_vec();
            batches.push(RecordBatch::try_new(schema.clone(), columns)?);
        }
    }
    Ok(concat_batches(&schema, &batches)?)
}

fn files(uri: &str, format: Format) -> Result<Vec<PathBuf>, RecipeError> {
    let path = local_path(uri)?;
    let none = || RecipeError::NoFiles { uri: uri.to_owned(), format: format.to_string() };
    let (folder, pattern) = if path.is_dir() {
        (path.as_path(), format!("*.{format}"))
    } else {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(none)?;
        if !name.contains('*') {
            return Ok(vec![path]);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        (folder, name.to_owned())
    };
    let unreadable = |source| RecipeError::File { action: "read", path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.file_name().to_str().is_some_and(|name| matches(&pattern, name)) && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    if files.is_empty() { Err(none()) } else { Ok(files) }
}

/// True when `name` fits `pattern`, whose stars stand for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(start) else { return false };
    let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
    ends.into_iter().any(|at| matches(rest, &name[at..]))
}

/// The columns of all files: Parquet's must agree; the inferred ones of text widen until they do.
fn schema(files: &[PathBuf], format: Format) -> Result<SchemaRef, RecipeError> {
    let mut merged: Option<Schema> = None;
    for path in files {
        let schema = schema_of(path, format)?;
        merged = Some(match merged {
            None => schema,
            Some(first) => {
                merge(&first, &schema, format).map_err(|detail| RecipeError::Columns { path: path.clone(), detail })?
            }
        });
    }
    let merged = merged.unwrap_or_else(Schema::empty);
    // Any file may hold a null where the first had none.
    let nullable = merged.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Ok(Arc::new(Schema::new(nullable.collect::<Vec<_>>())))
}

fn merge(first: &Schema, next: &Schema, format: Format) -> Result<Schema, String> {
    let ordered = format != Format::JsonLines;
    let mut fields: Vec<Field> = first.fields().iter().map(|field| field.as_ref().clone()).collect();
    if ordered && (fields.len() != next.fields().len()) {
        return Err(format!("{} columns instead of {}", next.fields().len(), fields.len()));
    }
    for (position, field) in next.fields().iter().enumerate() {
        let known = fields.iter().position(|known| known.name() == field.name());
        match known {
            // A line of JSON may have a key that earlier files never had; a column of the others may not move.
            None if !ordered => fields.push(field.as_ref().clone()),
            Some(at) if !ordered || at == position => {
                let kind = widen(fields[at].data_type(), field.data_type(), format).ok_or_else(|| {
                    format!("{} is {} instead of {}", field.name(), field.data_type(), fields[at].data_type())
                })?;
                fields[at] = Field::new(field.name(), kind, true);
            }
            _ => return Err(format!("column {} is {}", position + 1, field.name())),
        }
    }
    Ok(Schema::new(fields))
}

fn widen(first: &DataType, next: &DataType, format: Format) -> Option<DataType> {
    match (first, next) {
        (first, next) if first == next => Some(first.clone()),
        _ if format == Format::Parquet => None,
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => Some(DataType::Float64),
        _ => Some(DataType::Utf8),
    }
}

fn open(path: &Path) -> Result<File, RecipeError> {
    File::open(path).map_err(|source| RecipeError::File { action: "read", path: path.to_owned(), source })
}

fn schema_of(path: &Path, format: Format) -> Result<Schema, RecipeError> {
    let file = open(path)?;
    let content = |source| RecipeError::Content { path: path.to_owned(), format: format.to_string(), source };
    match format {
        Format::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| content(error.into()))?;
            Ok(reader.schema().as_ref().clone())
        }
        Format::Csv => {
            let inferred = csv::reader::Format::default().with_header(true).infer_schema(BufReader::new(file), None);
            Ok(inferred.map_err(content)?.0)
        }
        Format::JsonLines => Ok(json::reader::infer_json_schema(BufReader::new(file), None).map_err(content)?.0),
    }
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

fn batches_of(path: &Path, format: Format, schema: &SchemaRef) -> Result<Batches, RecipeError> {
    let file = open(path)?;
    let content = |source| RecipeError::Content { path: path.to_owned(), format: format.to_string(), source };
    Ok(match format {
        Format::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
            Box::new(reader.map_err(|error| content(error.into()))?)
        }
        Format::Csv => {
            Box::new(csv::ReaderBuilder::new(schema.clone()).with_header(true).build(file).map_err(content)?)
        }
        Format::JsonLines => {
            let reader = json::ReaderBuilder::new(schema.clone()).with_coerce_primitive(true);
            Box::new(reader.build(BufReader::new(file)).map_err(content)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_pattern_reads_the_files_it_fits_in_the_order_of_their_names() {
        let folder = folder(&[("part-2.csv", "a,b\n2.5,y\n"), ("part-1.csv", "a,b\n1,x\n"), ("other.csv", "c\n3\n")]);
        let uri = format!("file://{}/part-*.csv", folder.path().display());
        let table = table(&uri, Format::Csv).unwrap();
        assert_eq!((table.num_rows(), table.schema().field(0).data_type()), (2, &DataType::Float64));
    }

    #[test]
    fn a_folder_reads_its_files_of_the_format() {
        let folder = folder(&[("a.jsonl", "{\"a\": 1}\n{\"b\": true}\n"), ("b.jsonl", "{\"a\": 2}\n"), ("x.txt", "?")]);
        let table = table(folder.path().to_str().unwrap(), Format::JsonLines).unwrap();
        assert_eq!((table.num_rows(), table.num_columns(), table.column(0).null_count()), (3, 2, 1));
    }

    #[test]
    fn files_with_other_columns_a_far_place_and_an_empty_folder_are_refused_with_the_reason() {
        let folder = folder(&[("1.csv", "a,b\n1,2\n"), ("2.csv", "a,c\n1,2\n")]);
        let path = folder.path().to_str().unwrap();
        let message = |uri: &str, format| table(uri, format).unwrap_err().to_string();
        assert!(message(path, Format::Csv).contains("2.csv has other columns than the first file: column 2 is c"));
        assert!(message("s3://bucket/table", Format::Csv).contains("is not a local path"));
        assert!(message("gs://no-such-bucket/table", Format::Csv).contains("mount it as /gcs/BUCKET"));
        assert!(message(path, Format::Parquet).ends_with("has no parquet files"));
    }

    #[test]
    fn stars_stand_for_any_characters() {
        assert!(matches("a*.csv", "a.csv") && matches("*", "") && matches("a*b*c", "a-b-b-c"));
        assert!(!matches("a*.csv", "b.csv") && !matches("a*b", "a"));
    }

    #[test]
    fn an_object_of_a_mounted_bucket_is_a_file() {
        let mounted = tempfile::tempdir().unwrap();
        fs::create_dir(mounted.path().join("models")).unwrap();
        let under = |uri| path_under(mounted.path(), uri);
        assert_eq!(under("gs://models/churn/1").unwrap(), mounted.path().join("models/churn/1"));
        assert_eq!(under("churn/1").unwrap(), PathBuf::from("churn/1"));
        for uri in ["gs://other/churn/1", "gs:///churn", "gs://models/../../etc/passwd"] {
            assert!(matches!(under(uri), Err(RecipeError::NotMounted(_))), "{uri}");
        }
    }
}
