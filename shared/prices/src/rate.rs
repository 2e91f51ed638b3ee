//! What a training costs an hour.

use millstream_events::compute::{Accelerator, Capacity, Compute, RunOn};
use serde::Serialize;

use crate::{
    book::Book,
    fit::{Refusal, machine_for},
    item::{Item, Platform, Unit},
    machines::{Machine, machine},
};

/// Why something has no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// No machine is as it is asked for.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The book lacks a row.
    #[error("the price book {book} has no row {missing}; add it to a copy of the book, and name that file")]
    NoRow {
        /// The book's name.
        book: String,
        /// The rows that would do, such as `a3-ultragpu-8g` per hour.
        missing: String,
    },
}

/// What a job costs for each hour that it runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HourlyRate {
    /// US dollars an hour, for all nodes.
    pub usd: f64,
    /// The machine type of each node; none where the book prices vCPUs and memory, whatever is under them.
    pub machine: Option<String>,
    /// What makes up the sum.
    pub parts: Vec<Part>,
    /// What to know about it, a sentence each.
    pub notes: Vec<String>,
}

/// A part of an hourly rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// What is paid for.
    pub what: String,
    /// US dollars an hour.
    pub usd: f64,
}

impl HourlyRate {
    /// US dollars for so many seconds.
    #[must_use]
    pub fn usd_for(&self, seconds: f64) -> f64 {
        self.usd * seconds / 3_600.0
    }

    pub(crate) fn of(machine: Option<String>, parts: Vec<Part>, notes: Vec<String>) -> Self {
        Self { usd: parts.iter().map(|part| part.usd).sum(), machine, parts, notes }
    }
}

/// The price of a machine's hour.
pub(crate) struct MachineHour {
    pub(crate) usd: f64,
    pub(crate) note: Option<String>,
}

impl Book {
    /// What a training costs an hour on what it asks for; none where it runs at home, which has no price.
    ///
    /// A book that has rows `training/PLATFORM` prices the vCPUs and GiB that are asked for, or those of the machine that is
    /// named. Any other book prices whole machines of Compute Engine, with `vertex-training` as Vertex AI's factor. A training
    /// that starts pods on a cluster also pays `gke-cluster`, once, for the hours that it runs, as if it had the cluster to
    /// itself: the most that its share can be. A Ray cluster that is there already is taken to be paid by others but for the
    /// machines in use.
    ///
    /// # Errors
    /// [`PriceError`]: no such machine, or the row that the book lacks.
    pub fn hourly(&self, compute: &Compute) -> Result<Option<HourlyRate>, PriceError> {
        let Some(platform) = Platform::of(compute.run_on) else { return Ok(None) };
        let machine = machine_for(compute)?;
        let rate = if self.prices_as_a_whole(&Item::Training(platform)) {
            self.by_size(compute, platform)?
        } else {
            self.by_machine(compute, machine, platform).map_err(|error| self.or_as_a_whole(error, platform))?
        };
        Ok(Some(rate))
    }

    /// Whether the book has vCPU and memory rows for it.
    pub(crate) fn prices_as_a_whole(&self, item: &Item) -> bool {
        [Unit::VcpuHour, Unit::GbHour].into_iter().any(|unit| self.price(item, Capacity::Standard, unit).is_some())
    }

    /// A book that prices other platforms as a whole is most likely to lack the same rows for this one.
    pub(crate) fn or_as_a_whole(&self, error: PriceError, platform: Platform) -> PriceError {
        match error {
            PriceError::NoRow { .. } if self.rows().iter().any(|row| matches!(row.item, Item::Training(_))) => {
                let item = Item::Training(platform);
                let missing = format!("`{item}` per {} and per {}", Unit::VcpuHour, Unit::GbHour);
                PriceError::NoRow { book: self.name.clone(), missing }
            }
            error => error,
        }
    }

    /// An hour of so many vCPUs and GiB by a thing's two rows.
    pub(crate) fn size_hour(
        &self,
        item: &Item,
        capacity: Capacity,
        vcpus: f64,
        memory_gib: f64,
    ) -> Result<f64, PriceError> {
        Ok(vcpus * self.required(item, capacity, Unit::VcpuHour)?
            + memory_gib * self.required(item, capacity, Unit::GbHour)?)
    }

    pub(crate) fn required(&self, item: &Item, capacity: Capacity, unit: Unit) -> Result<f64, PriceError> {
        self.price(item, capacity, unit).ok_or_else(|| self.lacks(&[(item, capacity, unit)]))
    }

    /// The error that names rows of which one would do.
    pub(crate) fn lacks(&self, rows: &[(&Item, Capacity, Unit)]) -> PriceError {
        let rows: Vec<String> = rows
            .iter()
            .map(|(item, capacity, unit)| match capacity {
                Capacity::Standard => format!("`{item}` per {unit}"),
                bought => format!("`{item}` per {unit} ({bought})"),
            })
            .collect();
        PriceError::NoRow { book: self.name.clone(), missing: rows.join(" or ") }
    }

    fn by_size(&self, compute: &Compute, platform: Platform) -> Result<HourlyRate, PriceError> {
        let item = Item::Training(platform);
        let machine = compute.machine.as_deref().and_then(machine);
        let (vcpus, memory_gib) = machine.map_or_else(
            || (f64::from(compute.cpu), compute.memory_mib as f64 / 1024.0),
            |machine| (f64::from(machine.vcpus), machine.memory_gib),
        );
        let nodes = f64::from(compute.nodes);
        let size = self.size_hour(&item, Capacity::Standard, vcpus, memory_gib)?;
        let mut parts =
            vec![Part { what: format!("{} x {vcpus} vCPUs and {memory_gib} GiB", compute.nodes), usd: nodes * size }];
        if let Some(gpus) = compute.accelerator {
            // vCPU and memory rows say nothing of a GPU; leaving it out would be worse than no price.
            let gpu = self.required(&Item::Gpu(gpus.gpu), Capacity::Standard, Unit::Hour)?;
            let count = nodes * f64::from(gpus.count);
            parts.push(Part { what: format!("{count} x {}", gpus.gpu), usd: count * gpu });
        }
        let mut notes = vec![format!("by the book's rows `{item}`")];
        if compute.capacity != Capacity::Standard {
            notes.push(format!("no {} price in the book: the standard one, the most it can be", compute.capacity));
        }
        Ok(HourlyRate::of(machine.map(|machine| machine.name.clone()), parts, notes))
    }

    fn by_machine(&self, compute: &Compute, machine: &Machine, platform: Platform) -> Result<HourlyRate, PriceError> {
        let hour = self.machine_hour(machine, compute.accelerator, compute.capacity)?;
        let nodes = f64::from(compute.nodes);
        let mut notes: Vec<String> = hour.note.into_iter().collect();
        let mut parts = vec![];
        let what = match compute.capacity {
            Capacity::Standard => format!("{} x {}", compute.nodes, machine.name),
            bought => format!("{} x {} ({bought})", compute.nodes, machine.name),
        };
        if platform == Platform::Vertex {
            let factor = self.required(&Item::VertexTraining, Capacity::Standard, Unit::TimesCompute)?;
            parts.push(Part { what, usd: nodes * hour.usd * factor });
            notes.push(format!("{factor} times Compute Engine's price"));
        } else {
            parts.push(Part { what, usd: nodes * hour.usd });
        }
        match compute.run_on {
            RunOn::Kubeflow | RunOn::KubeflowV1 | RunOn::Ray => parts.extend(self.cluster_part()),
            RunOn::KubeflowPipeline => {
                parts.extend(self.cluster_part());
                notes.push("as if its steps ran on this one after the other; each asks for its own".to_owned());
            }
            RunOn::RayCluster => notes.push("its share of machines that stand there with or without it".to_owned()),
            RunOn::Local | RunOn::Vertex => {}
        }
        Ok(HourlyRate::of(Some(machine.name.clone()), parts, notes))
    }

    /// The control plane's hour, where the book prices it.
    pub(crate) fn cluster_part(&self) -> Option<Part> {
        let usd = self.price(&Item::GkeCluster, Capacity::Standard, Unit::Hour)?;
        Some(Part { what: "the cluster's control plane".to_owned(), usd })
    }

    /// An hour of a machine of Compute Engine with these GPUs; at the standard price where it has none for how it is bought.
    pub(crate) fn machine_hour(
        &self,
        machine: &Machine,
        accelerator: Option<Accelerator>,
        capacity: Capacity,
    ) -> Result<MachineHour, PriceError> {
        if capacity != Capacity::Standard {
            if let Ok(usd) = self.bought(machine, accelerator, capacity) {
                return Ok(MachineHour { usd, note: None });
            }
            if !machine.sold_as.contains(&Capacity::Standard) {
                return Err(self.lacks(&[(&Item::Machine(machine.name.clone()), capacity, Unit::Hour)]));
            }
        }
        let usd = self.bought(machine, accelerator, Capacity::Standard)?;
        let note = (capacity != Capacity::Standard).then(|| {
            format!("no {capacity} price of {} in the book: the standard one, the most it can be", machine.name)
        });
        Ok(MachineHour { usd, note })
    }

    fn bought(
        &self,
        machine: &Machine,
        accelerator: Option<Accelerator>,
        capacity: Capacity,
    ) -> Result<f64, PriceError> {
        let item = Item::Machine(machine.name.clone());
        let whole = self.price(&item, capacity, Unit::Hour);
        let base = match whole {
            Some(usd) => usd,
            None => self.by_family(machine, &item, capacity)?,
        };
        // A whole machine's price has the GPUs that are in it; those that it takes are extra.
        let extra = accelerator.filter(|gpus| whole.is_none() || machine.gpus != Some(*gpus));
        let gpus = match extra {
            Some(gpus) => f64::from(gpus.count) * self.required(&Item::Gpu(gpus.gpu), capacity, Unit::Hour)?,
            None => 0.0,
        };
        Ok(base + gpus)
    }

    fn by_family(&self, machine: &Machine, item: &Item, capacity: Capacity) -> Result<f64, PriceError> {
        let family = Item::Family(machine.family.clone());
        if self.price(&family, capacity, Unit::VcpuHour).is_none() {
            return Err(self.lacks(&[(item, capacity, Unit::Hour)]));
        }
        self.size_hour(&family, capacity, f64::from(machine.vcpus), machine.memory_gib)
    }
}
