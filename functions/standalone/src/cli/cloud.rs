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
    /// Check every link of a deployed environment, and send a test event through it
    #[command(
        long_about = "Check every link of a deployed environment: buckets, datasets, the notification of uploads, each function's \
                      subscription with its filter, where it pushes and with which token, dead letters, regions, the sweep, where \
                      trainings run. Then send a test event through it: an upload that no pipeline takes and that every function \
                      answers without doing anything; it is removed again. What cannot be seen from here is told as such.",
        after_help = "Examples:\n  millstream --env prod doctor\n  millstream --env dev doctor --timeout 30 --json | jq '.findings[] | \
                      select(.state == \"broken\")'\n\n\
                      Exit code 1 when anything is broken. You need to read what there is (roles/viewer) and, for the event, \
                      roles/storage.objectUser on the buckets landing and ledger."
    )]
    Doctor {
        /// The longest that one hop of the test event, or one answer of a service, may take
        #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
        /// Only look; send no test event
        #[arg(long)]
        no_event: bool,
    },
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
