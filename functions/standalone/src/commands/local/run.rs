//! `millstream run`: brings a pipeline up to date and waits for it.

use millstream_events::names::{PipelineName, RunId};
use millstream_ports::{Clock, SystemClock};

use super::{Ended, named, report, session::Session, upload, wait};
use crate::{api::Operations, cli::Run, project::Project, render::Progress};

pub(super) async fn run(project: Project, arguments: &Run, as_json: bool) -> anyhow::Result<Ended> {
    let began = SystemClock.now();
    let session = Session::to_work(project.clone()).await?;
    let targets = if arguments.again || arguments.full_refresh {
        let asked: RunId = named(&arguments.run)?;
        runs(&session.start_run(&asked.pipeline, arguments.full_refresh).await?.runs)?
    } else if arguments.upload.is_empty() {
        session.sweep().await?;
        targets(&*session, &arguments.run).await?
    } else {
        uploaded(&project, &*session, arguments).await?
    };
    let ended = wait::until_settled(&*session, &targets, &mut Progress::new(as_json)).await?;
    session.close().await?;
    Ok(report::runs(&ended, began, as_json))
}

/// Uploads the files and names the runs of the pipeline that take them.
async fn uploaded(project: &Project, operations: &dyn Operations, arguments: &Run) -> anyhow::Result<Vec<RunId>> {
    let asked: RunId = named(&arguments.run)?;
    let mut targets: Vec<RunId> = Vec::new();
    for file in &arguments.upload {
        let object = upload::place(project, file, None).await?;
        let taken = runs(&operations.take(&object).await?.runs)?;
        if !taken.iter().any(|run| run.pipeline == asked.pipeline) {
            anyhow::bail!("{} was uploaded, but the pipeline {} does not take it", object.name(), asked.pipeline);
        }
        targets.extend(taken.into_iter().filter(|run| run.pipeline == asked.pipeline));
    }
    targets.dedup();
    Ok(targets)
}

/// The run that was named; for a pipeline alone the runs of it that go on, or else its latest.
async fn targets(operations: &dyn Operations, named_run: &str) -> anyhow::Result<Vec<RunId>> {
    if named_run.contains('/') {
        let run: RunId = named(named_run)?;
        operations.show(&run).await?;
        return Ok(vec![run]);
    }
    let pipeline: PipelineName = named(named_run)?;
    let prefix = format!("{pipeline}/");
    let mut known = operations.runs().await?;
    known.retain(|run| run.run.starts_with(&prefix));
    let open: Vec<String> = known.iter().filter(|run| run.open).map(|run| run.run.clone()).collect();
    if !open.is_empty() {
        return runs(&open);
    }
    match known.first() {
        Some(latest) => runs(std::slice::from_ref(&latest.run)),
        // Nothing came for it yet, or there is no such pipeline: the refusal says which.
        None => {
            let refusal = match operations.show(&named(named_run)?).await {
                Ok(_) => String::new(),
                Err(refusal) => refusal.message,
            };
            anyhow::bail!("{refusal}. Upload a file with --upload, or run over the tables as they stand with --again")
        }
    }
}

fn runs(names: &[String]) -> anyhow::Result<Vec<RunId>> {
    names.iter().map(|name| named(name)).collect()
}
