//! Every setting of a Millstream process, read once when it starts.
//!
//! Five layers, the later winning: the embedded defaults (the text of [`Settings::commented_default`], so that what is
//! documented is what is used), what is common in the project's `millstream.toml`, its table of the chosen environment
//! (`[env.prod]`), the process's variables (`MILLSTREAM_HTTP__ADDRESS`), and what was said on the command line.

mod cloud;
mod environments;
mod layers;
mod training;

use std::{
    fmt,
    net::SocketAddr,
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub use cloud::{Auth, Gcp, GcpSection};
pub use training::{KubeflowPipelines, Kubernetes, Ray, Training, Vertex};

/// The name of a project's settings file.
pub const FILE_NAME: &str = "millstream.toml";

/// Every setting.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The environment whose table of the settings file was used.
    #[serde(skip)]
    pub environment: String,
    /// Where buckets, the warehouse, models and logs are kept; absolute or from the process's folder once loaded.
    pub data_dir: PathBuf,
    /// Where the pipeline files are; absolute or from the process's folder once loaded.
    pub pipelines_dir: PathBuf,
    /// Seconds between two sweeps.
    pub sweep_seconds: NonZeroU64,
    /// The HTTP server.
    pub http: Http,
    /// The buckets' names.
    pub buckets: Buckets,
    /// What is logged and how.
    pub log: Log,
    /// The embedded warehouse.
    pub warehouse: Warehouse,
    /// Training.
    pub training: Training,
    /// A Kubernetes cluster that trains; none without `url` or `context`.
    pub kubernetes: Kubernetes,
    /// A Ray cluster that trains; none without `address`.
    pub ray: Ray,
    /// Kubeflow Pipelines; none without `url`.
    pub kubeflow_pipelines: KubeflowPipelines,
    /// Vertex AI; not used without `location`.
    pub vertex: Vertex,
    /// What one file may cost.
    pub ingest: Ingest,
    /// Google Cloud; [`Settings::gcp`] says what is missing.
    pub gcp: GcpSection,
    /// Who may deliver events in the cloud; [`Settings::callers`] says what is missing.
    pub auth: Auth,
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where it listens.
    pub address: SocketAddr,
    /// The largest request, in MiB.
    pub max_body_mib: NonZeroU64,
    /// The longest a request may take, in seconds.
    pub request_timeout_seconds: NonZeroU64,
    /// Requests in hand at once.
    pub max_requests: NonZeroU64,
}

/// The buckets' names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buckets {
    /// Where files are uploaded.
    pub landing: String,
    /// Batches, quarantine and exports.
    pub lake: String,
    /// What is known of every run.
    pub ledger: String,
    /// Trained models.
    pub models: String,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people; in colour on a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
    /// One JSON object a line, in the form of Cloud Logging.
    Google,
}

/// What is logged and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How lines are written.
    pub format: LogFormat,
    /// A `tracing` filter: `info`, `info,millstream_runtime=debug`.
    pub level: String,
}

/// The embedded warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warehouse {
    /// DuckDB's `memory_limit`, such as `1GB`.
    pub memory_limit: String,
    /// Threads of a query; 0 means one for each processor.
    pub threads: usize,
}

/// What one file may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    /// Files at once.
    pub max_running: NonZeroU64,
    /// Threads for one file; 0 means one for each processor, at most eight.
    pub threads: usize,
    /// The longest record, in MiB.
    pub max_record_mib: NonZeroU64,
    /// The most a compressed file may grow to, in GiB.
    pub max_decompressed_gib: NonZeroU64,
    /// How many times its size a compressed file may grow to.
    pub max_decompression_ratio: NonZeroU64,
}

/// Settings that cannot be used: where the wrong one stands and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SettingsError(pub Vec<WrongSetting>);

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongSetting {
    /// The file, `the environment` or `the command line`.
    pub place: String,
    /// The setting as that place writes it: `http.address`, `MILLSTREAM_HTTP__ADDRESS`.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

impl Settings {
    /// The defaults as a commented file, for `millstream init`.
    #[must_use]
    pub fn commented_default() -> &'static str {
        layers::DEFAULTS
    }

    /// The settings of the project in `project_dir` for an environment: the one named, else `MILLSTREAM_ENV`'s, else
    /// `local`. `overrides` are what the command line says: dotted keys
    /// (`http.address`) and values, strings without quotes.
    ///
    /// # Errors
    /// All wrong settings that can be told apart, each with its file or variable.
    pub fn load(
        project_dir: &Path,
        environment: Option<&str>,
        overrides: &[(&str, String)],
    ) -> Result<Self, SettingsError> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
        layers::read(project_dir, environment, variables, overrides)
    }
}
