//! `millstream runs` and `millstream show`.

use millstream_events::names::RunId;

use super::{Ended, named, session::Session};
use crate::{project::Project, render};

pub(super) async fn list(
    project: Project,
    pipeline: Option<&str>,
    limit: usize,
    as_json: bool,
) -> anyhow::Result<Ended> {
    let session = Session::to_read(project).await?;
    let mut runs = session.runs().await?;
    if let Some(pipeline) = pipeline {
        let prefix = format!("{pipeline}/");
        runs.retain(|run| run.run.starts_with(&prefix));
    }
    runs.truncate(limit);
    if as_json {
        render::json(&runs);
    } else if runs.is_empty() {
        render::line("No runs yet: upload a file, or publish a message.");
    } else {
        render::runs(&runs);
    }
    session.close().await?;
    Ok(Ended::Well)
}

pub(super) async fn show(project: Project, run: &str, as_json: bool) -> anyhow::Result<Ended> {
    let run: RunId = named(run)?;
    let session = Session::to_read(project).await?;
    let details = session.show(&run).await?;
    if as_json {
        render::json(&details);
    } else {
        render::run(&details);
    }
    session.close().await?;
    Ok(Ended::Well)
}
