//! Which machine fits, and what is said where none does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::collections::HashSet;

use millstream_events::compute::{Accelerator, Capacity, Compute, GpuType, RunOn};
use millstream_prices::{machine, machine_for, machines};

fn sized(cpu: u32, memory_gib: u64) -> Compute {
    Compute { run_on: RunOn::RayCluster, cpu, memory_mib: memory_gib << 10, ..Compute::default() }
}

fn with(gpu: GpuType, count: u32) -> Compute {
    Compute { accelerator: Some(Accelerator { gpu, count }), ..sized(1, 2) }
}

fn chosen(compute: &Compute) -> &'static str {
    machine_for(compute).map_or_else(|refusal| panic!("{refusal}"), |machine| &machine.name)
}

#[track_caller]
fn refused(compute: &Compute, field: &str, says: &[&str]) {
    let refusal = machine_for(compute).unwrap_err();
    assert_eq!(refusal.field, field, "{refusal}");
    for text in says {
        assert!(refusal.message.contains(text), "{text}: {refusal}");
    }
    assert_eq!(refusal.to_string(), format!("{field}: {}", refusal.message));
}

#[test]
fn the_catalogue_has_each_name_once_and_each_kind_of_gpu() {
    let names: HashSet<&str> = machines().map(|machine| machine.name.as_str()).collect();
    assert_eq!(names.len(), machines().count());
    for gpu in GpuType::ALL {
        let counts = machines().flat_map(|machine| machine.gpus.iter().chain(&machine.takes));
        assert!(counts.into_iter().any(|gpus| gpus.gpu == *gpu), "{gpu}");
    }
    for machine in machines() {
        assert!(machine.name.starts_with(&format!("{}-", machine.family)), "{machine:?}");
    }
}

#[test]
fn the_smallest_machine_that_has_enough_is_chosen() {
    assert_eq!(chosen(&sized(1, 2)), "e2-highcpu-2");
    assert_eq!(chosen(&sized(2, 8)), "e2-standard-2");
    assert_eq!(chosen(&sized(4, 16)), "e2-standard-4");
    assert_eq!(chosen(&sized(4, 17)), "e2-highmem-4");
    // e2 ends at 32 vCPUs and 128 GiB.
    assert_eq!(chosen(&sized(33, 8)), "n1-highcpu-64");
    assert_eq!(chosen(&sized(8, 200)), "n1-highmem-32");
}

#[test]
fn vertex_ai_trains_on_fewer_types() {
    assert_eq!(chosen(&Compute { run_on: RunOn::Vertex, ..sized(2, 8) }), "e2-highmem-2");
    let small = Compute { run_on: RunOn::Vertex, machine: Some("e2-standard-2".into()), ..sized(2, 8) };
    refused(&small, "machine", &["Vertex AI does not train on e2-standard-2", "e2-highmem-2 fits"]);
    assert_eq!(chosen(&Compute { run_on: RunOn::RayCluster, ..small }), "e2-standard-2");
}

#[test]
fn a_pod_cannot_have_all_of_a_node() {
    // Of 4 vCPUs GKE leaves 4 - 0.06 - 0.01 - 2 x 0.005 = 3.92, of 16 GiB 16 - 1 - 0.8 - 0.8 - 100 MiB = 13.3.
    let (vcpus, gib) = machine("e2-standard-4").unwrap().for_pods();
    assert!((vcpus - 3.92).abs() < 1e-9 && (gib - 13.302_343_75).abs() < 1e-9, "{vcpus} {gib}");
    // Of 96 and 360 GiB: 96 - 0.08 - 92 x 0.0025 = 95.69; 360 - 2.6 - 112 x 0.06 - 232 x 0.02 - 100 MiB = 345.94.
    let (vcpus, gib) = machine("n1-standard-96").unwrap().for_pods();
    assert!((vcpus - 95.69).abs() < 1e-9 && (gib - 345.942_343_75).abs() < 1e-9, "{vcpus} {gib}");

    for run_on in [RunOn::Kubeflow, RunOn::KubeflowV1, RunOn::Ray] {
        let pod = |cpu, memory_gib| Compute { run_on, ..sized(cpu, memory_gib) };
        assert_eq!(chosen(&pod(3, 13)), "e2-standard-4");
        assert_eq!(chosen(&pod(3, 14)), "e2-highmem-4");
        assert_eq!(chosen(&pod(4, 12)), "e2-standard-8");
        assert_eq!(chosen(&pod(1, 2)), "e2-standard-2");
        let whole = Compute { machine: Some("e2-standard-4".into()), ..pod(4, 8) };
        refused(&whole, "cpu", &["a pod on e2-standard-4 can have 3.92 of its 4 vCPUs", "not 4; e2-standard-8 fits"]);
        let whole = Compute { machine: Some("e2-standard-4".into()), ..pod(2, 16) };
        refused(&whole, "memory", &["can have 13.3 of its 16 GiB", "not 16; e2-highmem-4 fits"]);
        refused(&pod(96, 8), "cpu", &["a pod on a machine has at most 95.69 vCPUs, not 96"]);
    }
}

#[test]
fn gpus_decide_the_family_and_their_count_the_size() {
    use GpuType::{A100, A100With80Gb, B200, H100, H200, L4, T4};
    let cases = [
        (L4, 1, "g2-standard-4"),
        (L4, 2, "g2-standard-24"),
        (L4, 4, "g2-standard-48"),
        (L4, 8, "g2-standard-96"),
        (T4, 1, "n1-standard-1"),
        (T4, 4, "n1-standard-1"),
        (A100, 1, "a2-highgpu-1g"),
        (A100, 16, "a2-megagpu-16g"),
        (A100With80Gb, 8, "a2-ultragpu-8g"),
        (H100, 8, "a3-highgpu-8g"),
        (H200, 8, "a3-ultragpu-8g"),
        (B200, 8, "a4-highgpu-8g"),
    ];
    for (gpu, count, expected) in cases {
        assert_eq!(chosen(&with(gpu, count)), expected, "{gpu} x {count}");
    }
    assert_eq!(chosen(&Compute { cpu: 20, ..with(L4, 1) }), "g2-standard-32");
    // A T4 alone or with one other goes onto at most 48 vCPUs, four onto 96.
    refused(&Compute { cpu: 64, ..with(T4, 2) }, "cpu", &["with 2 nvidia-tesla-t4", "at most 32 vCPUs, not 64"]);
    assert_eq!(chosen(&Compute { cpu: 64, ..with(T4, 4) }), "n1-highcpu-64");
}

#[test]
fn few_h100_are_sold_as_spot_and_flex_start_only() {
    refused(
        &with(GpuType::H100, 1),
        "capacity",
        &["a3-highgpu-1g is sold as spot and flex-start only, not as standard"],
    );
    for capacity in [Capacity::Spot, Capacity::FlexStart] {
        assert_eq!(chosen(&Compute { capacity, ..with(GpuType::H100, 1) }), "a3-highgpu-1g");
    }
}

#[test]
fn what_no_machine_has_is_refused_by_its_field() {
    refused(&with(GpuType::L4, 3), "accelerator.count", &["nvidia-l4 comes 1, 2, 4, 8 a node, not 3"]);
    refused(&with(GpuType::B200, 1), "accelerator.count", &["nvidia-b200 comes 8 a node"]);
    refused(&with(GpuType::L4, 0), "accelerator.count", &["is 0"]);
    refused(&Compute { cpu: 64, ..with(GpuType::L4, 1) }, "cpu", &["with 1 nvidia-l4", "at most 32 vCPUs, not 64"]);
    refused(&Compute { memory_mib: 200 << 10, ..with(GpuType::L4, 1) }, "memory", &["at most 128 GiB, not 200"]);
    refused(&sized(128, 8), "cpu", &["at most 96 vCPUs"]);
}

#[test]
fn a_machine_that_is_named_has_what_is_asked_for_or_is_refused() {
    let on = |name: &str, compute: Compute| Compute { machine: Some(name.to_owned()), ..compute };
    assert_eq!(chosen(&on("g2-standard-8", with(GpuType::L4, 1))), "g2-standard-8");
    assert_eq!(chosen(&on("n1-standard-8", with(GpuType::T4, 2))), "n1-standard-8");
    assert_eq!(chosen(&on("n1-standard-8", sized(8, 30))), "n1-standard-8");

    let l4 = || with(GpuType::L4, 1);
    refused(&on("g2-standard-5", l4()), "machine", &["`g2-standard-5`", "g2-standard-4, ", "g2-standard-4 fits"]);
    refused(&on("m5.large", sized(1, 2)), "machine", &["`m5.large`", "e2-highcpu-2 fits"]);
    refused(&on("a2-highgpu-1g", l4()), "accelerator.type", &["comes with 1 nvidia-tesla-a100, not with nvidia-l4"]);
    refused(&on("e2-standard-4", l4()), "accelerator.type", &["comes with no GPUs", "g2-standard-4 fits"]);
    refused(&on("g2-standard-4", with(GpuType::L4, 2)), "accelerator.count", &["1 nvidia-l4", "g2-standard-24 fits"]);
    refused(&on("n1-standard-64", with(GpuType::T4, 1)), "accelerator.count", &["comes with 4 nvidia-tesla-t4"]);
    refused(&on("g2-standard-4", sized(1, 2)), "accelerator", &["has 1 nvidia-l4 in it"]);
    refused(&on("e2-standard-4", sized(5, 8)), "cpu", &["has 4 vCPUs, not 5", "e2-highcpu-8 fits"]);
    refused(&on("e2-standard-4", sized(4, 20)), "memory", &["has 16 GiB, not 20", "e2-highmem-4 fits"]);
    refused(&on("a3-highgpu-4g", with(GpuType::H100, 4)), "capacity", &["spot and flex-start only"]);
}

#[test]
fn sizes_are_googles() {
    let g2 = machine("g2-standard-4").unwrap();
    assert_eq!((g2.vcpus, g2.memory_gib, g2.gpus), (4, 16.0, Some(Accelerator { gpu: GpuType::L4, count: 1 })));
    assert_eq!(machine("n1-standard-1").unwrap().memory_gib, 3.75);
    assert_eq!(machine("n1-standard-64").unwrap().takes, [Accelerator { gpu: GpuType::T4, count: 4 }]);
    assert_eq!(machine("g2-standard-5"), None);
}
