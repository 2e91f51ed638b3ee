//! One module a command, and what they share: a way to the operations, and how a command ends.

mod check;
mod demo;
mod init;
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

use std::{io::Read, process::ExitCode, str::FromStr};

use anyhow::Context;
use millstream_recipe_tabular::{Environment, RecipeError};
use millstream_runtime::{
    settings::{Log, LogFormat},
    telemetry,
};

use crate::{
    cli::{Cli, Command, Recipe},
    project::Project,
    render,
};

/// How a command ended that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything is as it should be.
    Well,
    /// There are mistakes, or a run failed or waits.
    NotAsItShould,
}

impl Ended {
    /// By whether everything is as it should be.
    pub(crate) fn by(is_well: bool) -> Self {
        if is_well { Self::Well } else { Self::NotAsItShould }
    }
}

/// The two commands that are programs of their own: they are started by a platform and need none.
pub(crate) fn without_runtime(cli: &Cli) -> Option<ExitCode> {
    match &cli.command {
        Command::Supervise { job } => Some(millstream_embedded::trainer::supervise(job)),
        Command::Recipe { recipe: Recipe::Tabular(options) } => {
            let trained = Environment::from_variables().and_then(|environment| {
                millstream_recipe_tabular::run(options, &environment, &mut std::io::stdout().lock())
            });
            Some(match trained.map_err(RecipeError::chain) {
                Ok(_) => ExitCode::SUCCESS,
                Err(message) => {
                    render::note(&format!("error: {message}"));
                    ExitCode::FAILURE
                }
            })
        }
        _ => None,
    }
}

/// Runs a command.
pub(crate) fn run(cli: &Cli) -> anyhow::Result<Ended> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let ended = runtime.block_on(dispatch(cli));
    // A read of standard input that nobody waits for any more must not keep the process.
    runtime.shutdown_background();
    ended
}

async fn dispatch(cli: &Cli) -> anyhow::Result<Ended> {
    match &cli.command {
        Command::Init { folder } => return init::run(folder, cli.json),
        Command::Demo { dir } => {
            log(cli, None)?;
            return demo::run(dir, cli.json).await;
        }
        Command::Up { address } => {
            let overrides = address.iter().map(|address| ("http.address", address.clone())).collect::<Vec<_>>();
            let found = Project::find(cli.project.as_deref())?;
            let project = Project::open(&found.folder, &overrides)?;
            log(cli, Some(&project.settings.log))?;
            return up::run(project, cli.json).await;
        }
        _ => {}
    }
    let project = Project::find(cli.project.as_deref())?;
    log(cli, None)?;
    match &cli.command {
        Command::Check => check::run(&project, cli.json),
        Command::Upload(upload) => upload::run(project, upload, cli.json).await,
        Command::Publish { topic, data, wait } => publish::run(project, topic, data, *wait, cli.json).await,
        Command::Run(run) => run::run(project, run, cli.json).await,
        Command::Runs { pipeline, limit } => runs::list(project, pipeline.as_deref(), *limit, cli.json).await,
        Command::Show { run } => runs::show(project, run, cli.json).await,
        Command::Retry { run, step } => retry::run(project, run, step.as_deref(), cli.json).await,
        Command::Query { sql, format, limit } => query::run(project, sql, *format, *limit, cli.json).await,
        Command::Quarantine(command) => quarantine::run(project, command, cli.json).await,
        Command::Models { command } => models::run(project, command.as_ref(), cli.json).await,
        Command::Predict { endpoint, request } => predict::run(project, endpoint, request, cli.json).await,
        Command::Init { .. }
        | Command::Demo { .. }
        | Command::Up { .. }
        | Command::Supervise { .. }
        | Command::Recipe { .. } => Ok(Ended::Well),
    }
}

/// Logs as the settings say where the log is what a command is for; else only mistakes, unless more is asked for.
fn log(cli: &Cli, settings: Option<&Log>) -> anyhow::Result<()> {
    let level = match (cli.verbose, settings) {
        (0, Some(log)) => log.level.clone(),
        (0, None) => "off".to_owned(),
        (1, _) => "info".to_owned(),
        _ => "debug".to_owned(),
    };
    let format = settings.map_or(LogFormat::Pretty, |log| log.format);
    Ok(telemetry::init(&Log { format, level })?)
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
