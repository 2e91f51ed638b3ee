//! The variables of a program in a container: Vertex AI's contract.
//!
//! | variable | value |
//! |---|---|
//! | `AIP_MODEL_DIR`, `AIP_CHECKPOINT_DIR`, `AIP_TENSORBOARD_LOG_DIR` | `gs://BUCKET/FOLDER`; the bucket is the folder `/gcs/BUCKET` too |
//! | `AIP_DATA_FORMAT` | `csv`, `jsonl` or `parquet` |
//! | `AIP_TRAINING_DATA_URI` | the file, or a pattern for all files of their folder; with `download` the copy in `/data`; unset without rows |

use std::collections::BTreeMap;

use millstream_events::names::ObjectPath;
use millstream_ports::{
    error::{PortError, PortResult},
    secrets::SecretName,
};
use serde_json::{Value, json};

use super::{Job, program::literal};
use crate::names;

/// The most variables of a container that a TrainJob takes.
const MOST_VARIABLES: usize = 128;

/// The key of a Kubernetes Secret that has the value.
const SECRET_KEY: &str = "value";

/// The folder that the rows are copied into.
pub(super) const DATA_FOLDER: &str = "/data";

/// A container's `env`, sorted by name. `defaults` give way to the job's own variables; `fixed` and the contract's do not.
pub(super) fn environment(
    job: &Job<'_>,
    defaults: &[(&str, String)],
    fixed: &[(&str, String)],
) -> PortResult<Vec<Value>> {
    let mut variables: BTreeMap<String, Value> =
        defaults.iter().map(|(name, value)| ((*name).to_owned(), plain(name, value))).collect();
    for (name, value) in &job.training.env {
        if !is_variable(name) {
            return Err(PortError::invalid(format!("env.{name:?}: use letters, digits and _, the first no digit")));
        }
        let variable = match SecretName::of_reference(value) {
            None => plain(name, value),
            Some(secret) => {
                let secret = secret.map_err(|error| PortError::invalid(format!("env.{name}: {error}")))?;
                reference(name, secret.as_str())?
            }
        };
        variables.insert(name.clone(), variable);
    }
    for (name, value) in contract(job)?.iter().chain(fixed) {
        variables.insert((*name).to_owned(), plain(name, value));
    }
    if variables.len() > MOST_VARIABLES {
        return Err(PortError::invalid(format!(
            "env: {} variables with the platform's own; a container takes {MOST_VARIABLES}",
            variables.len()
        )));
    }
    Ok(variables.into_values().collect())
}

fn plain(name: &str, value: &str) -> Value {
    json!({"name": name, "value": literal(value)})
}

/// The cluster reads the value when the pod starts: it is never in this program.
fn reference(name: &str, secret: &str) -> PortResult<Value> {
    if !names::is_dns_subdomain(secret) {
        return Err(PortError::invalid(format!(
            "env.{name}: no Secret of Kubernetes can be called {secret:?}: use a-z, 0-9 and -, the first and the last no -"
        )));
    }
    Ok(json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": SECRET_KEY}}}))
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn contract<'a>(job: &Job<'_>) -> PortResult<Vec<(&'a str, String)>> {
    let training = job.training;
    let format = training.data_format.as_str();
    let mut variables = vec![
        ("AIP_MODEL_DIR", training.output.to_string()),
        ("AIP_CHECKPOINT_DIR", training.checkpoints.to_string()),
        ("AIP_TENSORBOARD_LOG_DIR", training.logs()?.to_string()),
        ("AIP_DATA_FORMAT", format.to_owned()),
    ];
    match training.data.as_slice() {
        [] => {}
        [file] if job.downloads() => variables.push(("AIP_TRAINING_DATA_URI", copy_of(file))),
        files if job.downloads() => {
            pattern(files)?;
            variables.push(("AIP_TRAINING_DATA_URI", DATA_FOLDER.to_owned()));
        }
        files => variables.push(("AIP_TRAINING_DATA_URI", pattern(files)?)),
    }
    Ok(variables)
}

fn copy_of(file: &ObjectPath) -> String {
    format!("{DATA_FOLDER}/{}", split(file.name()).1)
}

/// One file's own URI; of several in one folder what their names have in common, with `*` for the rest.
fn pattern(files: &[ObjectPath]) -> PortResult<String> {
    let [first, others @ ..] = files else { return Ok(String::new()) };
    if others.is_empty() {
        return Ok(first.to_string());
    }
    let (folder, name) = split(first.name());
    let (mut start, mut end) = (name.len(), name.len());
    for other in others {
        let (other_folder, other_name) = split(other.name());
        if other.bucket() != first.bucket() || other_folder != folder {
            return Err(PortError::invalid(format!("data: {first} and {other} are not in one folder")));
        }
        start = start.min(common(name.chars(), other_name.chars()));
        end = end.min(common(name.chars().rev(), other_name.chars().rev()));
    }
    // In `a-1` and `a-11` the last 1 is both the start's and the end's.
    let shortest = files.iter().map(|file| split(file.name()).1.len()).min().unwrap_or_default();
    let end = end.min(shortest.saturating_sub(start));
    let (start, end) = (&name[..start], &name[name.len() - end..]);
    Ok(format!("gs://{}/{folder}{start}*{end}", first.bucket()))
}

/// The length in bytes of what two texts begin with.
fn common(one: impl Iterator<Item = char>, other: impl Iterator<Item = char>) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).map(|(c, _)| c.len_utf8()).sum()
}

/// The folder with its last `/`, and the file's own name.
fn split(name: &str) -> (&str, &str) {
    name.split_at(name.rfind('/').map_or(0, |at| at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern_of(names: &[&str]) -> PortResult<String> {
        pattern(&names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn files_of_a_folder_are_a_pattern() {
        for (names, expected) in [
            (&["gs://lake/a/f.parquet"][..], "gs://lake/a/f.parquet"),
            (&["gs://lake/a/f-00.parquet", "gs://lake/a/f-01.parquet"], "gs://lake/a/f-0*.parquet"),
            (&["gs://lake/a-1", "gs://lake/a-11"], "gs://lake/a-1*"),
            (&["gs://lake/x", "gs://lake/y", "gs://lake/z"], "gs://lake/*"),
            (&["gs://lake/é1.csv", "gs://lake/è1.csv"], "gs://lake/*1.csv"),
        ] {
            assert_eq!(pattern_of(names).unwrap(), expected);
        }
    }

    #[test]
    fn files_of_two_folders_are_refused() {
        for names in [["gs://lake/a/f", "gs://lake/b/f"], ["gs://lake/a/f", "gs://rows/a/f"]] {
            assert!(pattern_of(&names).unwrap_err().to_string().starts_with("data: gs://lake/a/f"));
        }
    }
}
