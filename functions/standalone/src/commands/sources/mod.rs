//! `millstream sources`: what the pipelines extract, what a database holds, and a pipeline for chosen tables of it.

mod inspect;
mod list;
mod plan;
mod reach;
mod tables;
mod views;
mod which;
mod yaml;

#[cfg(feature = "cloud")]
pub(crate) use self::reach::scratch;
use self::views::{Columns, Planned, Tables};
pub(crate) use self::{
    reach::Reach,
    views::{Extracted, TableColumns},
};
use super::{Ended, log};
use crate::{
    cli::{Cli, Sources},
    project::Project,
};

pub(super) async fn dispatch(cli: &Cli, command: &Sources) -> anyhow::Result<Ended> {
    let project = Project::find(cli.project.as_deref(), cli.env.as_deref())?;
    log(cli, None)?;
    let reach = Reach::new(&project, is_of_deployment(command)).await?;
    match command {
        Sources::List { .. } => list::run(&project, &reach, cli.json).await,
        Sources::Inspect(asked) => inspect::run(&project, &reach, asked, cli.json).await,
        Sources::Plan(asked) => plan::run(&project, &reach, asked, cli.json).await,
    }
}

/// A build without a platform of its own has nothing else to ask than the deployment.
fn is_of_deployment(command: &Sources) -> bool {
    #[cfg(feature = "cloud")]
    let asked = match command {
        Sources::List { cloud } => *cloud,
        Sources::Inspect(inspect) => inspect.which.cloud,
        Sources::Plan(plan) => plan.which.cloud,
    };
    #[cfg(not(feature = "cloud"))]
    let asked = {
        let _ = command;
        false
    };
    asked || cfg!(not(feature = "embedded"))
}
