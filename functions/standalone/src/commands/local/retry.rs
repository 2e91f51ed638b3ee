//! `millstream retry`: another try for failed steps.

use millstream_events::names::{RunId, StepName};
use millstream_ports::{Clock, SystemClock};

use super::{Ended, named, report, session::Session, wait};
use crate::{project::Project, render::Progress};

pub(super) async fn run(project: Project, run: &str, step: Option<&str>, as_json: bool) -> anyhow::Result<Ended> {
    let began = SystemClock.now();
    let run: RunId = named(run)?;
    let step = step.map(named::<StepName>).transpose()?;
    let session = Session::to_work(project).await?;
    session.retry(&run, step.as_ref()).await?;
    let ended = wait::until_settled(&*session, &[run], &mut Progress::new(as_json)).await?;
    session.close().await?;
    Ok(report::runs(&ended, began, as_json))
}
