//! Keeping what a finished program left: its model's files and its log go into the object store.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use millstream_events::names::ObjectPath;
use millstream_ports::{ByteStream, ObjectStore, PortResult, Precondition, TrainingJob};

use super::{
    folder::JobFolder,
    state::{Ended, Exit},
};
use crate::{blocking::blocking, objects::io_error};

/// The log's name beside the model's files.
const LOG: &str = "log.txt";

/// The end of the log that a failure shows.
const LOG_TAIL: usize = 4 << 10;

/// Larger models are refused: most likely the program wrote its data or its checkpoints there.
const MODEL_LIMIT: u64 = 16 << 30;

/// As are models of more files.
const FILES_LIMIT: usize = 10_000;

const CHUNK: u64 = 1 << 20;

/// Keeps the files and says how the job ended. Run again after half of it, it writes the same objects once more.
pub(super) async fn finish(
    store: Arc<dyn ObjectStore>,
    training: &TrainingJob,
    folder: &JobFolder,
    exit: Exit,
) -> PortResult<Ended> {
    let mut failure = exit.failure();
    if failure.is_none() {
        let (model, output) = (folder.model(), training.output.clone());
        let files = blocking(move || model_files(&model, &output)).await?;
        match files {
            Ok(files) => {
                for (file, path) in files {
                    put(&*store, file, &path).await?;
                }
            }
            Err(reason) => failure = Some(reason),
        }
    }
    let log = match training.output.join(LOG) {
        Ok(path) if folder.log().is_file() => {
            put(&*store, folder.log(), &path).await?;
            Some(path)
        }
        _ => None,
    };
    let folder = folder.clone();
    let log_tail = blocking(move || folder.log_tail(LOG_TAIL)).await?;
    Ok(match failure {
        None => Ended::Succeeded { seconds: exit.seconds, log },
        Some(reason) => Ended::Failed { reason, log_tail, log },
    })
}

/// The model's files and the objects they become, or why they cannot be a model.
fn model_files(model: &Path, output: &ObjectPath) -> PortResult<Result<Vec<(PathBuf, ObjectPath)>, String>> {
    let failed = |error: io::Error| io_error(format!("reading the model in {}", model.display()), error);
    let (mut files, mut folders, mut size) = (Vec::new(), vec![PathBuf::new()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(model.join(&folder)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                folders.push(name);
                continue;
            }
            // A link may lead to any file of this user's; a socket or a pipe has no content to keep.
            if !kind.is_file() {
                let name = name.display();
                return Ok(Err(format!(
                    "its model folder has {name}, which is no file; write a copy instead of a link"
                )));
            }
            let path = match name.to_str().map(|name| output.join(name)) {
                Some(Ok(path)) => path,
                Some(Err(error)) => {
                    return Ok(Err(format!("its model folder has a file that cannot be kept: {error}")));
                }
                None => return Ok(Err(format!("its model folder has {}, which is not UTF-8", name.display()))),
            };
            size += entry.metadata().map_err(failed)?.len();
            files.push((entry.path(), path));
            if size > MODEL_LIMIT || files.len() > FILES_LIMIT {
                return Ok(Err(format!(
                    "its model folder has more than {} GiB or {FILES_LIMIT} files; write data and checkpoints elsewhere",
                    MODEL_LIMIT >> 30
                )));
            }
        }
    }
    if files.is_empty() {
        return Ok(Err("it ended well but wrote no file into AIP_MODEL_DIR".to_owned()));
    }
    files.sort();
    Ok(Ok(files))
}

async fn put(store: &dyn ObjectStore, file: PathBuf, path: &ObjectPath) -> PortResult<()> {
    store.put_stream(path, stream_of(file), Precondition::None).await.map(drop)
}

fn stream_of(path: PathBuf) -> ByteStream {
    stream::try_unfold((path, None), |(path, file): (PathBuf, Option<File>)| {
        blocking(move || {
            let mut chunk = Vec::new();
            let read = (|| {
                let mut file = file.map_or_else(|| File::open(&path), Ok)?;
                file.by_ref().take(CHUNK).read_to_end(&mut chunk)?;
                Ok(file)
            })();
            let file = read.map_err(|error| io_error(format!("reading {}", path.display()), error))?;
            Ok((!chunk.is_empty()).then(|| (Bytes::from(chunk), (path, Some(file)))))
        })
    })
    .boxed()
}
