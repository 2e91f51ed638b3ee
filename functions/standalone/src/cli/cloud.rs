//! What can be said of a platform on Google Cloud.

use clap::Subcommand;

use crate::serve::Role;

/// What to do on Google Cloud.
#[derive(Debug, Subcommand)]
pub(crate) enum Cloud {
    /// Run one function as a service: events in over HTTP, facts out on Pub/Sub
    #[command(after_help = "Examples:\n  PORT=8080 millstream --env prod serve ingest-file\n\n\
                            A Cloud Run service runs this; settings come from millstream.toml and MILLSTREAM_* variables.\n\
                            STORAGE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST and BIGQUERY_EMULATOR_HOST name emulators.")]
    Serve {
        /// The function
        #[arg(value_enum)]
        function: Role,
    },
    /// What a deployment is made from
    #[command(subcommand)]
    Infra(Infra),
}

/// What a deployment is made from.
#[derive(Debug, Subcommand)]
pub(crate) enum Infra {
    /// What each function consumes, emits and may touch, as the JSON that Terraform reads
    #[command(after_help = "Examples:\n  millstream infra functions > infra/functions.json")]
    Functions,
    /// The schedules and topics of this project's pipelines, as Terraform's variables
    #[command(
        after_help = "Examples:\n  millstream infra pipelines > infra/environments/prod/pipelines.auto.tfvars.json"
    )]
    Pipelines,
}
