//! Google's machine types: `machines.json`, compiled in.

use std::sync::LazyLock;

use millstream_events::compute::{Accelerator, Capacity, GpuType};
use serde::Deserialize;

/// A machine type.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Google's name for it, such as `g2-standard-4`.
    pub name: String,
    /// The part of the name that its prices go by, such as `g2`.
    pub family: String,
    /// vCPUs.
    pub vcpus: u32,
    /// Memory in GiB. (Google's lists say GB.)
    pub memory_gib: f64,
    /// The GPUs that are in it.
    pub gpus: Option<Accelerator>,
    /// The GPUs that may be attached to it instead, one of these.
    pub takes: Vec<Accelerator>,
    /// Whether a Vertex AI CustomJob may name it.
    pub vertex_training: bool,
    /// The ways in which it is sold.
    pub sold_as: Vec<Capacity>,
}

impl Machine {
    /// Whether it has these GPUs in it, or takes them; for none, whether it has none in it.
    #[must_use]
    pub fn has(&self, accelerator: Option<Accelerator>) -> bool {
        match accelerator {
            None => self.gpus.is_none(),
            Some(wanted) => self.gpus == Some(wanted) || self.takes.contains(&wanted),
        }
    }

    /// What pods can have of it on GKE: vCPUs and GiB. GKE keeps the rest of a node, by the steps of
    /// <https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes>, and 100 MiB to evict by. A cluster's own pods
    /// take a little more.
    #[must_use]
    pub fn for_pods(&self) -> (f64, f64) {
        let vcpus = f64::from(self.vcpus);
        let kept_vcpus = steps(vcpus, &[(1.0, 0.06), (1.0, 0.01), (2.0, 0.005), (f64::INFINITY, 0.0025)]);
        let kept_gib =
            steps(self.memory_gib, &[(4.0, 0.25), (4.0, 0.2), (8.0, 0.1), (112.0, 0.06), (f64::INFINITY, 0.02)]);
        (vcpus - kept_vcpus, self.memory_gib - kept_gib - 100.0 / 1024.0)
    }
}

/// A share of the first so many, another of the next, and so on.
fn steps(mut whole: f64, steps: &[(f64, f64)]) -> f64 {
    let mut sum = 0.0;
    for (size, share) in steps {
        sum += whole.min(*size) * share;
        whole = (whole - size).max(0.0);
    }
    sum
}

/// Every machine type that is known here, the families from the cheapest, each as in `machines.json`.
pub fn machines() -> impl Iterator<Item = &'static Machine> {
    CATALOGUE.iter()
}

/// The machine type of this name.
#[must_use]
pub fn machine(name: &str) -> Option<&'static Machine> {
    machines().find(|machine| machine.name == name)
}

/// The families, in the order of [`machines`].
pub(crate) fn families() -> impl Iterator<Item = &'static str> {
    CATALOGUE.chunk_by(|a, b| a.family == b.family).map(|family| family[0].family.as_str())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    #[serde(rename = "about")]
    _about: String,
    #[serde(rename = "date")]
    _date: String,
    families: Vec<FamilyFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyFile {
    family: String,
    #[serde(rename = "source")]
    _source: String,
    #[serde(default)]
    takes: Vec<TakesFile>,
    machines: Vec<MachineFile>,
}

/// GPUs that a family's machines take, up to a size.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TakesFile {
    #[serde(rename = "type")]
    gpu: GpuType,
    count: u32,
    max_vcpus: u32,
    max_memory_gib: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MachineFile {
    name: String,
    vcpus: u32,
    memory_gib: f64,
    gpus: Option<Accelerator>,
    #[serde(default)]
    vertex_training: bool,
    sold_as: Option<Vec<Capacity>>,
}

#[expect(clippy::expect_used, reason = "the file is compiled in, and the tests read it")]
static CATALOGUE: LazyLock<Vec<Machine>> = LazyLock::new(|| {
    let file: CatalogueFile = serde_json::from_str(include_str!("../machines.json")).expect("machines.json is right");
    file.families.into_iter().flat_map(family).collect()
});

fn family(family: FamilyFile) -> Vec<Machine> {
    let FamilyFile { family, takes, machines, .. } = family;
    let fits = |machine: &MachineFile, gpus: &TakesFile| {
        machine.vcpus <= gpus.max_vcpus && machine.memory_gib <= gpus.max_memory_gib
    };
    machines
        .into_iter()
        .map(|machine| Machine {
            family: family.clone(),
            takes: takes
                .iter()
                .filter(|gpus| fits(&machine, gpus))
                .map(|gpus| Accelerator { gpu: gpus.gpu, count: gpus.count })
                .collect(),
            name: machine.name,
            vcpus: machine.vcpus,
            memory_gib: machine.memory_gib,
            gpus: machine.gpus,
            vertex_training: machine.vertex_training,
            sold_as: machine.sold_as.unwrap_or_else(|| Capacity::ALL.to_vec()),
        })
        .collect()
}
