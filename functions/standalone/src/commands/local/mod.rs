//! The commands of a platform on this machine.

mod cost;
mod demo;
mod logs;
mod models;
mod predict;
mod publish;
mod quarantine;
mod query;
mod report;
mod retry;
mod run;
mod runs;
mod session;
mod up;
mod upload;
mod wait;

use std::{io::Read, str::FromStr};

use anyhow::Context;

use super::{Ended, init, log};
use crate::{
    cli::{Cli, Local},
    project::Project,
};

pub(super) async fn dispatch(cli: &Cli, command: &Local) -> anyhow::Result<Ended> {
    let json = cli.json;
    match command {
        Local::Demo { dir } => {
            log(cli, None)?;
            return demo::run(dir, json).await;
        }
        Local::Up { address } => {
            let overrides = address.iter().map(|address| ("http.address", address.clone())).collect::<Vec<_>>();
            let found = Project::find(cli.project.as_deref(), cli.env.as_deref())?;
            let project = Project::open(&found.folder, cli.env.as_deref(), &overrides)?;
            log(cli, Some(&project.settings.log))?;
            return up::run(project, json).await;
        }
        Local::Cost(asked) => {
            log(cli, None)?;
            return cost::run(cli, asked);
        }
        _ => {}
    }
    let project = Project::find(cli.project.as_deref(), cli.env.as_deref())?;
    log(cli, None)?;
    match command {
        Local::Upload(upload) => upload::run(project, upload, json).await,
        Local::Publish { topic, data, wait } => publish::run(project, topic, data, *wait, json).await,
        Local::Run(run) => run::run(project, run, json).await,
        Local::Runs { pipeline, limit } => runs::list(project, pipeline.as_deref(), *limit, json).await,
        Local::Show { run } => runs::show(project, run, json).await,
        Local::Logs { run, step } => logs::run(project, run, step.as_deref(), json).await,
        Local::Retry { run, step } => retry::run(project, run, step.as_deref(), json).await,
        Local::Query { sql, format, limit } => query::run(project, sql, *format, *limit, json).await,
        Local::Quarantine(command) => quarantine::run(project, command, json).await,
        #[cfg(feature = "cloud")]
        Local::Models { cloud: true, command } => {
            let deployment = crate::serve::models(project).await?;
            models::run(&models::Desk::There(deployment.desk()), command.as_ref(), json).await
        }
        Local::Models { command, .. } => {
            let session = session::Session::to_read(project).await?;
            let ended = models::run(&models::Desk::Here(&*session), command.as_ref(), json).await?;
            session.close().await?;
            Ok(ended)
        }
        Local::Predict { endpoint, request } => predict::run(project, endpoint, request, json).await,
        Local::Cost(_) | Local::Demo { .. } | Local::Up { .. } => Ok(Ended::Well),
    }
}

/// A name from the command line.
fn named<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(text: &str) -> anyhow::Result<T> {
    Ok(text.parse::<T>()?)
}

/// An argument's text, or standard input's for `-`.
fn text_or_stdin(argument: &str) -> anyhow::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input is no text")?;
    Ok(text)
}
