//! Programs that a platform starts, on this machine and in a container: not for people.

use std::path::PathBuf;

use clap::Subcommand;

/// A program of its own.
#[derive(Debug, Subcommand)]
pub(crate) enum Program {
    /// Supervise one training job
    #[command(hide = true)]
    Supervise {
        /// The job's folder
        job: PathBuf,
    },
    /// Run a built-in training recipe
    #[command(hide = true)]
    Recipe {
        #[command(subcommand)]
        recipe: Recipe,
    },
}

/// The built-in recipes.
#[derive(Debug, Subcommand)]
pub(crate) enum Recipe {
    /// Gradient-boosted trees on a table
    Tabular(millstream_recipe_tabular::Options),
}
