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
}
