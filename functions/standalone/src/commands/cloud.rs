//! The commands of a platform on Google Cloud.

use super::{Ended, as_asked};
use crate::{
    cli::{Cli, Cloud, Infra},
    project::Project,
    render,
    serve::{self, map},
};

pub(super) async fn dispatch(cli: &Cli, command: &Cloud) -> anyhow::Result<Ended> {
    match command {
        Cloud::Serve { function } => {
            let project = Project::find_or_here(cli.project.as_deref(), cli.env.as_deref())?;
            let log = as_asked(cli, Some(&project.settings.log));
            serve::run(project, *function, &log).await?;
            Ok(Ended::Well)
        }
        Cloud::Infra(Infra::Functions) => {
            render::json(&map::functions());
            Ok(Ended::Well)
        }
        Cloud::Infra(Infra::Pipelines) => {
            let project = Project::find(cli.project.as_deref(), cli.env.as_deref())?;
            render::json(&map::pipelines(&project.load_pipelines()?));
            Ok(Ended::Well)
        }
    }
}
