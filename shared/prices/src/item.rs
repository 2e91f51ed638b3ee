//! What a row of a price book can be about, and what its price is for.

use std::{fmt, str::FromStr};

use millstream_events::compute::{GpuType, RunOn};
use serde::{Deserialize, Serialize};

use crate::machines::{families, machine};

/// What one price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// An hour of the whole thing.
    Hour,
    /// An hour of one vCPU.
    VcpuHour,
    /// An hour of one GiB of memory. (Google's price lists say GB.)
    GbHour,
    /// A second of one vCPU.
    VcpuSecond,
    /// A second of one GiB of memory.
    GibSecond,
    /// A million requests.
    MillionRequests,
    /// A TiB moved or read.
    Tib,
    /// A GB kept for a month.
    GbMonth,
    /// No price but a factor: so many times Compute Engine's price.
    TimesCompute,
}

impl Unit {
    /// As it is written in a book.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::VcpuHour => "vcpu-hour",
            Self::GbHour => "gb-hour",
            Self::VcpuSecond => "vcpu-second",
            Self::GibSecond => "gib-second",
            Self::MillionRequests => "million-requests",
            Self::Tib => "tib",
            Self::GbMonth => "gb-month",
            Self::TimesCompute => "times-compute",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A platform that a book may price as a whole, by vCPU-hours and GB-hours, whatever machine is under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// Kubeflow in each of its forms, on a cluster of one's own.
    Kubeflow,
    /// Ray, on a cluster of one's own.
    Ray,
    /// Vertex AI.
    Vertex,
    /// Cloud Run.
    CloudRun,
}

impl Platform {
    /// As it is written in a book.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kubeflow => "kubeflow",
            Self::Ray => "ray",
            Self::Vertex => "vertex",
            Self::CloudRun => "cloud-run",
        }
    }

    /// Whose prices a training pays; none at home.
    #[must_use]
    pub const fn of(run_on: RunOn) -> Option<Self> {
        match run_on {
            RunOn::Local => None,
            RunOn::Kubeflow | RunOn::KubeflowV1 | RunOn::KubeflowPipeline => Some(Self::Kubeflow),
            RunOn::Ray | RunOn::RayCluster => Some(Self::Ray),
            RunOn::Vertex => Some(Self::Vertex),
        }
    }

    fn named(text: &str) -> Option<Self> {
        [Self::Kubeflow, Self::Ray, Self::Vertex, Self::CloudRun].into_iter().find(|platform| platform.as_str() == text)
    }
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Item {
    /// A family of machines, such as `e2`: its vCPUs or its memory.
    Family(String),
    /// A machine type with the GPUs that are in it, such as `g2-standard-4`.
    Machine(String),
    /// One GPU that is attached to a machine.
    Gpu(GpuType),
    /// `training/PLATFORM`: training there.
    Training(Platform),
    /// `serving/PLATFORM`: answering requests there.
    Serving(Platform),
    /// `vertex-training`: Vertex AI's factor on Compute Engine's price.
    VertexTraining,
    /// `vertex-prediction`: the same for endpoints.
    VertexPrediction,
    /// `gke-cluster`: a cluster's control plane.
    GkeCluster,
    /// `cloud-run`: an instance that works, and its requests.
    CloudRun,
    /// `bigquery-query`: what a query reads.
    BigQueryQuery,
    /// `bigquery-storage`: rows kept.
    BigQueryStorage,
    /// `bigquery-load`: files loaded.
    BigQueryLoad,
    /// `pubsub`: messages, in and out.
    PubSub,
}

impl Item {
    /// The units that a price of it may have.
    #[must_use]
    pub const fn units(&self) -> &'static [Unit] {
        match self {
            Self::Family(_) | Self::Training(_) | Self::Serving(_) => &[Unit::VcpuHour, Unit::GbHour],
            Self::Machine(_) | Self::Gpu(_) | Self::GkeCluster => &[Unit::Hour],
            Self::VertexTraining | Self::VertexPrediction => &[Unit::TimesCompute],
            Self::CloudRun => &[Unit::VcpuSecond, Unit::GibSecond, Unit::MillionRequests],
            Self::BigQueryQuery | Self::BigQueryLoad | Self::PubSub => &[Unit::Tib],
            Self::BigQueryStorage => &[Unit::GbMonth],
        }
    }

    /// Whether a price of it may be for spot or flex-start machines only.
    #[must_use]
    pub const fn has_capacity(&self) -> bool {
        matches!(self, Self::Family(_) | Self::Machine(_) | Self::Gpu(_) | Self::Training(_))
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Family(name) | Self::Machine(name) => f.write_str(name),
            Self::Gpu(gpu) => write!(f, "{gpu}"),
            Self::Training(platform) => write!(f, "training/{}", platform.as_str()),
            Self::Serving(platform) => write!(f, "serving/{}", platform.as_str()),
            Self::VertexTraining => f.write_str("vertex-training"),
            Self::VertexPrediction => f.write_str("vertex-prediction"),
            Self::GkeCluster => f.write_str("gke-cluster"),
            Self::CloudRun => f.write_str("cloud-run"),
            Self::BigQueryQuery => f.write_str("bigquery-query"),
            Self::BigQueryStorage => f.write_str("bigquery-storage"),
            Self::BigQueryLoad => f.write_str("bigquery-load"),
            Self::PubSub => f.write_str("pubsub"),
        }
    }
}

impl FromStr for Item {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let platform = |name: &str| {
            Platform::named(name).ok_or_else(|| {
                format!("`{name}` is no platform: write kubeflow, ray, vertex or cloud-run after the `/`")
            })
        };
        match text {
            "vertex-training" => return Ok(Self::VertexTraining),
            "vertex-prediction" => return Ok(Self::VertexPrediction),
            "gke-cluster" => return Ok(Self::GkeCluster),
            "cloud-run" => return Ok(Self::CloudRun),
            "bigquery-query" => return Ok(Self::BigQueryQuery),
            "bigquery-storage" => return Ok(Self::BigQueryStorage),
            "bigquery-load" => return Ok(Self::BigQueryLoad),
            "pubsub" => return Ok(Self::PubSub),
            _ => {}
        }
        if let Some(name) = text.strip_prefix("training/") {
            return platform(name).map(Self::Training);
        }
        if let Some(name) = text.strip_prefix("serving/") {
            return platform(name).map(Self::Serving);
        }
        if let Ok(gpu) = text.parse() {
            return Ok(Self::Gpu(gpu));
        }
        if machine(text).is_some() {
            return Ok(Self::Machine(text.to_owned()));
        }
        if families().any(|family| family == text) {
            return Ok(Self::Family(text.to_owned()));
        }
        let families: Vec<&str> = families().collect();
        Err(format!(
            "`{text}` is nothing that is priced here: write a machine type (g2-standard-4), a family ({}), a GPU \
             (nvidia-tesla-t4), training/PLATFORM, serving/PLATFORM, vertex-training, vertex-prediction, gke-cluster, \
             cloud-run, bigquery-query, bigquery-storage, bigquery-load or pubsub",
            families.join(", ")
        ))
    }
}
