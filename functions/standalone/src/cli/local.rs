//! What can be said to a platform on this machine.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What to do on this machine.
#[derive(Debug, Subcommand)]
pub(crate) enum Local {
    /// Run: watch the landing folder, take events over HTTP, fire schedules, answer predictions
    #[command(after_help = "Examples:\n  millstream up\n  millstream up --address 127.0.0.1:9000\n\n\
                            Ctrl-C stops it; the next `up` goes on where it stopped.")]
    Up {
        /// Where to listen, instead of http.address
        #[arg(long, value_name = "HOST:PORT")]
        address: Option<String>,
    },
    /// Put files into the landing bucket
    #[command(after_help = "Examples:\n  millstream upload iris.csv\n  \
                            millstream upload today.csv --as sales/2026-11-24/sales.csv --wait")]
    Upload(Upload),
    /// Publish a message on a topic
    #[command(after_help = "Examples:\n  millstream publish refunds '{\"id\": 7, \"amount\": 12.5}'\n  \
                            cat rows.jsonl | millstream publish refunds -")]
    Publish {
        /// The topic
        topic: String,
        /// The message, `-` for standard input; empty when left out
        #[arg(default_value = "")]
        data: String,
        /// Wait until the runs that it starts have ended
        #[arg(long)]
        wait: bool,
    },
    /// Bring a pipeline up to date and wait for it
    #[command(
        after_help = "Examples:\n  millstream run iris\n  millstream run iris --upload iris.csv\n  millstream run shop --full-refresh\n  \
                            millstream run sales/date=2026-11-24\n  millstream run nightly --again"
    )]
    Run(Run),
    /// List runs
    #[command(
        after_help = "Examples:\n  millstream runs\n  millstream runs --pipeline iris --limit 5\n  millstream runs --json"
    )]
    Runs {
        /// Only this pipeline's
        #[arg(long)]
        pipeline: Option<String>,
        /// At most so many, the latest first
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show a run: every step, how long it took, why it waits or failed
    #[command(after_help = "Examples:\n  millstream show iris\n  millstream show sales/date=2026-11-24 --json")]
    Show {
        /// PIPELINE or PIPELINE/KEY
        run: String,
    },
    /// Try the failed steps of a run again
    #[command(after_help = "Examples:\n  millstream retry iris\n  millstream retry iris --step train/iris-classifier")]
    Retry {
        /// PIPELINE or PIPELINE/KEY
        run: String,
        /// Only this step
        #[arg(long)]
        step: Option<String>,
    },
    /// What a run's training has said: while it runs, and after
    #[command(after_help = "Examples:\n  millstream logs iris\n  millstream logs iris --step train/iris-classifier")]
    Logs {
        /// PIPELINE or PIPELINE/KEY
        run: String,
        /// Which training, where the run has several
        #[arg(long)]
        step: Option<String>,
    },
    /// Ask the warehouse, in BigQuery's SQL
    #[command(
        after_help = "Examples:\n  millstream query 'SELECT species, COUNT(*) AS n FROM production.iris_features GROUP BY species'\n  \
                            millstream query --format csv --limit 1000 - < report.sql > report.csv"
    )]
    Query {
        /// A SELECT, `-` for standard input
        sql: String,
        /// How to print the answer
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// At most so many rows
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Rows that broke their contract
    #[command(
        subcommand,
        after_help = "Examples:\n  millstream quarantine list\n  millstream quarantine show DimProduct.csv\n  \
                                        millstream quarantine replay sales/2026-11-24/sales.csv"
    )]
    Quarantine(Quarantine),
    /// Trained models and their versions
    #[command(after_help = "Examples:\n  millstream models\n  millstream models show iris-classifier\n  \
                            millstream models rollback iris-classifier\n  millstream models promote iris-classifier 3\n  \
                            millstream --env prod models --cloud show iris-classifier")]
    Models {
        /// The models of the deployment that the environment's settings name, instead of those on this machine
        #[cfg(feature = "cloud")]
        #[arg(long)]
        cloud: bool,
        #[command(subcommand)]
        command: Option<Models>,
    },
    /// What a pipeline's trainings cost on each back-end
    #[command(
        after_help = "Examples:\n  millstream cost fraud\n  millstream cost fraud --step fraud-classifier --book seed\n  \
                            millstream cost --comparisons --book our-prices.json --json\n\n\
                            The form of a price book stands in shared/prices/README.md."
    )]
    Cost(Cost),
    /// Ask a model
    #[command(
        after_help = "Examples:\n  millstream predict iris '{\"instances\": [{\"petal_length\": 1.4, \"petal_width\": 0.2, ...}]}'\n  \
                            millstream predict iris @instances.json"
    )]
    Predict {
        /// The endpoint
        endpoint: String,
        /// `{"instances": [..]}` or one instance; `-` for standard input, `@FILE` for a file
        #[arg(default_value = "-")]
        request: String,
    },
    /// Run the example pipelines from uploads to predictions in a folder of their own
    #[command(after_help = "Examples:\n  millstream demo\n  millstream demo     # again: everything is up to date")]
    Demo {
        /// The folder
        #[arg(long, default_value = "demo-project")]
        dir: PathBuf,
    },
}

/// The arguments of `upload`.
#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// The files
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The object's name, instead of the file's; a name that ends in / is a folder for all of them
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Wait until the runs that take them have ended
    #[arg(long)]
    pub(crate) wait: bool,
}

/// The arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// PIPELINE or PIPELINE/KEY
    pub(crate) run: String,
    /// Upload this file first, under its own name; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) upload: Vec<PathBuf>,
    /// Run over the tables as they stand though nothing changed; sources that are extracted are asked for what changed
    #[arg(long, conflicts_with = "upload")]
    pub(crate) again: bool,
    /// As --again, and extract every source in full, whatever changed
    #[arg(long, conflicts_with = "upload")]
    pub(crate) full_refresh: bool,
}

/// The arguments of `cost`.
#[derive(Debug, Args)]
pub(crate) struct Cost {
    /// The pipeline
    #[arg(required_unless_present = "comparisons", conflicts_with = "comparisons")]
    pub(crate) pipeline: Option<String>,
    /// Only this training: the model that it makes
    #[arg(long, value_name = "TRAINING", conflicts_with = "comparisons")]
    pub(crate) step: Option<String>,
    /// The price book: list-2026-07 or seed, which are built in, or a file [default: training.price_book of the settings; with
    /// --comparisons list-2026-07]
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) book: Option<String>,
    /// What three kinds of work cost in each place, instead of a pipeline's trainings
    #[arg(long)]
    pub(crate) comparisons: bool,
}

/// How a query's answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// Comma-separated, with a header line.
    Csv,
    /// One JSON document.
    Json,
}

/// What to do with rows in quarantine.
#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// The uploads that have some, with counts and reasons
    List,
    /// The rows of an upload: line, column, reason, text
    Show {
        /// The upload's name
        name: String,
        /// At most so many rows
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Upload an upload's quarantined rows again, after its contract was corrected
    #[command(
        long_about = "Upload an upload's quarantined rows again, after its contract was corrected.\n\nThe rows go in as \
                            a new upload of the same source, so nothing is loaded twice. It is for sources that append or \
                            merge and whose pattern has a `*`. Others need no replay: where a contract changes, a file that \
                            replaces or merges is read again as a whole by itself."
    )]
    Replay {
        /// The upload's name
        name: String,
    },
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// Every model
    List,
    /// A model's versions: metrics, verdicts, lineage
    Show {
        /// The model
        model: String,
    },
    /// Give the traffic back to the version that had it before
    Rollback {
        /// The model
        model: String,
    },
    /// Give all the traffic to a version, whatever its gate said
    Promote {
        /// The model
        model: String,
        /// The version
        #[arg(value_name = "VERSION")]
        number: u64,
    },
}
