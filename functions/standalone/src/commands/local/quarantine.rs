//! `millstream quarantine`: rows that broke their contract.

use millstream_events::names::RunId;
use millstream_ports::{Clock, SystemClock};
use serde_json::json;

use super::{Ended, named, report, session::Session, wait};
use crate::{
    cli::Quarantine,
    project::Project,
    render::{self, Progress},
};

pub(super) async fn run(project: Project, command: &Quarantine, as_json: bool) -> anyhow::Result<Ended> {
    match command {
        Quarantine::List => {
            let session = Session::to_read(project).await?;
            let files = session.quarantine().await?;
            session.close().await?;
            if as_json {
                render::json(&files);
            } else if files.is_empty() {
                render::line("No rows are in quarantine.");
            } else {
                render::quarantine(&files);
            }
            Ok(Ended::Well)
        }
        Quarantine::Show { name, limit } => {
            let session = Session::to_read(project).await?;
            let found = session.quarantined_rows(name, *limit).await?;
            session.close().await?;
            if as_json {
                render::json(&found);
            } else {
                render::quarantined_rows(&found);
            }
            Ok(Ended::Well)
        }
        Quarantine::Replay { name } => replay(project, name, as_json).await,
    }
}

async fn replay(project: Project, name: &str, as_json: bool) -> anyhow::Result<Ended> {
    let began = SystemClock.now();
    let session = Session::to_work(project).await?;
    let replayed = session.replay(name).await?;
    if !as_json {
        render::line(&format!("{} rows uploaded again as {}", replayed.rows, replayed.object.name()));
        if replayed.left_out > 0 {
            render::line(&format!("{} rows were left out: their whole text was not kept", replayed.left_out));
        }
    }
    let runs = replayed.runs.iter().map(|run| named(run)).collect::<anyhow::Result<Vec<RunId>>>()?;
    let ended = wait::until_settled(&*session, &runs, &mut Progress::new(as_json)).await?;
    session.close().await?;
    if as_json {
        render::json(&json!({"replayed": replayed, "runs": ended}));
        return Ok(report::outcome(&ended));
    }
    Ok(report::runs(&ended, began, false))
}
