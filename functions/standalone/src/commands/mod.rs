//! One module a command, and what they share: a way to the operations, and how a command ends.

mod check;
#[cfg(feature = "cloud")]
mod cloud;
mod init;
#[cfg(feature = "embedded")]
mod local;
mod manifests;
mod programs;
#[cfg(any(feature = "embedded", feature = "cloud"))]
pub(crate) mod sources;

use std::process::ExitCode;

use anyhow::Context;
use millstream_runtime::{
    settings::{Log, LogFormat},
    telemetry,
};

use crate::{
    cli::{Cli, Command},
    project::Project,
};

/// How a command ended that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything is as it should be.
    Well,
    /// There are mistakes, or a run failed or waits.
    NotAsItShould,
    /// What was to be examined was, and is not as it should be.
    CheckFailed,
}

impl Ended {
    /// By whether everything is as it should be.
    #[cfg(feature = "embedded")]
    pub(crate) fn by(is_well: bool) -> Self {
        if is_well { Self::Well } else { Self::NotAsItShould }
    }
}

/// A command that is a program of its own, started by a platform, and needs none.
pub(crate) fn without_runtime(cli: &Cli) -> Option<ExitCode> {
    match &cli.command {
        Command::Program(program) => Some(programs::run(program)),
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
        Command::Init { folder } => init::run(folder, cli.json),
        Command::Check => {
            let project = Project::find(cli.project.as_deref(), cli.env.as_deref())?;
            log(cli, None)?;
            check::run(&project, cli.json)
        }
        Command::Manifests(command) => manifests::run(command, cli.json),
        #[cfg(any(feature = "embedded", feature = "cloud"))]
        Command::Sources(command) => sources::dispatch(cli, command).await,
        // They have run before there was a runtime.
        Command::Program(_) => Ok(Ended::Well),
        #[cfg(feature = "embedded")]
        Command::Local(command) => local::dispatch(cli, command).await,
        #[cfg(feature = "cloud")]
        Command::Cloud(command) => cloud::dispatch(cli, command).await,
    }
}

/// Logs as the settings say where the log is what a command is for; else only mistakes, unless more is asked for.
fn log(cli: &Cli, settings: Option<&Log>) -> anyhow::Result<()> {
    Ok(telemetry::init(&as_asked(cli, settings))?)
}

fn as_asked(cli: &Cli, settings: Option<&Log>) -> Log {
    let level = match (cli.verbose, settings) {
        (0, Some(log)) => log.level.clone(),
        (0, None) => "off".to_owned(),
        (1, _) => "info".to_owned(),
        _ => "debug".to_owned(),
    };
    Log { format: settings.map_or(LogFormat::Pretty, |log| log.format), level }
}
