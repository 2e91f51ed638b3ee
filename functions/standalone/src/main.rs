//! The `millstream` command: every function of the platform in one process, and the words to work with it.
//!
//! In: arguments, a project's folder. Out: an answer on standard output, progress and logs on standard error, an exit code.

#[cfg(feature = "embedded")]
mod api;
mod back_ends;
mod cli;
mod commands;
#[cfg(feature = "cloud")]
mod doctor;
#[cfg(feature = "embedded")]
mod platform;
mod project;
mod render;
#[cfg(feature = "cloud")]
mod serve;
#[cfg(any(feature = "embedded", feature = "cloud"))]
mod sources;
#[cfg(feature = "cloud")]
mod vertex;
mod wiring;

use std::process::ExitCode;

use clap::Parser;
use millstream_pipeline::spec::Diagnostics;

use crate::{cli::Cli, commands::Ended};

fn main() -> ExitCode {
    // With TLS built in, every HTTP client of the process asks for its provider, also one that stays on this machine.
    #[cfg(any(feature = "cloud", feature = "ray", feature = "kubeflow"))]
    millstream_runtime::tls::install();
    let cli = Cli::parse();
    let ended = match commands::without_runtime(&cli) {
        Some(code) => return code,
        None => commands::run(&cli),
    };
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::NotAsItShould) => ExitCode::from(3),
        Ok(Ended::CheckFailed) => ExitCode::FAILURE,
        Err(error) => {
            render::error(&error);
            // Mistakes in pipelines stop any command that would run them.
            if error.is::<Diagnostics>() { ExitCode::from(3) } else { ExitCode::FAILURE }
        }
    }
}
