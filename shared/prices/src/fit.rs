//! Which machine a training's nodes are.

use millstream_events::compute::{Accelerator, Compute, RunOn};

use crate::machines::{Machine, machine, machines};

/// Why no machine fits, by the field that says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Refusal {
    /// The field of the training: `machine`, `accelerator`, `accelerator.type`, `accelerator.count`, `cpu`, `memory` or
    /// `capacity`.
    pub field: &'static str,
    /// What is wrong with it and what would fit.
    pub message: String,
}

fn refused<T>(field: &'static str, message: String) -> Result<T, Refusal> {
    Err(Refusal { field, message })
}

/// The machine type of each node: the one that is named, where it has what is asked for, or else the smallest of the cheapest
/// family that has it. The back-end counts: Vertex AI does not train on every type, and a pod cannot have all of a GKE node.
///
/// # Errors
/// The field that no machine type agrees with, and what would fit.
pub fn machine_for(compute: &Compute) -> Result<&'static Machine, Refusal> {
    if compute.accelerator.is_some_and(|accelerator| accelerator.count == 0) {
        return refused(
            "accelerator.count",
            "is 0; write how many GPUs each node has, or leave `accelerator` out".into(),
        );
    }
    match &compute.machine {
        Some(name) => named(name, compute),
        None => chosen(compute),
    }
}

/// What would fit where a named machine does not.
fn instead(compute: &Compute) -> String {
    match chosen(compute) {
        Ok(machine) => format!("{} fits", machine.name),
        Err(refusal) => format!("without `machine`, {refusal}"),
    }
}

fn named(name: &str, compute: &Compute) -> Result<&'static Machine, Refusal> {
    let Some(machine) = machine(name) else {
        let family = name.split('-').next().unwrap_or_default();
        let siblings: Vec<&str> =
            machines().filter(|machine| machine.family == family).map(|machine| machine.name.as_str()).collect();
        let known = if siblings.is_empty() {
            String::new()
        } else {
            format!(" (of {family} there are {})", siblings.join(", "))
        };
        return refused("machine", format!("there is no machine type `{name}` here{known}; {}", instead(compute)));
    };
    right_gpus(machine, compute)?;
    let (vcpus, gib) = room(machine, compute);
    if vcpus < f64::from(compute.cpu) {
        let has = has(compute, name, &format!("{} vCPUs", machine.vcpus), &format!("{vcpus:.2}"));
        return refused("cpu", format!("{has}, not {}; {}", compute.cpu, instead(compute)));
    }
    if gib < asked_gib(compute) {
        let has = has(compute, name, &format!("{} GiB", machine.memory_gib), &format!("{gib:.1}"));
        return refused("memory", format!("{has}, not {}; {}", asked_gib(compute), instead(compute)));
    }
    if compute.run_on == RunOn::Vertex && !machine.vertex_training {
        return refused("machine", format!("Vertex AI does not train on {name}; {}", instead(compute)));
    }
    if !machine.sold_as.contains(&compute.capacity) {
        return refused("capacity", not_sold(machine, compute));
    }
    Ok(machine)
}

fn right_gpus(machine: &Machine, compute: &Compute) -> Result<(), Refusal> {
    if machine.has(compute.accelerator) {
        return Ok(());
    }
    let name = &machine.name;
    let Some(wanted) = compute.accelerator else {
        let gpus = machine.gpus.map(gpus).unwrap_or_default();
        return refused("accelerator", format!("{name} has {gpus} in it; ask for them, or {}", instead(compute)));
    };
    let possible: Vec<Accelerator> = machine.gpus.into_iter().chain(machine.takes.iter().copied()).collect();
    if possible.iter().any(|gpus| gpus.gpu == wanted.gpu) {
        return refused(
            "accelerator.count",
            format!("{name} comes with {}, not with {}; {}", any_of(&possible), gpus(wanted), instead(compute)),
        );
    }
    let has = if possible.is_empty() { "no GPUs".to_owned() } else { any_of(&possible) };
    refused("accelerator.type", format!("{name} comes with {has}, not with {}; {}", wanted.gpu, instead(compute)))
}

fn chosen(compute: &Compute) -> Result<&'static Machine, Refusal> {
    let fitting: Vec<&Machine> = machines().filter(|machine| machine.has(compute.accelerator)).collect();
    if fitting.is_empty() {
        // Every type of GPU is in some machine, so that it is the count.
        let Some(wanted) = compute.accelerator else { return refused("machine", "no machine type is known".into()) };
        let counts = counts_of(wanted);
        return refused("accelerator.count", format!("{} comes {counts} a node, not {}", wanted.gpu, wanted.count));
    }
    let with = compute.accelerator.map(|wanted| format!(" with {}", gpus(wanted))).unwrap_or_default();
    let enough = of(&fitting, |machine| room(machine, compute).0 >= f64::from(compute.cpu));
    if enough.is_empty() {
        let most = most(&fitting, |machine| room(machine, compute).0);
        return refused("cpu", format!("{}{with} has at most {most} vCPUs, not {}", one(compute), compute.cpu));
    }
    let large = of(&enough, |machine| room(machine, compute).1 >= asked_gib(compute));
    if large.is_empty() {
        let most = most(&enough, |machine| room(machine, compute).1);
        return refused("memory", format!("{}{with} has at most {most} GiB, not {}", one(compute), asked_gib(compute)));
    }
    let taken = of(&large, |machine| compute.run_on != RunOn::Vertex || machine.vertex_training);
    let sold = of(&taken, |machine| machine.sold_as.contains(&compute.capacity));
    // The families stand from the cheapest; of the first that has any, the smallest.
    let first = sold.first().map(|machine| machine.family.as_str());
    let smallest = sold
        .iter()
        .filter(|machine| Some(machine.family.as_str()) == first)
        .min_by(|a, b| a.vcpus.cmp(&b.vcpus).then(a.memory_gib.total_cmp(&b.memory_gib)));
    match (smallest, taken.first()) {
        (Some(machine), _) => Ok(machine),
        (None, Some(machine)) => refused("capacity", not_sold(machine, compute)),
        (None, None) => refused("machine", format!("Vertex AI trains on no machine{with} of that size")),
    }
}

fn of(machines: &[&'static Machine], is_right: impl Fn(&Machine) -> bool) -> Vec<&'static Machine> {
    machines.iter().copied().filter(|machine| is_right(machine)).collect()
}

fn not_sold(machine: &Machine, compute: &Compute) -> String {
    let sold: Vec<&str> = machine.sold_as.iter().map(|capacity| capacity.as_str()).collect();
    format!("{} is sold as {} only, not as {}", machine.name, sold.join(" and "), compute.capacity)
}

fn asked_gib(compute: &Compute) -> f64 {
    compute.memory_mib as f64 / 1024.0
}

/// Whether its nodes are pods on a cluster of GKE, which keeps a part of each node.
fn is_pods(compute: &Compute) -> bool {
    matches!(compute.run_on, RunOn::Kubeflow | RunOn::KubeflowV1 | RunOn::KubeflowPipeline | RunOn::Ray)
}

/// The vCPUs and GiB that a job can have of a machine.
fn room(machine: &Machine, compute: &Compute) -> (f64, f64) {
    if is_pods(compute) { machine.for_pods() } else { (f64::from(machine.vcpus), machine.memory_gib) }
}

fn one(compute: &Compute) -> &'static str {
    if is_pods(compute) { "a pod on a machine" } else { "a machine" }
}

/// What a machine has, and what a pod can have of it.
fn has(compute: &Compute, name: &str, all: &str, for_a_pod: &str) -> String {
    if is_pods(compute) {
        format!("a pod on {name} can have {for_a_pod} of its {all}, as GKE keeps the rest")
    } else {
        format!("{name} has {all}")
    }
}

/// The most that any has, in hundredths.
fn most(machines: &[&Machine], of: impl Fn(&Machine) -> f64) -> f64 {
    let most = machines.iter().map(|machine| of(machine)).fold(0.0, f64::max);
    (most * 100.0).floor() / 100.0
}

fn gpus(accelerator: Accelerator) -> String {
    format!("{} {}", accelerator.count, accelerator.gpu)
}

fn any_of(possible: &[Accelerator]) -> String {
    possible.iter().copied().map(gpus).collect::<Vec<_>>().join(" or ")
}

fn counts_of(wanted: Accelerator) -> String {
    let mut counts: Vec<u32> = machines()
        .flat_map(|machine| machine.gpus.iter().chain(&machine.takes))
        .filter(|gpus| gpus.gpu == wanted.gpu)
        .map(|gpus| gpus.count)
        .collect();
    counts.sort_unstable();
    counts.dedup();
    counts.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
