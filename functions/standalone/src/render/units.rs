//! Spans and sizes for people.

/// A span in the unit that fits it.
#[cfg(feature = "embedded")]
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3_600.0 => format!("{} min {:02} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {:02} min", s as u64 / 3_600, s as u64 % 3_600 / 60),
    }
}

/// A size in the unit that fits it.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1_024.0;
    let mut unit = 0;
    while size >= 1_024.0 && unit + 1 < UNITS.len() {
        size /= 1_024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_written_in_the_unit_that_fits() {
        assert_eq!(
            [0.004, 1.25, 61.0, 7_322.0].map(seconds),
            ["4 ms", "1.2 s", "1 min 01 s", "2 h 02 min"].map(str::to_owned)
        );
        assert_eq!([512, 2_048, 5 << 20].map(bytes), ["512 B", "2.0 KiB", "5.0 MiB"].map(str::to_owned));
    }
}
