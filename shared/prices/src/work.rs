//! Work that is no training of a pipeline: the seed project's three comparisons.

use millstream_events::compute::{Capacity, Compute, RunOn};
use serde::Serialize;

use crate::{
    book::Book,
    fit::machine_for,
    item::{Item, Platform, Unit},
    rate::{HourlyRate, Part, PriceError},
};

/// Hours of a month, as Google's price lists count them.
const MONTH: f64 = 730.0;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Going through data.
    Batch {
        /// How much, in GB (10^9 bytes).
        gb: f64,
    },
    /// Answering requests.
    Serving {
        /// How many a second, all the time.
        requests_per_second: f64,
    },
}

/// Some work on one machine of a size, for a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Work {
    /// What it is, for people.
    pub name: String,
    /// What is done.
    pub task: Task,
    /// vCPUs that it takes.
    pub vcpus: u32,
    /// GiB of memory that it takes.
    pub memory_gib: u32,
    /// For how long.
    pub hours: f64,
}

/// Where work may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A Kubeflow job, or a server of one's own, on a GKE cluster.
    Kubeflow,
    /// A Ray job on a GKE cluster.
    Ray,
    /// A CustomJob or an endpoint of Vertex AI.
    Vertex,
    /// A service on Cloud Run.
    CloudRun,
}

impl Place {
    /// As it is written in books and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.platform().as_str()
    }

    const fn platform(self) -> Platform {
        match self {
            Self::Kubeflow => Platform::Kubeflow,
            Self::Ray => Platform::Ray,
            Self::Vertex => Platform::Vertex,
            Self::CloudRun => Platform::CloudRun,
        }
    }
}

/// A place's price for some work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkLine {
    /// Where.
    pub place: Place,
    /// US dollars for the whole time; none where it has no price, for the reason in `note`.
    pub usd: Option<f64>,
    /// US dollars an hour.
    pub usd_per_hour: Option<f64>,
    /// The machine type.
    pub machine: Option<String>,
    /// What to know about it, or why there is no price.
    pub note: String,
}

impl Work {
    /// The seed project's three: 100 GB in 10 hours on 4 vCPUs and 16 GB, 1,000 requests a second on 2 vCPUs and 8 GB (for
    /// which it says no time: a month of 730 hours here), and 1 TB in 24 hours on 8 vCPUs and 32 GB.
    #[must_use]
    pub fn seed_comparisons() -> [Self; 3] {
        let batch = |name: &str, gb, hours, vcpus| Self {
            name: name.to_owned(),
            task: Task::Batch { gb },
            vcpus,
            memory_gib: 4 * vcpus,
            hours,
        };
        [
            batch("100 GB for 10 h on 4 vCPUs and 16 GB", 100.0, 10.0, 4),
            Self {
                name: "1,000 requests/s for a month (730 h) on 2 vCPUs and 8 GB".to_owned(),
                task: Task::Serving { requests_per_second: 1_000.0 },
                vcpus: 2,
                memory_gib: 8,
                hours: MONTH,
            },
            batch("1 TB for 24 h on 8 vCPUs and 32 GB", 1_000.0, 24.0, 8),
        ]
    }

    /// What it costs in each place where it can be done.
    #[must_use]
    pub fn compare(&self, book: &Book) -> Vec<WorkLine> {
        let places: &[Place] = match self.task {
            Task::Batch { .. } => &[Place::Kubeflow, Place::Ray, Place::Vertex],
            Task::Serving { .. } => &[Place::Kubeflow, Place::Vertex, Place::CloudRun],
        };
        places.iter().map(|place| self.line(*place, book)).collect()
    }

    /// What keeping its data in BigQuery costs for that time, on top and the same in every place; none where there is none, or
    /// where the book has no row `bigquery-storage`.
    #[must_use]
    pub fn data_usd(&self, book: &Book) -> Option<f64> {
        let Task::Batch { gb } = self.task else { return None };
        let month = book.price(&Item::BigQueryStorage, Capacity::Standard, Unit::GbMonth)?;
        Some(gb * month * self.hours / MONTH)
    }

    fn line(&self, place: Place, book: &Book) -> WorkLine {
        match self.hourly(place, book) {
            Ok(rate) => WorkLine {
                place,
                usd: Some(rate.usd_for(self.hours * 3_600.0)),
                usd_per_hour: Some(rate.usd),
                machine: rate.machine,
                note: rate.notes.join("; "),
            },
            Err(error) => WorkLine { place, usd: None, usd_per_hour: None, machine: None, note: error.to_string() },
        }
    }

    /// What it costs an hour in a place. A book that prices a platform's training as a whole and not its serving has its
    /// training rows count for serving too, with a note: the seed's is one.
    ///
    /// # Errors
    /// As [`Book::hourly`].
    pub fn hourly(&self, place: Place, book: &Book) -> Result<HourlyRate, PriceError> {
        let platform = place.platform();
        let (serving, training) = (Item::Serving(platform), Item::Training(platform));
        let size = |item: &Item, note: &str| -> Result<HourlyRate, PriceError> {
            let usd = book.size_hour(item, Capacity::Standard, f64::from(self.vcpus), f64::from(self.memory_gib))?;
            let part = Part { what: format!("{} vCPUs and {} GiB", self.vcpus, self.memory_gib), usd };
            Ok(HourlyRate::of(None, vec![part], vec![format!("by the book's rows `{item}`{note}")]))
        };
        match self.task {
            Task::Serving { .. } if book.prices_as_a_whole(&serving) => size(&serving, ""),
            Task::Serving { .. } if book.prices_as_a_whole(&training) => {
                size(&training, &format!(", as it has none `{serving}`"))
            }
            Task::Batch { .. } if book.prices_as_a_whole(&training) => size(&training, ""),
            task => match (place, task) {
                (Place::CloudRun, Task::Serving { requests_per_second }) => {
                    self.on_cloud_run(requests_per_second, book)
                }
                (Place::CloudRun, Task::Batch { .. }) => self.on_cloud_run(0.0, book),
                _ => self.on_a_machine(place, book).map_err(|error| book.or_as_a_whole(error, platform)),
            },
        }
    }

    /// One machine of that size: of Vertex AI's, or a cluster's node.
    fn on_a_machine(&self, place: Place, book: &Book) -> Result<HourlyRate, PriceError> {
        let is_batch = matches!(self.task, Task::Batch { .. });
        // Vertex AI serves from each of these types, and trains on fewer.
        let run_on = if place == Place::Vertex && is_batch { RunOn::Vertex } else { RunOn::RayCluster };
        let memory_mib = u64::from(self.memory_gib) << 10;
        let machine = machine_for(&Compute { run_on, cpu: self.vcpus, memory_mib, ..Compute::default() })?;
        let usd = book.machine_hour(machine, None, Capacity::Standard)?.usd;
        let name = machine.name.clone();
        if place == Place::Vertex {
            let item = if is_batch { Item::VertexTraining } else { Item::VertexPrediction };
            let factor = book.required(&item, Capacity::Standard, Unit::TimesCompute)?;
            let parts = vec![Part { what: name.clone(), usd: usd * factor }];
            return Ok(HourlyRate::of(Some(name), parts, vec![format!("{factor} times Compute Engine's price")]));
        }
        let mut parts = vec![Part { what: name.clone(), usd }];
        parts.extend(book.cluster_part());
        let (vcpus, gib) = machine.for_pods();
        Ok(HourlyRate::of(Some(name), parts, vec![format!("a pod can have {vcpus:.2} vCPUs and {gib:.1} GiB of it")]))
    }

    /// One instance that is never idle, and its requests.
    fn on_cloud_run(&self, requests_per_second: f64, book: &Book) -> Result<HourlyRate, PriceError> {
        let price = |unit| book.required(&Item::CloudRun, Capacity::Standard, unit);
        let second =
            f64::from(self.vcpus) * price(Unit::VcpuSecond)? + f64::from(self.memory_gib) * price(Unit::GibSecond)?;
        let requests = requests_per_second * 3_600.0 / 1e6 * price(Unit::MillionRequests)?;
        let parts = vec![
            Part {
                what: format!("an instance of {} vCPUs and {} GiB", self.vcpus, self.memory_gib),
                usd: 3_600.0 * second,
            },
            Part { what: "its requests".to_owned(), usd: requests },
        ];
        let notes = vec![format!("{requests:.2} USD an hour of it for the requests")];
        Ok(HourlyRate::of(None, parts, notes))
    }
}
