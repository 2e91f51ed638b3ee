//! Which machine type has what a training asks for.
//!
//! Source: <https://cloud.google.com/vertex-ai/docs/training/configure-compute>, November 2026.

use millstream_events::compute::{Accelerator, Compute, GpuType};
use millstream_ports::{PortError, PortResult};

/// A machine type: its vCPUs and GiB of memory.
type Machine = (&'static str, u32, u64);

/// Without a GPU, the cheapest first.
const PLAIN: &[Machine] = &[
    ("e2-standard-4", 4, 16),
    ("e2-highmem-4", 4, 32),
    ("e2-standard-8", 8, 32),
    ("e2-highmem-8", 8, 64),
    ("e2-standard-16", 16, 64),
    ("e2-highmem-16", 16, 128),
    ("e2-standard-32", 32, 128),
    ("n1-highmem-32", 32, 208),
    ("n1-standard-64", 64, 240),
    ("n1-highmem-64", 64, 416),
    ("n1-standard-96", 96, 360),
    ("n1-highmem-96", 96, 624),
];

/// What a T4 is attached to, the cheapest first.
const WITH_T4: &[Machine] = &[
    ("n1-standard-4", 4, 15),
    ("n1-highmem-4", 4, 26),
    ("n1-standard-8", 8, 30),
    ("n1-highmem-8", 8, 52),
    ("n1-standard-16", 16, 60),
    ("n1-highmem-16", 16, 104),
    ("n1-standard-32", 32, 120),
    ("n1-highmem-32", 32, 208),
    ("n1-standard-64", 64, 240),
    ("n1-standard-96", 96, 360),
];

/// The machine types with these GPUs, the cheapest first; none where there is no machine with that many.
fn with_gpus(Accelerator { gpu, count }: Accelerator) -> &'static [Machine] {
    match (gpu, count) {
        (GpuType::L4, 1) => &[
            ("g2-standard-4", 4, 16),
            ("g2-standard-8", 8, 32),
            ("g2-standard-12", 12, 48),
            ("g2-standard-16", 16, 64),
            ("g2-standard-32", 32, 128),
        ],
        (GpuType::L4, 2) => &[("g2-standard-24", 24, 96)],
        (GpuType::L4, 4) => &[("g2-standard-48", 48, 192)],
        (GpuType::L4, 8) => &[("g2-standard-96", 96, 384)],
        (GpuType::T4, 1 | 2 | 4) => WITH_T4,
        (GpuType::A100, 1) => &[("a2-highgpu-1g", 12, 85)],
        (GpuType::A100, 2) => &[("a2-highgpu-2g", 24, 170)],
        (GpuType::A100, 4) => &[("a2-highgpu-4g", 48, 340)],
        (GpuType::A100, 8) => &[("a2-highgpu-8g", 96, 680)],
        (GpuType::A100, 16) => &[("a2-megagpu-16g", 96, 1_360)],
        (GpuType::A100With80Gb, 1) => &[("a2-ultragpu-1g", 12, 170)],
        (GpuType::A100With80Gb, 2) => &[("a2-ultragpu-2g", 24, 340)],
        (GpuType::A100With80Gb, 4) => &[("a2-ultragpu-4g", 48, 680)],
        (GpuType::A100With80Gb, 8) => &[("a2-ultragpu-8g", 96, 1_360)],
        (GpuType::H100, 1) => &[("a3-highgpu-1g", 26, 234)],
        (GpuType::H100, 2) => &[("a3-highgpu-2g", 52, 468)],
        (GpuType::H100, 4) => &[("a3-highgpu-4g", 104, 936)],
        (GpuType::H100, 8) => &[("a3-highgpu-8g", 208, 1_872)],
        (GpuType::H200, 8) => &[("a3-ultragpu-8g", 224, 2_952)],
        (GpuType::B200, 8) => &[("a4-highgpu-8g", 224, 3_968)],
        _ => &[],
    }
}

/// The families of machines that a GPU is in.
fn families(gpu: GpuType) -> &'static [&'static str] {
    match gpu {
        GpuType::L4 => &["g2-"],
        GpuType::T4 => &["n1-"],
        GpuType::A100 => &["a2-highgpu-", "a2-megagpu-"],
        GpuType::A100With80Gb => &["a2-ultragpu-"],
        GpuType::H100 => &["a3-highgpu-", "a3-megagpu-"],
        GpuType::H200 => &["a3-ultragpu-"],
        GpuType::B200 => &["a4-highgpu-"],
    }
}

/// The machine type of each node: the one named, or the cheapest that has what is asked for.
pub(super) fn machine_type(compute: &Compute) -> PortResult<String> {
    match &compute.machine {
        Some(named) => checked(named, compute.accelerator),
        None => chosen(compute),
    }
}

fn checked(named: &str, accelerator: Option<Accelerator>) -> PortResult<String> {
    let is_plain = named.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_plain || named.is_empty() {
        return Err(PortError::invalid(format!("compute.machine: {named:?} is not a machine type, such as n1-standard-4")));
    }
    let Some(Accelerator { gpu, count }) = accelerator else { return Ok(named.to_owned()) };
    let known = with_gpus(Accelerator { gpu, count });
    let fits = families(gpu).iter().any(|family| named.starts_with(family));
    // All machines of a family with GPUs built in have their own number of them.
    let has_count = gpu == GpuType::T4 || known.iter().any(|(machine, ..)| *machine == named);
    if fits && (has_count || !is_listed(named)) && !known.is_empty() {
        return Ok(named.to_owned());
    }
    let hint = match known {
        [] => format!("no machine has {count} of them"),
        known => format!("use {}", known.iter().map(|(machine, ..)| *machine).collect::<Vec<_>>().join(", ")),
    };
    Err(PortError::invalid(format!("compute.machine: {named} has not {count} GPUs {gpu}; {hint}")))
}

/// Whether the type is one whose GPUs are known here.
fn is_listed(named: &str) -> bool {
    GpuType::ALL.iter().any(|gpu| {
        (1..=16).any(|count| with_gpus(Accelerator { gpu: *gpu, count }).iter().any(|(machine, ..)| *machine == named))
    })
}

fn chosen(compute: &Compute) -> PortResult<String> {
    let machines = match compute.accelerator {
        Some(accelerator) => with_gpus(accelerator),
        None => PLAIN,
    };
    if let (Some(Accelerator { gpu, count }), []) = (compute.accelerator, machines) {
        return Err(PortError::invalid(format!("compute.accelerator.count: no machine of Vertex AI has {count} GPUs {gpu}")));
    }
    let has_enough = |(_, cpu, memory): &&Machine| *cpu >= compute.cpu && memory << 10 >= compute.memory_mib;
    machines.iter().find(has_enough).map(|(machine, ..)| (*machine).to_owned()).ok_or_else(|| {
        let largest = machines.last().map_or("none", |(machine, ..)| *machine);
        PortError::invalid(format!(
            "compute.cpu, compute.memory: no machine of Vertex AI with these GPUs has {} vCPUs and {} MiB; the largest is \
             {largest}",
            compute.cpu, compute.memory_mib
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compute(accelerator: Option<(GpuType, u32)>, cpu: u32, memory_gib: u64) -> Compute {
        let accelerator = accelerator.map(|(gpu, count)| Accelerator { gpu, count });
        Compute { accelerator, cpu, memory_mib: memory_gib << 10, ..Compute::default() }
    }

    #[test]
    fn the_cheapest_machine_with_enough_is_chosen() {
        for (asked, machine) in [
            (compute(None, 1, 2), "e2-standard-4"),
            (compute(None, 4, 20), "e2-highmem-4"),
            (compute(None, 90, 300), "n1-standard-96"),
            (compute(Some((GpuType::L4, 1)), 4, 16), "g2-standard-4"),
            (compute(Some((GpuType::L4, 1)), 9, 16), "g2-standard-12"),
            (compute(Some((GpuType::L4, 4)), 1, 1), "g2-standard-48"),
            (compute(Some((GpuType::T4, 2)), 8, 30), "n1-standard-8"),
            (compute(Some((GpuType::A100, 8)), 1, 1), "a2-highgpu-8g"),
            (compute(Some((GpuType::H100, 8)), 1, 1), "a3-highgpu-8g"),
            (compute(Some((GpuType::B200, 8)), 1, 1), "a4-highgpu-8g"),
        ] {
            assert_eq!(machine_type(&asked).unwrap(), machine);
        }
    }

    #[test]
    fn what_no_machine_has_is_refused_by_its_field() {
        for (asked, field) in [
            (compute(Some((GpuType::L4, 3)), 1, 1), "compute.accelerator.count"),
            (compute(Some((GpuType::H200, 1)), 1, 1), "compute.accelerator.count"),
            (compute(Some((GpuType::L4, 1)), 64, 1), "compute.cpu"),
            (compute(None, 1, 10_000), "compute.cpu, compute.memory"),
        ] {
            let error = machine_type(&asked).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }

    #[test]
    fn a_named_machine_must_have_the_gpus() {
        let named = |machine: &str, accelerator| {
            machine_type(&Compute { machine: Some(machine.to_owned()), ..compute(accelerator, 1, 1) })
        };
        assert_eq!(named("c3-standard-22", None).unwrap(), "c3-standard-22");
        assert_eq!(named("n1-highmem-2", Some((GpuType::T4, 1))).unwrap(), "n1-highmem-2");
        assert_eq!(named("a3-megagpu-8g", Some((GpuType::H100, 8))).unwrap(), "a3-megagpu-8g");
        for (machine, gpu, part) in [
            ("n1-standard-4", (GpuType::L4, 1), "use g2-standard-4"),
            ("g2-standard-4", (GpuType::L4, 2), "use g2-standard-24"),
            ("g2-standard-4", (GpuType::L4, 3), "no machine has 3"),
            ("a2-highgpu-1g", (GpuType::A100With80Gb, 1), "use a2-ultragpu-1g"),
        ] {
            let error = named(machine, Some(gpu)).unwrap_err().to_string();
            assert!(error.starts_with("compute.machine") && error.contains(part), "{error}");
        }
        assert!(named("n1-standard-4; rm", None).is_err());
    }
}
