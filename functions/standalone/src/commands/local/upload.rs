//! `millstream upload`: files into the landing bucket.

use std::path::Path;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt};
use millstream_embedded::objects::{LocalObjectStore, StoreOptions};
use millstream_events::names::{ObjectPath, RunId};
use millstream_ports::{Clock, ObjectStore, PortError, Precondition, SystemClock};
use serde_json::json;
use tokio_util::io::ReaderStream;

use super::{Ended, named, report, session::Session, wait};
use crate::{
    cli::Upload,
    project::Project,
    render::{self, Progress},
};

/// Bytes copied at once.
const CHUNK: usize = 1 << 20;

pub(super) async fn run(project: Project, upload: &Upload, as_json: bool) -> anyhow::Result<Ended> {
    if upload.files.len() > 1 && upload.name.as_deref().is_some_and(|name| !name.ends_with('/')) {
        anyhow::bail!("--as names one object and there are several files: end it with / to name a folder for them");
    }
    let began = SystemClock.now();
    let session = Session::to_work(project.clone()).await?;
    let (mut uploads, mut runs) = (Vec::new(), Vec::new());
    for file in &upload.files {
        let object = place(&project, file, upload.name.as_deref()).await?;
        let taken = session.take(&object).await?;
        if !as_json {
            match taken.runs.as_slice() {
                [] => {
                    render::line(&format!("{} uploaded; no pipeline takes it, so it stays where it is", object.name()))
                }
                runs => render::line(&format!("{} uploaded, taken by {}", object.name(), runs.join(" and "))),
            }
        }
        for run in &taken.runs {
            let run: RunId = named(run)?;
            if !runs.contains(&run) {
                runs.push(run);
            }
        }
        uploads.push(json!({"object": object, "runs": taken.runs}));
    }
    // Without a running platform nobody would go on with the runs after this process.
    let ended = if upload.wait || session.works_here() {
        let ended = wait::until_settled(&*session, &runs, &mut Progress::new(as_json)).await?;
        if as_json {
            render::json(&json!({"uploads": uploads, "runs": ended}));
            report::outcome(&ended)
        } else {
            report::runs(&ended, began, false)
        }
    } else {
        if as_json {
            render::json(&json!({"uploads": uploads}));
        }
        Ended::Well
    };
    session.close().await?;
    // An upload alone that makes its run wait for others has done all it was asked.
    Ok(if upload.wait { ended } else { Ended::Well })
}

/// Copies a file into the landing bucket, whole or not at all.
pub(super) async fn place(project: &Project, file: &Path, name: Option<&str>) -> anyhow::Result<ObjectPath> {
    let own_name = || {
        let name = file.file_name().and_then(|name| name.to_str());
        name.with_context(|| format!("{} has no name to upload it under; give one with --as", file.display()))
    };
    let name = match name {
        Some(folder) if folder.ends_with('/') => format!("{folder}{}", own_name()?),
        Some(name) => name.to_owned(),
        None => own_name()?.to_owned(),
    };
    let object = ObjectPath::new(project.settings.buckets.landing.clone(), name)?;
    let opened = tokio::fs::File::open(file).await.with_context(|| format!("cannot read {}", file.display()))?;
    anyhow::ensure!(opened.metadata().await?.is_file(), "{} is no file", file.display());
    let store = LocalObjectStore::open(project.buckets_folder(), StoreOptions::default())?;
    let shown = file.display().to_string();
    let body = ReaderStream::with_capacity(opened, CHUNK)
        .map_err(move |error| PortError::unavailable(format!("{shown} could not be read")).caused_by(error))
        .boxed();
    store.put_stream(&object, body, Precondition::None).await?;
    Ok(object)
}
