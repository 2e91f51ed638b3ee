//! The recipe `ray-primes`.

use serde_json::Value;

use crate::support::{Site, assert_succeeded, read_json, recipe};

#[tokio::test]
async fn the_smallest_job_on_ray_counts_primes_in_tasks() {
    let site = Site::new();
    let training = recipe("primes", "ray-primes", &["--limit", "100000", "--tasks", "5"]);
    assert_succeeded(&site.end("primes", &training).await);
    let metrics = read_json(&site.folder("primes/model/metrics.json"));
    assert_eq!((&metrics["primes"], &metrics["largest_prime"]), (&9_592.into(), &99_991.into()), "{metrics}");
    let ranges = read_json(&site.folder("primes/model/primes.json"));
    let counts: Vec<&Value> = ranges.as_array().unwrap().iter().map(|range| &range["primes"]).collect();
    assert_eq!(counts, [2_262, 1_941, 1_854, 1_780, 1_755]);
}
