//! What benchmarks do with their measurements.
#![allow(clippy::print_stdout, reason = "the figures are what a benchmark is run for")]

use std::time::Duration;

/// The value below which a share `q` of the measurements lies; the largest for 1.
///
/// # Panics
/// When nothing was measured.
#[must_use]
pub fn quantile(measured: &mut [Duration], q: f64) -> Duration {
    measured.sort_unstable();
    let rank = (q * measured.len() as f64).ceil() as usize;
    measured[rank.clamp(1, measured.len()) - 1]
}

/// A time in milliseconds.
#[must_use]
pub fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// A process's memory by the kernel's name for it: `VmRSS` now, `VmHWM` at most.
#[must_use]
pub fn memory(process: u32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map_or_else(|| "not known on this system".to_owned(), |kib| format!("{} MiB", kib / 1024))
}

/// Prints a row of the table that `make bench` makes.
pub fn row(measure: &str, figures: &str) {
    println!("| {measure} | {figures} |");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_measurements() {
        let mut measured: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut measured, 0.5), Duration::from_millis(50));
        assert_eq!(quantile(&mut measured, 0.99), Duration::from_millis(99));
        assert_eq!(quantile(&mut measured, 1.0), Duration::from_millis(100));
        assert_eq!(quantile(&mut [Duration::ZERO], 0.01), Duration::ZERO);
    }
}
