//! What can be said of databases and workbooks that rows are extracted from.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with sources.
#[derive(Debug, Subcommand)]
pub(crate) enum Sources {
    /// What the pipelines extract: from where, when, how changes are found, how far it has come
    #[command(after_help = "Examples:\n  millstream sources list\n  millstream sources list --json | jq '.[].source'")]
    List {
        /// Of the deployment that the environment's settings name, instead of this machine
        #[cfg(feature = "cloud")]
        #[arg(long)]
        cloud: bool,
    },
    /// What a database or workbook holds: its tables, or the columns of some and what they become
    #[command(after_help = "Examples:\n  millstream sources inspect --from postgres --connection secret:crm\n  \
                      millstream sources inspect --from postgres --connection secret:crm --table 'public.*'\n  \
                      millstream sources inspect crm.customers --table public.customers --json\n  \
                      millstream sources inspect --from excel --object gs://landing/budget.xlsx --table 2026\n\n\
                      The secret holds the database's URL: locally a file data/secrets/NAME (mode 600) or the variable \
                      MILLSTREAM_SECRET_NAME, in a deployment Secret Manager's. Names of tables may have `*`.")]
    Inspect(Inspect),
    /// The YAML of a pipeline that extracts chosen tables
    #[command(
        long_about = "The YAML of a pipeline that extracts chosen tables: their columns with BigQuery's types, a merge by the key \
                      where a column tells what changed, otherwise a whole new table each time. What cannot be mapped is left out \
                      and named. Nothing is extracted.",
        after_help = "Examples:\n  millstream sources plan --from postgres --connection secret:crm --tables 'public.*' \\\n    \
                      --pipeline crm --schedule '0 10 * * *' --output pipelines/crm.yaml\n  \
                      millstream sources plan crm.customers --tables public.orders public.items --pipeline shop\n  \
                      millstream sources plan --from excel --object gs://landing/budget.xlsx --pipeline budget"
    )]
    Plan(Plan),
}

/// Which database or workbook.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// That of a source in this project: PIPELINE.SOURCE, or SOURCE where one pipeline alone has it
    #[arg(value_name = "NAME", required_unless_present = "from", conflicts_with = "from")]
    pub(crate) name: Option<String>,
    /// The kind: postgres, mysql (also mariadb), sqlserver, mongodb, cassandra, snowflake, db2 or excel
    #[arg(long, value_name = "KIND")]
    pub(crate) from: Option<String>,
    /// The secret that holds the database's URL
    #[arg(long, value_name = "secret:NAME", requires = "from")]
    pub(crate) connection: Option<String>,
    /// The secret that holds the certificates (PEM) which the server's must be signed by
    #[arg(long, value_name = "secret:NAME", requires = "connection")]
    pub(crate) ca: Option<String>,
    /// The workbook
    #[arg(long, value_name = "gs://BUCKET/NAME", requires = "from", conflicts_with = "connection")]
    pub(crate) object: Option<String>,
    /// With the secrets and buckets of the deployment that the environment's settings name, instead of this machine's
    #[cfg(feature = "cloud")]
    #[arg(long)]
    pub(crate) cloud: bool,
}

/// The arguments of `sources inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The columns of this table, or of those a pattern names, such as `public.*`; of a workbook the sheet
    #[arg(long, value_name = "PATTERN")]
    pub(crate) table: Option<String>,
}

/// The arguments of `sources plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The tables, by names or patterns such as `public.*`; of a workbook the sheets
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    pub(crate) tables: Vec<String>,
    /// The pipeline's name
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: String,
    /// When it runs: a cron expression of five fields, in UTC
    #[arg(long, value_name = "CRON")]
    pub(crate) schedule: Option<String>,
    /// The file to write, which must not be there yet; `-` for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
}
