//! What can be said of Kubernetes manifests.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with Kubernetes manifests.
#[derive(Debug, Subcommand)]
pub(crate) enum Manifests {
    /// Take out what only the API server may set, so that an apply does not fail on it
    #[command(
        long_about = "Take out what only the API server may set, so that an apply does not fail on it: `creationTimestamp: null` in \
                      metadata and in every template's metadata, resourceVersion, uid, managedFields and their like, status.\n\n\
                      The YAML goes to standard output, the report to standard error. A document without a change comes out byte \
                      for byte; in one that changes the comments within are lost and aliases are written out. JSON stays JSON.",
        after_help = "Examples:\n  kustomize build . | millstream manifests sanitize | kubectl apply --server-side -f -\n  \
                      millstream manifests sanitize --in-place deploy/*.yaml\n  \
                      millstream manifests sanitize --check deploy/*.yaml      # exit code 1 when something would change\n  \
                      millstream manifests sanitize --check --json crds.yaml | jq '.files[].changes[] | select(.severity == \"error\")'"
    )]
    Sanitize(Sanitize),
}

/// The arguments of `manifests sanitize`.
#[derive(Debug, Args)]
pub(crate) struct Sanitize {
    /// The files, `-` for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) files: Vec<PathBuf>,
    /// Write the files anew where they change, instead of writing to standard output
    #[arg(long, conflicts_with = "check")]
    pub(crate) in_place: bool,
    /// Write nothing and end with exit code 1 when something would change
    #[arg(long)]
    pub(crate) check: bool,
}
