//! What trainings cost, beside figures computed by hand from the books.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use millstream_events::compute::{Accelerator, Capacity, Compute, GpuType, RunOn};
use millstream_prices::{Book, DEFAULT_BOOK, PriceError, compare};

const HOUR: f64 = 3_600.0;

fn list() -> Book {
    Book::open(DEFAULT_BOOK).unwrap()
}

fn seed() -> Book {
    Book::open("seed").unwrap()
}

fn sized(run_on: RunOn, cpu: u32, memory_gib: u64) -> Compute {
    Compute { run_on, cpu, memory_mib: memory_gib << 10, ..Compute::default() }
}

fn l4(run_on: RunOn, capacity: Capacity) -> Compute {
    Compute { capacity, ..with(sized(run_on, 3, 12), GpuType::L4, 1) }
}

fn with(compute: Compute, gpu: GpuType, count: u32) -> Compute {
    Compute { accelerator: Some(Accelerator { gpu, count }), ..compute }
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[track_caller]
fn hourly(book: &Book, compute: &Compute, expected: f64) {
    let rate = book.hourly(compute).unwrap().unwrap();
    close(rate.usd, expected);
    close(rate.parts.iter().map(|part| part.usd).sum(), expected);
}

#[track_caller]
fn missing(book: &Book, compute: &Compute, row: &str) {
    match book.hourly(compute) {
        Err(PriceError::NoRow { missing, .. }) => assert_eq!(missing, row),
        other => panic!("{other:?}"),
    }
}

#[test]
fn home_has_no_price() {
    let at_home = with(Compute::default(), GpuType::H200, 3);
    assert_eq!(list().hourly(&at_home), Ok(None));
}

#[test]
fn an_l4_on_a_cluster_costs_its_machine_and_the_control_plane() {
    for run_on in [RunOn::Kubeflow, RunOn::KubeflowV1, RunOn::KubeflowPipeline, RunOn::Ray] {
        // 0.706832 for g2-standard-4 + 0.10 for the cluster
        hourly(&list(), &l4(run_on, Capacity::Standard), 0.806832);
        // 0.397336 + 0.10
        hourly(&list(), &l4(run_on, Capacity::Spot), 0.497336);
    }
    // A Ray cluster that is there already: the machine alone.
    hourly(&list(), &l4(RunOn::RayCluster, Capacity::Standard), 0.706832);
}

#[test]
fn vertex_ai_costs_its_factor_on_the_machine() {
    // 1.15 x 0.706832, and 1.15 x 0.397336
    hourly(&list(), &l4(RunOn::Vertex, Capacity::Standard), 0.8128568);
    hourly(&list(), &l4(RunOn::Vertex, Capacity::Spot), 0.4569364);
    // It does not train on less than e2-highmem-2: 1.15 x (2 x 0.021812 + 16 x 0.002924) = 1.15 x 0.090408
    hourly(&list(), &sized(RunOn::Vertex, 1, 2), 0.1039692);
}

#[test]
fn nodes_multiply_machines_but_not_the_control_plane() {
    // e2-standard-4: 4 x 0.021812 + 16 x 0.002924 = 0.134032; 3 of them and 0.10
    let three = Compute { nodes: 3, ..sized(RunOn::Kubeflow, 3, 12) };
    hourly(&list(), &three, 0.502096);
    // 2 x 50.609541 + 0.10
    let h100 = with(sized(RunOn::Ray, 100, 1000), GpuType::H100, 8);
    hourly(&list(), &Compute { nodes: 2, capacity: Capacity::Spot, ..h100 }, 101.319082);
}

#[test]
fn a_named_machine_is_priced_whatever_is_asked_of_it() {
    // g2-standard-12 at 1.000416, though 3 vCPUs are asked for, and 0.10
    let named = Compute { machine: Some("g2-standard-12".into()), ..l4(RunOn::Kubeflow, Capacity::Standard) };
    hourly(&list(), &named, 1.100416);
    assert_eq!(list().hourly(&named).unwrap().unwrap().machine.as_deref(), Some("g2-standard-12"));
}

#[test]
fn without_a_spot_price_the_standard_one_counts_and_is_said() {
    let spot = Compute { capacity: Capacity::Spot, ..sized(RunOn::Kubeflow, 3, 12) };
    // 0.134032 + 0.10
    hourly(&list(), &spot, 0.234032);
    let notes = list().hourly(&spot).unwrap().unwrap().notes.join("; ");
    assert!(notes.contains("no spot price of e2-standard-4 in the book"), "{notes}");
    // Of one H100 there is no standard price, nor a machine that is sold so.
    let flex = Compute { capacity: Capacity::FlexStart, ..with(sized(RunOn::Ray, 4, 16), GpuType::H100, 1) };
    missing(&list(), &flex, "`a3-highgpu-1g` per hour (flex-start)");
}

#[test]
fn a_pod_pays_for_the_node_that_has_room_for_it() {
    // 4 vCPUs and 16 GiB are more than GKE leaves of e2-standard-4: a pod is on e2-standard-8 (0.268064) and pays the cluster.
    hourly(&list(), &sized(RunOn::Kubeflow, 4, 16), 0.368064);
    // A CustomJob has the whole of e2-standard-4: 1.15 x 0.134032.
    hourly(&list(), &sized(RunOn::Vertex, 4, 16), 0.1541368);
}

#[test]
fn a_row_that_the_book_lacks_is_named() {
    missing(&list(), &with(sized(RunOn::Ray, 4, 16), GpuType::H200, 8), "`a3-ultragpu-8g` per hour");
    missing(&list(), &with(sized(RunOn::Kubeflow, 4, 16), GpuType::T4, 1), "`nvidia-tesla-t4` per hour");
    missing(&seed(), &sized(RunOn::Ray, 4, 16), "`training/ray` per vcpu-hour and per gb-hour");
    missing(&seed(), &l4(RunOn::Kubeflow, Capacity::Standard), "`nvidia-l4` per hour");
    let error = list().hourly(&with(sized(RunOn::Ray, 4, 16), GpuType::H200, 8)).unwrap_err().to_string();
    assert!(error.contains("list-2026-07") && error.contains("add it to a copy of the book"), "{error}");
}

#[test]
fn no_price_is_made_for_what_no_machine_has() {
    let error = list().hourly(&with(sized(RunOn::Vertex, 4, 16), GpuType::L4, 3)).unwrap_err();
    assert!(error.to_string().starts_with("accelerator.count: "), "{error}");
}

#[test]
fn an_attached_gpu_is_priced_beside_its_machine() {
    let text = r#"{"name": "mine", "about": "", "currency": "USD", "region": "us-central1", "rows": [
        {"item": "n1", "unit": "vcpu-hour", "price": 0.03, "source": "a test", "date": "2026-11"},
        {"item": "n1", "unit": "gb-hour", "price": 0.004, "source": "a test", "date": "2026-11"},
        {"item": "nvidia-tesla-t4", "unit": "hour", "price": 0.35, "source": "a test", "date": "2026-11"}]}"#;
    let mine = Book::parse("mine", text).unwrap();
    // n1-standard-4: 4 x 0.03 + 15 x 0.004 = 0.18; 2 T4 = 0.70; no row for a control plane, so nothing for it.
    hourly(&mine, &with(sized(RunOn::Kubeflow, 3, 12), GpuType::T4, 2), 0.88);
    missing(&mine, &with(sized(RunOn::Vertex, 4, 15), GpuType::T4, 2), "`vertex-training` per times-compute");
}

#[test]
fn a_book_may_price_vcpus_and_memory_whatever_is_under_them() {
    // 3 x (4 x 0.10 + 16 x 0.13) = 3 x 2.48
    let three = Compute { nodes: 3, ..sized(RunOn::Kubeflow, 4, 16) };
    hourly(&seed(), &three, 7.44);
    hourly(&seed(), &Compute { run_on: RunOn::KubeflowV1, ..three.clone() }, 7.44);
    // 3 x (4 x 0.19 + 16 x 0.24) = 3 x 4.60
    hourly(&seed(), &Compute { run_on: RunOn::Vertex, ..three.clone() }, 13.8);
    // The whole of a machine that is named: 3 x (8 x 0.10 + 32 x 0.13) = 3 x 4.96
    hourly(&seed(), &Compute { machine: Some("e2-standard-8".into()), ..three }, 14.88);
}

#[test]
fn a_time_costs_its_part_of_the_hour() {
    let two = Compute { nodes: 2, ..l4(RunOn::Kubeflow, Capacity::Standard) };
    let rate = list().hourly(&two).unwrap().unwrap();
    // 2 x 0.706832 + 0.10 = 1.513664 an hour; a quarter of it
    close(rate.usd_for(900.0), 0.378416);
}

#[test]
fn back_ends_are_compared_for_the_same_nodes() {
    let lines = compare(&l4(RunOn::Local, Capacity::Standard), 2.0 * HOUR, &list());
    let found: Vec<_> = lines.iter().map(|line| (line.run_on, line.usd.map(|usd| (usd * 1e6).round() / 1e6))).collect();
    assert_eq!(
        found,
        [
            (RunOn::Local, None),
            (RunOn::Kubeflow, Some(1.613664)),
            (RunOn::KubeflowV1, Some(1.613664)),
            (RunOn::KubeflowPipeline, Some(1.613664)),
            (RunOn::Ray, Some(1.613664)),
            (RunOn::RayCluster, Some(1.413664)),
            (RunOn::Vertex, Some(1.625714)),
        ]
    );
    assert!(lines[0].note.contains("no price"));
    assert_eq!(lines[6].machine.as_deref(), Some("g2-standard-4"));
    close(lines[5].usd_per_hour.unwrap(), 0.706832);

    let unpriced = compare(&with(Compute::default(), GpuType::H200, 8), HOUR, &list());
    assert!(unpriced.iter().all(|line| line.usd.is_none()));
    assert!(unpriced[6].note.contains("`a3-ultragpu-8g` per hour"), "{}", unpriced[6].note);
}
