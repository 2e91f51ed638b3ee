//! What a training program is started with: Vertex AI's contract with paths on this machine.
//!
//! | variable | value |
//! |---|---|
//! | `AIP_TRAINING_DATA_URI` | the file with the rows; a folder with nothing else where they are several; unset without rows |
//! | `AIP_DATA_FORMAT` | `csv`, `jsonl` or `parquet` |
//! | `AIP_MODEL_DIR` | a folder; what is in it at the end is the model |
//! | `AIP_CHECKPOINT_DIR` | a folder that a job which was lost and starts again finds as it left it |
//! | `AIP_TENSORBOARD_LOG_DIR` | a folder that is not kept |
//! | `PATH`, `HOME`, `LANG`, `TMPDIR` | as the platform has them |
//!
//! Nothing else of the platform's environment is handed on, so no secret in it is. The job's own variables come on top and
//! may replace the last four, never the `AIP_*` ones. A variable that refers to a secret, `secret:NAME`, gets its value by way
//! of the supervisor's environment: it is not written into the job's folder.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStringExt, fs::symlink},
    path::{Path, PathBuf},
};

use millstream_events::work::Program;
use millstream_ports::{
    ObjectStore, PortError, PortResult, SecretName, SecretNameError, Secrets, TrainingJob, optional,
};

use super::{TrainerSettings, folder::JobFolder, state::ProgramFile};
use crate::{copied::copy, objects::io_error};

const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// The variables that processes have from the platform.
pub(super) fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// The files with the rows to learn from: the store's own, or copies in the job's folder.
pub(super) async fn rows(
    store: &dyn ObjectStore,
    training: &TrainingJob,
    folder: &JobFolder,
) -> PortResult<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (at, object) in training.data.iter().enumerate() {
        if optional(store.stat(object).await)?.is_none() {
            return Err(PortError::not_found(format!("{object}, the rows to learn from, is not there")));
        }
        files.push(match store.local_path(object) {
            Some(file) => file,
            None => {
                let copies = folder.join("copies");
                fs::create_dir_all(&copies)
                    .map_err(|error| io_error(format!("creating {}", copies.display()), error))?;
                let name = Path::new(object.name()).file_name().unwrap_or_default();
                let file = copies.join(format!("{at:05}-{}", name.display()));
                copy(store, object, &file).await?;
                file
            }
        });
    }
    Ok(files)
}

/// The job's variables that refer to a secret, `secret:NAME`.
fn references(training: &TrainingJob) -> impl Iterator<Item = (&String, Result<SecretName, SecretNameError>)> {
    training.env.iter().filter_map(|(variable, value)| Some((variable, SecretName::of_reference(value)?)))
}

/// The values that the job's variables refer to, as they are now.
pub(super) async fn secrets(secrets: &dyn Secrets, training: &TrainingJob) -> PortResult<Vec<(String, OsString)>> {
    let mut values = Vec::new();
    for (variable, name) in references(training) {
        let name = name.map_err(|error| PortError::invalid(format!("{variable}: {error}")))?;
        let secret = secrets.get(&name).await?;
        values.push((variable.clone(), OsString::from_vec(secret.expose().to_vec())));
    }
    Ok(values)
}

/// What to run for a job whose rows are in `rows`.
pub(super) fn program(
    settings: &TrainerSettings,
    training: &TrainingJob,
    rows: &[PathBuf],
    folder: &JobFolder,
) -> PortResult<ProgramFile> {
    let mut argv = match &training.program {
        Program::Tabular => settings.tabular.iter().map(|part| text(part)).collect::<PortResult<Vec<_>>>()?,
        Program::Command(command) => command.clone(),
        Program::Image { command, .. } if command.is_empty() => {
            return Err(PortError::invalid(
                "image: this machine runs programs, not containers; name its `command` too, or another `run_on`",
            ));
        }
        Program::Image { command, .. } => command.clone(),
        Program::KubeflowPipeline { .. } => {
            return Err(PortError::invalid("pipeline: it runs on Kubeflow alone, `run_on: kubeflow-pipeline`"));
        }
    };
    argv.extend(training.args.iter().cloned());
    let mut env = BTreeMap::new();
    for (name, value) in inherited() {
        env.insert(name.to_owned(), text(&value)?);
    }
    env.extend(training.env.clone());
    let format = training.data_format.as_str();
    env.insert("AIP_DATA_FORMAT".to_owned(), format.to_owned());
    for (name, path) in [
        ("AIP_MODEL_DIR", folder.model()),
        ("AIP_CHECKPOINT_DIR", folder.join("checkpoints")),
        ("AIP_TENSORBOARD_LOG_DIR", folder.join("logs")),
    ] {
        env.insert(name.to_owned(), text(path.as_os_str())?);
    }
    match data(rows, folder)? {
        Some(path) => env.insert("AIP_TRAINING_DATA_URI".to_owned(), text(path.as_os_str())?),
        None => env.remove("AIP_TRAINING_DATA_URI"),
    };
    let secrets: Vec<String> = references(training).map(|(variable, _)| variable.clone()).collect();
    env.retain(|variable, _| !secrets.contains(variable));
    Ok(ProgramFile { argv, env, secrets, folder: settings.project_dir.clone(), wall_seconds: training.wall_seconds })
}

/// The file with the rows, or a folder of links to the files.
fn data(files: &[PathBuf], folder: &JobFolder) -> PortResult<Option<PathBuf>> {
    if files.len() < 2 {
        return Ok(files.first().cloned());
    }
    let rows = folder.join("data");
    let linked = fs::create_dir_all(&rows).and_then(|()| {
        files.iter().enumerate().try_for_each(|(at, file)| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            // Numbered, since files of several folders may have one name.
            symlink(file, rows.join(format!("{at:05}-{name}")))
        })
    });
    linked.map_err(|error| io_error(format!("linking the rows into {}", rows.display()), error))?;
    Ok(Some(rows))
}

fn text(part: &OsStr) -> PortResult<String> {
    part.to_str()
        .map(str::to_owned)
        .ok_or_else(|| PortError::invalid(format!("{} is not UTF-8; use another path", part.display())))
}
