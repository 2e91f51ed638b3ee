//! The command line: what can be said, and the help that says so.

#[cfg(feature = "cloud")]
mod cloud;
#[cfg(feature = "embedded")]
mod local;
mod manifests;
mod programs;
#[cfg(any(feature = "embedded", feature = "cloud"))]
mod sources;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[cfg(feature = "cloud")]
pub(crate) use self::cloud::*;
#[cfg(feature = "embedded")]
pub(crate) use self::local::*;
#[cfg(any(feature = "embedded", feature = "cloud"))]
pub(crate) use self::sources::*;
pub(crate) use self::{manifests::*, programs::*};

/// Files in, served models out: a data and AI platform on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "millstream",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done; 1 it did not work, `manifests sanitize --check` would change something, or `doctor` found something broken; 2 the command line \
                  is wrong; 3 `check` found mistakes, or a run failed or waits.\n\nFirst steps:\n  millstream init shop && cd \
                  shop\n  millstream check\n  millstream up"
)]
pub(crate) struct Cli {
    /// The project's folder [default: the nearest one above with millstream.toml or pipelines/]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// The environment in millstream.toml [default: MILLSTREAM_ENV, else local]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// Answer in JSON on standard output, and with nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log what goes on, on standard error; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write an example project
    #[command(after_help = "Examples:\n  millstream init shop\n  millstream init            # in this folder")]
    Init {
        /// The folder; made if need be
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Check the pipelines and their SQL, and show what follows from what
    #[command(after_help = "Examples:\n  millstream check\n  millstream check --json | jq '.mistakes[].message'")]
    Check,
    /// Mend Kubernetes manifests before they are applied
    #[command(subcommand)]
    Manifests(Manifests),
    /// Databases and workbooks: what is extracted, what they hold, a pipeline for chosen tables
    #[cfg(any(feature = "embedded", feature = "cloud"))]
    #[command(subcommand)]
    Sources(Sources),
    #[command(flatten)]
    Program(Program),
    #[cfg(feature = "embedded")]
    #[command(flatten)]
    Local(Local),
    #[cfg(feature = "cloud")]
    #[command(flatten)]
    Cloud(Cloud),
}
