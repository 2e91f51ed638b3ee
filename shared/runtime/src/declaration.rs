//! What a function says of itself, from which a deployment derives its subscription, its roles and its size.

use serde::Serialize;

/// A function as a deployment sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declaration {
    /// Its name.
    pub name: &'static str,
    /// The event types it takes.
    pub consumes: &'static [&'static str],
    /// The event types it publishes.
    pub emits: &'static [&'static str],
    /// What it may touch, and nothing else.
    pub touches: &'static [Touch],
    /// What one instance of it needs.
    pub size: Size,
}

/// What one instance of a function needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Processors, as Cloud Run writes them: `1`.
    pub cpu: &'static str,
    /// Memory, as Cloud Run writes it: `512Mi`.
    pub memory: &'static str,
    /// Requests at once.
    pub concurrency: u16,
    /// The longest a request may take, in seconds.
    pub timeout_seconds: u16,
    /// Instances at most.
    pub max_instances: u16,
    /// Whether it works between requests too: Cloud Run then gives it its processors as long as there is an instance.
    pub between_requests: bool,
}

/// Something a function uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touch {
    /// Reads a bucket's objects.
    Reads(Bucket),
    /// Creates, replaces, reads and deletes a bucket's objects.
    Writes(Bucket),
    /// Reads a dataset's tables.
    Queries(Dataset),
    /// Creates, fills and reads a dataset's tables.
    Fills(Dataset),
    /// Runs BigQuery jobs.
    RunsJobs,
    /// Publishes events.
    Publishes,
    /// Starts, reads and ends trainings on Vertex AI and on the training cluster.
    LaunchesTraining,
    /// Registers and serves models on Vertex AI, and reads how they do.
    PublishesModels,
    /// Lets what it starts run as the account of trainings and of serving containers.
    ActsAsTraining,
}

/// A bucket, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// Where people upload.
    Landing,
    /// Batches, quarantine and exports.
    Lake,
    /// What is known of every run.
    Ledger,
    /// Trained models, their registry and endpoints.
    Models,
    /// The pipeline files.
    Pipelines,
}

/// A BigQuery dataset, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dataset {
    /// As landed.
    Source,
    /// Cleaned.
    Staging,
    /// Joined: what training and dashboards read.
    Production,
}
