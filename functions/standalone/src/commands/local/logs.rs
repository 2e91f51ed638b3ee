//! `millstream logs`: what a training has said.

use millstream_events::names::{RunId, StepName};

use super::{Ended, named, session::Session};
use crate::{project::Project, render};

pub(super) async fn run(project: Project, run: &str, step: Option<&str>, as_json: bool) -> anyhow::Result<Ended> {
    let run: RunId = named(run)?;
    let step = step.map(named::<StepName>).transpose()?;
    let session = Session::to_read(project).await?;
    let log = session.training_log(&run, step.as_ref()).await?;
    session.close().await?;
    if as_json {
        render::json(&log);
    } else if log.text.is_empty() {
        render::note(&format!("{} of {run} is {} and has said nothing", log.step, log.state));
    } else {
        render::line(log.text.trim_end());
    }
    Ok(Ended::Well)
}
