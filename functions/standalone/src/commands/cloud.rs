//! The commands of a platform on Google Cloud.

use std::time::Duration;

use super::{Ended, as_asked, log};
use crate::{
    cli::{Cli, Cloud, Infra},
    doctor::{self, Examination},
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
        Cloud::Doctor { timeout, no_event } => {
            let project = Project::find_or_here(cli.project.as_deref(), cli.env.as_deref())?;
            log(cli, None)?;
            let asked = Examination { patience: Duration::from_secs(*timeout), with_event: !no_event };
            let report = doctor::examine(&project, asked).await?;
            if cli.json {
                render::json(&report);
            } else {
                render::doctor(&report);
            }
            Ok(if report.healthy { Ended::Well } else { Ended::CheckFailed })
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
